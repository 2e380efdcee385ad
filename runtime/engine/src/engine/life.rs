//! A container that runs: its end, signals, pauses, figures.

use std::os::fd::OwnedFd;

use rcompose_container::cgroup::Stats;
use rcompose_container::{Container as Running, ExitRecord, Process};
use rustix::process::Signal;

use super::{Engine, Entry, files, lock, now};
use crate::EngineError;
use crate::container::Namespace;
use crate::error::Doing;

/// What a running container uses at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Processor, memory, processes, block devices.
    pub cgroup: Stats,
    /// Bytes that came over its interfaces.
    pub received: u64,
    /// Bytes that went over its interfaces.
    pub sent: u64,
}

impl Engine {
    /// A descriptor that is readable when a running container has ended.
    pub fn ended(&self, id: &str) -> Result<OwnedFd, EngineError> {
        self.running(id)?.ended().try_clone_to_owned().doing(|| "watch a container".to_owned())
    }

    /// Takes note of a container's end, after [`Engine::ended`] said so; gives how it ended. Its network stays, for a restart.
    pub fn settle(&self, id: &str) -> Result<ExitRecord, EngineError> {
        let entry = self.entry(id)?;
        let _transition = lock(&entry.transition);
        self.settle_entry(&entry)
    }

    pub(super) fn settle_entry(&self, entry: &Entry) -> Result<ExitRecord, EngineError> {
        if let Some(running) = lock(&entry.running).take()
            && let Err(error) = running.release()
        {
            tracing::warn!(%error, container = entry.record().spec.name, "what a container left could not be removed");
        }
        if let Some(record) = ExitRecord::read(&entry.paths.exit()) {
            return Ok(record);
        }
        let record = ExitRecord::unknown(now());
        record.write(&entry.paths.exit()).doing(|| "record an end".to_owned())?;
        Ok(record)
    }

    /// Takes a container off its networks, its files out of memory, and lets go of volumes that nobody uses now; unless it runs
    /// again already.
    pub fn disconnect(&self, id: &str) {
        let Ok(entry) = self.entry(id) else { return };
        let _transition = lock(&entry.transition);
        if entry.running().is_none() {
            self.let_go(id);
        }
    }

    /// As [`Engine::disconnect`], for those who know that it does not run and keep others from starting it.
    pub(super) fn let_go(&self, id: &str) {
        self.networks.detach(id);
        files::release_files(&self.paths(id));
        self.release_volumes();
    }

    /// Sends a signal to the first process of a running container.
    pub fn signal(&self, id: &str, signal: Signal) -> Result<(), EngineError> {
        self.running(id)?.signal(signal).doing(|| format!("signal container {id}"))
    }

    /// Kills every process of a running container.
    pub fn kill(&self, id: &str) -> Result<(), EngineError> {
        self.running(id)?.kill_all().doing(|| format!("kill container {id}"))
    }

    /// Tells whether the first process does anything about a signal.
    pub fn handles(&self, id: &str, signal: Signal) -> bool {
        self.running(id).is_ok_and(|running| running.handles(signal))
    }

    /// Freezes or thaws a running container.
    pub fn set_paused(&self, id: &str, paused: bool) -> Result<(), EngineError> {
        let running = self.running(id)?;
        running.set_paused(paused).map_err(|source| EngineError::Cgroup { container: id.to_owned(), source })
    }

    /// Processes of a running container, as the host numbers them.
    pub fn processes(&self, id: &str) -> Result<Vec<Process>, EngineError> {
        self.running(id)?.processes().map_err(|source| EngineError::Cgroup { container: id.to_owned(), source })
    }

    /// What a running container uses now.
    pub fn figures(&self, id: &str) -> Result<Figures, EngineError> {
        let running = self.running(id)?;
        let cgroup = running.stats().map_err(|source| EngineError::Cgroup { container: id.to_owned(), source })?;
        // What goes over the host's own interfaces is not the container's.
        let own_network = self.get(id)?.record.spec.namespaces.network != Namespace::Host;
        let (received, sent) = if own_network { traffic(running.pid()) } else { (0, 0) };
        Ok(Figures { cgroup, received, sent })
    }

    /// Opens a stream of frames to a running container.
    pub fn attach(&self, id: &str) -> Result<std::os::unix::net::UnixStream, EngineError> {
        self.running(id)?.attach().doing(|| format!("attach to container {id}"))
    }

    pub(super) fn running(&self, id: &str) -> Result<Running, EngineError> {
        let entry = self.entry(id)?;
        entry.running().ok_or_else(|| EngineError::NotRunning(entry.record().spec.name))
    }
}

/// Bytes in and out over all interfaces but the loopback, of the network that a process is on.
fn traffic(pid: i32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    let counters = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    let mut sums = (0_u64, 0_u64);
    for (_, columns) in counters {
        let mut columns = columns.split_ascii_whitespace().map(|column| column.parse::<u64>().unwrap_or(0));
        sums.0 = sums.0.saturating_add(columns.next().unwrap_or(0));
        sums.1 = sums.1.saturating_add(columns.nth(7).unwrap_or(0));
    }
    sums
}
