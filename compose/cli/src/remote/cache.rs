//! Where fetched trees are kept: `$XDG_CACHE_HOME/rcompose/remote`, by commit or digest.
//!
//! ```text
//! git/NAME-COMMIT/    what was fetched; see `tree`
//! oci/NAME-DIGEST/
//! new/                what is being fetched: of the holder of the lock, and of nobody once the lock is free
//! lock
//! ```
//! A tree is there as a whole or not at all: it is made in `new`, and renamed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::tree::{Seal, Tree};
use crate::environment::Environment;

const SEAL: &str = "seal.json";

/// The cache of this user.
pub(super) struct Cache {
    folder: PathBuf,
}

/// What is being fetched. It goes with its value, unless it was published.
pub(super) struct Scratch<'a> {
    cache: &'a Cache,
    folder: PathBuf,
    /// Held as long as something is being made.
    _lock: File,
}

/// Which tree.
#[derive(Debug, Clone)]
pub(super) struct Id {
    /// `git` or `oci`.
    pub(super) kind: &'static str,
    /// The last word of the reference; it also names the project unless something else does.
    pub(super) name: String,
    /// A commit or a digest, in hex.
    pub(super) hash: String,
}

impl Cache {
    pub(super) fn open(environment: &Environment) -> Result<Self, String> {
        let absolute = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
        let folder = base.ok_or("neither XDG_CACHE_HOME nor HOME says where it could be kept")?.join("rcompose/remote");
        let made = make_folder(&folder).and_then(|()| folder.canonicalize());
        let folder = made.map_err(|error| format!("failed to make {}: {error}", folder.display()))?;
        check_owner(&folder)?;
        Ok(Self { folder })
    }

    /// A tree that is here already.
    pub(super) fn find(&self, id: &Id) -> Result<Option<Tree>, String> {
        let entry = self.entry(id);
        let text = match std::fs::read_to_string(entry.join(SEAL)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("failed to read {}: {error}", entry.join(SEAL).display())),
        };
        check_owner(&entry)?;
        let seal: Seal =
            serde_json::from_str(&text).map_err(|error| format!("{} is damaged: {error}; `rm -r` it", entry.display()))?;
        let root = entry.join(&id.name);
        check_owner(&root)?;
        Ok(Some(Tree::new(root, seal)))
    }

    /// A place to fetch to, when the lock is free; clears away what a fetch that was cut off has left.
    pub(super) fn scratch(&self, id: &Id) -> Result<Scratch<'_>, String> {
        let folder = self.folder.join("new");
        let failed = |error: io::Error| format!("failed to make {}: {error}", folder.display());
        let lock = File::create(self.folder.join("lock")).map_err(failed)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        make_folder(&folder.join("entry").join(&id.name)).map_err(failed)?;
        Ok(Scratch { cache: self, folder, _lock: lock })
    }

    fn entry(&self, id: &Id) -> PathBuf {
        self.folder.join(id.kind).join(format!("{}-{}", id.name, id.hash))
    }
}

impl Scratch<'_> {
    /// For whatever is needed on the way.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the tree is to be.
    pub(super) fn tree(&self, id: &Id) -> PathBuf {
        self.folder.join("entry").join(&id.name)
    }

    /// Makes the tree visible to all.
    pub(super) fn publish(self, id: &Id) -> Result<Tree, String> {
        let entry = self.cache.entry(id);
        let published = self.move_to(&entry, id).map_err(|error| format!("failed to keep it in {}: {error}", entry.display()));
        published?;
        self.cache.find(id)?.ok_or_else(|| format!("{} went away as soon as it was there", entry.display()))
    }

    fn move_to(&self, entry: &Path, id: &Id) -> io::Result<()> {
        let made = self.folder.join("entry");
        let seal = Seal::of(&id.name, &self.tree(id))?;
        std::fs::write(made.join(SEAL), serde_json::to_vec(&seal).map_err(io::Error::other)?)?;
        // The rename must not reach the disk before what it names.
        rustix::fs::syncfs(File::open(&made)?)?;
        make_folder(entry.parent().unwrap_or(entry))?;
        // What is in its place has no seal: it is not whole.
        match std::fs::remove_dir_all(entry) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::rename(made, entry)
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // If it cannot be removed now, the next fetch does.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What another user could have written is no cache of ours.
fn check_owner(folder: &Path) -> Result<(), String> {
    let about = folder.symlink_metadata().map_err(|error| format!("failed to look at {}: {error}", folder.display()))?;
    let ours = about.is_dir() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o022 == 0;
    if ours {
        Ok(())
    } else {
        Err(format!("{} is not only ours to write to: remove it, or set XDG_CACHE_HOME", folder.display()))
    }
}

/// A word of a reference as the name of a folder.
pub(super) fn folder_name(text: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_".contains(letter);
    let name: String = text.to_ascii_lowercase().chars().filter(|letter| allowed(*letter)).take(60).collect();
    let name = name.trim_start_matches(['-', '_']);
    if name.is_empty() { "stack".to_owned() } else { name.to_owned() }
}
