//! Starting monitors, and what they are told.
//!
//! A monitor is this very program, started again from a sealed handle: a read-only view of its file, so that nothing inside a
//! container can write to the program through `/proc/<pid>/exe` (CVE-2019-5736). Its instructions come as JSON on its standard
//! input, which is a socket; the answer goes back the same way.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcompose_sys::error::Context;
use rcompose_sys::mount::{self, Change};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::id::ContainerId;
use crate::init::StartError;
use crate::rootfs::Rootfs;
use crate::spec::{Linux, Process};

/// What a monitor needs to know of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// Which container.
    pub id: ContainerId,
    /// Directory with `config.json`.
    pub bundle: PathBuf,
    /// What becomes `/`.
    pub rootfs: Rootfs,
    /// Directory of the run root for state and socket; it exists.
    pub state_dir: PathBuf,
    /// Where the exit record is written.
    pub exit_record: PathBuf,
    /// Where output is written, if anywhere.
    pub log: Option<LogTarget>,
    /// Standard input stays open and takes what attached clients send.
    pub stdin_open: bool,
    /// It ends with whoever launched it, who gets its frames: for what is of no use without them.
    #[serde(default)]
    pub bound: bool,
}

/// Where output is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTarget {
    /// The file.
    pub path: PathBuf,
    /// Bytes until it is rotated; `None` never.
    pub max_size: Option<u64>,
    /// Files kept, the current one included.
    pub max_files: u32,
}

/// Another process in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecLaunch {
    /// State directory of the container.
    pub state_dir: PathBuf,
    /// The process.
    pub process: Process,
    /// The container's own, for the policy.
    pub linux: Linux,
    /// Whether standard input takes what the client sends.
    pub stdin_open: bool,
    /// Goes on when the client is gone, and its output is nobody's.
    pub detached: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instructions {
    Run(Box<Launch>),
    Exec(Box<ExecLaunch>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Ready,
    Failed { code: i32, text: String },
}

/// A container or process that could not be launched.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The handle of our own program.
    #[error("failed to seal the program file")]
    Seal(#[source] rcompose_sys::Error),
    /// The monitor itself.
    #[error("failed to start a monitor")]
    Spawn(#[source] std::io::Error),
    /// The conversation with it.
    #[error("the monitor of container `{id}` went away")]
    Gone {
        /// Which container.
        id: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The container.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts monitors.
#[derive(Debug)]
pub struct Launcher {
    program: OwnedFd,
}

impl Launcher {
    /// Seals the running program.
    pub fn new() -> Result<Self, LaunchError> {
        Self::of(Path::new("/proc/self/exe"))
    }

    /// Seals another program that knows the role `monitor`.
    pub fn of(program: &Path) -> Result<Self, LaunchError> {
        Ok(Self { program: seal(program).map_err(LaunchError::Seal)? })
    }

    /// Makes a container that waits for [`Container::start`].
    pub fn create(&self, launch: Launch) -> Result<Container, LaunchError> {
        self.create_with(launch).map(|(container, _)| container)
    }

    /// As [`Launcher::create`], for a container that ends when the stream of its frames is dropped.
    pub fn create_bound(&self, launch: Launch) -> Result<(Container, UnixStream), LaunchError> {
        self.create_with(Launch { bound: true, ..launch })
    }

    fn create_with(&self, launch: Launch) -> Result<(Container, UnixStream), LaunchError> {
        let (id, state_dir) = (launch.id.to_string(), launch.state_dir.clone());
        let (mut socket, monitor) = self.spawn(&Instructions::Run(Box::new(launch)))?;
        let answer = read_answer(&mut socket).map_err(|source| LaunchError::Gone { id: id.clone(), source })?;
        match answer {
            Answer::Ready => {
                let gone = || LaunchError::Gone { id, source: std::io::ErrorKind::NotFound.into() };
                Ok((Container::opened(&state_dir, Some(monitor)).ok_or_else(gone)?, socket))
            }
            Answer::Failed { code, text } => {
                monitor.reap();
                Err(StartError { code, text }.into())
            }
        }
    }

    /// Starts another process in a container; frames go over the stream, the last one is its end.
    pub fn exec(&self, launch: ExecLaunch) -> Result<Exec, LaunchError> {
        let id = launch.state_dir.to_string_lossy().into_owned();
        let (mut socket, helper) = self.spawn(&Instructions::Exec(Box::new(launch)))?;
        match read_answer(&mut socket).map_err(|source| LaunchError::Gone { id, source })? {
            Answer::Ready => Ok(Exec { stream: socket, helper }),
            Answer::Failed { code, text } => {
                helper.reap();
                Err(StartError { code, text }.into())
            }
        }
    }

    fn spawn(&self, instructions: &Instructions) -> Result<(UnixStream, MonitorProcess), LaunchError> {
        let (ours, theirs) = UnixStream::pair().map_err(LaunchError::Spawn)?;
        let program = format!("/proc/self/fd/{}", self.program.as_raw_fd());
        let child = Command::new(program)
            .arg0("rcompose")
            .arg("monitor")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(LaunchError::Spawn)?;
        let mut socket = ours;
        let monitor = MonitorProcess { child: std::sync::Mutex::new(child) };
        let message = serde_json::to_vec(instructions).expect("instructions have a JSON form");
        if let Err(error) = write_message(&mut socket, &message) {
            monitor.reap();
            return Err(LaunchError::Spawn(error));
        }
        Ok((socket, monitor))
    }
}

/// A running process that was started by [`Launcher::exec`].
#[derive(Debug)]
pub struct Exec {
    /// Frames, both ways.
    pub stream: UnixStream,
    helper: MonitorProcess,
}

impl Exec {
    /// Takes the two apart: the stream, and what has to be reaped when it has ended.
    pub fn into_parts(self) -> (UnixStream, MonitorProcess) {
        (self.stream, self.helper)
    }
}

/// A monitor that is a child of this process.
#[derive(Debug)]
pub struct MonitorProcess {
    child: std::sync::Mutex<std::process::Child>,
}

impl MonitorProcess {
    /// Waits for its end, which is near, and lets the kernel forget it. Gives the status that it ends with: of a process that
    /// was started by [`Launcher::exec`], that process's own.
    pub fn reap(&self) -> i32 {
        // It can only fail when somebody else has waited already.
        let status = self.child.lock().ok().and_then(|mut child| child.wait().ok());
        status.and_then(|status| status.code()).unwrap_or(255)
    }
}

/// Opens a program file so that nobody can write through the handle.
fn seal(program: &Path) -> rcompose_sys::Result<OwnedFd> {
    // The link is resolved first: a clone of the mount is made of the file that it leads to.
    let path = std::fs::canonicalize(program).during("readlink", || format!("{program:?}"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let sealed = open_tree(rustix::fs::CWD, &path, flags).during("open_tree", || format!("{path:?}, OPEN_TREE_CLONE"));
    let sealed = sealed.and_then(|tree| mount::change(&tree, Change::read_only(false)).map(|()| tree));
    // Without the right to mount (rootless), or before Linux 5.12.
    sealed.or_else(|_| sealed_copy(&path))
}

/// A copy of a program in memory that nobody can write to.
fn sealed_copy(path: &Path) -> rcompose_sys::Result<OwnedFd> {
    let what = || format!("{path:?}");
    let copy = memfd_create("rcompose", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).during("memfd_create", what)?;
    let mut copy = std::fs::File::from(copy);
    let copied = std::fs::File::open(path).and_then(|mut program| std::io::copy(&mut program, &mut copy));
    copied.during("copy_file_range", what)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals).during("fcntl", || "F_ADD_SEALS".to_owned())?;
    Ok(copy.into())
}

pub(crate) fn write_message(stream: &mut UnixStream, message: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat())
}

pub(crate) fn read_message(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    const LONGEST: u32 = 64 << 20;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length as usize];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn read_answer(stream: &mut UnixStream) -> std::io::Result<Answer> {
    Ok(serde_json::from_slice(&read_message(stream)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_program_cannot_be_written_to_by_any_way_back() {
        let program = std::env::current_exe().unwrap();
        for sealed in [seal(&program).unwrap(), sealed_copy(&program).unwrap()] {
            let back = format!("/proc/self/fd/{}", sealed.as_raw_fd());
            let reopened = std::fs::OpenOptions::new().write(true).open(&back);
            let written = reopened.and_then(|mut file| file.write_all(b"x"));
            assert!(written.is_err(), "{back}");
        }
    }
}
