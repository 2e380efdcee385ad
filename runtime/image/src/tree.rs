//! A tree as an archive: what `export` and `cp` give, sorted, with owners, modes, times, links, devices and attributes.
//!
//! The tree may change while it is read, and may belong to somebody who wants to harm whoever reads it: what is opened is looked
//! at again, and nothing but a regular file is read.

mod extract;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::{Root, proc_path};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, major, minor};
use rustix::io::Errno;

use crate::attributes;
use crate::level::Level;

pub use extract::{ExtractError, Ownership, extract};

/// Bytes of a file that are read at a time.
const CHUNK: usize = 256 * 1024;

/// Writes everything below a directory, without following links; `None` is empty.
///
/// # Errors
/// Those of `output`, and of what cannot be read.
pub fn write_tree(root: Option<&Root>, output: impl Write) -> io::Result<()> {
    let mut writing = Writing::to(output);
    if let Some(root) = root {
        let top = root.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        writing.folders(Level::open(top, PathBuf::new())?)?;
    }
    writing.archive.into_inner()?.flush()
}

/// What of a tree goes into an archive.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// What the archive calls it: one name, or `.`.
    pub name: &'a Path,
    /// A symbolic link at the path stands for what it leads to.
    pub follow: bool,
}

/// Writes what is at a path, with everything below it; links below it are not followed.
///
/// # Errors
/// As [`write_tree`].
pub fn write_part(root: &Root, part: Part<'_>, output: impl Write) -> io::Result<()> {
    let mut writing = Writing::to(output);
    let handle = if part.follow { root.open_path(part.path)? } else { root.open_path_nofollow(part.path)? };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let about = rustix::fs::statat(&handle, "", AtFlags::EMPTY_PATH)?;
    match FileType::from_raw_mode(about.st_mode) {
        FileType::Directory => {
            let top = rustix::fs::openat(&handle, ".", flags | OFlags::DIRECTORY, Mode::empty())?;
            writing.entry(tar::EntryType::Directory, part.name, &about, 0, &attributes(&top), io::empty())?;
            writing.folders(Level::open(top, part.name.to_owned())?)?;
        }
        // By its handle: whatever is at the path by now.
        FileType::RegularFile => writing.file(rustix::fs::open(proc_path(&handle), flags, Mode::empty())?, part.name, &about)?,
        FileType::Symlink => writing.link(&handle, OsStr::new(""), part.name, &about)?,
        kind => writing.special(kind, part.name, &about)?,
    }
    writing.archive.into_inner()?.flush()
}

struct Writing<W: Write> {
    archive: tar::Builder<W>,
    /// Files with several names, and the first of them.
    links: BTreeMap<(u64, u64), PathBuf>,
}

impl<W: Write> Writing<W> {
    fn to(output: W) -> Self {
        Self { archive: tar::Builder::new(output), links: BTreeMap::new() }
    }

    /// Without recursion, so that depth costs no stack.
    fn folders(&mut self, top: Level) -> io::Result<()> {
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            match self.node(&level.directory, &name, &path) {
                Ok(below) => levels.extend(below.map(|below| Level::open(below, path)).transpose()?),
                // It went meanwhile.
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            }
        }
        Ok(())
    }

    /// Writes one entry; a directory comes back to be gone into.
    fn node(&mut self, directory: &OwnedFd, name: &OsStr, path: &Path) -> io::Result<Option<OwnedFd>> {
        let about = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory => {
                let below = rustix::fs::openat(directory, name, flags | OFlags::DIRECTORY, Mode::empty())?;
                self.entry(tar::EntryType::Directory, path, &about, 0, &attributes(&below), io::empty())?;
                return Ok(Some(below));
            }
            FileType::RegularFile => {
                self.file(rustix::fs::openat(directory, name, flags, Mode::empty())?, path, &about)?;
            }
            FileType::Symlink => self.link(directory, name, path, &about)?,
            kind => self.special(kind, path, &about)?,
        }
        Ok(None)
    }

    fn link(&mut self, directory: &OwnedFd, name: &OsStr, path: &Path, about: &Stat) -> io::Result<()> {
        let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
        let mut header = header(tar::EntryType::Symlink, about, 0);
        self.archive.append_link(&mut header, path, OsStr::from_bytes(target.to_bytes()))
    }

    fn special(&mut self, kind: FileType, path: &Path, about: &Stat) -> io::Result<()> {
        let kind = match kind {
            // This is how overlayfs marks what is hidden: it is not there.
            FileType::CharacterDevice if about.st_rdev == 0 => return Ok(()),
            FileType::CharacterDevice => tar::EntryType::Char,
            FileType::BlockDevice => tar::EntryType::Block,
            FileType::Fifo => tar::EntryType::Fifo,
            // Sockets live as long as whoever listens.
            _ => return Ok(()),
        };
        self.entry(kind, path, about, 0, &[], io::empty())
    }

    /// Writes a file that was one when it was looked at; when something else was opened, it changed meanwhile.
    fn file(&mut self, file: OwnedFd, path: &Path, seen: &Stat) -> io::Result<()> {
        let about = &rustix::fs::fstat(&file)?;
        let identity = (about.st_dev, about.st_ino);
        if identity != (seen.st_dev, seen.st_ino) {
            return Err(io::Error::other("it was replaced while it was read"));
        }
        if about.st_nlink > 1 {
            if let Some(first) = self.links.get(&identity) {
                let mut header = header(tar::EntryType::Link, about, 0);
                return self.archive.append_link(&mut header, path, first);
            }
            self.links.insert(identity, path.to_owned());
        }
        let size = u64::try_from(about.st_size).unwrap_or(0);
        let attributes = attributes(&file);
        let content = Exactly { file: File::from(file), left: size };
        // The archive takes it in small pieces.
        let capacity = usize::try_from(size).unwrap_or(CHUNK).min(CHUNK);
        self.entry(tar::EntryType::Regular, path, about, size, &attributes, io::BufReader::with_capacity(capacity, content))
    }

    fn entry(
        &mut self,
        kind: tar::EntryType,
        path: &Path,
        about: &Stat,
        size: u64,
        attributes: &[(String, Vec<u8>)],
        content: impl Read,
    ) -> io::Result<()> {
        let named: Vec<(String, &[u8])> =
            attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.as_slice())).collect();
        self.archive.append_pax_extensions(named.iter().map(|(name, value)| (name.as_str(), *value)))?;
        self.archive.append_data(&mut header(kind, about, size), path, content)
    }
}

/// As many bytes as the header says, also of a file that has been cut meanwhile: what follows would be read as content.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut count = self.file.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            buffer[..wanted].fill(0);
            count = wanted;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn header(kind: tar::EntryType, about: &Stat, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(about.st_mode & 0o7777);
    header.set_uid(about.st_uid.into());
    header.set_gid(about.st_gid.into());
    header.set_mtime(u64::try_from(about.st_mtime).unwrap_or(0));
    header.set_size(size);
    if matches!(kind, tar::EntryType::Char | tar::EntryType::Block)
        && let Some(gnu) = header.as_gnu_mut()
    {
        gnu.set_device_major(major(about.st_rdev));
        gnu.set_device_minor(minor(about.st_rdev));
    }
    header
}

/// Those that a layer may have.
fn attributes(file: impl AsFd) -> Vec<(String, Vec<u8>)> {
    attributes::read(file, attributes::belongs_to_layer)
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;
    use crate::{Import, Store};

    #[test]
    fn a_tree_goes_out_and_comes_back_as_it_was() {
        let folder = TempDir::new().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/file"), "content").unwrap();
        std::fs::hard_link(tree.join("a/file"), tree.join("a/same")).unwrap();
        std::os::unix::fs::symlink("a/file", tree.join("link")).unwrap();
        rustix::fs::setxattr(tree.join("a/file"), "user.note", b"x", rustix::fs::XattrFlags::empty()).unwrap();
        let export = |of: &Path| {
            let mut archive = Vec::new();
            write_tree(Some(&Root::open(of).unwrap()), &mut archive).unwrap();
            archive
        };
        let store = Store::open(&folder.path().join("store")).unwrap();
        let how = Import {
            reference: Some("tree:1".parse().unwrap()),
            created: "2020-01-01T00:00:00Z".to_owned(),
            ..Import::default()
        };
        let loaded = store.import(export(&tree).as_slice(), &how).unwrap();
        let (_, config, view) = store.open_image("tree:1").unwrap();
        assert_eq!((config.os.as_str(), loaded.tags.len()), ("linux", 1));
        assert!(export(&view.lower[0]) == export(&tree), "exported again it is the same");
        assert_eq!(store.check(|_| {})[0].problems, []);
        assert!(store.import(&b"no archive at all, however long it may be"[..], &how).is_err());
    }
}
