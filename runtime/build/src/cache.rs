//! What steps came to, by what went into them.
//!
//! ```text
//! <data>/build/steps/<key>       what a step came to: its layer and when it was made
//!             /last/<position>   what went into a step when it ran last, to say what is different now
//!             /lists/<digest>    files that a step read, a line each
//!             /mounts/<hash>     a cache of RUN --mount=type=cache
//!             /contexts/<hash>   what files of a context were
//!             /urls, /git        what was fetched: see `remote`, `git`
//!             /unsynced          since when something may be lost with the power
//! ```
//! A key is a digest of everything that a step depends on: the layers below, the instruction, values, contents of files. Neither
//! times nor names of projects are part of it. Everything here can be made again: a file that is damaged or gone is a miss.

pub(crate) mod exchange;
mod explain;

use std::path::{Path, PathBuf};

use rcompose_image::Digest;
use rcompose_sys::atomic;
use serde::{Deserialize, Serialize};

/// Identifies what a step depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key(String);

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Its layer, if it made one.
    pub(crate) layer: Option<Digest>,
    /// When, RFC 3339.
    pub(crate) created: String,
    /// The cache elsewhere that it was taken from: good for builds that name it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
}

impl Made {
    /// By a step that ran here.
    pub(crate) fn here(layer: Option<Digest>, created: String) -> Self {
        Self { layer, created, from: None }
    }
}

/// What a step depends on, part by part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    parts: Vec<(String, String)>,
    /// Digests of lists of files.
    lists: Vec<(String, String)>,
}

impl Inputs {
    /// Of an instruction, on top of layers.
    pub(crate) fn new(layers: &[Digest], instruction: &str) -> Self {
        let mut inputs = Self::default();
        let below: String = layers.iter().map(Digest::hex).collect();
        inputs.add("the steps before it", Digest::of(below.as_bytes()).hex());
        inputs.add("the instruction", instruction);
        inputs
    }

    /// What is compared is a digest: values may be long, and are nobody's business.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.parts.push((name.to_owned(), Digest::of(value.as_bytes()).hex().to_owned()));
    }

    /// Files that the step reads, as a list of them.
    pub(crate) fn files(&mut self, name: &str, list: &Digest) {
        self.parts.push((name.to_owned(), list.hex().to_owned()));
        self.lists.push((name.to_owned(), list.hex().to_owned()));
    }

    pub(crate) fn key(&self) -> Key {
        let text = serde_json::to_string(&self.parts).expect("texts have a JSON form");
        Key(Digest::of(text.as_bytes()).hex().to_owned())
    }
}

/// What steps came to.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens the cache; what may have been lost with the power is forgotten.
    pub(crate) fn open(root: &Path) -> std::io::Result<Self> {
        for folder in ["steps", "last", "lists", "mounts", "contexts", "empty"] {
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(folder))?;
        }
        let cache = Self { root: root.to_owned() };
        cache.forget_unsynced();
        Ok(cache)
    }

    /// Where what is known of contexts is kept.
    pub(crate) fn contexts(&self) -> PathBuf {
        self.root.join("contexts")
    }

    /// Where files from elsewhere are kept.
    pub(crate) fn urls(&self) -> PathBuf {
        self.root.join("urls")
    }

    /// Where repositories are kept.
    pub(crate) fn git(&self) -> PathBuf {
        self.root.join("git")
    }

    /// Where caches of mounts are kept.
    pub(crate) fn mounts(&self) -> PathBuf {
        self.root.join("mounts")
    }

    /// A directory with nothing in it.
    pub(crate) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    /// What a step came to.
    pub(crate) fn find(&self, key: &Key) -> Option<Made> {
        let path = self.root.join("steps").join(&key.0);
        let made = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        note_use(&path);
        Some(made)
    }

    /// All that is known, and the file of each.
    pub(crate) fn steps(&self) -> Vec<(PathBuf, Made)> {
        let entries = std::fs::read_dir(self.root.join("steps")).into_iter().flatten().flatten();
        let read = |path: PathBuf| Some((path.clone(), serde_json::from_slice(&std::fs::read(path).ok()?).ok()?));
        entries.filter_map(|entry| read(entry.path())).collect()
    }

    /// Notes what a step came to. That it cannot be noted costs time in the next build, no more.
    pub(crate) fn note(&self, key: &Key, made: &Made) {
        self.write(&format!("steps/{}", key.0), &serde_json::to_vec(made).expect("texts have a JSON form"));
    }

    /// Keeps a list of files, to compare with it later.
    pub(crate) fn keep_list(&self, digest: &Digest, text: &str) {
        let name = format!("lists/{}", digest.hex());
        if !self.root.join(&name).exists() {
            self.write(&name, text.as_bytes());
        }
    }

    /// A digest that was found out before, for something that has never another.
    pub(crate) fn recall(&self, what: &str) -> Option<Digest> {
        let name = Digest::of(what.as_bytes());
        std::fs::read_to_string(self.root.join(format!("lists/of-{}", name.hex()))).ok()?.parse().ok()
    }

    /// Remembers it.
    pub(crate) fn remember(&self, what: &str, digest: &Digest) {
        let name = Digest::of(what.as_bytes());
        self.write(&format!("lists/of-{}", name.hex()), digest.to_string().as_bytes());
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = atomic::write_file_relaxed(&self.root.join(name), bytes, 0o600) {
            tracing::warn!(%error, "the build cache could not be written");
        }
    }

    /// Says that what is made from now on is not on disk yet.
    pub(crate) fn begin(&self) {
        let mark = self.root.join("unsynced");
        if !mark.exists() {
            self.write("unsynced", rcompose_sys::process::boot_id().unwrap_or_default().as_bytes());
        }
    }

    /// Says that everything is.
    pub(crate) fn synced(&self) {
        // One that stays costs time after a loss of power, no more.
        let _ = std::fs::remove_file(self.root.join("unsynced"));
    }

    /// After a loss of power, what was made since the last time that everything was on disk may be there in part.
    fn forget_unsynced(&self) {
        let mark = self.root.join("unsynced");
        let Ok(boot) = std::fs::read_to_string(&mark) else { return };
        if rcompose_sys::process::boot_id().is_ok_and(|now| now == boot) {
            return;
        }
        let since = std::fs::metadata(&mark).and_then(|about| about.modified());
        for entry in std::fs::read_dir(self.root.join("steps")).into_iter().flatten().flatten() {
            let made = entry.metadata().and_then(|about| about.modified());
            let lost = !matches!((&since, &made), (Ok(since), Ok(made)) if made < since);
            if lost {
                // One that stays is looked at again next time.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        self.synced();
    }
}

/// Notes that something is used, for the day when the cache takes too much: as the time of its last change, since that of the last
/// access changes whenever somebody looks. What is used after the mark of [`Cache::begin`] is taken for new when the power goes.
pub(crate) fn note_use(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    // One that seems older than it is goes earlier, and can be made again.
    let _ = utimensat(CWD, path, &times, AtFlags::empty());
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    #[test]
    fn what_may_have_been_lost_with_the_power_is_forgotten() {
        let folder = TempDir::new().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let made = Made::here(None, "x".to_owned());
        let key = |text: &str| Inputs::new(&[], text).key();
        cache.note(&key("old"), &made);
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        let file = std::fs::File::open(folder.path().join("steps").join(&key("old").0)).unwrap();
        file.set_modified(old).unwrap();
        cache.begin();
        cache.note(&key("new"), &made);
        // The same boot: nothing is lost.
        assert!(Cache::open(folder.path()).unwrap().find(&key("new")).is_some());
        std::fs::write(folder.path().join("unsynced"), "another boot").unwrap();
        std::fs::File::open(folder.path().join("unsynced"))
            .unwrap()
            .set_modified(old + std::time::Duration::from_secs(1))
            .unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        assert!(cache.find(&key("old")).is_some() && cache.find(&key("new")).is_none());
        assert!(!folder.path().join("unsynced").exists());
    }

    #[test]
    fn a_damaged_record_is_a_miss() {
        let folder = TempDir::new().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = Inputs::new(&[], "x").key();
        std::fs::write(folder.path().join("steps").join(&key.0), "{\"layer\":").unwrap();
        assert_eq!(cache.find(&key), None);
    }
}
