//! Docker's default profile as data: what containers of a stock engine get, rule by rule and in its order.
//!
//! Everything that no rule names fails with `EPERM`. The list of calls that are always allowed leaves out what reaches
//! beyond the container (mounts, modules, clocks, tracing of others, key rings …); rules under a capability give such calls
//! back to containers that hold it.

use super::{Action, Arch, ArchMap, Filter, Operator, Profile, ProfileRule, SeccompArg};

/// Namespace flags of clone(2): `CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | … | CLONE_NEWNET`.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// `AF_VSOCK`: reaches the hypervisor past every network namespace.
const AF_VSOCK: u64 = 40;
/// `ENOSYS`: makes C libraries fall back from clone3 (whose flags a filter cannot see) to clone.
const ENOSYS: u32 = 38;

pub(super) fn profile() -> Profile {
    Profile {
        default_action: Action::Errno,
        default_errno_ret: Some(1),
        architectures: Vec::new(),
        arch_map: arch_map(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls: rules(),
    }
}

fn arch_map() -> Vec<ArchMap> {
    let entry = |architecture, sub: &[Arch]| ArchMap { architecture, sub_architectures: sub.to_vec() };
    vec![
        entry(Arch::X86_64, &[Arch::X86, Arch::X32]),
        entry(Arch::Aarch64, &[Arch::Arm]),
        entry(Arch::Mips64, &[Arch::Mips, Arch::Mips64N32]),
        entry(Arch::Mips64N32, &[Arch::Mips, Arch::Mips64]),
        entry(Arch::Mipsel64, &[Arch::Mipsel, Arch::Mipsel64N32]),
        entry(Arch::Mipsel64N32, &[Arch::Mipsel, Arch::Mipsel64]),
        entry(Arch::S390x, &[Arch::S390]),
        entry(Arch::Riscv64, &[]),
    ]
}

fn rules() -> Vec<ProfileRule> {
    let mut rules = vec![
        allow(ALWAYS),
        ProfileRule {
            includes: Filter { min_kernel: Some("4.8".to_owned()), ..Filter::default() },
            ..allow(&["process_vm_readv", "process_vm_writev", "ptrace"])
        },
        with_arg("socket", 0, Operator::NotEqual, AF_VSOCK),
    ];
    // PER_LINUX, PER_LINUX32, UNAME26, both, and "tell me"
    rules.extend(
        [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|value| with_arg("personality", 0, Operator::Equal, value)),
    );
    rules.extend([
        on(&["ppc64le"], &["sync_file_range2", "swapcontext"]),
        on(
            &["arm", "arm64"],
            &["arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"],
        ),
        on(&["amd64", "x32"], &["arch_prctl"]),
        on(&["amd64", "x32", "x86"], &["modify_ldt"]),
        on(&["s390", "s390x"], &["s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"]),
        on(&["riscv64"], &["riscv_flush_icache"]),
        holding("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
        holding("CAP_SYS_ADMIN", SYS_ADMIN),
        ProfileRule {
            excludes: Filter {
                caps: vec!["CAP_SYS_ADMIN".to_owned()],
                arches: texts(&["s390", "s390x"]),
                min_kernel: None,
            },
            ..with_arg("clone", 0, Operator::MaskedEqual, CLONE_NAMESPACES)
        },
        ProfileRule {
            comment: Some("s390 takes the flags of clone as second argument".to_owned()),
            includes: Filter { arches: texts(&["s390", "s390x"]), ..Filter::default() },
            excludes: Filter { caps: vec!["CAP_SYS_ADMIN".to_owned()], ..Filter::default() },
            ..with_arg("clone", 1, Operator::MaskedEqual, CLONE_NAMESPACES)
        },
        ProfileRule {
            action: Action::Errno,
            errno_ret: Some(ENOSYS),
            excludes: Filter { caps: vec!["CAP_SYS_ADMIN".to_owned()], ..Filter::default() },
            ..allow(&["clone3"])
        },
        holding("CAP_SYS_BOOT", &["reboot"]),
        holding("CAP_SYS_CHROOT", &["chroot"]),
        holding("CAP_SYS_MODULE", &["delete_module", "init_module", "finit_module"]),
        holding("CAP_SYS_PACCT", &["acct"]),
        holding(
            "CAP_SYS_PTRACE",
            &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"],
        ),
        holding("CAP_SYS_RAWIO", &["iopl", "ioperm"]),
        holding("CAP_SYS_TIME", &["settimeofday", "stime", "clock_settime", "clock_settime64"]),
        holding("CAP_SYS_TTY_CONFIG", &["vhangup"]),
        holding("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
        holding("CAP_SYSLOG", &["syslog"]),
        holding("CAP_BPF", &["bpf"]),
        holding("CAP_PERFMON", &["perf_event_open"]),
    ]);
    rules
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn allow(names: &[&str]) -> ProfileRule {
    ProfileRule {
        name: None,
        names: texts(names),
        action: Action::Allow,
        errno_ret: None,
        args: Vec::new(),
        comment: None,
        includes: Filter::default(),
        excludes: Filter::default(),
    }
}

fn with_arg(name: &str, index: u32, op: Operator, value: u64) -> ProfileRule {
    ProfileRule { args: vec![SeccompArg { index, value, value_two: 0, op }], ..allow(&[name]) }
}

fn on(arches: &[&str], names: &[&str]) -> ProfileRule {
    ProfileRule { includes: Filter { arches: texts(arches), ..Filter::default() }, ..allow(names) }
}

fn holding(capability: &str, names: &[&str]) -> ProfileRule {
    ProfileRule { includes: Filter { caps: vec![capability.to_owned()], ..Filter::default() }, ..allow(names) }
}

/// Calls that a container with CAP_SYS_ADMIN may make.
#[rustfmt::skip]
const SYS_ADMIN: &[&str] = &[
    "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
    "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree",
    "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount",
    "umount2", "unshare",
];

/// Calls that every container may make.
#[rustfmt::skip]
const ALWAYS: &[&str] = &[
    "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk", "cachestat", "capget", "capset", "chdir",
    "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres", "clock_getres_time64",
    "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range", "connect",
    "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit",
    "exit_group", "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark", "fchdir",
    "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync", "fgetxattr",
    "flistxattr", "flock", "fork", "fremovexattr", "fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
    "fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
    "futex_wake", "futimesat", "getcpu", "getcwd", "getdents", "getdents64", "getegid", "getegid32", "geteuid",
    "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp",
    "getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "get_robust_list", "getrusage", "getsid", "getsockname", "getsockopt", "get_thread_area", "gettid",
    "gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "io_cancel", "ioctl", "io_destroy", "io_getevents", "io_pgetevents",
    "io_pgetevents_time64", "ioprio_get", "ioprio_set", "io_setup", "io_submit", "ipc", "kill", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen",
    "listmount", "listxattr", "listxattrat", "llistxattr", "_llseek", "lremovexattr", "lseek", "lsetxattr", "lstat",
    "lstat64", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mkdir",
    "mkdirat", "mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr",
    "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64",
    "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock", "munlockall", "munmap",
    "name_to_handle_at", "nanosleep", "newfstatat", "_newselect", "open", "openat", "openat2", "pause", "pidfd_open",
    "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64",
    "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "pselect6", "pselect6_time64", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "recv", "recvfrom", "recvmmsg",
    "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename", "renameat", "renameat2",
    "restart_syscall", "riscv_hwprobe", "rmdir", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
    "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield", "seccomp", "select",
    "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg",
    "sendmsg", "sendto", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups",
    "setgroups32", "setitimer", "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32",
    "setresuid", "setresuid32", "setreuid", "setreuid32", "setrlimit", "set_robust_list", "setsid", "setsockopt",
    "set_thread_area", "set_tid_address", "setuid", "setuid32", "setxattr", "setxattrat", "shmat", "shmctl", "shmdt",
    "shmget", "shutdown", "sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "socketcall",
    "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink", "symlinkat",
    "sync", "sync_file_range", "syncfs", "sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete",
    "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create",
    "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate",
    "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "vmsplice", "wait4", "waitid", "waitpid", "write", "writev",
];

#[cfg(test)]
mod tests {
    use super::super::{Conditions, LinuxSeccomp};
    use super::*;
    use crate::capability::{Capability, CapabilitySet, DOCKER_DEFAULT};

    fn resolve(arch: Arch, capabilities: CapabilitySet) -> LinuxSeccomp {
        let conditions = Conditions { arch, capabilities, kernel: (6, 1) };
        profile().resolve(&conditions).expect("the built-in profile is sound")
    }

    fn actions(filter: &LinuxSeccomp, name: &str) -> Vec<(Action, usize)> {
        let rules = filter.syscalls.iter().filter(|rule| rule.names.iter().any(|known| known == name));
        rules.map(|rule| (rule.action, rule.args.len())).collect()
    }

    #[test]
    fn without_capabilities() {
        let filter = resolve(Arch::X86_64, CapabilitySet::EMPTY);
        assert_eq!(filter.architectures, [Arch::X86_64, Arch::X86, Arch::X32]);
        assert_eq!(filter.syscalls.len(), 12);
        assert_eq!(filter.syscalls[0].names.len(), 361);
        assert_eq!(actions(&filter, "clone"), [(Action::Allow, 1)]);
        assert_eq!(actions(&filter, "clone3"), [(Action::Errno, 0)]);
        assert_eq!(actions(&filter, "mount"), []);
        assert_eq!(actions(&filter, "personality").len(), 5);
    }

    #[test]
    fn with_capabilities() {
        let filter = resolve(Arch::X86_64, DOCKER_DEFAULT);
        assert_eq!(actions(&filter, "chroot"), [(Action::Allow, 0)]);
        assert_eq!(actions(&filter, "unshare"), []);
        let filter = resolve(Arch::X86_64, CapabilitySet::EMPTY.with(Capability::SysAdmin));
        assert_eq!(actions(&filter, "clone"), [(Action::Allow, 0)]);
        assert_eq!(actions(&filter, "clone3"), [(Action::Allow, 0)]);
    }

    #[test]
    fn other_architectures() {
        let filter = resolve(Arch::Aarch64, CapabilitySet::EMPTY);
        assert_eq!(filter.architectures, [Arch::Aarch64, Arch::Arm]);
        assert_eq!(actions(&filter, "arch_prctl"), []);
        assert_eq!(actions(&filter, "set_tls"), [(Action::Allow, 0)]);
        let filter = resolve(Arch::S390x, CapabilitySet::EMPTY);
        let rule = filter.syscalls.iter().find(|rule| rule.names == ["clone"]).expect("a rule for clone");
        assert_eq!(rule.args[0].index, 1);
    }

    #[test]
    fn an_old_kernel_forbids_tracing() {
        let conditions = Conditions { arch: Arch::X86_64, capabilities: CapabilitySet::EMPTY, kernel: (4, 4) };
        let filter = profile().resolve(&conditions).expect("the built-in profile is sound");
        assert_eq!(actions(&filter, "ptrace"), []);
    }

    #[test]
    fn every_name_is_known_on_some_architecture() {
        for rule in profile().syscalls {
            // architectures without a table here
            let foreign = |name: &str| ["s390", "ppc", "riscv"].iter().any(|arch| name.starts_with(arch));
            let skipped = rule.includes.arches.iter().any(|arch| foreign(arch));
            for name in rule.names.iter().filter(|name| !skipped && !foreign(name)) {
                let known = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm]
                    .into_iter()
                    .any(|arch| super::super::syscalls::number(arch, name).is_some());
                assert!(known, "{name}");
            }
        }
    }
}
