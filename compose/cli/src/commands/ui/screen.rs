//! The terminal as a whole: another screen while the dashboard stands there, keys one by one, and only rows that differ are written.

use std::io::IsTerminal;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::dashboard::Dashboard;
use super::view;
use crate::arguments::Global;
use crate::error::CommandError;
use crate::output::line::Line;
use crate::terminal::keys::{Key, Keys};
use crate::terminal::{self, Mode, Stream};

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// What comes from the terminal.
pub(super) enum Input {
    Key(Key),
    /// Nothing that stood there is there any more.
    Redraw,
    /// Somebody asks this program to end.
    End,
}

/// The terminal while it is ours.
pub(super) struct Screen {
    keys: Keys,
    colour: bool,
    mode: Option<Mode>,
    shown: Vec<Line>,
    signals: [Signal; 6],
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is none, or it cannot move its cursor.
    pub(super) fn open(global: &Global) -> Result<Self, CommandError> {
        let nobody = || CommandError::Usage("`ui` needs a terminal; `ps`, `stats` and `logs` do without".to_owned());
        if !std::io::stdin().is_terminal() || !Stream::Stdout.is_terminal() || terminal::is_dumb() {
            return Err(nobody());
        }
        let listen =
            |kind| signal(kind).map_err(|source| CommandError::System { doing: "listen for signals".to_owned(), source });
        let own = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        let signals = [
            listen(SignalKind::window_change())?,
            listen(own(rustix::process::Signal::TSTP))?,
            listen(own(rustix::process::Signal::CONT))?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        let keys = Keys::open().ok_or_else(nobody)?;
        let colour = terminal::is_coloured(global.ansi, &std::io::stdout());
        let mut screen = Self { keys, colour, mode: None, shown: Vec::new(), signals };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> Result<(), CommandError> {
        self.mode = Mode::keys(LEAVE);
        self.shown.clear();
        crate::output::print(ENTER)
    }

    pub(super) fn size(&self) -> (usize, usize) {
        Stream::Stdout.size()
    }

    /// What comes next.
    ///
    /// # Cancel safety
    /// Keys and signals are remembered.
    pub(super) async fn next(&mut self) -> Input {
        let [resized, suspended, woken, interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            // See above.
            key = self.keys.next() => return Input::Key(key),
            _ = resized.recv() => {}
            _ = suspended.recv() => {
                self.mode = None;
                // Nothing else can come of a signal to oneself that is always allowed.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
            }
            _ = woken.recv() => {}
            _ = interrupt.recv() => return Input::End,
            _ = terminate.recv() => return Input::End,
            _ = hangup.recv() => return Input::End,
        }
        if self.mode.is_none() && terminal::is_in_front() {
            // A terminal that cannot be written to is noticed by the next frame.
            let _ = self.enter();
        }
        Input::Redraw
    }

    /// Gives the terminal to something else for a while.
    pub(super) fn lend(&mut self, work: impl FnOnce() -> Result<(), CommandError>) -> Result<(), CommandError> {
        self.mode = None;
        let done = work();
        self.enter()?;
        done
    }

    /// Draws everything, whatever stands there.
    pub(super) fn draw_anew(&mut self, board: &Dashboard) -> Result<(), CommandError> {
        self.shown.clear();
        self.draw(board)
    }

    /// Draws what differs, in one write.
    pub(super) fn draw(&mut self, board: &Dashboard) -> Result<(), CommandError> {
        if self.mode.is_none() {
            return Ok(());
        }
        let rows = view::frame(board, self.size(), self.colour);
        let mut text = String::new();
        if self.shown.len() != rows.len() {
            text.push_str("\u{1b}[2J");
            self.shown.clear();
        }
        for (number, row) in rows.iter().enumerate() {
            if self.shown.get(number) != Some(row) {
                text.push_str(&format!("\u{1b}[{};1H{}\u{1b}[K", number + 1, row.as_str()));
            }
        }
        self.shown = rows;
        if text.is_empty() { Ok(()) } else { crate::output::print(&text) }
    }
}
