//! What is known of a file without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, a device, a FIFO: nothing that is synchronised.
    Other,
}

/// What a file was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// What changes with its content: bytes, number, moments of its content and of its state. Zero for directories, of which only
    /// names change.
    content: (u64, u64, (i64, i64), (i64, i64)),
}

impl Stamp {
    /// Looks at a path, without following a link at its end; `None` if nothing is there.
    pub fn look(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().map(|about| Self::of(&about))
    }

    /// By which a file is told from another one that has its name.
    pub(crate) fn number(&self) -> u64 {
        self.content.1
    }

    pub(crate) fn of(about: &std::fs::Metadata) -> Self {
        let kind = match about.file_type() {
            it if it.is_file() => Kind::File,
            it if it.is_dir() => Kind::Directory,
            it if it.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        let content = match kind {
            Kind::Directory => Default::default(),
            _ => (about.len(), about.ino(), (about.mtime(), about.mtime_nsec()), (about.ctime(), about.ctime_nsec())),
        };
        Self { kind, mode: about.mode() & 0o7777, content }
    }
}
