//! The command of a test: a program of this machine, with the addresses in its environment.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, Signal as Number};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CommandError;
use crate::output;

/// Signals that would end this program before it has taken the copy away.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// How many came.
    pub(super) heard: u32,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CommandError> {
        let listen =
            |kind| signal(kind).map_err(|source| CommandError::System { doing: "listen for signals".to_owned(), source });
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            heard: 0,
        })
    }

    /// # Cancel safety
    /// Each stream remembers its signal.
    pub(super) async fn next(&mut self) -> Number {
        let number = tokio::select! {
            // See above.
            _ = self.interrupt.recv() => Number::INT,
            _ = self.terminate.recv() => Number::TERM,
            _ = self.hang_up.recv() => Number::HUP,
        };
        self.heard += 1;
        number
    }
}

/// Program and arguments, and what its environment has besides ours.
pub(super) struct Program {
    pub(super) words: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Program {
    /// Runs it to its end; gives its status, as shells know it: 128 and more for signals, 126 and 127 if it did not start.
    pub(super) async fn run(self, signals: &mut Signals) -> Result<i32, CommandError> {
        let (program, arguments) = self.words.split_first().expect("the command line demands a command");
        let mut child = match Command::new(program).args(arguments).envs(self.variables).spawn() {
            Ok(child) => child,
            Err(source) => {
                let code = if source.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
                output::tell(&CommandError::System { doing: format!("run `{program}`"), source }.render());
                return Ok(code);
            }
        };
        loop {
            tokio::select! {
                // A wait that is dropped has not taken the status.
                status = child.wait() => {
                    let status = status.map_err(|source| CommandError::System { doing: format!("wait for `{program}`"), source })?;
                    return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
                }
                number = signals.next() => pass_on(&child, number, signals.heard),
            }
        }
    }
}

/// The first is passed on, the third kills. What a terminal sends the command has had already.
fn pass_on(child: &Child, number: Number, heard: u32) {
    let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
    let number = if heard > 2 { Number::KILL } else { number };
    if number == Number::INT && is_in_foreground() {
        return;
    }
    // One that has ended meanwhile is waited for next.
    let _ = rustix::process::kill_process(pid, number);
}

fn is_in_foreground() -> bool {
    rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp())
}
