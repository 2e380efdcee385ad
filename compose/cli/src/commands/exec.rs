//! `exec`.

use std::io::{IsTerminal, Read, Write};

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::frame::Frame;
use rcompose_supervisor::messages::ExecMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::arguments::Exec;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn exec(world: &World, arguments: Exec) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let tty = !arguments.no_tty && !arguments.detach && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let variable = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), world.environment.get(text).cloned()),
    };
    let message = ExecMessage {
        project: name,
        service: arguments.service.clone(),
        index: arguments.index,
        command: arguments.command.clone(),
        environment: arguments.env.iter().map(variable).collect(),
        user: arguments.user.clone(),
        working_dir: arguments.workdir.clone(),
        tty,
        stdin_open: !arguments.detach,
        privileged: arguments.privileged,
        detached: arguments.detach,
    };
    let mut client = Client::connect(&world.supervisor).await?;
    match client.exec(&message).await {
        Ok(None) => Ok(Exit::Success),
        Ok(Some(stream)) => carry(stream, tty).await,
        Err(error @ ClientError::NotStarted { code, .. }) => {
            output::tell(&CommandError::from(error).render());
            Ok(Exit::Status(code))
        }
        Err(error) => Err(error.into()),
    }
}

/// The terminal passes every key on, until the value goes.
struct RawTerminal {
    before: rustix::termios::Termios,
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = rustix::termios::tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.before);
    }
}

fn size() -> Option<Frame> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(Frame::Resize { rows: size.ws_row, columns: size.ws_col })
}

/// Carries input, output and sizes until the process has ended.
async fn carry(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite, tty: bool) -> Result<Exit, CommandError> {
    let lost = |source| CommandError::System { doing: "talk to the process".to_owned(), source };
    let terminal = if tty { RawTerminal::enter() } else { None };
    let (mut from, mut to) = tokio::io::split(stream);
    let mut keys = read_input();
    let mut resized = signal(SignalKind::window_change()).map_err(lost)?;
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
                        drop(terminal);
                        return Ok(Exit::Status(code));
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
            _ = resized.recv() => {
                if let Some(frame) = size().filter(|_| tty) {
                    // As above.
                    let _ = to.write_all(&frame.encode()).await;
                }
            }
        }
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
