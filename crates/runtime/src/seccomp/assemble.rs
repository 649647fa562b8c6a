//! Tables to classic BPF: dispatch on the architecture, binary search over call numbers, then conditions.
//!
//! The code is written backwards, the last instruction first, so that every jump target is known when a jump is written.
//! Conditional jumps reach 255 instructions; what is farther gets a copy of the return, or an unconditional jump, nearby.

use super::Program;
use super::table::{Block, KILL_THREAD, Leaf, Verdict};
use wharf_spec::seccomp::{Operator, SeccompArg};
use wharf_sys::seccomp::Instruction;

const LD_W_ABS: u16 = 0x20;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JGT: u16 = 0x25;
const JGE: u16 = 0x35;
const AND: u16 = 0x54;
const RET: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Position of an instruction, counted from the program's end.
type Label = usize;

/// Assembles the blocks.
pub(super) fn program(blocks: &[Block]) -> Program {
    let mut code = Code { instructions: Vec::new(), chains: Vec::new() };
    let mut next = code.ret(KILL_THREAD);
    // the native architecture comes first: it is tested first and lies nearest
    for block in blocks.iter().rev() {
        let body = code.block(block);
        next = code.jump(JEQ, block.audit, body, next);
    }
    code.push(LD_W_ABS, ARCH);
    let _ = next;
    code.instructions.reverse();
    Program(code.instructions)
}

struct Code<'a> {
    instructions: Vec<Instruction>,
    /// Conditions written already, with whether arguments are narrow: calls of one rule share them.
    chains: Vec<(&'a Leaf, bool, Label)>,
}

impl<'a> Code<'a> {
    fn push(&mut self, code: u16, k: u32) -> Label {
        self.instructions.push(Instruction { code, jt: 0, jf: 0, k });
        self.instructions.len() - 1
    }

    /// Distance of a jump written next.
    fn distance(&self, target: Label) -> usize {
        self.instructions.len() - target - 1
    }

    /// A return of `verdict` that a conditional jump written soon can reach.
    fn ret(&mut self, verdict: Verdict) -> Label {
        // a few instructions (the other branch's detour, the jump itself) come between
        let from = self.instructions.len().saturating_sub(250);
        let near = self.instructions[from..].iter().rposition(|i| i.code == RET && i.k == verdict).map(|at| from + at);
        near.unwrap_or_else(|| self.push(RET, verdict))
    }

    /// `target`, or a detour to it within reach of the jump after next.
    fn reachable(&mut self, target: Label) -> Label {
        if self.distance(target) < 250 {
            return target;
        }
        let instruction = self.instructions[target];
        if instruction.code == RET {
            return self.push(RET, instruction.k);
        }
        let distance = self.distance(target) as u32;
        self.push(JA, distance)
    }

    /// A conditional jump.
    fn jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let yes = self.reachable(yes);
        let no = self.reachable(no);
        let (jt, jf) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.instructions.push(Instruction { code, jt, jf, k });
        self.instructions.len() - 1
    }

    fn block(&mut self, block: &'a Block) -> Label {
        let search = self.search(&block.intervals, block.narrow);
        if self.distance(search) > 0 {
            // a single interval whose code was there already: the load must not run into something else
            let distance = self.distance(search) as u32;
            self.push(JA, distance);
        }
        self.push(LD_W_ABS, NR)
    }

    /// Binary search; the number is in the accumulator.
    fn search(&mut self, intervals: &'a [(u32, Leaf)], narrow: bool) -> Label {
        match intervals {
            [] => self.ret(KILL_THREAD),
            [(_, leaf)] => self.leaf(leaf, narrow),
            _ => {
                let (low, high) = intervals.split_at(intervals.len() / 2);
                let yes = self.search(high, narrow);
                let no = self.search(low, narrow);
                self.jump(JGE, high[0].0, yes, no)
            }
        }
    }

    fn leaf(&mut self, leaf: &'a Leaf, narrow: bool) -> Label {
        if let Some((.., label)) = self.chains.iter().find(|(known, n, _)| *n == narrow && *known == leaf) {
            return *label;
        }
        match leaf {
            Leaf::Always(verdict) => self.ret(*verdict),
            Leaf::Chains(chains, otherwise) => {
                let mut no = self.push(RET, *otherwise);
                for (conditions, verdict) in chains.iter().rev() {
                    let mut yes = self.push(RET, *verdict);
                    for condition in conditions.iter().rev() {
                        yes = self.condition(condition, yes, no, narrow);
                    }
                    no = yes;
                }
                self.chains.push((leaf, narrow, no));
                no
            }
        }
    }

    /// One 64-bit comparison out of 32-bit ones.
    fn condition(&mut self, arg: &SeccompArg, yes: Label, no: Label, narrow: bool) -> Label {
        match arg.op {
            Operator::Equal => self.masked(arg.index, u64::MAX, arg.value, yes, no, narrow),
            Operator::NotEqual => self.masked(arg.index, u64::MAX, arg.value, no, yes, narrow),
            Operator::MaskedEqual => self.masked(arg.index, arg.value, arg.value_two, yes, no, narrow),
            Operator::Greater => self.ordered(JGT, arg, yes, no, narrow),
            Operator::GreaterOrEqual => self.ordered(JGE, arg, yes, no, narrow),
            Operator::Less => self.ordered(JGE, arg, no, yes, narrow),
            Operator::LessOrEqual => self.ordered(JGT, arg, no, yes, narrow),
        }
    }

    fn masked(&mut self, index: u32, mask: u64, value: u64, yes: Label, no: Label, narrow: bool) -> Label {
        let low = self.masked_half(low_half(index), mask as u32, value as u32, yes, no);
        if narrow || (mask >> 32 == 0 && value >> 32 == 0) {
            return low;
        }
        self.masked_half(low_half(index) + 4, (mask >> 32) as u32, (value >> 32) as u32, low, no)
    }

    fn masked_half(&mut self, offset: u32, mask: u32, value: u32, yes: Label, no: Label) -> Label {
        self.jump(JEQ, value, yes, no);
        if mask != u32::MAX {
            self.push(AND, mask);
        }
        self.push(LD_W_ABS, offset)
    }

    fn ordered(&mut self, code: u16, arg: &SeccompArg, yes: Label, no: Label, narrow: bool) -> Label {
        let (high, low) = ((arg.value >> 32) as u32, arg.value as u32);
        self.jump(code, low, yes, no);
        let low_part = self.push(LD_W_ABS, low_half(arg.index));
        if narrow {
            return low_part;
        }
        let equal = self.jump(JEQ, high, low_part, no);
        self.jump(JGT, high, yes, equal);
        self.push(LD_W_ABS, low_half(arg.index) + 4)
    }
}

/// The kernel stores arguments in the machine's order, which is little-endian on every architecture with a table here.
fn low_half(index: u32) -> u32 {
    ARGS + 8 * index
}
