//! Clients of a monitor: what waits to be sent to them, what they have sent so far.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::read_available;
use crate::frame::{Frame, FrameError};

/// More than this waiting for one client holds the output back until it has read.
const FULL: usize = 1 << 20;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: UnixStream,
    received: Vec<u8>,
    waiting: Vec<u8>,
    pub(super) kind: Kind,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has not said so yet.
    New,
    /// Frames both ways.
    Attached,
}

impl Client {
    pub(super) fn new(stream: UnixStream, kind: Kind) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, received: Vec::new(), waiting: Vec::new(), kind })
    }

    /// Takes what has come; `false` when the client is gone.
    pub(super) fn receive(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match read_available(&mut self.stream, &mut buffer) {
            Ok(None) => true,
            Ok(Some(0)) | Err(_) => false,
            Ok(Some(count)) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// The byte that says what a new connection is for.
    pub(super) fn take_request(&mut self) -> Option<u8> {
        (!self.received.is_empty()).then(|| self.received.remove(0))
    }

    /// The next whole frame.
    pub(super) fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        Frame::take(&mut self.received)
    }

    /// Has bytes sent as soon as the client reads; `false` when it is gone.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.waiting.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends what waits, as far as the client reads; `false` when it is gone.
    pub(super) fn flush(&mut self) -> bool {
        while !self.waiting.is_empty() {
            match self.stream.write(&self.waiting) {
                Ok(0) => return false,
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > FULL
    }

    /// Sends the rest, waiting for a slow client a short while at most.
    pub(super) fn finish(&mut self) {
        // A client that does not read its last bytes within this time will not read them at all.
        let patience = Some(std::time::Duration::from_secs(1));
        let sent = self.stream.set_nonblocking(false).and_then(|()| self.stream.set_write_timeout(patience));
        if sent.is_ok() {
            let _ = self.stream.write_all(&self.waiting);
        }
    }
}
