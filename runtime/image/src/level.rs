//! A directory on the way through a tree: what walks keeps its own stack of them, so that depth costs none.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rcompose_sys::error::Context;
use rustix::fs::Dir;

/// A directory, and what of it is left to be visited.
pub(crate) struct Level {
    pub(crate) directory: OwnedFd,
    pub(crate) path: PathBuf,
    /// Names that are left, the next one last.
    pub(crate) names: Vec<OsString>,
}

impl Level {
    /// Reads the names of a directory; they are visited in their order.
    pub(crate) fn open(directory: OwnedFd, path: PathBuf) -> rcompose_sys::Result<Self> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).during("opendir", String::new)? {
            let entry = entry.during("getdents64", String::new)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(OsString::from_vec(entry.file_name().to_bytes().to_vec()));
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Self { directory, path, names })
    }
}
