//! What the two sides of a start say to each other.

use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::{Result, socket};

/// Why a process did not start, and the status by which shells know that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct StartError {
    /// 126 cannot be executed, 127 not found, 128 anything else.
    pub code: i32,
    /// What failed.
    pub text: String,
}

const ENTER: u8 = b'e';
const READY: u8 = b'r';
const START: u8 = b's';
const FAILED: u8 = b'f';

/// The parent's end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// The child's end.
pub(super) struct ChildEnd {
    socket: OwnedFd,
}

pub(super) fn pair() -> Result<(Channel, ChildEnd)> {
    let (ours, theirs) = socket::pair()?;
    Ok((Channel { socket: ours }, ChildEnd { socket: theirs }))
}

impl Channel {
    /// Lets the child go on, after it was put into its cgroup.
    pub fn enter(&self) -> std::result::Result<(), StartError> {
        socket::send(&self.socket, &[ENTER], None).or_else(|error| self.explain(&error))
    }

    /// Waits until the child has built its world; gives the terminal's master if it has one.
    pub fn wait_ready(&self) -> std::result::Result<Option<OwnedFd>, StartError> {
        let mut buffer = [0; 8192];
        match socket::receive(&self.socket, &mut buffer) {
            Ok((1.., descriptor)) if buffer[0] == READY => Ok(descriptor),
            Ok((length, _)) => Err(decode(&buffer[..length])),
            Err(error) => Err(StartError { code: 128, text: error.to_string() }),
        }
    }

    /// Lets the child become the program, and waits until it has.
    pub fn start(&self) -> std::result::Result<(), StartError> {
        socket::send(&self.socket, &[START], None).or_else(|error| self.explain(&error))?;
        let mut buffer = [0; 8192];
        match socket::receive(&self.socket, &mut buffer) {
            // The end of the child's side closes with a successful execve, and only then without a word.
            Ok((0, _)) => Ok(()),
            Ok((length, _)) => Err(decode(&buffer[..length])),
            Err(error) => Err(StartError { code: 128, text: error.to_string() }),
        }
    }

    /// The child may have said why before it went away.
    fn explain(&self, error: &rcompose_sys::Error) -> std::result::Result<(), StartError> {
        let mut buffer = [0; 8192];
        match socket::receive(&self.socket, &mut buffer) {
            Ok((length, _)) if length > 0 => Err(decode(&buffer[..length])),
            _ => Err(StartError { code: 128, text: error.to_string() }),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn decode(message: &[u8]) -> StartError {
    match message {
        [FAILED, code, text @ ..] => StartError { code: i32::from(*code), text: String::from_utf8_lossy(text).into_owned() },
        _ => StartError { code: 128, text: "the first process ended before it was ready".to_owned() },
    }
}

impl ChildEnd {
    /// Waits to be in the cgroup; `false` when the parent is gone.
    pub(super) fn wait_enter(&self) -> bool {
        self.wait_for(ENTER)
    }

    /// Waits for the word to start; `false` when the parent is gone.
    pub(super) fn wait_start(&self) -> bool {
        self.wait_for(START)
    }

    /// Tells whether the parent still holds its end.
    pub(super) fn is_open(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut ends = [PollFd::new(&self.socket, PollFlags::empty())];
        let asked = poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        // A policy that forbids to ask is no sign of an end.
        asked.is_err() || !ends[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }

    fn wait_for(&self, word: u8) -> bool {
        let mut buffer = [0; 1];
        matches!(socket::receive(&self.socket, &mut buffer), Ok((1, _)) if buffer[0] == word)
    }

    /// Says that everything is built.
    pub(super) fn ready(&self, terminal: Option<&OwnedFd>) -> Result<()> {
        socket::send(&self.socket, &[READY], terminal.map(AsFd::as_fd))
    }

    /// Says what went wrong.
    pub(super) fn fail(&self, error: &StartError) {
        let code = u8::try_from(error.code).unwrap_or(128);
        let text = error.text.as_bytes();
        let message = [&[FAILED, code], &text[..text.len().min(8000)]].concat();
        // Nobody is left to be told if this fails.
        let _ = socket::send(&self.socket, &message, None);
    }
}
