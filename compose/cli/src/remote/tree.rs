//! A tree that was fetched, and its seal: what each of its files held when it came.
//!
//! ```text
//! NAME-ID/            ID is a commit or a digest
//!   NAME/             the tree
//!   seal.json         the hash of each file; outside of the tree, so that no container sees it
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Larger files are never read as configuration.
const MAX_SEALED: u64 = 10 << 20;

/// A tree that was fetched.
#[derive(Debug)]
pub(super) struct Tree {
    /// Absolute, without links.
    root: PathBuf,
    seal: Seal,
}

/// What the files held when they came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Seal {
    /// Of the tree's folder.
    pub(super) name: String,
    /// SHA-256 in hex, by path below the folder.
    files: BTreeMap<String, String>,
}

impl Seal {
    /// Looks at every file below a folder.
    pub(super) fn of(name: &str, folder: &Path) -> std::io::Result<Self> {
        let mut seal = Self { name: name.to_owned(), files: BTreeMap::new() };
        let mut waiting = vec![folder.to_owned()];
        while let Some(next) = waiting.pop() {
            for entry in std::fs::read_dir(next)? {
                let entry = entry?;
                let (path, about) = (entry.path(), entry.metadata()?);
                if about.is_dir() {
                    waiting.push(path);
                } else if about.is_file()
                    && about.len() <= MAX_SEALED
                    && let Some(inside) = path.strip_prefix(folder).ok().and_then(Path::to_str)
                {
                    seal.files.insert(inside.to_owned(), hash(&std::fs::read(&path)?));
                }
            }
        }
        Ok(seal)
    }
}

impl Tree {
    pub(super) fn new(root: PathBuf, seal: Seal) -> Self {
        Self { root, seal }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a file, if it is there, beneath the folder, and as it came.
    pub(super) fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let about = rustix::fs::fstat(&file).map_err(|error| error.to_string())?;
        if !rustix::fs::FileType::from_raw_mode(about.st_mode).is_file() {
            return Err("it is not a regular file".to_owned());
        }
        // The links that led to it are followed by now: this is the name that the seal knows.
        let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|error| error.to_string())?;
        let known = real.strip_prefix(&self.root).ok().and_then(Path::to_str).and_then(|inside| self.seal.files.get(inside));
        let Some(known) = known else {
            return Err(format!(
                "it is no part of what was fetched, something made it later; `--allow-path {}` has it read all the same",
                path.display()
            ));
        };
        let mut bytes = Vec::new();
        File::from(file).take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > limit {
            return Err(format!("it is larger than {limit} bytes"));
        }
        if hash(&bytes) != *known {
            let entry = self.root.parent().unwrap_or(&self.root);
            let way = format!("`rm -r {}` has it fetched again", entry.display());
            return Err(format!("it was changed after it was fetched, by hand or by a container; {way}"));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| "it is not valid UTF-8".to_owned())
    }

    fn open(&self, path: &Path) -> Result<Option<OwnedFd>, String> {
        let inside = path.strip_prefix(&self.root).map_err(|error| error.to_string())?;
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let root = rustix::fs::open(&self.root, flags, Mode::empty()).map_err(|error| error.to_string())?;
        // A FIFO must not be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&root, inside, flags, Mode::empty(), beneath) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::XDEV) => Err("a link leads out of what was fetched".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The Compose file of a folder of the tree, or the file that was named.
    pub(super) fn compose_file(&self, inside: &Path) -> Result<PathBuf, String> {
        const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
        let named = self.root.join(inside);
        let about = self.open(&named)?.ok_or_else(|| format!("it has no `{}`", inside.display()))?;
        let about = rustix::fs::fstat(&about).map_err(|error| error.to_string())?;
        if !rustix::fs::FileType::from_raw_mode(about.st_mode).is_dir() {
            return Ok(named);
        }
        for name in NAMES {
            let file = named.join(name);
            if self.open(&file)?.is_some() {
                return Ok(file);
            }
        }
        let place = if inside.as_os_str().is_empty() { String::new() } else { format!(" in `{}`", inside.display()) };
        Err(format!("it has no Compose file{place}: none of {}", NAMES.join(", ")))
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
