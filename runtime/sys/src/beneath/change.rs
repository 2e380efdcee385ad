//! Changes in a tree that somebody else controls: files that are there whole or not at all, directories, links, trees that go.
//!
//! Everything is a function of [`Root`], whose paths lead nowhere else. A file is written beside its place ([`NewFile`]), gets its
//! [`Attributes`], and takes its place by a rename: who looks sees the old one or the new one. What is at a place is replaced,
//! a symbolic link itself rather than what it leads to; only a directory is never replaced by anything else (`EISDIR`): that is
//! what [`Root::remove_all`] is for. Directories above a place have to be there: [`Root::create_dir_all`] makes them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid};
use rustix::io::Errno;

use super::{Root, file_type, proc_path};
use crate::error::Context;
use crate::{Error, Result, atomic};

/// How something that is made looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, set-user-id and the like among them. Symbolic links have none.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change; `None` is now. Directories get it back after their content is there: [`describe`].
    pub modified: Option<SystemTime>,
}

/// A file beside its place. It is gone when this is dropped before [`NewFile::finish`].
#[derive(Debug)]
pub struct NewFile {
    place: Place,
    temporary: OsString,
    file: File,
    finished: bool,
}

impl NewFile {
    /// What the content is written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its attributes and its place.
    ///
    /// Where the place is a mount of its own, as `/etc/hosts` of a container is, the content is written into what is there.
    pub fn finish(mut self, attributes: &Attributes) -> Result<()> {
        describe(&self.file, attributes)?;
        match self.place.take(&self.temporary) {
            Err(error) if error.errno() == Errno::BUSY => self.overwrite(),
            other => {
                self.finished = other.is_ok();
                other
            }
        }
    }

    fn overwrite(&mut self) -> Result<()> {
        let name = &self.place.name;
        let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let from = rustix::fs::openat(&self.place.directory, &self.temporary, read, Mode::empty());
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let to = rustix::fs::openat(&self.place.directory, name, flags, Mode::empty());
        let to = to.during("openat", || format!("{name:?}, O_TRUNC"))?;
        if file_type(&to)? != FileType::RegularFile {
            return Err(Error::new("openat", format!("{name:?}"), Errno::BUSY));
        }
        let mut from = File::from(from.during("openat", || format!("{name:?}"))?);
        std::io::copy(&mut from, &mut File::from(to)).during("copy_file_range", || format!("{name:?}")).map(drop)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            // It is of no use; that it cannot be removed either tells nothing new.
            let _ = rustix::fs::unlinkat(&self.place.directory, &self.temporary, AtFlags::empty());
        }
    }
}

/// Where something is to be: a directory, and a name in it.
#[derive(Debug)]
struct Place {
    directory: OwnedFd,
    name: OsString,
}

impl Place {
    /// Makes something under a name that nobody else has, by `make`, and gives it the place.
    fn fill(&self, make: impl FnOnce(&OsStr) -> Result<()>) -> Result<()> {
        let temporary = temporary()?;
        let done = make(&temporary).and_then(|()| self.take(&temporary));
        // It is there when this failed, or when the place had the very same file already.
        let _ = rustix::fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
        done
    }

    fn take(&self, temporary: &OsStr) -> Result<()> {
        rustix::fs::renameat(&self.directory, temporary, &self.directory, &self.name)
            .during("renameat", || format!("{:?}", self.name))
    }
}

fn temporary() -> Result<OsString> {
    Ok(format!(".{}.rcompose", atomic::random_hex(8)?).into())
}

impl Root {
    fn place(&self, path: &Path) -> Result<Place> {
        let (directory, name) = self.open_parent(path)?;
        Ok(Place { directory, name })
    }

    /// Begins a file.
    pub fn new_file(&self, path: impl AsRef<Path>) -> Result<NewFile> {
        let (place, temporary) = (self.place(path.as_ref())?, temporary()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&place.directory, &temporary, flags, Mode::from_raw_mode(0o600));
        let file = file.during("openat", || format!("{:?}, O_CREAT|O_EXCL", path.as_ref()))?;
        Ok(NewFile { place, temporary, file: file.into(), finished: false })
    }

    /// Makes a directory, or gives one that is there its attributes; what is in it stays.
    ///
    /// # Errors
    /// `EEXIST` where something else is.
    pub fn put_directory(&self, path: impl AsRef<Path>, attributes: &Attributes) -> Result<OwnedFd> {
        let path = path.as_ref();
        let place = self.place(path)?;
        let made = rustix::fs::mkdirat(&place.directory, &place.name, Mode::from_raw_mode(0o700));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&place.directory, &place.name, flags, Mode::empty());
        let directory = match (made, opened) {
            (Ok(()) | Err(Errno::EXIST), Ok(directory)) => directory,
            (Err(errno), _) => return Err(Error::new("mkdirat", format!("{path:?}"), errno)),
            (_, Err(errno)) => return Err(Error::new("openat", format!("{path:?}"), errno)),
        };
        describe(&directory, attributes)?;
        Ok(directory)
    }

    /// Makes a symbolic link; its target is not looked at.
    pub fn put_symlink(&self, path: impl AsRef<Path>, target: &OsStr, attributes: &Attributes) -> Result<()> {
        let place = self.place(path.as_ref())?;
        let what = || format!("{:?}", path.as_ref());
        place.fill(|temporary| {
            rustix::fs::symlinkat(target, &place.directory, temporary).during("symlinkat", what)?;
            own(&place.directory, temporary, attributes).during("fchownat", what)?;
            rustix::fs::utimensat(&place.directory, temporary, &times(attributes.modified), AtFlags::SYMLINK_NOFOLLOW)
                .during("utimensat", what)
        })
    }

    /// Makes another name for a file of the tree.
    pub fn put_link(&self, path: impl AsRef<Path>, original: impl AsRef<Path>) -> Result<()> {
        let (place, original) = (self.place(path.as_ref())?, self.open_path_nofollow(original)?);
        place.fill(|temporary| {
            rustix::fs::linkat(rustix::fs::CWD, proc_path(&original), &place.directory, temporary, AtFlags::SYMLINK_FOLLOW)
                .during("linkat", || format!("{:?}", path.as_ref()))
        })
    }

    /// Makes a FIFO, socket or device node.
    pub fn put_node(&self, path: impl AsRef<Path>, kind: FileType, device: u64, attributes: &Attributes) -> Result<()> {
        let place = self.place(path.as_ref())?;
        let what = || format!("{:?}", path.as_ref());
        let mode = Mode::from_raw_mode(attributes.mode & 0o7777);
        place.fill(|temporary| {
            rustix::fs::mknodat(&place.directory, temporary, kind, mode, device).during("mknodat", what)?;
            own(&place.directory, temporary, attributes).during("fchownat", what)?;
            // Whatever our own mask says; nobody else knows the name yet.
            rustix::fs::chmodat(&place.directory, temporary, mode, AtFlags::empty()).during("fchmodat", what)?;
            rustix::fs::utimensat(&place.directory, temporary, &times(attributes.modified), AtFlags::SYMLINK_NOFOLLOW)
                .during("utimensat", what)
        })
    }

    /// Removes what is at a path, with everything below it. Symbolic links are removed, not followed; another file system below
    /// it is an error, not emptied. What is not there is fine.
    pub fn remove_all(&self, path: impl AsRef<Path>) -> Result<()> {
        match self.place(path.as_ref()) {
            Ok(place) => atomic::remove_tree_at(&place.directory, &place.name),
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Gives an open file or directory its attributes: owner, mode and time, in this order, since each would undo the ones after it.
pub fn describe(file: impl AsFd, attributes: &Attributes) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
    rustix::fs::fchown(&file, Some(uid), Some(gid)).during("fchown", || format!("{}, {}", attributes.uid, attributes.gid))?;
    let mode = attributes.mode & 0o7777;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).during("fchmod", || format!("{mode:o}"))?;
    rustix::fs::futimens(&file, &times(attributes.modified)).during("futimens", String::new)
}

fn own(directory: &OwnedFd, name: &OsStr, attributes: &Attributes) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(modified: Option<SystemTime>) -> Timestamps {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let modified = modified.map_or(now, |time| match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Timespec { tv_sec: since.as_secs().cast_signed(), tv_nsec: since.subsec_nanos().into() },
        // Whole seconds do for what is older than the count.
        Err(before) => Timespec { tv_sec: -before.duration().as_secs().cast_signed(), tv_nsec: 0 },
    });
    Timestamps { last_access: now, last_modification: modified }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::time::Duration;

    use super::*;
    use crate::atomic::TempDir;

    fn attributes(mode: u32) -> Attributes {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        Attributes { mode, uid, gid, modified: Some(UNIX_EPOCH + Duration::from_secs(1_000_000_000)) }
    }

    fn tree() -> (TempDir, Root) {
        let folder = TempDir::new().unwrap();
        let root = Root::open(folder.path()).unwrap();
        (folder, root)
    }

    fn put(root: &Root, path: &str, text: &str) -> Result<()> {
        let mut file = root.new_file(path)?;
        file.file().write_all(text.as_bytes()).unwrap();
        file.finish(&attributes(0o640))
    }

    #[test]
    fn a_file_takes_its_place_whole_and_a_link_there_is_replaced_itself() {
        let (folder, root) = tree();
        std::fs::write(folder.path().join("other"), "kept").unwrap();
        symlink("other", folder.path().join("file")).unwrap();
        let mut begun = root.new_file("/file").unwrap();
        begun.file().write_all(b"half").unwrap();
        drop(begun);
        assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
        put(&root, "/file", "new").unwrap();
        let about = std::fs::symlink_metadata(folder.path().join("file")).unwrap();
        assert!(about.is_file() && about.mode() & 0o7777 == 0o640 && about.mtime() == 1_000_000_000);
        assert_eq!(std::fs::read_to_string(folder.path().join("other")).unwrap(), "kept");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
    }

    #[test]
    fn directories_are_kept_and_never_replaced() {
        let (folder, root) = tree();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        std::fs::write(folder.path().join("folder/file"), "").unwrap();
        root.put_directory("folder", &attributes(0o2750)).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("folder")).unwrap().mode() & 0o7777, 0o2750);
        assert_eq!(put(&root, "folder", "").unwrap_err().errno(), Errno::ISDIR);
        assert_eq!(root.put_directory("folder/file", &attributes(0o700)).unwrap_err().errno(), Errno::EXIST);
        root.remove_all("folder").unwrap();
        root.remove_all("folder/file").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_and_nodes_replace_what_is_there() {
        let (folder, root) = tree();
        put(&root, "one", "1").unwrap();
        put(&root, "two", "2").unwrap();
        root.put_link("two", "one").unwrap();
        root.put_link("two", "one").unwrap();
        root.put_symlink("three", OsStr::new("/anywhere"), &attributes(0o777)).unwrap();
        root.put_node("three", FileType::Fifo, 0, &attributes(0o620)).unwrap();
        root.put_symlink("four", OsStr::new("/anywhere"), &attributes(0o777)).unwrap();
        let about = |name: &str| std::fs::symlink_metadata(folder.path().join(name)).unwrap();
        assert_eq!((about("one").ino(), about("one").nlink()), (about("two").ino(), 2));
        assert_eq!(about("three").mode(), 0o010_620);
        assert_eq!((about("four").is_symlink(), about("four").mtime()), (true, 1_000_000_000));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn nothing_outside_is_written_or_removed() {
        let (folder, root) = tree();
        let outside = TempDir::new().unwrap();
        std::fs::write(outside.path().join("kept"), "").unwrap();
        symlink(outside.path(), folder.path().join("way")).unwrap();
        assert_eq!(put(&root, "way/file", "").unwrap_err().errno(), Errno::NOENT);
        root.remove_all("way/kept").unwrap();
        root.remove_all("../../../way").unwrap();
        assert!(outside.path().join("kept").exists() && !folder.path().join("way").exists());
    }
}
