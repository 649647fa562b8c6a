//! Writing device rules: lines in v1, a BPF program assembled by hand in v2.

use wharf_sys::bpf::{self, Instruction};

use crate::cgroup::Cgroup;
use crate::device::{DeviceKind, DeviceRule};
use crate::error::Error;
use crate::files::Dir;

/// v1: one line per rule, in order. A first "deny everything" clears what the parent allows.
pub(crate) fn apply_v1(cgroup: &Cgroup, rules: &[DeviceRule]) -> Result<(), Error> {
    if rules.is_empty() {
        return Ok(());
    }
    let dir = cgroup.folder("devices")?;
    let mut rest = rules;
    while let Some(first) = rest.first() {
        // one rule per call of write, in order; one open file for each run of the same kind
        let (same, others) = rest.split_at(rest.iter().take_while(|rule| rule.allow == first.allow).count());
        let file = if first.allow { "devices.allow" } else { "devices.deny" };
        dir.write_lines(file, same.iter().map(|rule| rule.line()))?;
        rest = others;
    }
    Ok(())
}

/// v2: one program for the whole list; it takes the place of those that were attached before.
pub(crate) fn apply_v2(dir: &Dir, rules: &[DeviceRule]) -> Result<(), Error> {
    if rules.is_empty() {
        return Ok(());
    }
    let fail = |op: &'static str| move |errno| Error::kernel(op, dir.path(), errno);
    let program = bpf::load_device_program(&assemble(rules)).map_err(fail("load device program for"))?;
    // the new one first: at no moment is everything allowed
    let old = bpf::device_programs(dir).map_err(fail("list device programs of"))?;
    bpf::attach_device_program(dir, &program).map_err(fail("attach device program to"))?;
    for program in old {
        bpf::detach_device_program(dir, &program).map_err(fail("detach device program from"))?;
    }
    Ok(())
}

impl DeviceRule {
    /// The line of `devices.allow` and `devices.deny`.
    fn line(&self) -> String {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        format!("{} {}:{} {}", self.kind.as_char(), number(self.major), number(self.minor), self.access.letters())
    }
}

/// The program that decides like the rules, read from the last to the first:
///
/// ```text
/// r2 = type, r3 = kinds of access asked for, r4 = major, r5 = minor; r0 = verdict
/// for each rule: skip unless type, major and minor match
///     deny:  skip unless one of its kinds is still undecided   → return 0
///     allow: r3 &= !kinds; skip unless none is left            → return 1
/// end: return 0 (what no rule names is denied)
/// ```
///
/// Each kind of access is decided by the last rule that names it, so any order of rules has a meaning and
/// `allow r` plus `allow w` let a file be opened for both.
fn assemble(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![load(2, 0), move_register(3, 2), and(2, 0xffff), shift_right(3, 16), load(4, 4), load(5, 8)];
    for rule in rules.iter().rev() {
        let mut block = Vec::with_capacity(10);
        match rule.kind {
            DeviceKind::All => {}
            DeviceKind::Block => block.push(jump(NOT_EQUAL, 2, BPF_DEVCG_DEV_BLOCK)),
            DeviceKind::Char => block.push(jump(NOT_EQUAL, 2, BPF_DEVCG_DEV_CHAR)),
        }
        if let Some(major) = rule.major {
            block.push(jump(NOT_EQUAL, 4, major as i32));
        }
        if let Some(minor) = rule.minor {
            block.push(jump(NOT_EQUAL, 5, minor as i32));
        }
        let kinds = i32::from(rule.access.bits());
        if rule.allow {
            block.push(and(3, !kinds));
            block.push(jump(NOT_EQUAL, 3, 0));
            block.extend([set(0, 1), EXIT]);
        } else {
            // BPF can jump if a bit is set, not if none is
            block.push(Instruction { offset: 1, ..jump(ANY_BIT, 3, kinds) });
            block.push(Instruction { code: 0x05, registers: 0, offset: 0, immediate: 0 });
            block.extend([set(0, 0), EXIT]);
        }
        // every jump without a distance of its own leads behind the block
        let length = block.len();
        for (index, instruction) in block.iter_mut().enumerate() {
            if is_jump(instruction) && instruction.offset == 0 {
                instruction.offset = (length - index - 1) as i16;
            }
        }
        program.extend(block);
    }
    program.extend([set(0, 0), EXIT]);
    program
}

const BPF_DEVCG_DEV_BLOCK: i32 = 1;
const BPF_DEVCG_DEV_CHAR: i32 = 2;
/// BPF_JMP32 | BPF_JNE | BPF_K
const NOT_EQUAL: u8 = 0x56;
/// BPF_JMP32 | BPF_JSET | BPF_K
const ANY_BIT: u8 = 0x46;
const EXIT: Instruction = Instruction { code: 0x95, registers: 0, offset: 0, immediate: 0 };

fn is_jump(instruction: &Instruction) -> bool {
    matches!(instruction.code, NOT_EQUAL | ANY_BIT | 0x05)
}

/// `dst = *(u32 *)(r1 + offset)`: the fields of `struct bpf_cgroup_dev_ctx`.
const fn load(dst: u8, offset: i16) -> Instruction {
    Instruction { code: 0x61, registers: dst | 1 << 4, offset, immediate: 0 }
}

const fn move_register(dst: u8, src: u8) -> Instruction {
    Instruction { code: 0xbc, registers: dst | src << 4, offset: 0, immediate: 0 }
}

const fn set(dst: u8, immediate: i32) -> Instruction {
    Instruction { code: 0xb4, registers: dst, offset: 0, immediate }
}

const fn and(dst: u8, immediate: i32) -> Instruction {
    Instruction { code: 0x54, registers: dst, offset: 0, immediate }
}

const fn shift_right(dst: u8, immediate: i32) -> Instruction {
    Instruction { code: 0x74, registers: dst, offset: 0, immediate }
}

const fn jump(code: u8, dst: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: dst, offset: 0, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Access;

    /// Runs a program as the kernel would, for one access.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> u32 {
        let context = [access << 16 | kind, major, minor];
        let mut r = [0u32; 6];
        let mut at = 0;
        loop {
            let i = program[at];
            let (dst, src) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let value = i.immediate as u32;
            at += 1;
            match i.code {
                0x61 => r[dst] = context[i.offset as usize / 4],
                0xbc => r[dst] = r[src],
                0xb4 => r[dst] = value,
                0x54 => r[dst] &= value,
                0x74 => r[dst] >>= value,
                NOT_EQUAL if r[dst] == value => {}
                ANY_BIT if r[dst] & value == 0 => {}
                NOT_EQUAL | ANY_BIT | 0x05 => at += i.offset as usize,
                0x95 => return r[0],
                code => panic!("code {code:#x}"),
            }
        }
    }

    fn rule(allow: bool, kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: Access::parse(access).expect("letters of rwm") }
    }

    #[test]
    fn the_last_rule_that_names_a_kind_of_access_decides() {
        let rules = [
            rule(false, DeviceKind::All, None, None, "rwm"),
            rule(true, DeviceKind::Char, Some(1), Some(3), "rw"),
            rule(true, DeviceKind::Char, Some(5), None, "r"),
            rule(true, DeviceKind::Char, Some(5), Some(2), "w"),
            rule(true, DeviceKind::Block, None, None, "m"),
            rule(false, DeviceKind::Block, Some(8), Some(0), "m"),
        ];
        let program = assemble(&rules);
        let (char, block, mknod, read, write) = (2, 1, 1, 2, 4);
        let cases = [
            ((char, read, 1, 3), 1),
            ((char, read | write, 1, 3), 1),
            ((char, mknod, 1, 3), 0),
            ((char, read, 1, 5), 0),
            ((block, read, 1, 3), 0),
            ((char, read, 5, 9), 1),
            ((char, read | write, 5, 9), 0),
            ((char, read | write, 5, 2), 1),
            ((block, mknod, 8, 1), 1),
            ((block, mknod, 8, 0), 0),
        ];
        for ((kind, access, major, minor), expect) in cases {
            assert_eq!(run(&program, kind, access, major, minor), expect, "{kind} {access} {major}:{minor}");
        }
        let open = assemble(&[rule(true, DeviceKind::All, None, None, "")]);
        assert_eq!(run(&open, block, read | write, 8, 0), 1);
    }

    #[test]
    fn lines_are_as_the_kernel_reads_them() {
        assert_eq!(rule(false, DeviceKind::All, None, None, "").line(), "a *:* rwm");
        assert_eq!(rule(true, DeviceKind::Char, Some(136), None, "rw").line(), "c 136:* rw");
        assert_eq!(Access::parse("rx"), None);
    }
}
