//! Limits in the words of each controller's files.

use std::path::Path;

use super::{CgroupError, write};
use crate::spec::{Cpu, Memory, Resources};

/// Files that a kernel may be built without.
const SWAP: [&str; 2] = ["memory.swap.max", "memory.memsw.limit_in_bytes"];

/// Writes the limits that the controllers of one hierarchy know.
pub(super) fn apply(directory: &Path, controllers: &[String], resources: &Resources) -> Result<(), CgroupError> {
    let values = if controllers.is_empty() { unified(resources) } else { v1(controllers, resources) };
    if controllers.is_empty() {
        enable_controllers(directory);
    }
    if controllers.iter().any(|name| name == "cpuset") {
        inherit_cpuset(directory)?;
    }
    values.iter().try_for_each(|(file, value)| match write(&directory.join(file), value) {
        // A kernel without swap accounting; the memory limit itself is in place, and whoever asked for this one can look.
        Err(_) if SWAP.contains(file) && !directory.join(file).exists() => Ok(()),
        other => other,
    })
}

/// A cgroup hands controllers on to its children only when told to; the top has those that the system gives.
fn enable_controllers(directory: &Path) {
    let parents: Vec<&Path> = directory.ancestors().skip(1).take_while(|it| it.join("cgroup.subtree_control").exists()).collect();
    for parent in parents.iter().rev() {
        for controller in ["cpu", "cpuset", "memory", "pids", "io"] {
            // What the system does not give is not there to be limited; the write of the limit says so.
            let _ = std::fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

fn inherit_cpuset(directory: &Path) -> Result<(), CgroupError> {
    let Some(parent) = directory.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = std::fs::read_to_string(parent.join(file)).unwrap_or_default();
        if own.trim().is_empty() && parent.join("cgroup.procs").exists() {
            inherit_cpuset(parent)?;
        }
        let inherited = std::fs::read_to_string(parent.join(file)).unwrap_or_default();
        write(&directory.join(file), inherited.trim())?;
    }
    Ok(())
}

type Values = Vec<(&'static str, String)>;

fn v1(controllers: &[String], resources: &Resources) -> Values {
    let mut values = Values::new();
    for controller in controllers {
        match (controller.as_str(), &resources.memory, &resources.cpu) {
            ("memory", Some(memory), _) => values.extend(v1_memory(memory)),
            ("cpu", _, Some(cpu)) => values.extend(v1_cpu(cpu)),
            ("cpuset", _, Some(cpu)) => {
                values.extend(cpu.cpus.clone().map(|cpus| ("cpuset.cpus", cpus)));
                values.extend(cpu.mems.clone().map(|mems| ("cpuset.mems", mems)));
            }
            ("pids", ..) => values.extend(pids(resources)),
            _ => {}
        }
    }
    values
}

fn v1_memory(memory: &Memory) -> Values {
    let mut values = Values::new();
    values.extend(memory.limit.map(|bytes| ("memory.limit_in_bytes", bytes.to_string())));
    values.extend(memory.swap.map(|bytes| ("memory.memsw.limit_in_bytes", bytes.to_string())));
    values.extend(memory.reservation.map(|bytes| ("memory.soft_limit_in_bytes", bytes.to_string())));
    values.extend(memory.swappiness.map(|share| ("memory.swappiness", share.to_string())));
    values.extend(memory.disable_oom_killer.filter(|off| *off).map(|_| ("memory.oom_control", "1".to_owned())));
    values
}

fn v1_cpu(cpu: &Cpu) -> Values {
    let mut values = Values::new();
    values.extend(cpu.shares.map(|shares| ("cpu.shares", shares.to_string())));
    values.extend(cpu.period.map(|period| ("cpu.cfs_period_us", period.to_string())));
    values.extend(cpu.quota.map(|quota| ("cpu.cfs_quota_us", quota.to_string())));
    values
}

fn pids(resources: &Resources) -> Option<(&'static str, String)> {
    let limit = resources.pids.as_ref()?.limit;
    Some(("pids.max", if limit > 0 { limit.to_string() } else { "max".to_owned() }))
}

fn unified(resources: &Resources) -> Values {
    let mut values = Values::new();
    if let Some(memory) = &resources.memory {
        let max = |bytes: i64| if bytes < 0 { "max".to_owned() } else { bytes.to_string() };
        values.extend(memory.limit.map(|bytes| ("memory.max", max(bytes))));
        values.extend(memory.reservation.map(|bytes| ("memory.low", max(bytes))));
        // v1 counts memory and swap together, v2 swap alone.
        let swap = memory.swap.map(|both| if both < 0 { both } else { (both - memory.limit.unwrap_or(0)).max(0) });
        values.extend(swap.map(|bytes| ("memory.swap.max", max(bytes))));
    }
    if let Some(cpu) = &resources.cpu {
        values.extend(cpu.shares.and_then(cpu_weight).map(|weight| ("cpu.weight", weight.to_string())));
        if cpu.quota.is_some() || cpu.period.is_some() {
            let quota = cpu.quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
            values.push(("cpu.max", format!("{quota} {}", cpu.period.unwrap_or(100_000))));
        }
        values.extend(cpu.cpus.clone().map(|cpus| ("cpuset.cpus", cpus)));
        values.extend(cpu.mems.clone().map(|mems| ("cpuset.mems", mems)));
    }
    values.extend(pids(resources));
    values
}

/// Converts CPU shares (relative weight, 2 to 262 144; 0 = unset) to a cgroup v2 weight (1 to 10 000).
///
/// Spec: runtime-spec `config-linux.md`, "CPU"; the kernel's cgroup v2 guide, "cpu.weight".
fn cpu_weight(shares: u64) -> Option<u64> {
    (shares != 0).then(|| 1 + ((shares.clamp(2, 262_144) - 2) * 9999) / 262_142)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Pids;

    #[test]
    fn converts_shares_at_both_ends() {
        assert_eq!(
            [0, 1, 2, 1024, 262_144, u64::MAX].map(cpu_weight),
            [None, Some(1), Some(1), Some(39), Some(10_000), Some(10_000)]
        );
    }

    #[test]
    fn writes_limits_in_the_words_of_v2() {
        let resources = Resources {
            memory: Some(Memory { limit: Some(64 << 20), swap: Some(96 << 20), ..Memory::default() }),
            cpu: Some(Cpu { quota: Some(50_000), ..Cpu::default() }),
            pids: Some(Pids { limit: -1 }),
            ..Resources::default()
        };
        let expected: Vec<(&str, String)> =
            [("memory.max", "67108864"), ("memory.swap.max", "33554432"), ("cpu.max", "50000 100000"), ("pids.max", "max")]
                .map(|(file, value)| (file, value.to_owned()))
                .to_vec();
        assert_eq!(unified(&resources), expected);
    }
}
