//! The device filter of a cgroup v2, a small eBPF program assembled by hand.
//!
//! The kernel calls it with `{ u32 access_type; u32 major; u32 minor }`: the low half of `access_type` is the kind of device, the
//! high half the access. It answers 1 for yes. Rules are tried from the last to the first; the first that matches decides.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::{Error, Result};

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub enum DeviceKind {
    Block = 1,
    Character = 2,
}

/// A rule; what is `None` matches everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the specification")]
pub struct DeviceRule {
    pub allow: bool,
    pub kind: Option<DeviceKind>,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub read: bool,
    pub write: bool,
    pub make: bool,
}

impl DeviceRule {
    fn matches_everything(&self) -> bool {
        self.kind.is_none() && self.major.is_none() && self.minor.is_none() && self.read && self.write && self.make
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    operand: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

fn instruction(code: u8, target: u8, source: u8, offset: i16, operand: u32) -> Instruction {
    Instruction { code, registers: (source << 4) | target, offset, operand: operand.cast_signed() }
}

/// Registers: r2 kind, r3 access, r4 major, r5 minor.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE_REGISTER, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        program.extend(block(rule));
        // The kernel refuses a program with a part that is never reached.
        if rule.matches_everything() {
            return program;
        }
    }
    program.extend([instruction(MOVE, 0, 0, 0, 0), instruction(EXIT, 0, 0, 0, 0)]);
    program
}

/// Answers if the rule matches, else goes on behind the block.
fn block(rule: &DeviceRule) -> Vec<Instruction> {
    let mut body = Vec::new();
    body.extend(rule.kind.map(|kind| instruction(JUMP_NOT_EQUAL, 2, 0, 0, kind as u32)));
    let access = u32::from(rule.make) | u32::from(rule.read) << 1 | u32::from(rule.write) << 2;
    if access != 7 {
        // Nothing beyond what the rule is about may be asked: r1 = r3 & !access must be zero.
        body.push(instruction(MOVE_REGISTER, 1, 3, 0, 0));
        body.push(instruction(AND, 1, 0, 0, !access & 7));
        body.push(instruction(JUMP_NOT_EQUAL, 1, 0, 0, 0));
    }
    body.extend(rule.major.map(|major| instruction(JUMP_NOT_EQUAL, 4, 0, 0, major)));
    body.extend(rule.minor.map(|minor| instruction(JUMP_NOT_EQUAL, 5, 0, 0, minor)));
    body.push(instruction(MOVE, 0, 0, 0, rule.allow.into()));
    body.push(instruction(EXIT, 0, 0, 0, 0));
    let length = body.len();
    for (index, one) in body.iter_mut().enumerate().filter(|(_, one)| one.code == JUMP_NOT_EQUAL) {
        one.offset = i16::try_from(length - index - 1).expect("a rule has few instructions");
    }
    body
}

/// Attaches the filter to a cgroup v2, given by its directory.
pub fn restrict_devices(cgroup: impl AsFd, rules: &[DeviceRule]) -> Result<()> {
    let loaded = load(&program(rules))?;
    attach(cgroup, &loaded)
}

const PROGRAM_LOAD: libc::c_int = 5;
const PROGRAM_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

fn load(program: &[Instruction]) -> Result<OwnedFd> {
    #[repr(C)]
    struct Arguments {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
    }
    let arguments = Arguments {
        kind: TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the kernel reads `size` bytes of the structure and `count` instructions, both alive until the call returns.
    let number = unsafe { libc::syscall(libc::SYS_bpf, PROGRAM_LOAD, &raw const arguments, size_of::<Arguments>()) };
    match i32::try_from(number) {
        // SAFETY: the kernel gave a new descriptor that nobody else knows of.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(Error::last("bpf", format!("BPF_PROG_LOAD, {} instructions", program.len()))),
    }
}

fn attach(cgroup: impl AsFd, program: &OwnedFd) -> Result<()> {
    #[repr(C)]
    struct Arguments {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
    }
    let arguments = Arguments {
        target: cgroup.as_fd().as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives on this stack.
    let done = unsafe { libc::syscall(libc::SYS_bpf, PROGRAM_ATTACH, &raw const arguments, size_of::<Arguments>()) };
    if done == 0 { Ok(()) } else { Err(Error::last("bpf", "BPF_PROG_ATTACH, BPF_CGROUP_DEVICE")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn run(rules: &[DeviceRule], kind: u32, access: u32, major: u32, minor: u32) -> i32 {
        let program = program(rules);
        let mut registers = [0_u64; 11];
        let context = [kind | access << 16, major, minor];
        let mut at = 0_usize;
        loop {
            let Instruction { code, registers: which, offset, operand } = program[at];
            at += 1;
            let (target, source) = (usize::from(which & 0xf), usize::from(which >> 4));
            let operand64 = i64::from(operand).cast_unsigned();
            match code {
                LOAD_WORD => registers[target] = u64::from(context[usize::try_from(offset).unwrap() / 4]),
                MOVE => registers[target] = operand64,
                MOVE_REGISTER => registers[target] = registers[source],
                AND => registers[target] &= operand64,
                SHIFT_RIGHT => registers[target] >>= operand64,
                JUMP_NOT_EQUAL if registers[target] != operand64 => at += usize::try_from(offset).unwrap(),
                JUMP_NOT_EQUAL => {}
                EXIT => return i32::try_from(registers[0]).unwrap(),
                _ => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn is_an_allow_list_whose_last_match_decides() {
        let null = DeviceRule {
            allow: true,
            kind: Some(DeviceKind::Character),
            major: Some(1),
            minor: Some(3),
            read: true,
            write: true,
            make: true,
        };
        let make_any = DeviceRule { kind: None, major: None, minor: None, read: false, write: false, ..null };
        let not_null = DeviceRule { allow: false, ..null };
        let (make, read) = (1, 2);
        assert_eq!(run(&[make_any, null], 2, read, 1, 3), 1);
        assert_eq!(run(&[make_any, null], 1, read, 8, 0), 0);
        assert_eq!(run(&[make_any, null], 1, make, 8, 0), 1);
        assert_eq!(run(&[make_any], 1, make | read, 8, 0), 0);
        assert_eq!(run(&[null, not_null], 2, read, 1, 3), 0);
        assert_eq!(run(&[], 2, read, 1, 3), 0);
    }

    #[test]
    fn has_no_part_that_is_never_reached() {
        let all = DeviceRule { allow: false, kind: None, major: None, minor: None, read: true, write: true, make: true };
        let null = DeviceRule { allow: true, kind: Some(DeviceKind::Character), major: Some(1), minor: Some(3), ..all };
        let everything = DeviceRule { allow: true, ..all };
        assert_eq!(program(&[all, null]), [program(&[null])[..program(&[null]).len() - 2].to_vec(), block(&all)].concat());
        assert_eq!(program(&[all, null, everything]), program(&[everything]));
        assert_eq!(run(&[all, null], 2, 2, 1, 3), 1);
        assert_eq!(run(&[all, null], 1, 2, 8, 0), 0);
    }
}
