//! An archive into a tree that is there: what `cp` writes. Both come from strangers.
//!
//! Entries are written one by one, as [`Root`] writes: files appear whole, nothing leads out of the tree, and a directory is only
//! ever merged with a directory. Names that go up are refused.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rcompose_sys::beneath::{Attributes, Root, describe, file_type, proc_path};
use rustix::fs::{FileType, Mode, OFlags, XattrFlags, makedev};
use rustix::io::Errno;

use super::CHUNK;
use crate::attributes;

/// To whom belongs what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// To whom the archive says, with every bit of its mode.
    Kept,
    /// To this user and group; programs run as whoever calls them.
    Given {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// Why an archive could not be written to a tree.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// It cannot be read.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// A name that goes up.
    #[error("`{}` in the archive leads out of where it is put", .0.display())]
    Outside(PathBuf),
    /// Something else is there already.
    #[error("cannot replace the {there} `{}` by a {comes}", path.display())]
    Clash {
        /// Where.
        path: PathBuf,
        /// What is there.
        there: &'static str,
        /// What comes.
        comes: &'static str,
    },
    /// The file system.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Writes what an archive holds below a directory of the tree, which is there.
pub fn extract(archive: impl Read, root: &Root, into: &Path, ownership: Ownership) -> Result<(), ExtractError> {
    let mut archive = tar::Archive::new(archive);
    let mut directories = Vec::new();
    for entry in archive.entries().map_err(ExtractError::Read)? {
        let mut entry = entry.map_err(ExtractError::Read)?;
        let name = entry.path().map_err(ExtractError::Read)?.into_owned();
        let Some(path) = inside(into, &name)? else { continue };
        let attributes = attributes_of(&entry, ownership)?;
        one(&mut entry, root, into, &path, &attributes)?;
        if entry.header().entry_type().is_dir() {
            directories.push((path, attributes));
        }
    }
    // What was put into a directory has changed its time.
    for (path, attributes) in directories.iter().rev() {
        let again = root.open_file(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        again.and_then(|directory| describe(directory, attributes)).map_err(|error| failed(path, error))?;
    }
    Ok(())
}

fn failed(path: &Path, source: impl Into<io::Error>) -> ExtractError {
    ExtractError::Write { path: path.to_owned(), source: source.into() }
}

/// The place of a name; `None` for the directory itself, which keeps what it is.
fn inside(into: &Path, name: &Path) -> Result<Option<PathBuf>, ExtractError> {
    let mut path = into.to_owned();
    let mut any = false;
    for component in name.components() {
        match component {
            Component::Normal(part) => {
                path.push(part);
                any = true;
            }
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(ExtractError::Outside(name.to_owned())),
        }
    }
    Ok(any.then_some(path))
}

fn attributes_of(entry: &tar::Entry<'_, impl Read>, ownership: Ownership) -> Result<Attributes, ExtractError> {
    let header = entry.header();
    let number = |value: io::Result<u64>| u32::try_from(value?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let read = || -> io::Result<Attributes> {
        let (uid, gid) = (number(header.uid())?, number(header.gid())?);
        let modified = UNIX_EPOCH.checked_add(Duration::from_secs(header.mtime()?));
        let mode = header.mode()?;
        Ok(match ownership {
            Ownership::Kept => Attributes { mode: mode & 0o7777, uid, gid, modified },
            Ownership::Given { uid, gid } => Attributes { mode: mode & 0o777, uid, gid, modified },
        })
    };
    read().map_err(ExtractError::Read)
}

fn one(
    entry: &mut tar::Entry<'_, impl Read>,
    root: &Root,
    into: &Path,
    path: &Path,
    attributes: &Attributes,
) -> Result<(), ExtractError> {
    if let Some(parent) = path.parent() {
        root.create_dir_all(parent, 0o755).map_err(|error| failed(path, error))?;
    }
    let kind = entry.header().entry_type();
    let comes = match kind {
        tar::EntryType::Directory => "directory",
        tar::EntryType::Symlink => "link",
        tar::EntryType::Char | tar::EntryType::Block => "device",
        _ => "file",
    };
    check_place(root, path, comes)?;
    let node = |kind| root.put_node(path, kind, device(entry.header()), attributes).map_err(|error| failed(path, error));
    match kind {
        tar::EntryType::Directory => {
            let directory = root.put_directory(path, attributes).map_err(|error| failed(path, error))?;
            put_attributes(entry, &directory)
        }
        tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => file(entry, root, path, attributes),
        tar::EntryType::Symlink => {
            let target = link_name(entry)?;
            root.put_symlink(path, target.as_os_str(), attributes).map_err(|error| failed(path, error))
        }
        tar::EntryType::Link => {
            let name = link_name(entry)?;
            let original = inside(into, &name)?.ok_or(ExtractError::Outside(name))?;
            root.put_link(path, original).map_err(|error| failed(path, error))
        }
        tar::EntryType::Char => node(FileType::CharacterDevice),
        tar::EntryType::Block => node(FileType::BlockDevice),
        tar::EntryType::Fifo => node(FileType::Fifo),
        // Comments, and what nobody knows.
        _ => Ok(()),
    }
}

fn check_place(root: &Root, path: &Path, comes: &'static str) -> Result<(), ExtractError> {
    let Ok(kind) = root.open_path_nofollow(path).and_then(file_type) else { return Ok(()) };
    let there = match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        _ => "file",
    };
    if (there == "directory") == (comes == "directory") {
        return Ok(());
    }
    Err(ExtractError::Clash { path: path.to_owned(), there, comes })
}

fn file(entry: &mut tar::Entry<'_, impl Read>, root: &Root, path: &Path, attributes: &Attributes) -> Result<(), ExtractError> {
    let mut new = root.new_file(path).map_err(|error| failed(path, error))?;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(entry.size()).unwrap_or(CHUNK)).max(1)];
    loop {
        match entry.read(&mut buffer).map_err(ExtractError::Read)? {
            0 => break,
            count => new.file().write_all(&buffer[..count]).map_err(|error| failed(path, error))?,
        }
    }
    let handle = new.file().try_clone().map_err(|error| failed(path, error))?;
    new.finish(attributes).map_err(|error| failed(path, error))?;
    // After the owner, whose change takes capabilities away.
    put_attributes(entry, &handle.into())
}

/// Extended attributes that the archive has; a file system without them does without.
fn put_attributes(entry: &mut tar::Entry<'_, impl Read>, file: &OwnedFd) -> Result<(), ExtractError> {
    let Some(extensions) = entry.pax_extensions().map_err(ExtractError::Read)? else { return Ok(()) };
    for extension in extensions.flatten() {
        let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) else { continue };
        if !attributes::belongs_to_layer(name) {
            continue;
        }
        match rustix::fs::setxattr(proc_path(file), name, extension.value_bytes(), XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(failed(Path::new(name), errno)),
        }
    }
    Ok(())
}

fn link_name(entry: &tar::Entry<'_, impl Read>) -> Result<PathBuf, ExtractError> {
    let name = entry.link_name_bytes().ok_or_else(|| ExtractError::Read(io::ErrorKind::InvalidData.into()))?;
    Ok(PathBuf::from(OsStr::from_bytes(&name)))
}

fn device(header: &tar::Header) -> u64 {
    let number = |value: io::Result<Option<u32>>| value.ok().flatten().unwrap_or(0);
    makedev(number(header.device_major()), number(header.device_minor()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use rcompose_sys::atomic::TempDir;

    use super::*;
    use crate::tree::{Part, write_part};

    fn archive(of: &Path, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let part = Part { path: Path::new("/tree"), name: Path::new(name), follow: false };
        write_part(&Root::open(of).unwrap(), part, &mut bytes).unwrap();
        bytes
    }

    fn tree() -> TempDir {
        let folder = TempDir::new().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/file"), "content").unwrap();
        std::fs::hard_link(tree.join("a/file"), tree.join("a/same")).unwrap();
        symlink("/etc/passwd", tree.join("link")).unwrap();
        std::fs::set_permissions(tree.join("a/file"), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
        folder
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let (from, to) = (tree(), TempDir::new().unwrap());
        std::fs::create_dir(to.path().join("into")).unwrap();
        let root = Root::open(to.path()).unwrap();
        let bytes = archive(from.path(), "other");
        for _ in 0..2 {
            extract(bytes.as_slice(), &root, Path::new("/into"), Ownership::Kept).unwrap();
        }
        let into = to.path().join("into/other");
        assert_eq!(std::fs::read_to_string(into.join("a/same")).unwrap(), "content");
        let about = std::fs::metadata(into.join("a/file")).unwrap();
        assert_eq!((about.nlink(), about.mode() & 0o7777), (2, 0o4755));
        assert_eq!(std::fs::read_link(into.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(
            std::fs::metadata(into.join("a")).unwrap().mtime(),
            std::fs::metadata(from.path().join("tree/a")).unwrap().mtime()
        );
        let given = Ownership::Given { uid: about.uid(), gid: about.gid() };
        extract(archive(from.path(), ".").as_slice(), &root, Path::new("/into"), given).unwrap();
        assert_eq!(std::fs::metadata(to.path().join("into/a/file")).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn nothing_is_written_outside_and_kinds_do_not_change() {
        let to = TempDir::new().unwrap();
        let root = Root::open(to.path()).unwrap();
        let mut hostile = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.as_gnu_mut().unwrap().name[..9].copy_from_slice(b"a/../../x");
        header.set_cksum();
        hostile.append(&header, io::empty()).unwrap();
        let refused = extract(hostile.into_inner().unwrap().as_slice(), &root, Path::new("/"), Ownership::Kept);
        assert!(matches!(refused, Err(ExtractError::Outside(_))), "{refused:?}");
        std::fs::create_dir(to.path().join("tree")).unwrap();
        std::fs::write(to.path().join("tree/a"), "").unwrap();
        let refused = extract(archive(tree().path(), "tree").as_slice(), &root, Path::new("/"), Ownership::Kept);
        assert_eq!(refused.unwrap_err().to_string(), "cannot replace the file `/tree/a` by a directory");
    }
}
