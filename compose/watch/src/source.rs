//! Events of the kernel: directories are watched one by one, so that nothing is spent on those that nobody wants.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::batch::Touch;

/// Something happened to a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// What is there was made or changed.
    Touched { path: PathBuf, touch: Touch, directory: bool },
    /// What was there was renamed; the number is the same at both ends.
    Left { path: PathBuf, number: u32, directory: bool },
    /// Something else got this name.
    Arrived { path: PathBuf, number: u32, directory: bool },
    /// There was more than the kernel keeps: anything may have happened.
    Overflow,
}

/// The watched directories.
#[derive(Debug)]
pub(crate) struct Source {
    inotify: OwnedFd,
    paths: HashMap<i32, PathBuf>,
    numbers: HashMap<PathBuf, i32>,
}

impl Source {
    pub(crate) fn open() -> rustix::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify, paths: HashMap::new(), numbers: HashMap::new() })
    }

    /// Watches a directory.
    ///
    /// # Errors
    /// `ENOENT` and `ENOTDIR` when it is none (any more), `ENOSPC` when the user has no watches left.
    pub(crate) fn watch(&mut self, directory: &Path) -> rustix::io::Result<()> {
        // Without opens, reads and closes after them: a search through the tree, and our own reading, are nothing that happens.
        let mask = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        let number = inotify::add_watch(&self.inotify, directory, mask)?;
        // A directory that was moved here has been watched under its old name.
        if let Some(before) = self.paths.insert(number, directory.to_owned()).filter(|before| before != directory) {
            self.numbers.remove(&before);
        }
        self.numbers.insert(directory.to_owned(), number);
        Ok(())
    }

    /// A directory is gone from its name, and everything in it.
    pub(crate) fn forget(&mut self, directory: &Path) {
        let gone: Vec<(PathBuf, i32)> = self
            .numbers
            .iter()
            .filter(|(path, _)| path.starts_with(directory))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in gone {
            self.numbers.remove(&path);
            if self.paths.get(&number) == Some(&path) {
                self.paths.remove(&number);
                // The kernel may have taken it away already, with the directory.
                let _ = inotify::remove_watch(&self.inotify, number);
            }
        }
    }

    /// Reads what has happened.
    pub(crate) fn read(&mut self, events: &mut VecDeque<Event>) -> rustix::io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                events.push_back(Event::Overflow);
                continue;
            }
            if what.contains(ReadFlags::IGNORED) {
                if let Some(path) = self.paths.remove(&event.wd()) {
                    self.numbers.remove(&path);
                }
                continue;
            }
            // Of what is no longer watched, some may still be in the queue.
            let (Some(directory), Some(name)) = (self.paths.get(&event.wd()), event.file_name()) else { continue };
            let path = directory.join(OsStr::from_bytes(name.to_bytes()));
            events.extend(describe(path, what, event.cookie()));
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn describe(path: PathBuf, what: ReadFlags, number: u32) -> Option<Event> {
    let directory = what.contains(ReadFlags::ISDIR);
    if what.contains(ReadFlags::MOVED_FROM) {
        return Some(Event::Left { path, number, directory });
    }
    if what.contains(ReadFlags::MOVED_TO) {
        return Some(Event::Arrived { path, number, directory });
    }
    // Nobody writes to a link. A second name of a file cannot be told from a new one: it is looked at when no more comes.
    let made_whole = |path: &Path| what.contains(ReadFlags::CREATE) && (directory || path.is_symlink());
    let touch = if what.contains(ReadFlags::DELETE) {
        Touch::Gone
    } else if what.contains(ReadFlags::CLOSE_WRITE) || made_whole(&path) {
        Touch::Whole
    } else if what.intersects(ReadFlags::MODIFY | ReadFlags::CREATE) {
        Touch::Partial
    } else if what.contains(ReadFlags::ATTRIB) {
        Touch::Attributes
    } else {
        return None;
    };
    Some(Event::Touched { path, touch, directory })
}
