//! A process in a container, and the terminal or pipes that it is connected to here.

use std::io::{Read, Write};

use rcompose_supervisor::client::Frames;
use rcompose_supervisor::frame::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::attach::{DetachKeys, Typed};
use crate::error::CommandError;
use crate::terminal;

fn size() -> Option<Frame> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(Frame::Resize { rows: size.ws_row, columns: size.ws_col })
}

/// What becomes of signals that this program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// They end this program.
    End,
    /// The process gets them; the second interrupt kills it.
    Forward,
}

/// How a process and this program's terminal or pipes are connected.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they do not exclude each other")]
pub(super) struct Carry {
    /// The process has a terminal.
    pub(super) tty: bool,
    pub(super) signals: Signals,
    /// Input is read here.
    pub(super) input: bool,
    /// It is sent to the process, too.
    pub(super) sends_input: bool,
    /// The process's input ends with ours.
    pub(super) ends_input: bool,
    /// Keys that leave the process to itself.
    pub(super) detach: Option<DetachKeys>,
    /// The process drew its terminal before we came, and is to do it again.
    pub(super) redraw: bool,
}

impl Carry {
    /// For a process that was started for this program.
    pub(super) fn own(tty: bool, signals: Signals) -> Self {
        Self { tty, signals, input: true, sends_input: true, ends_input: true, detach: None, redraw: false }
    }
}

/// What being connected to a process came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ended with this status.
    Ended(i32),
    /// It goes on without us.
    Detached,
}

/// Carries input, output, sizes and signals until the process has ended, or is left to itself.
pub(super) async fn carry(stream: Frames, mut how: Carry) -> Result<Outcome, CommandError> {
    let lost = |source| CommandError::System { doing: "talk to the process".to_owned(), source };
    let mode = if how.tty { terminal::Mode::raw() } else { None };
    let (mut from, mut to) = tokio::io::split(stream);
    let mut keys = read_input(how.input);
    let mut resized = signal(SignalKind::window_change()).map_err(lost)?;
    let mut forwarded = if how.signals == Signals::Forward { Some(Forwarded::listen().map_err(lost)?) } else { None };
    if let Some(frame) = size().filter(|_| how.tty) {
        if let (true, Frame::Resize { rows, columns }) = (how.redraw, &frame) {
            // Another size first: only of a change is a program told.
            let other = Frame::Resize { rows: *rows, columns: columns.saturating_add(1) };
            to.write_all(&other.encode()).await.map_err(lost)?;
        }
        to.write_all(&frame.encode()).await.map_err(lost)?;
    }
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    let mut input_open = how.input;
    loop {
        tokio::select! {
            // A read that is given up has taken nothing; a message of a channel stays there.
            count = from.read(&mut chunk) => {
                let count = count.map_err(lost)?;
                if count == 0 {
                    return Err(CommandError::Usage("the process was lost".to_owned()));
                }
                buffer.extend_from_slice(&chunk[..count]);
                while let Some(frame) = Frame::take(&mut buffer).map_err(|error| lost(std::io::Error::other(error)))? {
                    if let Some(code) = show(frame)? {
                        drop(mode);
                        return Ok(Outcome::Ended(code));
                    }
                }
            }
            input = keys.recv(), if input_open => {
                let (frame, detached) = how.typed(input);
                if let Some(frame) = frame {
                    input_open = frame != Frame::StdinClosed;
                    // A process that has ended takes no more input; how it ended is still to be read.
                    input_open &= to.write_all(&frame.encode()).await.is_ok();
                }
                if detached {
                    return Ok(Outcome::Detached);
                }
            }
            number = next_signal(&mut forwarded) => {
                // As above.
                let _ = to.write_all(&Frame::Signal(number).encode()).await;
            }
            _ = resized.recv() => {
                if let Some(frame) = size().filter(|_| how.tty) {
                    // As above.
                    let _ = to.write_all(&frame.encode()).await;
                }
            }
        }
    }
}

impl Carry {
    /// What of the input goes to the process, and whether it is left to itself after that.
    fn typed(&mut self, input: Option<Vec<u8>>) -> (Option<Frame>, bool) {
        let Some(bytes) = input else { return (Some(Frame::StdinClosed).filter(|_| self.ends_input), false) };
        let typed = self.detach.as_mut().map(|keys| keys.take(&bytes));
        let (bytes, detached) = match typed {
            None => (bytes, false),
            Some(Typed::Input(bytes)) => (bytes, false),
            Some(Typed::Detach(bytes)) => (bytes, true),
        };
        (Some(Frame::Stdin(bytes)).filter(|_| self.sends_input), detached)
    }
}

/// Signals that a process gets in this program's place.
struct Forwarded {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
    interrupted: bool,
}

impl Forwarded {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            interrupted: false,
        })
    }

    /// # Cancel safety
    /// Each stream remembers its signal.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            // See above.
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
            _ = self.quit.recv() => SignalKind::quit(),
        };
        // COMPAT: Docker sends the second interrupt on like the first; a first process without a handler can't be ended so.
        let again = kind == SignalKind::interrupt() && std::mem::replace(&mut self.interrupted, true);
        if again { rustix::process::Signal::KILL.as_raw() } else { kind.as_raw_value() }
    }
}

/// Waits for ever where nothing is forwarded.
async fn next_signal(forwarded: &mut Option<Forwarded>) -> i32 {
    match forwarded {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

fn show(frame: Frame) -> Result<Option<i32>, CommandError> {
    let closed = |_| CommandError::OutputClosed;
    match frame {
        Frame::Stdout(bytes) => {
            let mut output = std::io::stdout().lock();
            output.write_all(&bytes).and_then(|()| output.flush()).map_err(closed)?;
        }
        Frame::Stderr(bytes) => std::io::stderr().lock().write_all(&bytes).map_err(closed)?,
        Frame::Exit(code) => return Ok(Some(code)),
        _ => {}
    }
    Ok(None)
}

/// Standard input, if it is wanted, on a thread of its own: a terminal cannot be waited for otherwise without changing it for
/// others.
fn read_input(wanted: bool) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    if !wanted {
        return receiver;
    }
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut chunk) {
            if sender.blocking_send(chunk[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
