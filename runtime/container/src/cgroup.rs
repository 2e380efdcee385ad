//! The container's control groups, on v1, hybrid and v2 hierarchies alike.
//!
//! A container's cgroup has the same path in every hierarchy that is used. It is made with its limits before any process is in
//! it, and removed by the monitor when the last one is gone.

mod devices;
mod freezer;
mod hierarchy;
mod limits;
mod stats;

use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use hierarchy::{Hierarchies, Hierarchy, hierarchies};
pub use stats::Stats;

use crate::spec::Resources;

/// What could not be done to a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The hierarchies of this machine.
    #[error("failed to find the cgroup hierarchies")]
    Discover(#[source] std::io::Error),
    /// A path that would lead elsewhere.
    #[error("invalid cgroup path `{0}`")]
    InvalidPath(String),
    /// A file or directory of a cgroup.
    #[error("failed to {verb} {}", path.display())]
    Change {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// The cgroup of one container.
#[derive(Debug, Clone)]
pub struct Cgroup {
    /// One directory a hierarchy.
    directories: Vec<Directory>,
}

#[derive(Debug, Clone)]
struct Directory {
    path: PathBuf,
    /// Controllers of a v1 hierarchy; empty on v2.
    controllers: Vec<String>,
}

/// Controllers that every container has: limits, statistics, freezing and killing need them.
const ALWAYS: [&str; 7] = ["cpu", "cpuacct", "memory", "devices", "freezer", "pids", "blkio"];

impl Cgroup {
    /// Makes the cgroup at `path` with its limits; it has no process yet.
    pub fn create(path: &str, resources: &Resources) -> Result<Self, CgroupError> {
        let cgroup = Self::at(path, wants_cpuset(resources))?;
        let made = cgroup.directories.iter().try_for_each(|directory| {
            make_directory(&directory.path)?;
            limits::apply(&directory.path, &directory.controllers, resources)?;
            devices::apply(&directory.path, &directory.controllers, &resources.devices)
        });
        if let Err(error) = made {
            // What was made of it goes again; why it failed is the better story.
            let _ = cgroup.remove();
            return Err(error);
        }
        Ok(cgroup)
    }

    /// Refers to a cgroup that was made earlier.
    pub fn open(path: &str) -> Result<Self, CgroupError> {
        let mut cgroup = Self::at(path, true)?;
        cgroup.directories.retain(|directory| directory.path.is_dir());
        Ok(cgroup)
    }

    fn at(path: &str, cpuset: bool) -> Result<Self, CgroupError> {
        let relative = Path::new(path.trim_start_matches('/'));
        let clean = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !clean || relative.as_os_str().is_empty() {
            return Err(CgroupError::InvalidPath(path.to_owned()));
        }
        let used = |hierarchy: &&Hierarchy| {
            hierarchy.controllers.is_empty()
                || hierarchy.controllers.iter().any(|name| ALWAYS.contains(&name.as_str()) || (cpuset && name == "cpuset"))
        };
        let hierarchies = hierarchies().map_err(CgroupError::Discover)?;
        let directories = hierarchies.all().iter().filter(used).map(|hierarchy| Directory {
            path: hierarchy.mount_point.join(relative),
            controllers: hierarchy.controllers.clone(),
        });
        Ok(Self { directories: directories.collect() })
    }

    /// Moves a process in.
    pub fn add(&self, pid: i32) -> Result<(), CgroupError> {
        self.directories.iter().try_for_each(|directory| write(&directory.path.join("cgroup.procs"), &pid.to_string()))
    }

    /// The processes in it, as this pid namespace numbers them.
    pub fn processes(&self) -> Vec<i32> {
        let procs = self.directories.first().and_then(|it| std::fs::read_to_string(it.path.join("cgroup.procs")).ok());
        procs.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Freezes or thaws.
    pub fn set_frozen(&self, frozen: bool) -> Result<(), CgroupError> {
        let Some(directory) = self.controller("freezer") else { return Ok(()) };
        if directory.controllers.is_empty() {
            return freezer::set(&directory.path, frozen);
        }
        let state = directory.path.join("freezer.state");
        let wanted = if frozen { "FROZEN" } else { "THAWED" };
        // The kernel may need several looks until the last process stands still; each write makes it look again.
        for _ in 0..1000 {
            write(&state, wanted)?;
            let now = std::fs::read_to_string(&state).map_err(|source| change("read", &state, source))?;
            if now.trim() == wanted {
                return Ok(());
            }
            std::thread::yield_now();
        }
        // Not a state to leave it in: half of it stands still.
        let _ = write(&state, "THAWED");
        Err(change("freeze", &state, std::io::Error::from(Errno::BUSY)))
    }

    /// Kills every process in it.
    pub fn kill(&self) {
        if let Some(directory) = self.directories.iter().find(|it| it.controllers.is_empty())
            && write(&directory.path.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        // A process may fork while the list is read; it ends when the list stays empty, or with what cannot be killed.
        for _ in 0..100 {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes.into_iter().filter_map(rustix::process::Pid::from_raw) {
                // It is in our cgroup at this moment; one that ended since is what was wanted.
                if let Ok(pidfd) = rcompose_sys::process::pidfd_open(pid) {
                    let _ = rcompose_sys::process::pidfd_signal(pidfd, rustix::process::Signal::KILL);
                }
            }
            let _ = self.set_frozen(false);
            std::thread::yield_now();
        }
    }

    /// Removes it, with cgroups that were made below it. What is not there is fine.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.directories.iter().try_for_each(|directory| {
            remove_directory(&directory.path)?;
            // The parent goes with the last of its containers; while others are in it, it cannot.
            let parent = directory.path.parent().filter(|parent| parent.join("cgroup.procs").exists());
            if let Some(parent) = parent.filter(|parent| parent.parent().is_some_and(|above| above.join("cgroup.procs").exists()))
            {
                let _ = std::fs::remove_dir(parent);
            }
            Ok(())
        })
    }

    /// How often the kernel killed one of its processes for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let Some(directory) = self.controller("memory") else { return 0 };
        let file = if directory.controllers.is_empty() { "memory.events" } else { "memory.oom_control" };
        let text = std::fs::read_to_string(directory.path.join(file)).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }

    /// Tells whether the kernel limits swap: it may be built without.
    pub fn limits_swap(&self) -> bool {
        let Some(directory) = self.controller("memory") else { return false };
        let file = if directory.controllers.is_empty() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
        directory.path.join(file).exists()
    }

    /// What it uses now.
    pub fn stats(&self) -> Stats {
        Stats::read(|controller| {
            self.controller(controller).map(|directory| (directory.path.clone(), directory.controllers.is_empty()))
        })
    }

    fn controller(&self, name: &str) -> Option<&Directory> {
        let v1 = self.directories.iter().find(|directory| directory.controllers.iter().any(|it| it == name));
        v1.or_else(|| self.directories.iter().find(|directory| directory.controllers.is_empty()))
    }
}

fn wants_cpuset(resources: &Resources) -> bool {
    resources.cpu.as_ref().is_some_and(|cpu| cpu.cpus.is_some() || cpu.mems.is_some())
}

fn change(verb: &'static str, path: &Path, source: std::io::Error) -> CgroupError {
    CgroupError::Change { verb, path: path.to_owned(), source }
}

/// One write, as the kernel's files want it.
fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    std::fs::write(path, text).map_err(|source| change("write to", path, source))
}

fn make_directory(path: &Path) -> Result<(), CgroupError> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                make_directory(parent)?;
            }
            match std::fs::create_dir(path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(change("make", path, error)),
                _ => Ok(()),
            }
        }
        Err(error) => Err(change("make", path, error)),
    }
}

fn remove_directory(path: &Path) -> Result<(), CgroupError> {
    // A process that was just killed leaves its cgroup a moment later: the kernel says EBUSY until then.
    for attempt in 0.. {
        match std::fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && attempt < 200 => {
                remove_children(path)?;
                rcompose_sys::process::rest(std::time::Duration::from_micros(200 * (attempt + 1).min(50)));
            }
            Err(error) => return Err(change("remove", path, error)),
        }
    }
    Ok(())
}

fn remove_children(path: &Path) -> Result<(), CgroupError> {
    let entries = std::fs::read_dir(path).map_err(|source| change("list", path, source))?;
    entries.flatten().filter(|entry| entry.path().is_dir()).try_for_each(|entry| remove_directory(&entry.path()))
}
