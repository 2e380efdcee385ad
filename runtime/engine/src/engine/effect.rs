//! What was asked of a container, and what this machine makes of it.

use super::Engine;
use crate::EngineError;
use crate::container::{ContainerSpec, Limits, Namespace};

impl Engine {
    /// What was asked for and has no effect on a container that runs, in words for its user.
    pub fn without_effect(&self, id: &str) -> Vec<String> {
        let (Ok(container), Ok(running)) = (self.get(id), self.running(id)) else { return Vec::new() };
        let spec = &container.record.spec;
        let unified = rcompose_container::cgroup::hierarchies().is_ok_and(|found| found.is_unified());
        // A cgroup that cannot be looked at any more belongs to a container that has just ended.
        let swap = running.limits_swap().unwrap_or(true);
        let mut told: Vec<String> = limits_without_effect(&spec.limits, unified, swap).into_iter().map(str::to_owned).collect();
        let published = self.networks.attached(id).is_some_and(|attached| !attached.ports.is_empty());
        if !spec.ports.is_empty() && spec.namespaces.network == Namespace::Private && !published {
            told.push("its ports are not published: none of its networks leads out of the host".to_owned());
        }
        told
    }
}

fn limits_without_effect(limits: &Limits, unified: bool, swap: bool) -> Vec<&'static str> {
    [
        (limits.memory_swap.is_some() && !swap, "memswap_limit has no effect: the kernel does not count swap"),
        (limits.memory_swappiness.is_some() && unified, "mem_swappiness has no effect with cgroup v2"),
        (limits.oom_kill_disable && unified, "oom_kill_disable has no effect with cgroup v2"),
    ]
    .into_iter()
    .filter_map(|(without, text)| without.then_some(text))
    .collect()
}

/// Limits that contradict each other.
pub(super) fn check_limits(spec: &ContainerSpec) -> Result<(), EngineError> {
    let Limits { memory, memory_swap, .. } = spec.limits;
    let invalid = |text: String| Err(EngineError::Invalid { container: spec.name.clone(), text });
    let Some(both) = memory_swap.and_then(|bytes| u64::try_from(bytes).ok()) else { return Ok(()) };
    match memory {
        None => invalid("memswap_limit is memory and swap together, and needs a mem_limit".to_owned()),
        Some(memory) if both < memory => {
            invalid(format!("memswap_limit is memory and swap together: {both} is less than the mem_limit of {memory}"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_limited_together_with_memory() {
        let check = |memory, memory_swap| {
            let limits = Limits { memory, memory_swap, ..Limits::default() };
            check_limits(&ContainerSpec { limits, ..ContainerSpec::default() }).is_ok()
        };
        assert!(check(Some(64), Some(64)) && check(Some(64), Some(-1)) && check(None, Some(-1)) && check(Some(64), None));
        assert!(!check(Some(64), Some(63)) && !check(None, Some(64)));
    }

    #[test]
    fn says_which_limits_this_machine_does_not_keep() {
        let limits = Limits { memory_swap: Some(64), memory_swappiness: Some(1), oom_kill_disable: true, ..Limits::default() };
        assert!(limits_without_effect(&limits, false, true).is_empty());
        assert_eq!(limits_without_effect(&limits, true, false).len(), 3);
    }
}
