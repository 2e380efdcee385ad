//! Keys, as a terminal sends them.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::io::unix::AsyncFd;

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Letter(char),
    /// With Ctrl held.
    Control(char),
    Enter,
    Escape,
    Tab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// An escape that nothing follows for so long is the key of that name.
const PATIENCE: Duration = Duration::from_millis(40);

/// The keys that are typed from now on.
pub(crate) struct Keys {
    terminal: AsyncFd<OwnedFd>,
    bytes: Vec<u8>,
    keys: VecDeque<Key>,
}

impl Keys {
    /// Opens the terminal anew: what is set for waiting here concerns nobody else who has it open.
    pub(crate) fn open() -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened =
            ["/dev/tty", "/proc/self/fd/0"].into_iter().find_map(|path| rustix::fs::open(path, flags, Mode::empty()).ok());
        #[expect(
            deprecated,
            reason = "an owned descriptor stays what it is for as long as the value lives, which is what the newer call asks"
        )]
        let terminal = AsyncFd::new(opened?).ok()?;
        Some(Self { terminal, bytes: Vec::new(), keys: VecDeque::new() })
    }

    /// The next key; waits for ever when the terminal is gone.
    ///
    /// # Cancel safety
    /// What has been read stays here.
    pub(crate) async fn next(&mut self) -> Key {
        loop {
            if let Some(key) = self.keys.pop_front() {
                return key;
            }
            let is_begun = !self.bytes.is_empty();
            let read = async {
                let mut ready = self.terminal.readable().await.ok()?;
                let mut chunk = [0; 256];
                let count = ready.try_io(|terminal| rustix::io::read(terminal.get_ref(), &mut chunk).map_err(Into::into));
                Some(count.map(|count| count.map(|count| chunk[..count].to_vec())))
            };
            let patience = if is_begun { PATIENCE } else { Duration::MAX };
            match tokio::time::timeout(patience, read).await {
                Ok(Some(Ok(Ok(read)))) if !read.is_empty() => {
                    self.bytes.extend(read);
                    self.parse(false);
                }
                // Not ready after all, or a signal.
                Ok(Some(Err(_))) => {}
                Ok(Some(Ok(Err(error)))) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(_) => std::future::pending().await,
                Err(_) => self.parse(true),
            }
        }
    }

    fn parse(&mut self, is_all: bool) {
        while let Some((key, length)) = parse(&self.bytes, is_all) {
            self.bytes.drain(..length);
            self.keys.extend(key);
        }
    }
}

/// The first key of what was read, and how many bytes it took; `None` if more of it may come.
fn parse(bytes: &[u8], is_all: bool) -> Option<(Option<Key>, usize)> {
    let key = |key: Key, length: usize| Some((Some(key), length));
    match bytes {
        [] => None,
        [0x1b] if !is_all => None,
        [0x1b, b'[' | b'O', rest @ ..] => match rest.iter().position(|byte| (0x40..=0x7e).contains(byte)) {
            Some(end) => Some((sequence(&rest[..end], rest[end]), end + 3)),
            None if is_all => Some((None, bytes.len())),
            None => None,
        },
        [0x1b, ..] => key(Key::Escape, 1),
        [b'\r' | b'\n', ..] => key(Key::Enter, 1),
        [b'\t', ..] => key(Key::Tab, 1),
        [0x7f | 0x08, ..] => key(Key::Backspace, 1),
        [code @ 1..=26, ..] => key(Key::Control(char::from(code - 1 + b'a')), 1),
        [code @ 0x20..=0x7e, ..] => key(Key::Letter(char::from(*code)), 1),
        _ => letter(bytes, is_all),
    }
}

fn letter(bytes: &[u8], is_all: bool) -> Option<(Option<Key>, usize)> {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    match bytes.get(..length) {
        Some(whole) => {
            let letter =
                std::str::from_utf8(whole).ok().and_then(|text| text.chars().next()).filter(|letter| !letter.is_control());
            Some((letter.map(Key::Letter), length))
        }
        None if is_all => Some((None, bytes.len())),
        None => None,
    }
}

fn sequence(parameters: &[u8], end: u8) -> Option<Key> {
    match (parameters, end) {
        (_, b'A') => Some(Key::Up),
        (_, b'B') => Some(Key::Down),
        (_, b'C') => Some(Key::Right),
        (_, b'D') => Some(Key::Left),
        (_, b'H') | (b"1" | b"7", b'~') => Some(Key::Home),
        (_, b'F') | (b"4" | b"8", b'~') => Some(Key::End),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Key]) {
        let (mut rest, mut keys) = (bytes, Vec::new());
        while let Some((key, length)) = parse(rest, true) {
            keys.extend(key);
            rest = &rest[length..];
        }
        assert_eq!(keys, expected, "{bytes:?}");
    }

    #[test]
    fn keys_are_told_apart() {
        check(b"aZ/", &[Key::Letter('a'), Key::Letter('Z'), Key::Letter('/')]);
        check(b"\x1b[A\x1bOB\x1b[5~\x1b[1;5C", &[Key::Up, Key::Down, Key::PageUp, Key::Right]);
        check(b"\x1b", &[Key::Escape]);
        check(b"\x1bq", &[Key::Escape, Key::Letter('q')]);
        check(b"\x03\r\t\x7f", &[Key::Control('c'), Key::Enter, Key::Tab, Key::Backspace]);
        check("é日".as_bytes(), &[Key::Letter('é'), Key::Letter('日')]);
        check(b"\x1b[200~x\xff", &[Key::Letter('x')]);
    }

    #[test]
    fn what_may_go_on_is_waited_for() {
        for begun in [&b"\x1b"[..], b"\x1b[", b"\x1b[1;", "é".as_bytes().split_at(1).0] {
            assert_eq!(parse(begun, false), None, "{begun:?}");
        }
    }
}
