//! Files and directories that are there whole or not at all, and trees that are gone without following anything.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;

use crate::error::Context;
use crate::{Error, Result};

/// Writes a file so that readers see the old content or the new, also after a power loss: temporary file beside it,
/// `fsync`, rename, `fsync` of the directory.
pub fn write_file(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    replace(path, content, mode, Durability::Disk)
}

/// As [`write_file`], but without waiting for the disk: for what can be made again.
pub fn write_file_relaxed(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    replace(path, content, mode, Durability::Memory)
}

#[derive(Clone, Copy, PartialEq)]
enum Durability {
    Disk,
    Memory,
}

fn replace(path: &Path, content: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let temporary = directory.join(format!(".{}.tmp", random_hex(8)?));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(&temporary, flags, Mode::from_raw_mode(mode))
        .during("open", || format!("{temporary:?}, O_CREAT|O_EXCL"))?;
    let written = write_all(&file, content, &temporary)
        .and_then(|()| match durability {
            Durability::Disk => rustix::fs::fsync(&file).during("fsync", || format!("{temporary:?}")),
            Durability::Memory => Ok(()),
        })
        .and_then(|()| rustix::fs::rename(&temporary, path).during("rename", || format!("{temporary:?}, {path:?}")));
    if let Err(error) = written {
        // The temporary file is of no use; that it cannot be removed either tells nothing new.
        let _ = rustix::fs::unlink(&temporary);
        return Err(error);
    }
    match durability {
        Durability::Disk => sync_directory(directory),
        Durability::Memory => Ok(()),
    }
}

fn write_all(file: &OwnedFd, mut content: &[u8], path: &Path) -> Result<()> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Error::new("write", format!("{path:?}"), Errno::IO)),
            Ok(count) => content = &content[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::new("write", format!("{path:?}"), errno)),
        }
    }
    Ok(())
}

/// Has a file that was written relaxed on disk, under its name.
pub fn sync_file(path: &Path) -> Result<()> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", || format!("{path:?}"))?;
    rustix::fs::fsync(&file).during("fsync", || format!("{path:?}"))?;
    sync_directory(path.parent().unwrap_or(Path::new("/")))
}

/// Has the entries of a directory on disk.
pub fn sync_directory(directory: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(directory, flags, Mode::empty()).during("open", || format!("{directory:?}"))?;
    rustix::fs::fsync(&handle).during("fsync", || format!("{directory:?}"))
}

/// Has the whole file system that holds `path` on disk.
pub fn sync_filesystem(path: &Path) -> Result<()> {
    let handle =
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", || format!("{path:?}"))?;
    rustix::fs::syncfs(&handle).during("syncfs", || format!("{path:?}"))
}

/// Gives a finished directory its final name and has that on disk; an existing one is not replaced.
///
/// # Errors
/// `EEXIST` when the name is taken.
pub fn publish_dir(temporary: &Path, target: &Path) -> Result<()> {
    publish_dir_relaxed(temporary, target)?;
    sync_directory(target.parent().unwrap_or(Path::new("/")))
}

/// As [`publish_dir`], but without waiting for the disk: for what can be made again.
pub fn publish_dir_relaxed(temporary: &Path, target: &Path) -> Result<()> {
    rustix::fs::renameat_with(CWD, temporary, CWD, target, RenameFlags::NOREPLACE)
        .during("renameat2", || format!("{temporary:?}, {target:?}, RENAME_NOREPLACE"))
}

/// Removes a tree. Symbolic links are removed, not followed; another file system below it is an error, not emptied.
/// What is not there is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    remove_tree_at(CWD, path.as_os_str())
}

/// As [`remove_tree`], of what has a name in an open directory.
pub fn remove_tree_at(directory: impl AsFd, name: &OsStr) -> Result<()> {
    match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(Error::new("unlinkat", format!("{name:?}"), errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match rustix::fs::openat(&directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.during("openat", || format!("{name:?}, O_DIRECTORY|O_NOFOLLOW"))?,
    };
    empty_directory(top)?;
    match rustix::fs::unlinkat(&directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::new("unlinkat", format!("{name:?}, AT_REMOVEDIR"), errno)),
    }
}

/// Empties a directory without recursion, so that depth costs no stack.
fn empty_directory(top: OwnedFd) -> Result<()> {
    let device = rustix::fs::fstat(&top).during("fstat", String::new)?.st_dev;
    let mut open = vec![Level { directory: Dir::new(top).during("opendir", String::new)?, name: None }];
    while let Some(level) = open.last_mut() {
        match next_entry(&mut level.directory)? {
            Some(name) => {
                if let Some(below) = remove_entry(level, &name, device)? {
                    open.push(Level { directory: Dir::new(below).during("opendir", String::new)?, name: Some(name) });
                }
            }
            None => {
                let done = open.pop().and_then(|level| level.name);
                if let (Some(above), Some(name)) = (open.last(), done) {
                    let parent = above.directory.fd().during("dirfd", String::new)?;
                    rustix::fs::unlinkat(parent, name.as_c_str(), AtFlags::REMOVEDIR)
                        .during("unlinkat", || format!("{name:?}, AT_REMOVEDIR"))?;
                }
            }
        }
    }
    Ok(())
}

struct Level {
    directory: Dir,
    name: Option<std::ffi::CString>,
}

fn next_entry(directory: &mut Dir) -> Result<Option<std::ffi::CString>> {
    for entry in directory {
        let entry = entry.during("getdents64", String::new)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(Some(entry.file_name().to_owned()));
        }
    }
    Ok(None)
}

/// Unlinks what is no directory; opens what is one.
fn remove_entry(level: &Level, name: &CStr, device: u64) -> Result<Option<OwnedFd>> {
    let parent = level.directory.fd().during("dirfd", String::new)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(Error::new("unlinkat", format!("{name:?}"), errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let below = rustix::fs::openat(parent, name, flags, Mode::empty()).during("openat", || format!("{name:?}, O_DIRECTORY"))?;
    if rustix::fs::fstat(&below).during("fstat", || format!("{name:?}"))?.st_dev != device {
        return Err(Error::new("unlinkat", format!("{name:?}: another file system"), Errno::XDEV));
    }
    Ok(Some(below))
}

/// Hexadecimal digits of `bytes` random bytes.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0_u8; bytes];
    let mut filled = 0;
    while filled < bytes {
        let count = rustix::rand::getrandom(&mut buffer[filled..], GetRandomFlags::empty());
        filled += count.during("getrandom", || bytes.to_string())?;
    }
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A directory of the system's temporary folder that is removed when the value goes.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes one below the system's temporary folder, for the owner alone.
    pub fn new() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// Makes one below `folder`, for the owner alone.
    pub fn below(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("rcompose-{}", random_hex(8)?));
        rustix::fs::mkdir(&path, Mode::from_raw_mode(0o700)).during("mkdir", || format!("{path:?}"))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the directory; the caller owns it now.
    pub fn into_path(self) -> PathBuf {
        let path = self.path.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // The last resort of a directory that nobody published; a leftover is swept at the next start.
        let _ = remove_tree(&self.path);
    }
}

/// Tells whether an open directory has no entries.
pub fn is_empty_directory(directory: impl AsFd) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(directory, ".", flags, Mode::empty()).during("openat", || "\".\"".to_owned())?;
    Ok(next_entry(&mut Dir::new(readable).during("opendir", String::new)?)?.is_none())
}

/// Refuses a name that would be more than one component of a path.
pub fn is_single_component(name: &std::ffi::OsStr) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.contains(&b'/') && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn replaces_a_file_whole_and_leaves_nothing_beside_it() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        write_file(&path, b"one", 0o600).unwrap();
        write_file_relaxed(&path, b"two", 0o600).unwrap();
        sync_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn removes_a_tree_without_following_its_links() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("kept"), "").unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::write(tree.join("a/b/file"), "").unwrap();
        symlink(folder.path(), tree.join("a/link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && folder.path().join("kept").exists());
        remove_tree(&tree).unwrap();
    }

    #[test]
    fn does_not_replace_what_was_published() {
        let folder = TempDir::new().unwrap();
        for name in ["one", "two"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let target = folder.path().join("target");
        publish_dir(&folder.path().join("one"), &target).unwrap();
        assert_eq!(publish_dir(&folder.path().join("two"), &target).unwrap_err().errno(), Errno::EXIST);
    }
}
