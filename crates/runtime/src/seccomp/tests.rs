//! The assembler against a plain evaluation of the document, on an interpreter of classic BPF.

use super::*;
use proptest::prelude::*;
use wharf_spec::capability::DOCKER_DEFAULT;
use wharf_spec::seccomp::{Conditions, Operator, Profile, SeccompArg, SyscallRule, syscalls};

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const ENOSYS: u32 = 0x0005_0026;
const EPERM: u32 = 0x0005_0001;

/// A call as the kernel shows it to filters.
#[derive(Debug, Clone, Copy)]
struct Call {
    audit: u32,
    number: u32,
    args: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16..64 => {
                let value = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { value as u32 } else { (value >> 32) as u32 }
            }
            _ => panic!("no such word: {offset}"),
        }
    }
}

/// What the kernel's interpreter does, with its checks: only forward jumps inside the program, a return at the end.
fn interpret(program: &Program, call: &Call) -> (u32, usize) {
    let (mut pc, mut a, mut steps) = (0, 0u32, 0);
    loop {
        let i = program.0[pc];
        steps += 1;
        pc += 1;
        match i.code {
            0x20 => a = call.word(i.k),
            0x54 => a &= i.k,
            0x05 => pc += i.k as usize,
            0x15 => pc += usize::from(if a == i.k { i.jt } else { i.jf }),
            0x25 => pc += usize::from(if a > i.k { i.jt } else { i.jf }),
            0x35 => pc += usize::from(if a >= i.k { i.jt } else { i.jf }),
            0x06 => return (i.k, steps),
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn verdict(action: Action, errno: Option<u32>) -> u32 {
    let data = errno.unwrap_or(1);
    match action {
        Action::Kill | Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 | data,
        Action::Trace => 0x7ff0_0000 | data,
        Action::Allow => ALLOW,
        Action::Log => 0x7ffc_0000,
        Action::Notify => 0x7fc0_0000,
    }
}

fn holds(arg: &SeccompArg, value: u64, narrow: bool) -> bool {
    let cut = |value: u64| if narrow { value & 0xffff_ffff } else { value };
    let (value, with) = (cut(value), cut(arg.value));
    match arg.op {
        Operator::Equal => value == with,
        Operator::NotEqual => value != with,
        Operator::Less => value < with,
        Operator::LessOrEqual => value <= with,
        Operator::Greater => value > with,
        Operator::GreaterOrEqual => value >= with,
        Operator::MaskedEqual => value & with == cut(arg.value_two),
    }
}

fn matches(rule: &SyscallRule, call: &Call, narrow: bool) -> bool {
    let one = |arg: &SeccompArg| holds(arg, call.args[arg.index as usize], narrow);
    let doubled = rule.args.iter().any(|a| rule.args.iter().filter(|b| b.index == a.index).count() > 1);
    if doubled { rule.args.iter().any(one) } else { rule.args.iter().all(one) }
}

/// The module documentation's rules, word by word.
fn evaluate(document: &LinuxSeccomp, arch: Arch, call: &Call) -> u32 {
    let default = verdict(document.default_action, document.default_errno_ret);
    let narrow = arch == Arch::X86;
    let names = |rule: &SyscallRule| rule.names.iter().any(|name| syscalls::number(arch, name) == Some(call.number));
    let rules: Vec<&SyscallRule> = document.syscalls.iter().filter(|rule| names(rule)).collect();
    if let Some(rule) = rules.iter().find(|rule| rule.args.is_empty()) {
        return verdict(rule.action, rule.errno_ret);
    }
    if let Some(rule) = rules.iter().find(|rule| matches(rule, call, narrow)) {
        return verdict(rule.action, rule.errno_ret);
    }
    let all = document.syscalls.iter().flat_map(|rule| &rule.names).filter_map(|name| syscalls::number(arch, name));
    let refuses = !matches!(document.default_action, Action::Allow | Action::Log | Action::Trace | Action::Notify);
    match all.max() {
        Some(last) if call.number > last && refuses && rules.is_empty() => ENOSYS,
        _ => default,
    }
}

fn docker() -> LinuxSeccomp {
    let conditions = Conditions { arch: Arch::X86_64, capabilities: DOCKER_DEFAULT, kernel: (6, 18) };
    Profile::docker_default().resolve(&conditions).expect("the default profile is right")
}

fn run(document: &LinuxSeccomp, audit: u32, number: u32, args: [u64; 6]) -> u32 {
    let plan = compile_uncached(document).expect("compiles");
    interpret(&plan.program, &Call { audit, number, args }).0
}

#[test]
fn r_iso_08_dockers_default_profile() {
    let document = docker();
    let number = |name: &str| syscalls::number(Arch::X86_64, name).expect("known");
    let check = |name: &str, args: [u64; 6], expect: u32| {
        assert_eq!(run(&document, X86_64, number(name), args), expect, "{name} {args:x?}");
    };
    check("read", [0; 6], ALLOW);
    check("mount", [0; 6], EPERM);
    check("bpf", [0; 6], EPERM);
    check("keyctl", [0; 6], EPERM);
    check("clone3", [0; 6], ENOSYS);
    // clone without and with CLONE_NEWUSER
    check("clone", [0x11, 0, 0, 0, 0, 0], ALLOW);
    check("clone", [0x1000_0011, 0, 0, 0, 0, 0], EPERM);
    // AF_INET, AF_VSOCK
    check("socket", [2, 1, 0, 0, 0, 0], ALLOW);
    check("socket", [40, 1, 0, 0, 0, 0], EPERM);
    check("personality", [0xffff_ffff, 0, 0, 0, 0, 0], ALLOW);
    check("personality", [0x1234, 0, 0, 0, 0, 0], EPERM);
    // what no version of the profile can know
    assert_eq!(run(&document, X86_64, 4000, [0; 6]), ENOSYS);
    // 32-bit programs, x32, and a foreign machine
    assert_eq!(run(&document, I386, 3, [0; 6]), ALLOW);
    assert_eq!(run(&document, I386, 21, [0; 6]), EPERM);
    assert_eq!(run(&document, X86_64, 1 << 30, [0; 6]), ALLOW);
    assert_eq!(run(&document, 0xc000_00b7, 63, [0; 6]), 0);
}

#[test]
fn the_default_profile_is_short_and_quick() {
    let plan = compile_uncached(&docker()).expect("compiles");
    assert!(plan.program.0.len() < 700, "{} instructions", plan.program.0.len());
    for number in 0..460 {
        let (_, steps) = interpret(&plan.program, &Call { audit: X86_64, number, args: [0; 6] });
        assert!(steps < 24, "call {number} takes {steps} steps");
    }
}

#[test]
fn the_filter_ends_and_jumps_only_forward_inside() {
    let plan = compile_uncached(&docker()).expect("compiles");
    let code = &plan.program.0;
    for (at, i) in code.iter().enumerate() {
        let reach = match i.code {
            0x05 => i.k as usize,
            0x15 | 0x25 | 0x35 => usize::from(i.jt.max(i.jf)),
            _ => 0,
        };
        assert!(at + 1 + reach < code.len() || i.code == 0x06, "instruction {at}");
    }
}

#[test]
fn without_x32_its_calls_kill() {
    let document = document(Action::Errno, vec![rule(&["read"], Action::Allow, vec![])]);
    assert_eq!(run(&document, X86_64, 1 << 30, [0; 6]), 0);
    assert_eq!(run(&document, I386, 3, [0; 6]), 0);
    // a call that a tracer has skipped
    assert_eq!(run(&document, X86_64, u32::MAX, [0; 6]), EPERM);
}

#[test]
fn sockets_of_32_bit_programs() {
    let mut document = document(Action::Errno, vec![rule(&["connect"], Action::Allow, vec![])]);
    document.architectures = vec![Arch::X86_64, Arch::X86];
    let socketcall = syscalls::number(Arch::X86, "socketcall").expect("known");
    assert_eq!(run(&document, I386, socketcall, [3, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(run(&document, I386, socketcall, [2, 0, 0, 0, 0, 0]), EPERM);
}

#[test]
fn what_cannot_be_compiled_is_said() {
    let check = |document: LinuxSeccomp, expect: &str| {
        assert_eq!(compile_uncached(&document).expect_err(expect).to_string(), expect);
    };
    check(document(Action::Notify, vec![]), "linux.seccomp: SCMP_ACT_NOTIFY cannot be used as default action");
    check(
        document(Action::Allow, vec![rule(&["mkdir"], Action::Notify, vec![])]),
        "linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath",
    );
    let arg = SeccompArg { index: 6, value: 0, value_two: 0, op: Operator::Equal };
    check(
        document(Action::Allow, vec![rule(&["mkdir"], Action::Errno, vec![arg])]),
        "linux.seccomp: argument index 6 is above 5",
    );
    let mut flags = document(Action::Allow, vec![]);
    flags.flags = vec!["SECCOMP_FILTER_FLAG_NONSENSE".into()];
    check(flags, "linux.seccomp.flags: unknown flag \"SECCOMP_FILTER_FLAG_NONSENSE\"");
}

fn document(default_action: Action, syscalls: Vec<SyscallRule>) -> LinuxSeccomp {
    LinuxSeccomp {
        default_action,
        default_errno_ret: None,
        architectures: Vec::new(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

fn rule(names: &[&str], action: Action, args: Vec<SeccompArg>) -> SyscallRule {
    SyscallRule { names: names.iter().map(|name| (*name).to_owned()).collect(), action, errno_ret: None, args }
}

/// Values around the borders that 64-bit comparisons out of 32-bit halves get wrong.
fn value() -> impl Strategy<Value = u64> {
    let borders = vec![
        0,
        1,
        2,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fffe,
        0xffff_ffff,
        1 << 32,
        (1 << 32) + 1,
        0x1_ffff_ffff,
        0x2_0000_0000,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    prop_oneof![3 => proptest::sample::select(borders), 1 => any::<u64>()]
}

fn arg() -> impl Strategy<Value = SeccompArg> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, MaskedEqual, NotEqual};
    let op = proptest::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, MaskedEqual]);
    (0u32..6, value(), value(), op).prop_map(|(index, value, value_two, op)| SeccompArg { index, value, value_two, op })
}

fn any_rule() -> impl Strategy<Value = SyscallRule> {
    // not those that 32-bit x86 has behind one call: the reference below knows nothing of it
    let plain = |name: &&str| {
        let muxed = [
            "sock", "bind", "connect", "listen", "accept", "send", "recv", "shutdown", "sem", "msg", "shm", "getpeer",
            "setsock", "getsock", "ipc",
        ];
        !muxed.iter().any(|start| name.starts_with(start))
    };
    let names: Vec<&str> =
        syscalls::table(Arch::X86_64).expect("a table").iter().map(|entry| entry.0).filter(plain).collect();
    let actions = vec![
        Action::Allow,
        Action::Errno,
        Action::KillProcess,
        Action::KillThread,
        Action::Log,
        Action::Trap,
        Action::Trace,
    ];
    (
        prop::collection::vec(proptest::sample::select(names), 1..40),
        proptest::sample::select(actions),
        prop::option::of(0u32..200),
        prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(arg(), 1..4)],
    )
        .prop_map(|(names, action, errno_ret, args)| SyscallRule { errno_ret, ..rule(&names, action, args) })
}

fn any_document() -> impl Strategy<Value = LinuxSeccomp> {
    let defaults = vec![Action::Allow, Action::Errno, Action::KillProcess, Action::Log];
    (prop::collection::vec(any_rule(), 0..12), proptest::sample::select(defaults), any::<(bool, bool)>()).prop_map(
        |(rules, default, (x86, x32))| {
            let mut document = document(default, rules);
            document.architectures.extend(x86.then_some(Arch::X86));
            document.architectures.extend(x32.then_some(Arch::X32));
            document
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_program_decides_as_the_document_says(document in any_document(), calls in prop::collection::vec((0u32..480, prop::array::uniform6(value())), 60)) {
        let plan = compile_uncached(&document).expect("compiles");
        for (number, args) in calls {
            let call = Call { audit: X86_64, number, args };
            prop_assert_eq!(interpret(&plan.program, &call).0, evaluate(&document, Arch::X86_64, &call), "{:?}", call);
            let narrow = args.map(|arg| arg & 0xffff_ffff);
            let call = Call { audit: I386, number, args: narrow };
            let expect = if document.architectures.contains(&Arch::X86) { evaluate(&document, Arch::X86, &call) } else { 0 };
            prop_assert_eq!(interpret(&plan.program, &call).0, expect, "32-bit {:?}", call);
            let call = Call { audit: X86_64, number: number | 1 << 30, args };
            let expect = if document.architectures.contains(&Arch::X32) { evaluate(&document, Arch::X32, &call) } else { 0 };
            prop_assert_eq!(interpret(&plan.program, &call).0, expect, "x32 {:?}", call);
        }
    }

    #[test]
    fn programs_survive_their_wire_form(document in any_document()) {
        let plan = compile_uncached(&document).expect("compiles");
        let bytes = postcard::to_stdvec(&plan).expect("serialisable");
        prop_assert_eq!(&postcard::from_bytes::<SeccompPlan>(&bytes).expect("the same"), &plan);
        let json = serde_json::to_string(&plan).expect("serialisable");
        prop_assert_eq!(&serde_json::from_str::<SeccompPlan>(&json).expect("the same"), &plan);
    }

    /// Whatever JSON a user hands over: an answer, and never a panic.
    #[test]
    fn any_json_is_answered(text in r#"\{("defaultAction":"SCMP_ACT_(ALLOW|ERRNO|NOTIFY|LOG|X)",?)?("defaultErrnoRet":[0-9]{1,6},)?("architectures":\["SCMP_ARCH_(X86|X32|ARM|MIPS|PPC)"\],)?"syscalls":\[(\{"names":\["(read|socket|nosuch)"\],"action":"SCMP_ACT_(ALLOW|ERRNO|NOTIFY)","args":\[(\{"index":[0-9],"value":[0-9]{1,20},"op":"SCMP_CMP_(EQ|NE|LT|MASKED_EQ)"\})?\]\})?\]\}"#) {
        if let Ok(document) = serde_json::from_str::<LinuxSeccomp>(&text) {
            let _ = compile_uncached(&document);
        }
    }
}
