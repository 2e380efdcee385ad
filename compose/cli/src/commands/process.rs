//! A process in a container, and the terminal or pipes that it is connected to here.

use std::io::{Read, Write};

use rcompose_supervisor::client::Frames;
use rcompose_supervisor::frame::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

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

/// Carries input, output, sizes and signals until the process has ended; gives its status.
pub(super) async fn carry(stream: Frames, tty: bool, signals: Signals) -> Result<i32, CommandError> {
    let lost = |source| CommandError::System { doing: "talk to the process".to_owned(), source };
    let mode = if tty { terminal::Mode::raw() } else { None };
    let (mut from, mut to) = tokio::io::split(stream);
    let mut keys = read_input();
    let mut resized = signal(SignalKind::window_change()).map_err(lost)?;
    let mut forwarded = if signals == Signals::Forward { Some(Forwarded::listen().map_err(lost)?) } else { None };
    if let Some(frame) = size().filter(|_| tty) {
        to.write_all(&frame.encode()).await.map_err(lost)?;
    }
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    let mut input_open = true;
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
                        return Ok(code);
                    }
                }
            }
            input = keys.recv(), if input_open => {
                let frame = match input {
                    Some(bytes) => Frame::Stdin(bytes),
                    None => {
                        input_open = false;
                        Frame::StdinClosed
                    }
                };
                // A process that has ended takes no more input; how it ended is still to be read.
                input_open &= to.write_all(&frame.encode()).await.is_ok();
            }
            number = next_signal(&mut forwarded) => {
                // As above.
                let _ = to.write_all(&Frame::Signal(number).encode()).await;
            }
            _ = resized.recv() => {
                if let Some(frame) = size().filter(|_| tty) {
                    // As above.
                    let _ = to.write_all(&frame.encode()).await;
                }
            }
        }
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

/// Standard input on a thread of its own: a terminal cannot be waited for otherwise without changing it for others.
fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
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
