//! Programs: a binary tree of numbers in classic BPF.

use rcompose_sys::seccomp::Instruction;

use super::SeccompError;
use super::policy::{Alternative, Comparison, Condition, Policy, Table, X32_BIT, errno};

/// A filter that the kernel takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(Vec<Instruction>);

impl Filter {
    /// Applies it to this process.
    pub(crate) fn load(&self) -> rcompose_sys::Result<()> {
        rcompose_sys::seccomp::load(&self.0)
    }
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "x86_64")]
const COMPAT: u32 = 0x4000_0003;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(target_arch = "aarch64")]
const COMPAT: u32 = 0x4000_0028;

fn statement(code: u16, operand: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, operand }
}

fn branch(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

/// Puts `yes` behind a comparison, then `no`; distances beyond what a branch can hold take a jump.
fn choose(code: u16, operand: u32, yes: Vec<Instruction>, no: Vec<Instruction>) -> Vec<Instruction> {
    let mut program = match u8::try_from(yes.len()) {
        Ok(distance) => vec![branch(code, operand, 0, distance)],
        Err(_) => {
            let distance = u32::try_from(yes.len()).expect("a program has few instructions");
            vec![branch(code, operand, 1, 0), statement(JUMP, distance)]
        }
    };
    program.extend(yes);
    program.extend(no);
    program
}

/// Compiles a policy.
pub(super) fn compile(policy: &Policy) -> Result<Filter, SeccompError> {
    let tree = |table: &Table| tree(&ranges(table, policy.default));
    let native = if policy.x32.is_empty() {
        tree(&policy.native)
    } else {
        choose(JUMP_GREATER_OR_EQUAL, X32_BIT, tree(&policy.x32), tree(&policy.native))
    };
    let foreign = vec![statement(RETURN, errno(libc::EPERM.unsigned_abs()))];
    let number = || statement(LOAD, 0);
    let with_number = |body: Vec<Instruction>| [vec![number()], body].concat();
    let compat = choose(JUMP_EQUAL, COMPAT, with_number(tree(&policy.compat)), foreign);
    let program = [vec![statement(LOAD, 4)], choose(JUMP_EQUAL, NATIVE, with_number(native), compat)].concat();
    if program.len() > 4096 { Err(SeccompError::TooLong(program.len())) } else { Ok(Filter(program)) }
}

/// A run of numbers that are answered alike.
struct Range {
    first: u32,
    answer: Vec<Instruction>,
}

fn ranges(table: &Table, default: u32) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut push = |first: u32, answer: Vec<Instruction>| match ranges.last() {
        Some(last) if last.answer == answer => {}
        _ => ranges.push(Range { first, answer }),
    };
    let refused = vec![statement(RETURN, default)];
    push(0, refused.clone());
    for (&number, alternatives) in table {
        push(number, answer(alternatives, default));
        if !table.contains_key(&(number + 1)) {
            push(number + 1, refused.clone());
        }
    }
    if let Some((&highest, _)) = table.last_key_value() {
        let is_errno = default & 0xffff_0000 == errno(0);
        let unknown = if is_errno { errno(libc::ENOSYS.unsigned_abs()) } else { default };
        ranges.retain(|range| range.first <= highest);
        ranges.push(Range { first: highest + 1, answer: vec![statement(RETURN, unknown)] });
    }
    ranges
}

fn tree(ranges: &[Range]) -> Vec<Instruction> {
    match ranges {
        [] => Vec::new(),
        [range] => range.answer.clone(),
        _ => {
            let middle = ranges.len() / 2;
            choose(JUMP_GREATER_OR_EQUAL, ranges[middle].first, tree(&ranges[middle..]), tree(&ranges[..middle]))
        }
    }
}

fn answer(alternatives: &[Alternative], default: u32) -> Vec<Instruction> {
    let mut program = Vec::new();
    for alternative in alternatives {
        let body = vec![statement(RETURN, alternative.action)];
        if alternative.conditions.is_empty() {
            program.extend(body);
            return program;
        }
        program.extend(conditional(&alternative.conditions, body));
    }
    program.push(statement(RETURN, default));
    program
}

/// `body` if all conditions hold, else what comes behind.
fn conditional(conditions: &[Condition], body: Vec<Instruction>) -> Vec<Instruction> {
    conditions.iter().rev().fold(body, |inner, condition| compare(*condition, inner))
}

/// `inner` if the condition holds, else what comes behind it. Arguments have 64 bits, a comparison 32.
fn compare(condition: Condition, inner: Vec<Instruction>) -> Vec<Instruction> {
    let at = 16 + 8 * condition.argument;
    let (low_at, high_at) = if cfg!(target_endian = "little") { (at, at + 4) } else { (at + 4, at) };
    let halves = |value: u64| ((value & 0xffff_ffff) as u32, (value >> 32) as u32);
    let length = |program: &[Instruction]| u8::try_from(program.len()).expect("a comparison has few instructions");
    match condition.comparison {
        Comparison::Equal(value) => {
            let (low, high) = halves(value);
            let inner_length = length(&inner);
            let head = vec![
                statement(LOAD, high_at),
                branch(JUMP_EQUAL, high, 0, inner_length + 2),
                statement(LOAD, low_at),
                branch(JUMP_EQUAL, low, 0, inner_length),
            ];
            [head, inner].concat()
        }
        Comparison::MaskedEqual { mask, value } => {
            let ((mask_low, mask_high), (low, high)) = (halves(mask), halves(value));
            let inner_length = length(&inner);
            let head = vec![
                statement(LOAD, high_at),
                statement(AND, mask_high),
                branch(JUMP_EQUAL, high, 0, inner_length + 3),
                statement(LOAD, low_at),
                statement(AND, mask_low),
                branch(JUMP_EQUAL, low, 0, inner_length),
            ];
            [head, inner].concat()
        }
        Comparison::NotEqual(value) => {
            let (low, high) = halves(value);
            let inner_length = length(&inner);
            let head = vec![
                statement(LOAD, high_at),
                branch(JUMP_EQUAL, high, 0, 2),
                statement(LOAD, low_at),
                branch(JUMP_EQUAL, low, inner_length, 0),
            ];
            [head, inner].concat()
        }
        Comparison::Greater(value) => ordered(halves(value), (low_at, high_at), JUMP_GREATER, inner),
        Comparison::GreaterOrEqual(value) => ordered(halves(value), (low_at, high_at), JUMP_GREATER_OR_EQUAL, inner),
        Comparison::Less(value) => inverse(halves(value), (low_at, high_at), JUMP_GREATER_OR_EQUAL, inner),
        Comparison::LessOrEqual(value) => inverse(halves(value), (low_at, high_at), JUMP_GREATER, inner),
    }
}

/// `inner` if the argument is above: by its high half, or by its low half when the high ones are equal.
fn ordered((low, high): (u32, u32), (low_at, high_at): (u32, u32), code: u16, inner: Vec<Instruction>) -> Vec<Instruction> {
    let past = u8::try_from(inner.len()).expect("a comparison has few instructions");
    let head = vec![
        statement(LOAD, high_at),
        branch(JUMP_GREATER, high, 3, 0),
        branch(JUMP_EQUAL, high, 0, past + 2),
        statement(LOAD, low_at),
        branch(code, low, 0, past),
    ];
    [head, inner].concat()
}

/// `inner` unless the argument is above.
fn inverse((low, high): (u32, u32), (low_at, high_at): (u32, u32), code: u16, inner: Vec<Instruction>) -> Vec<Instruction> {
    let past = u8::try_from(inner.len()).expect("a comparison has few instructions");
    let head = vec![
        statement(LOAD, high_at),
        branch(JUMP_GREATER, high, past + 3, 0),
        branch(JUMP_EQUAL, high, 0, 2),
        statement(LOAD, low_at),
        branch(code, low, past, 0),
    ];
    [head, inner].concat()
}

#[cfg(test)]
mod tests {
    use super::super::{built_in, policy};
    use super::*;
    use crate::init::capabilities;
    use crate::spec;

    /// What the kernel would answer, computed as it does.
    fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = [0_u8; 64];
        data[0..4].copy_from_slice(&number.to_ne_bytes());
        data[4..8].copy_from_slice(&architecture.to_ne_bytes());
        for (index, argument) in arguments.iter().enumerate() {
            data[16 + 8 * index..24 + 8 * index].copy_from_slice(&argument.to_ne_bytes());
        }
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let Instruction { code, jump_true, jump_false, operand } = filter.0[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jump_true } else { jump_false });
            match code {
                LOAD => accumulator = u32::from_ne_bytes(data[operand as usize..operand as usize + 4].try_into().unwrap()),
                AND => accumulator &= operand,
                JUMP => at += operand as usize,
                JUMP_EQUAL => at += jump(accumulator == operand),
                JUMP_GREATER => at += jump(accumulator > operand),
                JUMP_GREATER_OR_EQUAL => at += jump(accumulator >= operand),
                RETURN => return operand,
                _ => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    fn number(name: &str) -> u32 {
        use std::str::FromStr;
        syscalls::x86_64::Sysno::from_str(name).unwrap().id().unsigned_abs()
    }

    #[test]
    fn answers_as_the_default_policy_says() {
        let filter = built_in(capabilities::DEFAULT).unwrap();
        let (eperm, enosys) = (errno(1), errno(38));
        let native = |name: &str, first: u64| run(&filter, NATIVE, number(name), [first, 0, 0, 0, 0, 0]);
        assert_eq!(native("read", 0), policy::ALLOW);
        assert_eq!(native("unshare", 0), eperm);
        assert_eq!(native("mount", 0), eperm);
        assert_eq!(native("chroot", 0), policy::ALLOW);
        assert_eq!(native("clone3", 0), enosys);
        assert_eq!(native("clone", 0x0100_0000), policy::ALLOW);
        assert_eq!(native("clone", 0x1000_0000), eperm);
        assert_eq!(native("personality", 0xffff_ffff), policy::ALLOW);
        assert_eq!(native("personality", 1), eperm);
        for (family, answer) in
            [(2, policy::ALLOW), (37, policy::ALLOW), (38, eperm), (39, policy::ALLOW), (40, eperm), (41, policy::ALLOW)]
        {
            assert_eq!(native("socket", family), answer, "family {family}");
        }
        assert_eq!(run(&filter, NATIVE, 5000, [0; 6]), enosys);
        assert_eq!(run(&filter, 0x1234, number("read"), [0; 6]), eperm);
        assert_eq!(run(&filter, NATIVE, X32_BIT | 520, [0; 6]), policy::ALLOW);
        assert_eq!(run(&filter, NATIVE, X32_BIT | 272, [0; 6]), eperm);
        assert_eq!(run(&filter, COMPAT, 310, [0; 6]), eperm);
        assert_eq!(run(&filter, COMPAT, 3, [0; 6]), policy::ALLOW);
    }

    #[test]
    fn conditions_on_one_argument_are_alternatives_however_many_there_are() {
        let argument = |value| spec::SeccompArgument { index: 0, value, op: "SCMP_CMP_EQ".to_owned(), ..Default::default() };
        let policy = spec::Seccomp {
            default_action: "SCMP_ACT_ERRNO".to_owned(),
            syscalls: vec![spec::SeccompRule {
                names: vec!["personality".to_owned()],
                action: "SCMP_ACT_ALLOW".to_owned(),
                args: (0..60).map(argument).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let filter = super::super::custom(&policy).unwrap();
        let answer = |value| run(&filter, NATIVE, number("personality"), [value, 0, 0, 0, 0, 0]);
        assert_eq!((answer(0), answer(59)), (policy::ALLOW, policy::ALLOW));
        assert_ne!(answer(60), policy::ALLOW);
    }

    #[test]
    fn allows_more_with_more_capabilities() {
        let filter = built_in(capabilities::ALL).unwrap();
        assert_eq!(run(&filter, NATIVE, number("mount"), [0; 6]), policy::ALLOW);
        assert_eq!(run(&filter, NATIVE, number("clone3"), [0; 6]), policy::ALLOW);
    }

    #[test]
    fn stays_within_what_the_kernel_takes_and_a_short_path() {
        let filter = built_in(capabilities::DEFAULT).unwrap();
        assert!(filter.0.len() < 1500, "{}", filter.0.len());
    }
}
