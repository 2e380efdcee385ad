//! The keyboard of an attached `up`: its keys, and when they are meant for us.

use rcompose_model::Project;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::menu::Menu;
use crate::arguments::{Ansi, Up};
use crate::settings::World;
use crate::terminal::keys::{Key, Keys};
use crate::terminal::{self, Mode, Stream};

/// Keys, the menu that they act on, and the settings of the terminal meanwhile.
pub(super) struct Keyboard {
    keys: Keys,
    pub(super) menu: Menu,
    /// `None` while something else has the terminal.
    mode: Option<Mode>,
    suspended: Signal,
    woken: Signal,
    resized: Signal,
}

impl Keyboard {
    /// Takes the keyboard, where there is one, and somebody who can see the menu.
    pub(super) fn open(world: &World, arguments: &Up, project: &Project, watching: Option<bool>) -> Option<Self> {
        let wanted = arguments.menu.unwrap_or(true) && world.global.ansi != Ansi::Never;
        if !wanted || terminal::is_dumb() || !Stream::Stdout.is_terminal() || !terminal::is_in_front() {
            return None;
        }
        let services: Vec<String> = project.services.keys().cloned().collect();
        let built = project.services.values().filter(|it| it.build.is_some()).map(|it| it.name.clone()).collect();
        let listen = |kind| signal(kind).ok();
        Some(Self {
            keys: Keys::open()?,
            menu: Menu::new(services, built, watching),
            suspended: listen(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            woken: listen(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            resized: listen(SignalKind::window_change())?,
            mode: Some(Mode::keys("")?),
        })
    }

    /// Tells whether the terminal is ours now.
    pub(super) fn is_on(&self) -> bool {
        self.mode.is_some()
    }

    /// The next key; `None` when the menu has to be drawn again, or taken away. Waits for ever where there is no keyboard.
    ///
    /// # Cancel safety
    /// Keys and signals are remembered.
    pub(super) async fn next(keyboard: &mut Option<Self>) -> Option<Key> {
        let Some(keyboard) = keyboard else { return std::future::pending().await };
        tokio::select! {
            // See above.
            key = keyboard.keys.next(), if keyboard.mode.is_some() => return Some(key),
            _ = keyboard.resized.recv() => {}
            _ = keyboard.suspended.recv() => keyboard.suspend(),
            _ = keyboard.woken.recv() => keyboard.wake(),
        }
        None
    }

    /// Leaves the terminal as it was, and stops: whoever waits for this program goes on.
    fn suspend(&mut self) {
        self.mode = None;
        // Below the menu, where a shell goes on.
        output_newline();
        // Nothing else can come of a signal to oneself that is always allowed.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
    }

    /// The terminal is ours again only if we are in front.
    fn wake(&mut self) {
        if self.mode.is_none() && terminal::is_in_front() {
            self.mode = Mode::keys("");
        }
    }
}

fn output_newline() {
    // A terminal that is gone shows nothing.
    let _ = crate::output::print("\r\n");
}
