//! System call numbers by name, for the architectures that filters are compiled for.

mod aarch64;
mod arm;
mod x32;
mod x86;
mod x86_64;

use super::Arch;

/// The system calls of an architecture, sorted by name; `None` when there is no table for it.
pub fn table(arch: Arch) -> Option<&'static [(&'static str, u32)]> {
    match arch {
        Arch::Native => table(Arch::NATIVE),
        Arch::X86_64 => Some(x86_64::TABLE),
        Arch::X86 => Some(x86::TABLE),
        Arch::X32 => Some(x32::TABLE),
        Arch::Aarch64 => Some(aarch64::TABLE),
        Arch::Arm => Some(arm::TABLE),
        _ => None,
    }
}

/// The number of a system call; `None` when the architecture lacks it. x32 numbers carry bit 30.
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    let table = table(arch)?;
    table.binary_search_by(|entry| entry.0.cmp(name)).ok().map(|index| table[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_unique() {
        for arch in [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm] {
            let table = table(arch).expect("listed above");
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0), "{arch:?}");
            let mut numbers: Vec<u32> = table.iter().map(|entry| entry.1).collect();
            numbers.sort_unstable();
            numbers.dedup();
            // 32-bit ARM has two names for one call (sync_file_range2, arm_sync_file_range)
            let aliases = usize::from(arch == Arch::Arm);
            assert_eq!(numbers.len() + aliases, table.len(), "{arch:?}");
        }
    }

    #[test]
    fn numbers_differ_by_architecture() {
        assert_eq!(number(Arch::X86_64, "execve"), Some(59));
        assert_eq!(number(Arch::X86, "execve"), Some(11));
        assert_eq!(number(Arch::X32, "execve"), Some((1 << 30) | 520));
        assert_eq!(number(Arch::Aarch64, "execve"), Some(221));
        assert_eq!(number(Arch::Arm, "execve"), Some(11));
        assert_eq!(number(Arch::Aarch64, "open"), None);
        assert_eq!(number(Arch::Riscv64, "read"), None);
    }
}
