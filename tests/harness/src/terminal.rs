//! A terminal: what a program wrote to it as a person would see it, and what that person types.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize};

use crate::{PATIENCE, wait_for};

/// A program on a terminal of its own.
pub struct Terminal {
    child: Child,
    master: File,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(columns: u16, rows: u16, mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&master).expect("the terminal is ours");
        unlockpt(&master).expect("the terminal is ours");
        let name = ptsname(&master, Vec::new()).expect("a terminal has a name").into_string().expect("in ASCII");
        set_size(&master, columns, rows);
        let side = || std::fs::OpenOptions::new().read(true).write(true).open(&name).expect("a terminal can be opened");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("the program can be run");
        drop(command);
        let seen = Arc::new(Mutex::new(Seen { parser: vt100::Parser::new(rows, columns, 1000), bytes: Vec::new() }));
        let master = File::from(master);
        let (mut reader, to) = (master.try_clone().expect("a descriptor can be doubled"), seen.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // It ends with an error when nobody has the other side open any more.
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                let mut seen = to.lock().expect("nobody panics here");
                seen.bytes.extend_from_slice(&chunk[..count]);
                seen.parser.process(&chunk[..count]);
            }
        });
        Self { child, master, seen }
    }

    /// What stands on it, without blanks at the ends of rows.
    pub fn screen(&self) -> String {
        let seen = self.seen.lock().expect("nobody panics here");
        let (_, columns) = seen.parser.screen().size();
        let rows = seen.parser.screen().rows(0, columns).map(|row| format!("{}\n", row.trim_end()));
        rows.collect::<String>().trim_end().to_owned()
    }

    /// Every byte that was written to it.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().expect("nobody panics here").bytes.clone()
    }

    /// Waits until what stands on it is as it should be.
    #[track_caller]
    pub fn wait(&self, what: &str, ready: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if ready(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}; the terminal shows:\n{screen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal takes keys");
    }

    /// Gives it another size, as somebody who pulls at its edge does.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen.lock().expect("nobody panics here").parser.screen_mut().set_size(rows, columns);
        set_size(&self.master, columns, rows);
    }

    /// Tells whether it is set as shells expect it: lines are edited and shown.
    pub fn is_as_before(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&self.master).expect("a terminal has settings").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// The program's process number.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    /// Waits for the program's end; gives its status.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        wait_for("the end of the program", || self.child.try_wait().expect("the program can be waited for")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: impl std::os::fd::AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).expect("a terminal has a size");
}
