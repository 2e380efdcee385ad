//! One process of a container, as `ps -ef` describes it.

use std::os::unix::fs::MetadataExt;

/// Of the clock in which the kernel tells times of processes: on every architecture that we are built for.
const TICKS_PER_SECOND: i64 = 100;

/// One process, as `ps -ef` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Number of its user, as the host numbers them.
    pub uid: u32,
    /// Its number on the host.
    pub pid: i32,
    /// Number of its parent.
    pub parent: i32,
    /// Share of one CPU that it used since it started, in percent.
    pub cpu_percent: u64,
    /// When it started, seconds since 1970.
    pub started: i64,
    /// `pts/0`, or `?`.
    pub terminal: String,
    /// Seconds of CPU time.
    pub cpu_time: u64,
    /// Program and arguments; in brackets where it has none.
    pub command: String,
}

impl Process {
    /// Describes a process; `None` if it has ended meanwhile.
    pub fn of(pid: i32) -> Option<Self> {
        let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, also parentheses.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<i64> = fields.split_ascii_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0);
        let (cpu_time, started_after) = ((field(14) + field(15)) / TICKS_PER_SECOND, field(22) / TICKS_PER_SECOND);
        let up_for = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        let age = (up_for - started_after).max(1);
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        Some(Self {
            uid,
            pid,
            parent: i32::try_from(field(4)).unwrap_or(0),
            cpu_percent: (cpu_time * 100 / age).unsigned_abs(),
            started: now - (up_for - started_after),
            terminal: terminal(field(7)),
            cpu_time: cpu_time.unsigned_abs(),
            command: if command.is_empty() { format!("[{name}]") } else { command },
        })
    }

    /// Numbers of all processes in the pid namespace of `pid`, where no cgroup is visible that would list them.
    pub(crate) fn in_namespace_of(pid: i32) -> Vec<i32> {
        let namespace = |pid: i32| std::fs::metadata(format!("/proc/{pid}/ns/pid")).ok().map(|about| (about.dev(), about.ino()));
        let Some(wanted) = namespace(pid) else { return Vec::new() };
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut found: Vec<i32> = numbers.filter(|pid| namespace(*pid) == Some(wanted)).collect();
        found.sort_unstable();
        found
    }
}

/// Terminals of containers are all of the kind `pts`.
fn terminal(device: i64) -> String {
    let device = device.unsigned_abs();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    if (136..144).contains(&major) { format!("pts/{}", (major - 136) * 256 + minor) } else { "?".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_itself() {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let process = Process::of(me).unwrap();
        assert_eq!(process.parent, rustix::process::getppid().unwrap().as_raw_nonzero().get());
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        assert!((now - 3600..=now + 1).contains(&process.started), "{process:?}");
        assert!(Process::in_namespace_of(me).contains(&me));
        assert_eq!(Process::of(-1), None);
    }

    #[test]
    fn names_terminals() {
        assert_eq!((terminal(0), terminal(0x8803), terminal(0x0401)), ("?".to_owned(), "pts/3".to_owned(), "?".to_owned()));
    }
}
