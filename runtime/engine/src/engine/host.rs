//! The machine, as far as containers feel it.

use rcompose_container::cgroup;

/// The machine, as far as containers feel it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its host name.
    pub name: String,
    /// Release of its kernel.
    pub kernel: String,
    /// What its system calls itself.
    pub system: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Processors that may be used.
    pub cpus: usize,
    /// Bytes.
    pub memory: u64,
    /// 2, or 1 where controllers are on hierarchies of their own; `None` where no cgroup is visible.
    pub cgroup_version: Option<u8>,
}

impl Host {
    /// Looks at this machine.
    pub fn look() -> Self {
        let names = rustix::system::uname();
        let memory = rustix::system::sysinfo();
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux");
        let hierarchies = cgroup::hierarchies().ok().filter(|found| !found.all().is_empty());
        Self {
            name: names.nodename().to_string_lossy().into_owned(),
            kernel: names.release().to_string_lossy().into_owned(),
            system: system.trim_matches('"').to_owned(),
            architecture: names.machine().to_string_lossy().into_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: u64::from(memory.mem_unit) * memory.totalram,
            cgroup_version: hierarchies.map(|found| if found.is_unified() { 2 } else { 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_machine() {
        let host = Host::look();
        assert!(host.memory > 1 << 20 && host.cpus > 0 && !host.kernel.is_empty(), "{host:?}");
    }
}
