//! A tree that files are taken from: a context, a stage, an image. Its paths are a stranger's and never leave it.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rcompose_image::Digest;
use rcompose_sys::beneath::Root;
use rcompose_sys::error::Context;
use rcompose_sys::{Error, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::index::{Index, Stamp};
use rcompose_pattern::{Ignore, Pattern};

/// The most files that one step may read.
const MAX_ENTRIES: usize = 4_000_000;

/// A tree that files are taken from.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Root,
    /// Of a context: where it is on the host.
    pub(crate) path: PathBuf,
    /// What of it stays away.
    pub(crate) ignore: Ignore,
    /// What is known of its files.
    pub(crate) index: Option<Index>,
}

/// Something of a tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// From the root of the tree.
    pub(crate) path: PathBuf,
    pub(crate) about: Stat,
    pub(crate) kind: FileType,
    /// Where a symbolic link leads.
    pub(crate) link: Option<Vec<u8>>,
    /// Of a file's content.
    pub(crate) digest: Option<String>,
}

impl Entry {
    pub(crate) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }
}

impl Tree {
    /// The paths that a source of COPY names: itself, or what it matches, sorted.
    pub(crate) fn matching(&self, source: &str) -> Result<Vec<PathBuf>> {
        let clean: PathBuf = Path::new(source)
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::ParentDir))
            .collect();
        if !Pattern::is_one(source) {
            return Ok(vec![normal(&clean)]);
        }
        let invalid = |_| Error::new("match", source.to_owned(), Errno::INVAL);
        let pattern = Pattern::parse(source).map_err(invalid)?;
        // Nothing is looked for above the first part that is a pattern.
        let fixed: PathBuf = clean.iter().take_while(|part| !Pattern::is_one(&part.to_string_lossy())).collect();
        let depth = if source.contains("**") { usize::MAX } else { clean.iter().count() };
        let top = match self.root.open_file(dot(&fixed), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        let mut levels = vec![(top, fixed)];
        while let Some((directory, path)) = levels.pop() {
            for name in names(&directory)? {
                let below = path.join(&name);
                let text = below.to_string_lossy().into_owned();
                let matched = pattern.matches(&text);
                if matched && !self.ignore.ignores(&text) {
                    found.push(below.clone());
                }
                let about = stat(&directory, &name)?;
                let is_directory = FileType::from_raw_mode(about.st_mode) == FileType::Directory;
                if is_directory && !matched && below.iter().count() < depth {
                    levels.push((open_below(&directory, &name)?, below));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// What is at a path and below it, each directory before what is in it, sorted. A link at the path itself is followed, inside
    /// the tree; those below are what they are. Contents are read unless they are known.
    pub(crate) fn walk(&self, top: &Path, excludes: &Ignore, hashing: Hashing) -> Result<Vec<Entry>> {
        let handle = self.root.open_path(dot(top))?;
        let about = rustix::fs::fstat(&handle).during("fstat", || format!("{top:?}"))?;
        let mut entries = Vec::new();
        let kind = FileType::from_raw_mode(about.st_mode);
        // Nothing of what the ignore file keeps away is there for a build.
        if top.as_os_str().is_empty() || !self.ignores(top) || (kind == FileType::Directory && self.ignore.may_take_back()) {
            let directory = kind == FileType::Directory;
            let digest = match kind {
                FileType::RegularFile => self.digest(top, &about, hashing, || {
                    self.root.open_file(dot(top), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())
                })?,
                _ => None,
            };
            entries.push(Entry { path: top.to_owned(), about, kind, link: None, digest });
            if directory {
                let opened = self.root.open_file(dot(top), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
                self.below(opened, top, excludes, hashing, &mut entries)?;
            }
        }
        if entries.is_empty() {
            Err(Error::new("open", format!("{top:?}: kept away by the ignore file"), Errno::NOENT))
        } else {
            Ok(entries)
        }
    }

    fn ignores(&self, path: &Path) -> bool {
        !self.ignore.is_empty() && self.ignore.ignores(&path.to_string_lossy())
    }

    /// Without recursion, so that depth costs no stack.
    fn below(&self, top: OwnedFd, path: &Path, excludes: &Ignore, hashing: Hashing, entries: &mut Vec<Entry>) -> Result<()> {
        let mut levels = vec![Level::open(top, path.to_owned(), None)?];
        let top_depth = path.iter().count();
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let ignored = self.ignores(&path);
            if !excludes.is_empty() {
                let inner: PathBuf = path.iter().skip(top_depth).collect();
                if excludes.ignores(&inner.to_string_lossy()) || excludes.ignores(&path.to_string_lossy()) {
                    continue;
                }
            }
            if ignored && !self.ignore.may_take_back() {
                continue;
            }
            let about = stat(&level.directory, &name)?;
            let kind = FileType::from_raw_mode(about.st_mode);
            let entry = |link, digest| Entry { path: path.clone(), about, kind, link, digest };
            if kind == FileType::Directory {
                let opened = open_below(&level.directory, &name)?;
                let entry = entry(None, None);
                if ignored {
                    // It is there only if something in it is.
                    levels.push(Level::open(opened, path, Some(entry))?);
                } else {
                    announce(&mut levels, entries);
                    entries.push(entry);
                    levels.push(Level::open(opened, path, None)?);
                }
            } else if !ignored {
                let found = match kind {
                    FileType::Symlink => {
                        let link = rustix::fs::readlinkat(&level.directory, &name, Vec::new());
                        entry(Some(link.during("readlinkat", || format!("{path:?}"))?.into_bytes()), None)
                    }
                    FileType::RegularFile => {
                        let digest = self.digest(&path, &about, hashing, || {
                            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                            let opened = rustix::fs::openat(&level.directory, &name, flags, Mode::empty());
                            opened.during("openat", || format!("{path:?}"))
                        })?;
                        entry(None, digest)
                    }
                    FileType::Socket => continue,
                    _ => entry(None, None),
                };
                announce(&mut levels, entries);
                entries.push(found);
            }
            if entries.len() > MAX_ENTRIES {
                return Err(Error::new("open", "more than 4 million files".to_owned(), Errno::FBIG));
            }
        }
        Ok(())
    }

    fn digest(
        &self,
        path: &Path,
        about: &Stat,
        hashing: Hashing,
        open: impl FnOnce() -> Result<OwnedFd>,
    ) -> Result<Option<String>> {
        if hashing == Hashing::No {
            return Ok(None);
        }
        let (key, stamp) = (path.as_os_str().as_bytes(), Stamp::of(about));
        if let Some(known) = self.index.as_ref().and_then(|index| index.known(key, stamp)) {
            return Ok(Some(known));
        }
        let file = open()?;
        let digest = hash(&file, path)?;
        let after = rustix::fs::fstat(&file).during("fstat", || format!("{path:?}"))?;
        if Stamp::of(&after) == stamp
            && let Some(index) = &self.index
        {
            index.note(key, stamp, &digest, now());
        }
        Ok(Some(digest))
    }
}

/// Whether contents of files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// They matter.
    Yes,
    /// They are not looked at.
    No,
}

/// A directory that is being gone through.
struct Level {
    directory: OwnedFd,
    path: PathBuf,
    /// Names that are left, the next one last.
    names: Vec<OsString>,
    /// Itself, when it is only there if something in it is.
    pending: Option<Entry>,
}

impl Level {
    fn open(directory: OwnedFd, path: PathBuf, pending: Option<Entry>) -> Result<Self> {
        let mut names = names(&directory)?;
        names.reverse();
        Ok(Self { directory, path, names, pending })
    }
}

/// Directories above something that is there are there too.
fn announce(levels: &mut [Level], entries: &mut Vec<Entry>) {
    entries.extend(levels.iter_mut().filter_map(|level| level.pending.take()));
}

fn names(directory: &OwnedFd) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).during("opendir", String::new)? {
        let entry = entry.during("getdents64", String::new)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(OsString::from_vec(entry.file_name().to_bytes().to_vec()));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn stat(directory: impl AsFd, name: &OsString) -> Result<Stat> {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).during("fstatat", || format!("{name:?}"))
}

fn open_below(directory: &OwnedFd, name: &OsString) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).during("openat", || format!("{name:?}"))
}

pub(crate) fn hash(file: &OwnedFd, path: &Path) -> Result<String> {
    let duplicate = rustix::io::fcntl_dupfd_cloexec(file, 3).during("fcntl", || format!("{path:?}"))?;
    let mut file = std::fs::File::from(duplicate);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).during("read", || format!("{path:?}"))? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn now() -> i128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

/// The root itself has no name.
pub(crate) fn dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Without `..`, none of which leads above the root.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(clean.pop()),
            std::path::Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    clean
}

/// What entries are, as text: a line each, and its digest. Neither times nor owners are part of it; `owners` adds these.
pub(crate) fn manifest(entries: &[Entry], owners: bool) -> (String, Digest) {
    let mut text = String::new();
    for entry in entries {
        use std::fmt::Write;
        let mode = entry.about.st_mode & 0o7777;
        let content = match entry.kind {
            FileType::RegularFile => entry.digest.clone().unwrap_or_default(),
            FileType::Symlink => format!("->{}", Digest::of(entry.link.as_deref().unwrap_or_default()).hex()),
            FileType::Directory => "/".to_owned(),
            _ => format!("{:?}:{}", entry.kind, entry.about.st_rdev),
        };
        // What links are allowed to is no property of theirs.
        let mode = if entry.kind == FileType::Symlink { 0 } else { mode };
        let _ = write!(text, "{mode:o} {content} ");
        if owners {
            let _ = write!(text, "{}:{} ", entry.about.st_uid, entry.about.st_gid);
        }
        let _ = writeln!(text, "{:?}", entry.path);
    }
    let digest = Digest::of(text.as_bytes());
    (text, digest)
}
