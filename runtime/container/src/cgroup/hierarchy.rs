//! Where the kernel shows its hierarchies on this machine.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The hierarchies in use: those of v1 that have controllers, or the unified one.
#[derive(Debug, Clone)]
pub struct Hierarchies {
    all: Vec<Hierarchy>,
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Of v1; empty on v2.
    pub controllers: Vec<String>,
}

impl Hierarchies {
    /// Every hierarchy in use.
    pub fn all(&self) -> &[Hierarchy] {
        &self.all
    }

    /// Tells whether there is the one hierarchy of v2 and no other.
    pub fn is_unified(&self) -> bool {
        self.all.iter().all(|hierarchy| hierarchy.controllers.is_empty())
    }

    fn parse(mountinfo: &str) -> Self {
        let mut v1 = Vec::new();
        let mut unified = None;
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(mount_point) = left.split(' ').nth(4) else { continue };
            let mut right = right.split(' ');
            let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
            match kind {
                Some("cgroup2") if unified.is_none() => unified = Some(PathBuf::from(mount_point)),
                Some("cgroup") => v1.extend(v1_hierarchy(mount_point, options)),
                _ => {}
            }
        }
        let unified = unified.map(|mount_point| Hierarchy { mount_point, controllers: Vec::new() });
        Self { all: if v1.is_empty() { unified.into_iter().collect() } else { v1 } }
    }
}

/// A named hierarchy without controllers (systemd's) is not ours to use.
fn v1_hierarchy(mount_point: &str, options: &str) -> Option<Hierarchy> {
    const CONTROLLERS: [&str; 13] = [
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "pids",
        "blkio",
        "net_cls",
        "net_prio",
        "perf_event",
        "hugetlb",
        "rdma",
    ];
    let controllers: Vec<String> = options.split(',').filter(|option| CONTROLLERS.contains(option)).map(str::to_owned).collect();
    (!controllers.is_empty()).then(|| Hierarchy { mount_point: PathBuf::from(mount_point), controllers })
}

impl Hierarchy {
    /// The name of its directory below `/sys/fs/cgroup`.
    pub fn name(&self) -> String {
        self.controllers.join(",")
    }

    /// Names of single controllers, when several share the hierarchy.
    pub fn aliases(&self) -> &[String] {
        if self.controllers.len() > 1 { &self.controllers } else { &[] }
    }
}

/// The hierarchies of this machine, looked up once a process.
pub fn hierarchies() -> std::io::Result<&'static Hierarchies> {
    static FOUND: OnceLock<Hierarchies> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(FOUND.get_or_init(|| Hierarchies::parse(&mountinfo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_hybrid_from_unified() {
        let hybrid = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                      32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = Hierarchies::parse(hybrid);
        assert!(!found.is_unified());
        assert_eq!(found.all().iter().map(Hierarchy::name).collect::<Vec<_>>(), ["cpu,cpuacct"]);
        let unified = Hierarchies::parse("32 25 0:28 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
        assert!(unified.is_unified() && unified.all().len() == 1);
    }
}
