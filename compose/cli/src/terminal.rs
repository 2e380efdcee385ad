//! The terminal that this program talks to: whether there is one, how large it is, and what was changed of it.
//!
//! Whatever is changed is put back: when the value goes, before a stop by Ctrl-Z, and by the panic hook, which is all that runs when a
//! panic aborts.

pub(crate) mod keys;

use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::arguments::Ansi;

/// What a panic has to put back.
static CHANGED: Mutex<Option<Changed>> = Mutex::new(None);

#[derive(Clone)]
struct Changed {
    before: Termios,
    /// Written after that.
    farewell: &'static str,
}

/// Puts the terminal back before a panic is told.
pub(crate) fn restore_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        put_back();
        tell(panic);
    }));
}

fn put_back() {
    let changed = CHANGED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Changed { before, farewell }) = changed {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        let _ = std::io::stdout().lock().write_all(farewell.as_bytes());
        let _ = std::io::stdout().lock().flush();
    }
}

/// Standard input as it is set while the value lives.
pub(crate) struct Mode(());

impl Mode {
    /// Every key goes on to whoever reads; none means anything here.
    pub(crate) fn raw() -> Option<Self> {
        Self::enter("", Termios::make_raw)
    }

    /// Keys come one by one and are not shown; those that send signals still do.
    pub(crate) fn keys(farewell: &'static str) -> Option<Self> {
        Self::enter(farewell, |settings| settings.local_modes -= LocalModes::ICANON | LocalModes::ECHO)
    }

    fn enter(farewell: &'static str, change: impl FnOnce(&mut Termios)) -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut settings = before.clone();
        change(&mut settings);
        *CHANGED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Changed { before, farewell });
        tcsetattr(std::io::stdin(), OptionalActions::Now, &settings).ok()?;
        Some(Self(()))
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        put_back();
    }
}

/// Tells whether keys that are typed are meant for this program: nothing else stands in front of it.
pub(crate) fn is_in_front() -> bool {
    let group = rustix::process::getpgrp();
    std::io::stdin().is_terminal() && rustix::termios::tcgetpgrp(std::io::stdin()).is_ok_and(|front| front == group)
}

/// Columns and rows; a serial line, which has a size of nothing, counts as 80 by 24.
pub(crate) fn size(of: impl AsFd) -> (usize, usize) {
    let size = tcgetwinsize(of).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (usize::from(size.ws_col).max(20), usize::from(size.ws_row).max(5)))
}

/// Tells whether an output is coloured.
pub(crate) fn is_coloured(ansi: Ansi, output: &impl IsTerminal) -> bool {
    match ansi {
        Ansi::Always => true,
        Ansi::Never => false,
        Ansi::Auto => output.is_terminal() && !is_dumb() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Tells whether the terminal cannot move its cursor.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Stderr => std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn size(self) -> (usize, usize) {
        let descriptor: BorrowedFd<'static> = match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        };
        size(descriptor)
    }
}
