//! A launched container, seen from outside: start, signal, freeze, attach, wait.
//!
//! Everything here works on a container whose monitor was started by a process that is gone: the state directory names the
//! processes, and they are checked to be still the same before anything is sent to them.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcompose_sys::process;
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;

use crate::cgroup::{Cgroup, CgroupError, Stats};
use crate::init::StartError;
use crate::launch::{MonitorProcess, read_message};
use crate::process::Process;
use crate::state::State;

/// A launched container.
#[derive(Debug, Clone)]
pub struct Container {
    state_dir: PathBuf,
    state: State,
    monitor: Arc<OwnedFd>,
    init: Arc<OwnedFd>,
    child: Option<Arc<MonitorProcess>>,
}

/// The first byte that a client of the monitor's socket sends.
pub(crate) const START: u8 = b's';
/// As [`START`], for a stream of frames.
pub(crate) const ATTACH: u8 = b'a';

impl Container {
    /// Opens a container whose processes are still the ones that were launched; `None` if it does not run any more.
    pub fn open(state_dir: &Path) -> Option<Self> {
        Self::opened(state_dir, None)
    }

    pub(crate) fn opened(state_dir: &Path, child: Option<MonitorProcess>) -> Option<Self> {
        let state = State::read(state_dir)?;
        let monitor = state.monitor.identity().open_verified().ok()??;
        let init = state.init.identity().open_verified().ok()??;
        Some(Self {
            state_dir: state_dir.to_owned(),
            state,
            monitor: Arc::new(monitor),
            init: Arc::new(init),
            child: child.map(Arc::new),
        })
    }

    /// Number of the first process.
    pub fn pid(&self) -> i32 {
        self.state.init.pid()
    }

    /// Descriptor of the first process.
    pub fn first_process(&self) -> BorrowedFd<'_> {
        (*self.init).as_fd()
    }

    /// Lets a created container become its program.
    pub fn start(&self) -> Result<(), StartError> {
        let failure = |error: std::io::Error| StartError { code: 128, text: format!("the monitor does not answer: {error}") };
        let mut socket = self.connect(START).map_err(failure)?;
        let answer = read_message(&mut socket).map_err(failure)?;
        match answer.split_first() {
            Some((0, _)) => Ok(()),
            Some((code, text)) => Err(StartError { code: i32::from(*code), text: String::from_utf8_lossy(text).into_owned() }),
            None => Err(failure(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Opens a stream of frames: output as it comes, input if the container takes it, and its end.
    pub fn attach(&self) -> std::io::Result<UnixStream> {
        self.connect(ATTACH)
    }

    /// Through the directory's descriptor: the path of a socket has to be short, that of a directory need not.
    fn connect(&self, request: u8) -> std::io::Result<UnixStream> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.state_dir, flags, Mode::empty())?;
        let mut socket = UnixStream::connect(format!("{}/control", rcompose_sys::beneath::proc_path(&directory)))?;
        socket.write_all(&[request])?;
        Ok(socket)
    }

    /// Sends a signal to the first process.
    pub fn signal(&self, signal: Signal) -> rcompose_sys::Result<()> {
        process::pidfd_signal(&*self.init, signal)
    }

    /// Kills every process of the container.
    pub fn kill_all(&self) -> rcompose_sys::Result<()> {
        // The first process takes its pid namespace with it; what joined another container's is found by the cgroup.
        let sent = process::pidfd_signal(&*self.init, Signal::KILL);
        if let Ok(Some(cgroup)) = self.cgroup() {
            cgroup.kill();
        }
        sent
    }

    /// Freezes or thaws every process.
    pub fn set_paused(&self, paused: bool) -> Result<(), CgroupError> {
        self.cgroup()?.map_or(Ok(()), |cgroup| cgroup.set_frozen(paused))
    }

    /// What it uses now.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        Ok(self.cgroup()?.map(|cgroup| cgroup.stats()).unwrap_or_default())
    }

    /// Tells whether a limit of its swap is kept by the kernel.
    pub fn limits_swap(&self) -> Result<bool, CgroupError> {
        Ok(self.cgroup()?.is_some_and(|cgroup| cgroup.limits_swap()))
    }

    /// Its processes, in the order of their numbers.
    pub fn processes(&self) -> Result<Vec<Process>, CgroupError> {
        let mut numbers = self.cgroup()?.map(|cgroup| cgroup.processes()).unwrap_or_default();
        if numbers.is_empty() {
            // No cgroup is visible from here, as in a mount namespace without them.
            numbers = Process::in_namespace_of(self.pid());
        }
        numbers.sort_unstable();
        Ok(numbers.into_iter().filter_map(Process::of).collect())
    }

    /// Tells whether the first process catches, blocks or ignores a signal.
    pub fn handles(&self, signal: Signal) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let bit = 1_u64 << (signal.as_raw() - 1);
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
        };
        mask("SigCgt:") & bit != 0
    }

    /// Readable when the monitor has ended, which is when the exit record is there.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }

    /// Waits for the end of the monitor; `false` when `timeout` came first.
    pub fn wait(&self, timeout: Option<std::time::Duration>) -> rcompose_sys::Result<bool> {
        process::pidfd_wait(&*self.monitor, timeout)
    }

    /// Lets the kernel forget the monitor, which has ended, and removes what it could not: after a kill, its cgroup.
    pub fn release(&self) -> Result<(), CgroupError> {
        if let Some(child) = &self.child {
            child.reap();
        }
        let cgroup = self.cgroup()?;
        let removed = cgroup.map_or(Ok(()), |cgroup| {
            cgroup.kill();
            cgroup.remove()
        });
        // The directory is made again at the next start.
        let _ = rcompose_sys::atomic::remove_tree(&self.state_dir);
        removed
    }

    fn cgroup(&self) -> Result<Option<Cgroup>, CgroupError> {
        self.state.cgroup.as_deref().map(Cgroup::open).transpose()
    }
}

/// Removes what a launch left behind whose processes are gone.
pub fn sweep(state_dir: &Path) -> Result<(), CgroupError> {
    let cgroup = State::read(state_dir).and_then(|state| state.cgroup);
    let removed = cgroup.as_deref().map(Cgroup::open).transpose()?.map_or(Ok(()), |cgroup| {
        cgroup.kill();
        cgroup.remove()
    });
    // The directory is made again at the next start.
    let _ = rcompose_sys::atomic::remove_tree(state_dir);
    removed
}
