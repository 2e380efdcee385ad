//! Paths inside a tree that somebody else controls: an image, a container's root, a build context.
//!
//! [`Root`] opens the tree once; everything below is resolved by the kernel as if that directory were `/`
//! (`openat2` with `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`), and comes back as a descriptor. No caller joins a path of the
//! tree to a path of the host.

mod change;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Context;
use crate::{Error, Result};

pub use change::{Attributes, NewFile, describe};

/// How many symbolic links are followed on one way, as in the kernel.
const LINKS: u32 = 40;

/// How often a resolution is tried again when something is renamed beneath it.
const RACES: u32 = 64;

/// A directory, and the promise that nothing outside of it is reached through its paths.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens the tree at a path of the host, which the caller trusts.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(path, flags, Mode::empty()).during("open", || format!("{path:?}, O_PATH|O_DIRECTORY"))?;
        Ok(Self { directory })
    }

    /// Takes a directory that is open already.
    pub fn from_fd(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// Opens the same tree a second time.
    pub fn try_clone(&self) -> Result<Self> {
        let directory = rustix::io::fcntl_dupfd_cloexec(&self.directory, 3).during("fcntl", || "F_DUPFD_CLOEXEC".to_owned())?;
        Ok(Self { directory })
    }

    /// Resolves a path to a handle that neither reads nor writes; follows symbolic links inside the tree.
    pub fn open_path(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(path.as_ref(), OFlags::PATH, Mode::empty())
    }

    /// As [`Root::open_path`], but a symbolic link at the end is itself the answer.
    pub fn open_path_nofollow(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.resolve(path.as_ref(), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Opens a file; follows symbolic links inside the tree.
    pub fn open_file(&self, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        self.resolve(path.as_ref(), flags, mode)
    }

    /// Resolves everything but the last component: the directory that holds it, and its name.
    ///
    /// # Errors
    /// `EINVAL` for a path whose last component is `..` or that names the root itself.
    pub fn open_parent(&self, path: impl AsRef<Path>) -> Result<(OwnedFd, OsString)> {
        let path = path.as_ref();
        let (parent, name) = split(path)?;
        Ok((self.resolve(&parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name))
    }

    /// Makes a directory and those above it, as far as they are missing; gives a handle of it.
    ///
    /// Symbolic links on the way are followed inside the tree; where one leads to nothing, that is made.
    pub fn create_dir_all(&self, path: impl AsRef<Path>, mode: u32) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        if let Ok(found) = self.resolve(path.as_ref(), flags, Mode::empty()) {
            return Ok(found);
        }
        let mut at = self.resolve(Path::new("."), flags, Mode::empty())?;
        let mut so_far = OsString::from("/");
        for name in self.follow(path.as_ref())? {
            so_far.push(&name);
            at = match self.resolve(Path::new(&so_far), flags, Mode::empty()) {
                Err(error) if error.errno() == Errno::NOENT => {
                    match rustix::fs::mkdirat(&at, &name, Mode::from_raw_mode(mode)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(Error::new("mkdirat", format!("{so_far:?}"), errno)),
                    }
                    self.resolve(Path::new(&so_far), flags, Mode::empty())?
                }
                other => other?,
            };
            so_far.push("/");
        }
        Ok(at)
    }

    /// Makes a file that is not there yet, and those directories above it that are missing. A link to nothing makes what it
    /// leads to.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: u32) -> Result<OwnedFd> {
        let followed: std::path::PathBuf = self.follow(path.as_ref())?.iter().collect();
        let (parent, name) = split(&followed)?;
        let parent = self.create_dir_all(&parent, 0o755)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(mode))
            .during("openat", || format!("{:?}, O_CREAT|O_EXCL", path.as_ref()))
    }

    /// Reads a whole file of at most `limit` bytes. A FIFO, device, directory or larger file is an error, not a wait.
    ///
    /// # Errors
    /// `EINVAL` when it is no regular file, `EFBIG` when it is larger.
    pub fn read_regular(&self, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let file = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?;
        read_regular(file, limit).map_err(|errno| Error::new("read", format!("{path:?}"), errno))
    }

    /// The absolute path that a path stands for when its symbolic links are followed, whether or not something is there.
    ///
    /// # Errors
    /// `ELOOP` when there are too many links.
    pub fn real_path(&self, path: &Path) -> Result<std::path::PathBuf> {
        let names = self.follow(path)?;
        Ok(std::iter::once(OsString::from("/")).chain(names).collect())
    }

    /// The names on the way to a path, whether or not it is there, with no symbolic link among them.
    ///
    /// # Errors
    /// `ELOOP` when there are too many links.
    fn follow(&self, path: &Path) -> Result<Vec<OsString>> {
        let failure = |errno| Error::new("readlinkat", format!("{path:?}"), errno);
        let mut done: Vec<OsString> = Vec::new();
        let mut left: VecDeque<OsString> = steps(path)?.into();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                done.pop();
                continue;
            }
            let so_far: std::path::PathBuf = done.iter().chain([&name]).collect();
            let found = match self.open_path_nofollow(&so_far) {
                Ok(found) => found,
                Err(error) if error.errno() == Errno::NOENT => {
                    done.push(name);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if file_type(&found)? != FileType::Symlink {
                done.push(name);
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(failure(Errno::LOOP));
            }
            let target = rustix::fs::readlinkat(&found, "", Vec::new()).map_err(failure)?;
            let target = Path::new(OsStr::from_bytes(target.as_bytes()));
            if target.is_absolute() {
                done.clear();
            }
            steps(target)?.into_iter().rev().for_each(|step| left.push_front(step));
        }
        Ok(done)
    }

    fn resolve(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        for _ in 0..RACES {
            match rustix::fs::openat2(&self.directory, path, flags, mode, how) {
                // The tree changed while the kernel walked it; the answer would not have been safe.
                Err(Errno::AGAIN) => {}
                answer => return answer.during("openat2", || format!("{path:?}, RESOLVE_IN_ROOT")),
            }
        }
        Err(Error::new("openat2", format!("{path:?}, RESOLVE_IN_ROOT"), Errno::AGAIN))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Reads a regular file of at most `limit` bytes.
pub fn read_regular(file: OwnedFd, limit: u64) -> std::result::Result<Vec<u8>, Errno> {
    let about = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut content = Vec::new();
    let read = std::fs::File::from(file).take(limit.saturating_add(1)).read_to_end(&mut content);
    read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if content.len() as u64 > limit { Err(Errno::FBIG) } else { Ok(content) }
}

/// Tells what an open handle is, without following anything.
pub fn file_type(handle: impl AsFd) -> Result<FileType> {
    let about = rustix::fs::statat(handle, "", AtFlags::EMPTY_PATH).during("fstatat", || "\"\", AT_EMPTY_PATH".to_owned())?;
    Ok(FileType::from_raw_mode(about.st_mode))
}

/// The path by which the kernel lets a handle be named in calls that take none.
pub fn proc_path(handle: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd())
}

/// The names of a path, `..` among them.
fn steps(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(_) | Component::ParentDir => names.push(component.as_os_str().to_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::Prefix(_) => return Err(Error::new("openat2", format!("{path:?}"), Errno::INVAL)),
        }
    }
    Ok(names)
}

fn split(path: &Path) -> Result<(std::path::PathBuf, OsString)> {
    let invalid = || Error::new("openat2", format!("{path:?}"), Errno::INVAL);
    let name: &OsStr = path.file_name().ok_or_else(invalid)?;
    if name.as_bytes().is_empty() {
        return Err(invalid());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::atomic::TempDir;

    fn tree() -> (TempDir, Root) {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let root = Root::open(folder.path()).expect("it can be opened");
        (folder, root)
    }

    #[test]
    fn links_out_of_the_tree_stay_inside() {
        let (folder, root) = tree();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/passwd"), "inside").unwrap();
        symlink("/etc/passwd", folder.path().join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", folder.path().join("relative")).unwrap();
        assert_eq!(root.read_regular("/absolute", 100).unwrap(), b"inside");
        assert_eq!(root.read_regular("relative", 100).unwrap(), b"inside");
        assert_eq!(root.read_regular("../../etc/passwd", 100).unwrap(), b"inside");
    }

    #[test]
    fn makes_missing_directories_inside_even_through_links() {
        let (folder, root) = tree();
        std::fs::create_dir(folder.path().join("var")).unwrap();
        symlink("/var", folder.path().join("data")).unwrap();
        root.create_dir_all("/data/a/b", 0o755).unwrap();
        assert!(folder.path().join("var/a/b").is_dir());
    }

    #[test]
    fn makes_what_a_link_to_nothing_leads_to() {
        let (folder, root) = tree();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        symlink("../run/resolve/stub.conf", folder.path().join("etc/resolv.conf")).unwrap();
        drop(root.create_file("/etc/resolv.conf", 0o644).unwrap());
        assert!(folder.path().join("run/resolve/stub.conf").is_file());
        symlink("/../../outside/data", folder.path().join("data")).unwrap();
        root.create_dir_all("/data/deep", 0o755).unwrap();
        assert!(folder.path().join("outside/data/deep").is_dir());
        symlink("two", folder.path().join("one")).unwrap();
        symlink("one", folder.path().join("two")).unwrap();
        assert_eq!(root.create_file("one", 0o644).unwrap_err().errno(), Errno::LOOP);
    }

    #[test]
    fn reading_does_not_wait_for_a_fifo_or_swallow_a_device() {
        let (folder, root) = tree();
        rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(root.read_regular("fifo", 100).unwrap_err().errno(), Errno::INVAL);
        std::fs::write(folder.path().join("large"), vec![0; 200]).unwrap();
        assert_eq!(root.read_regular("large", 100).unwrap_err().errno(), Errno::FBIG);
    }

    #[test]
    fn gives_the_directory_of_a_path_and_its_last_name() {
        let (folder, root) = tree();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let (directory, name) = root.open_parent("/a/b").unwrap();
        assert_eq!(name, "b");
        rustix::fs::mkdirat(&directory, &name, Mode::from_raw_mode(0o755)).unwrap();
        assert!(folder.path().join("a/b").is_dir());
        assert!(root.open_parent("/").is_err());
    }
}
