//! Policies: which system call is answered how.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;

use super::SeccompError;
use crate::init::capabilities;
use crate::spec;

/// What the kernel does with a call (`SECCOMP_RET_*`).
pub(super) const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// Answers with an errno.
pub(super) fn errno(number: u32) -> u32 {
    ERRNO | (number & 0xffff)
}

/// A policy over numbers.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) default: u32,
    /// By architecture of the call.
    pub(super) native: Table,
    pub(super) compat: Table,
    pub(super) x32: Table,
}

/// Alternatives by number; the first whose conditions all hold decides.
pub(super) type Table = BTreeMap<u32, Vec<Alternative>>;

/// An answer and when it applies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alternative {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: u32,
}

/// A comparison of an argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) comparison: Comparison,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Less(u64),
    LessOrEqual(u64),
    Equal(u64),
    NotEqual(u64),
    GreaterOrEqual(u64),
    Greater(u64),
    MaskedEqual { mask: u64, value: u64 },
}

impl Policy {
    fn new(default: u32) -> Self {
        Self { default, native: Table::new(), compat: Table::new(), x32: Table::new() }
    }

    /// Adds a rule for a call by name, in every table that knows the name; an unknown name is skipped.
    fn add(&mut self, name: &str, alternative: &Alternative) {
        let Numbers { native, compat, x32 } = Numbers::of(name);
        for (table, number) in [(&mut self.native, native), (&mut self.compat, compat), (&mut self.x32, x32)] {
            if let Some(number) = number {
                table.entry(number).or_default().push(alternative.clone());
            }
        }
    }
}

/// The numbers of a call on one machine.
struct Numbers {
    native: Option<u32>,
    compat: Option<u32>,
    x32: Option<u32>,
}

impl Numbers {
    #[cfg(target_arch = "x86_64")]
    fn of(name: &str) -> Self {
        let number = |id: i32| u32::try_from(id).ok();
        let native = syscalls::x86_64::Sysno::from_str(name).ok().and_then(|call| number(call.id()));
        let compat = syscalls::x86::Sysno::from_str(name).ok().and_then(|call| number(call.id()));
        let x32 = X32.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).or(native);
        Self { native, compat, x32: x32.map(|number| number | X32_BIT) }
    }

    #[cfg(target_arch = "aarch64")]
    fn of(name: &str) -> Self {
        let number = |id: i32| u32::try_from(id).ok();
        let native = syscalls::aarch64::Sysno::from_str(name).ok().and_then(|call| number(call.id()));
        let compat = syscalls::arm::Sysno::from_str(name).ok().and_then(|call| number(call.id()));
        Self { native, compat, x32: None }
    }
}

/// Marks a call of the x32 ABI.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Calls that have numbers of their own in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32: [(&str, u32); 36] = [
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [&str; 3] = ["amd64", "x32", "x86"];
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: [&str; 2] = ["arm64", "arm"];

#[derive(Deserialize)]
struct Data {
    allow: Vec<String>,
    allow_if: Vec<Rule>,
    refuse: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    syscalls: Vec<String>,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(default)]
    only_if: Circumstances,
    #[serde(default)]
    unless: Circumstances,
    errno: Option<u32>,
}

#[derive(Deserialize)]
struct Argument {
    arg: u32,
    op: String,
    value: u64,
    #[serde(default)]
    value2: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Circumstances {
    caps: Vec<String>,
    arches: Vec<String>,
}

impl Circumstances {
    fn has_capability(&self, mask: u64) -> bool {
        self.caps.iter().any(|name| capabilities::bit(name).is_some_and(|bit| mask & bit != 0))
    }

    fn has_architecture(&self) -> bool {
        self.arches.iter().any(|name| ARCHITECTURES.contains(&name.as_str()))
    }
}

impl Rule {
    fn applies(&self, mask: u64) -> bool {
        let wanted = (self.only_if.caps.is_empty() || self.only_if.has_capability(mask))
            && (self.only_if.arches.is_empty() || self.only_if.has_architecture());
        wanted && !self.unless.has_capability(mask) && !self.unless.has_architecture()
    }

    fn alternative(&self) -> Alternative {
        let condition = |argument: &Argument| Condition {
            argument: argument.arg,
            comparison: match argument.op.as_str() {
                "<" => Comparison::Less(argument.value),
                ">" => Comparison::Greater(argument.value),
                "masked_eq" => Comparison::MaskedEqual { mask: argument.value, value: argument.value2 },
                _ => Comparison::Equal(argument.value),
            },
        };
        Alternative { conditions: self.args.iter().map(condition).collect(), action: self.errno.map_or(ALLOW, errno) }
    }
}

/// The policy that containers get unless another is asked for.
pub(super) fn built_in(capabilities: u64) -> Policy {
    let data: Data = serde_json::from_str(include_str!("default.json")).expect("the built-in policy is valid, a test reads it");
    let mut policy = Policy::new(errno(libc::EPERM.unsigned_abs()));
    let always = Alternative { conditions: Vec::new(), action: ALLOW };
    for name in &data.allow {
        policy.add(name, &always);
    }
    for rule in data.allow_if.iter().chain(&data.refuse).filter(|rule| rule.applies(capabilities)) {
        let alternative = rule.alternative();
        rule.syscalls.iter().for_each(|name| policy.add(name, &alternative));
    }
    policy
}

/// The policy of an OCI bundle.
pub(super) fn from_spec(seccomp: &spec::Seccomp) -> Result<Policy, SeccompError> {
    let mut policy = Policy::new(action(&seccomp.default_action, seccomp.default_errno_ret)?);
    for rule in &seccomp.syscalls {
        let conditions = rule.args.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        let action = action(&rule.action, rule.errno_ret)?;
        for conditions in alternatives(conditions) {
            let alternative = Alternative { conditions, action };
            rule.names.iter().for_each(|name| policy.add(name, &alternative));
        }
    }
    Ok(policy)
}

/// Conditions on different arguments have to hold together. Where one argument is named twice each condition is enough, as runc
/// has it; so none of these lists is longer than a call has arguments.
fn alternatives(conditions: Vec<Condition>) -> Vec<Vec<Condition>> {
    let arguments: std::collections::BTreeSet<u32> = conditions.iter().map(|condition| condition.argument).collect();
    if arguments.len() == conditions.len() {
        vec![conditions]
    } else {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    }
}

fn action(name: &str, number: Option<u32>) -> Result<u32, SeccompError> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_ERRNO" => errno(number.unwrap_or(libc::EPERM.unsigned_abs())),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | (number.unwrap_or(0) & 0xffff),
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_NOTIFY" => return Err(SeccompError::NeedsListener(name.to_owned())),
        _ => return Err(SeccompError::UnknownAction(name.to_owned())),
    })
}

fn condition(argument: &spec::SeccompArgument) -> Result<Condition, SeccompError> {
    if argument.index > 5 {
        return Err(SeccompError::ArgumentIndex(argument.index));
    }
    let value = argument.value;
    let comparison = match argument.op.as_str() {
        "SCMP_CMP_LT" => Comparison::Less(value),
        "SCMP_CMP_LE" => Comparison::LessOrEqual(value),
        "SCMP_CMP_EQ" => Comparison::Equal(value),
        "SCMP_CMP_NE" => Comparison::NotEqual(value),
        "SCMP_CMP_GE" => Comparison::GreaterOrEqual(value),
        "SCMP_CMP_GT" => Comparison::Greater(value),
        "SCMP_CMP_MASKED_EQ" => Comparison::MaskedEqual { mask: value, value: argument.value_two },
        other => return Err(SeccompError::UnknownComparison(other.to_owned())),
    };
    Ok(Condition { argument: argument.index, comparison })
}
