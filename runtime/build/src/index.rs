//! What files of a context were when they were read last: an unchanged tree costs a stat a file, and no file is read.
//!
//! ```text
//! <data>/build/contexts/<hash of the path>    a line a file: inode, size, mtime, ctime, digest, path
//! ```
//! A file whose change time is too near to its reading is not noted: it could change again within the same tick.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rcompose_sys::atomic;
use rustix::fs::Stat;

/// Changes within this time of the reading may not show in the change time, nanoseconds.
const TICK: i128 = 100_000_000;

/// What files of a tree were when they were read last.
#[derive(Debug)]
pub(crate) struct Index {
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<Vec<u8>, Known>,
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    stamp: Stamp,
    digest: String,
    seen: bool,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: i128,
    changed: i128,
}

impl Stamp {
    pub(crate) fn of(about: &Stat) -> Self {
        let nanoseconds = |seconds: i64, rest: u64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: about.st_dev,
            inode: about.st_ino,
            size: about.st_size,
            modified: nanoseconds(about.st_mtime, about.st_mtime_nsec),
            changed: nanoseconds(about.st_ctime, about.st_ctime_nsec),
        }
    }
}

impl Index {
    /// Reads what is known of the tree at `context`. What cannot be read is not known.
    pub(crate) fn open(folder: &Path, context: &Path) -> Self {
        let name = rcompose_image::Digest::of(context.as_os_str().as_encoded_bytes());
        let file = folder.join(&name.hex()[..32]);
        let known = std::fs::read(&file).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default();
        Self { file, state: Mutex::new(State { known, changed: false }) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The digest of a file that has not changed since it was read.
    pub(crate) fn known(&self, path: &[u8], stamp: Stamp) -> Option<String> {
        let mut state = self.state();
        let known = state.known.get_mut(path).filter(|known| known.stamp == stamp)?;
        known.seen = true;
        Some(known.digest.clone())
    }

    /// Notes what a file was when it was read, at `now` in nanoseconds since 1970.
    pub(crate) fn note(&self, path: &[u8], stamp: Stamp, digest: &str, now: i128) {
        let mut state = self.state();
        state.changed = true;
        if now - stamp.changed < TICK {
            state.known.remove(path);
        } else {
            state.known.insert(path.to_vec(), Known { stamp, digest: digest.to_owned(), seen: true });
        }
    }

    /// Writes what is known, if something new is. That it cannot be written costs time in the next build, no more.
    pub(crate) fn save(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.changed) {
            return;
        }
        let seen = state.known.values().filter(|known| known.seen).count();
        // What nobody asked for any more is forgotten once it is the larger part.
        if state.known.len() > 2 * seen + 1000 {
            state.known.retain(|_, known| known.seen);
        }
        let mut bytes = Vec::new();
        for (path, Known { stamp, digest, .. }) in state.known.iter().filter(|(path, _)| !path.contains(&b'\n')) {
            let Stamp { device, inode, size, modified, changed } = stamp;
            bytes.extend_from_slice(format!("{device} {inode} {size} {modified} {changed} {digest} ").as_bytes());
            bytes.extend_from_slice(path);
            bytes.push(b'\n');
        }
        if let Err(error) = atomic::write_file_relaxed(&self.file, &bytes, 0o600) {
            tracing::warn!(%error, "what is known of a context could not be written");
        }
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, Known>> {
    let mut known = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut parts = line.splitn(7, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let stamp = Stamp {
            device: text()?.parse().ok()?,
            inode: text()?.parse().ok()?,
            size: text()?.parse().ok()?,
            modified: text()?.parse().ok()?,
            changed: text()?.parse().ok()?,
        };
        let digest = text()?.to_owned();
        known.insert(parts.next()?.to_vec(), Known { stamp, digest, seen: false });
    }
    Some(known)
}
