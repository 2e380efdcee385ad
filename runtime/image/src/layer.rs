//! Unpacking a layer: a stranger's archive into a directory of ours.
//!
//! Everything goes through the descriptor of the target; symbolic links are made as they are and followed inside only. An entry
//! replaces what is there unless both are directories. The digest is taken over the whole uncompressed stream and compared before
//! anything becomes visible.

mod compare;
mod decompress;
mod fuse;
#[cfg(test)]
mod hostile;
mod pack;
mod recipe;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rcompose_sys::beneath::{Root, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::fault;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, makedev};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use crate::Digest;
pub(crate) use compare::compare;
pub(crate) use decompress::{decompress, is_compressed};
pub(crate) use fuse::Fuse;
pub(crate) use pack::{PackError, PackOptions, pack};
use recipe::Recorder;
pub(crate) use recipe::{Packed, archive_size, replaced};

/// The most that one layer may unpack to.
const MAX_BYTES: u64 = 64 << 30;
/// The most entries of one layer.
const MAX_ENTRIES: u64 = 4_000_000;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A layer that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive itself.
    #[error("failed to read the layer")]
    Read(#[source] std::io::Error),
    /// An entry that would lead elsewhere, or cannot be.
    #[error("layer entry `{entry}`: {why}")]
    Entry {
        /// Its path.
        entry: String,
        /// What is wrong.
        why: String,
    },
    /// The file system refused.
    #[error("failed to unpack `{entry}`")]
    Write {
        /// Its path.
        entry: String,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
    /// The content is not what it should be.
    #[error("the layer's content is {found}, expected {expected}")]
    WrongDigest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// What is kept for putting it together again.
    #[error("failed to write the recipe of the layer")]
    Recipe(#[source] std::io::Error),
    /// More than allowed.
    #[error("the layer is too large: more than {0}")]
    TooLarge(&'static str),
}

/// Hashes and counts what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        if self.count > MAX_BYTES {
            return Err(std::io::Error::other("the layer is too large: more than 64 GiB"));
        }
        Ok(count)
    }
}

/// Bytes that are read at once.
const CHUNK: usize = 128 * 1024;

/// Unpacks a layer into an empty directory, and writes how it was put together to `recipe`; gives the digest of the whole
/// uncompressed stream, and the bytes of its files.
///
/// # Errors
/// Anything wrong with the archive.
pub(crate) fn unpack(archive: impl Read, target: &Path, recipe: &Path) -> Result<(Digest, u64), LayerError> {
    let recorder = Recorder::create(recipe).map_err(LayerError::Recipe)?;
    let stream = std::io::BufReader::with_capacity(CHUNK, decompress(archive).map_err(LayerError::Read)?);
    let mut hashing = Hashing { inner: recorder.reading(stream), hash: Sha256::new(), count: 0 };
    let root = Root::open(target).map_err(|source| LayerError::Write { entry: "/".to_owned(), source })?;
    let mut unpacking = Unpacking::new(root, Some(recorder.clone()), recipe::replaced(recipe));
    unpacking.entries(&mut hashing)?;
    unpacking.finish()?;
    // What lies behind the end of the archive belongs to its digest all the same.
    std::io::copy(&mut hashing, &mut std::io::sink()).map_err(LayerError::Read)?;
    recorder.finish().map_err(LayerError::Recipe)?;
    Ok((Digest::from_hash(&hashing.hash.finalize()), unpacking.bytes))
}

/// Unpacks an archive of files, which hides nothing and is not put together again, into an empty directory.
///
/// # Errors
/// Anything wrong with the archive.
pub fn unpack_files(archive: impl Read, target: &Path) -> Result<(), LayerError> {
    let mut hashing = Hashing { inner: decompress(archive).map_err(LayerError::Read)?, hash: Sha256::new(), count: 0 };
    let root = Root::open(target).map_err(|source| LayerError::Write { entry: "/".to_owned(), source })?;
    // What is not put together again need not be put aside.
    let mut unpacking = Unpacking::new(root, None, PathBuf::new());
    unpacking.entries(&mut hashing)?;
    unpacking.finish()
}

/// Decompresses what may be gzip, zstd or neither, by its first bytes.
///
/// # Errors
/// What grows beyond all measure is not read to its end.
pub fn decompressed<'a>(source: impl Read + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
    decompress(source)
}

struct Unpacking {
    root: Root,
    /// Without it the archive is no layer: names that hide something are names like others.
    recorder: Option<Recorder>,
    bytes: u64,
    entries: u64,
    /// Of directories, set at the end: every entry in them would change them.
    times: BTreeMap<PathBuf, Timespec>,
    /// What files are copied through.
    buffer: Vec<u8>,
    /// Files whose content the recipe takes from the layer, by inode, and their steps in it.
    recorded: HashMap<u64, u32>,
    /// Where such files go that a later entry replaces.
    replaced: PathBuf,
}

type Entry<'a, R> = tar::Entry<'a, R>;

impl Unpacking {
    fn new(root: Root, recorder: Option<Recorder>, replaced: PathBuf) -> Self {
        let (times, recorded, buffer) = (BTreeMap::new(), HashMap::new(), vec![0; CHUNK]);
        Self { root, recorder, bytes: 0, entries: 0, times, buffer, recorded, replaced }
    }

    /// Makes everything that an archive holds.
    fn entries(&mut self, archive: impl Read) -> Result<(), LayerError> {
        let fuse = Fuse::new();
        let mut tar = tar::Archive::new(fuse.reading(archive));
        let mut entries = tar.entries().map_err(LayerError::Read)?;
        while let Some(mut entry) = fuse.next(&mut entries).map_err(LayerError::Read)? {
            self.entry(&mut entry)?;
            // What nobody wanted of it, such as the content of a whiteout.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(LayerError::Read)?;
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), LayerError> {
        self.entries += 1;
        fault::point("image.layer.entry");
        if self.entries > MAX_ENTRIES {
            return Err(LayerError::TooLarge("4 million entries"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let raw = entry.path_bytes().into_owned();
        let path = clean(&raw).map_err(|why| LayerError::Entry { entry: name.clone(), why })?;
        let done = match path.file_name() {
            // The root itself: only what describes it.
            None => self.describe_root(entry),
            Some(file) if self.recorder.is_some() && file.as_bytes().starts_with(WHITEOUT) => self.whiteout(&path, file),
            Some(_) => self.make(entry, &path),
        };
        done.map_err(|failure| match failure {
            Failure::Refused(why) => LayerError::Entry { entry: name, why },
            Failure::System(source) => LayerError::Write { entry: name, source },
            Failure::Read(error) => LayerError::Read(error),
        })
    }

    /// A file that hides one of a lower layer becomes what overlayfs knows: a character device 0:0, or a marked directory.
    fn whiteout(&mut self, path: &Path, file: &OsStr) -> Result<(), Failure> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if file.as_bytes() == OPAQUE {
            let directory = self.root.create_dir_all(parent, 0o755)?;
            rustix::fs::setxattr(proc_path(&directory), "trusted.overlay.opaque", b"y", XattrFlags::empty())
                .during("setxattr", || "trusted.overlay.opaque".to_owned())?;
            return Ok(());
        }
        let hidden = &file.as_bytes()[WHITEOUT.len()..];
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Failure::Refused("it hides nothing".to_owned()));
        }
        let directory = self.root.create_dir_all(parent, 0o755)?;
        // A whiteout hides what lies below, never what its own layer brings.
        match rustix::fs::mknodat(&directory, OsStr::from_bytes(hidden), FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(rcompose_sys::Error::new("mknodat", format!("{hidden:?}, 0:0"), errno).into()),
        }
    }

    fn make<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> Result<(), Failure> {
        let kind = entry.header().entry_type();
        let mode = entry.header().mode().map_err(Failure::Read)? & 0o7777;
        let parent = self.root.create_dir_all(path.parent().unwrap_or(Path::new("")), 0o755)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        if kind.is_dir() {
            return self.directory(entry, &parent, &name, path, mode);
        }
        self.replace(&parent, &name)?;
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600))
                    .during("openat", || format!("{name:?}"))?;
                let mut file = std::fs::File::from(file);
                // A sparse file has other bytes in the archive than when it is read.
                let step = match (&self.recorder, kind) {
                    (None, _) | (_, tar::EntryType::GNUSparse) => None,
                    (Some(recorder), _) => recorder.file(path, entry.raw_file_position(), entry.size()).map_err(Failure::Read)?,
                };
                let inode = rustix::fs::fstat(&file).during("fstat", || format!("{name:?}"))?.st_ino;
                match step {
                    Some(step) => self.recorded.insert(inode, step),
                    // The number may have been that of a file that is gone.
                    None => self.recorded.remove(&inode),
                };
                self.content(entry, &mut file, &name)?;
                let owner = owner(entry)?;
                rustix::fs::fchown(&file, Some(owner.0), Some(owner.1)).during("fchown", || format!("{name:?}"))?;
                attributes(entry, &file)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).during("fchmod", || format!("{name:?}"))?;
                let times = Timestamps { last_access: modified(entry), last_modification: modified(entry) };
                rustix::fs::futimens(&file, &times).during("futimens", || format!("{name:?}"))?;
                Ok(())
            }
            tar::EntryType::Symlink => {
                let link = entry.link_name_bytes().unwrap_or_default().into_owned();
                rustix::fs::symlinkat(OsStr::from_bytes(&link), &parent, &name).during("symlinkat", || format!("{name:?}"))?;
                describe(entry, &parent, &name, None)
            }
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let target = clean(&target).map_err(Failure::Refused)?;
                // The link itself is linked, not what it leads to.
                let target = self.root.open_path_nofollow(&target)?;
                rustix::fs::linkat(rustix::fs::CWD, proc_path(&target), &parent, &name, AtFlags::SYMLINK_FOLLOW)
                    .during("linkat", || format!("{name:?}"))?;
                Ok(())
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => {
                let (kind, device) = device(entry, kind)?;
                rustix::fs::mknodat(&parent, &name, kind, Mode::from_raw_mode(0o600), device)
                    .during("mknodat", || format!("{name:?}"))?;
                describe(entry, &parent, &name, Some(mode))
            }
            other => Err(Failure::Refused(format!("entries of type {other:?} are not known"))),
        }
    }

    /// Makes way for an entry. A file that is part of the archive too is only put aside: the archive is to be put together again.
    fn replace(&self, parent: &OwnedFd, name: &OsString) -> Result<(), Failure> {
        let known = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let file = known.filter(|about| FileType::from_raw_mode(about.st_mode) == FileType::RegularFile);
        let Some(step) = file.and_then(|about| self.recorded.get(&about.st_ino)) else { return remove_existing(parent, name) };
        match rustix::fs::mkdir(&self.replaced, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(rcompose_sys::Error::new("mkdir", format!("{:?}", self.replaced), errno).into()),
        }
        let aside = self.replaced.join(step.to_string());
        Ok(rustix::fs::renameat(parent, name, rustix::fs::CWD, &aside).during("renameat", || format!("{name:?}, {aside:?}"))?)
    }

    fn content<R: Read>(&mut self, entry: &mut Entry<'_, R>, file: &mut std::fs::File, name: &OsString) -> Result<(), Failure> {
        loop {
            let count = match entry.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Read(error)),
            };
            self.bytes += count as u64;
            if self.bytes > MAX_BYTES {
                return Err(Failure::Refused("the layer is too large: more than 64 GiB".to_owned()));
            }
            std::io::Write::write_all(file, &self.buffer[..count]).map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                rcompose_sys::Error::new("write", format!("{name:?}"), errno)
            })?;
        }
    }

    fn directory<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        parent: &OwnedFd,
        name: &OsString,
        path: &Path,
        mode: u32,
    ) -> Result<(), Failure> {
        let is_directory = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Directory);
        if !is_directory {
            self.replace(parent, name)?;
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)).during("mkdirat", || format!("{name:?}"))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(parent, name, flags, Mode::empty()).during("openat", || format!("{name:?}"))?;
        let owner = owner(entry)?;
        rustix::fs::fchown(&directory, Some(owner.0), Some(owner.1)).during("fchown", || format!("{name:?}"))?;
        attributes(entry, &directory)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).during("fchmod", || format!("{name:?}"))?;
        self.times.insert(path.to_owned(), modified(entry));
        Ok(())
    }

    fn describe_root<R: Read>(&self, entry: &Entry<'_, R>) -> Result<(), Failure> {
        let owner = owner(entry)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let directory = self.root.open_file(".", flags, Mode::empty())?;
        rustix::fs::fchown(&directory, Some(owner.0), Some(owner.1)).during("fchown", || "\"/\"".to_owned())?;
        let mode = entry.header().mode().map_err(Failure::Read)? & 0o7777;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).during("fchmod", || "\"/\"".to_owned())?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), LayerError> {
        // The deepest first: setting the times of what is in a directory does not change it, but order costs nothing.
        for (path, time) in std::mem::take(&mut self.times).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            // One that a later entry replaced has no times to set.
            if let Ok(directory) = self.root.open_file(&path, flags, Mode::empty()) {
                let times = Timestamps { last_access: time, last_modification: time };
                let set = rustix::fs::futimens(&directory, &times).during("futimens", || format!("{path:?}"));
                set.map_err(|source| LayerError::Write { entry: path.display().to_string(), source })?;
            }
        }
        Ok(())
    }
}

enum Failure {
    Refused(String),
    System(rcompose_sys::Error),
    Read(std::io::Error),
}

impl From<rcompose_sys::Error> for Failure {
    fn from(error: rcompose_sys::Error) -> Self {
        Self::System(error)
    }
}

/// A path of the archive as a path below the root: no way up, nothing but names.
fn clean(raw: &[u8]) -> Result<PathBuf, String> {
    if raw.contains(&0) {
        return Err("its path holds a zero byte".to_owned());
    }
    if raw.len() > 4096 {
        return Err("its path is longer than 4096 bytes".to_owned());
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(raw)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err("its path leads out of the layer".to_owned()),
        }
    }
    Ok(path)
}

fn remove_existing(parent: &OwnedFd, name: &OsString) -> Result<(), Failure> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            let path = PathBuf::from(proc_path(parent)).join(name);
            Ok(rcompose_sys::atomic::remove_tree(&path)?)
        }
        Err(errno) => Err(rcompose_sys::Error::new("unlinkat", format!("{name:?}"), errno).into()),
    }
}

fn owner<R: Read>(entry: &Entry<'_, R>) -> Result<(Uid, Gid), Failure> {
    let number = |id: std::io::Result<u64>, what: &str| {
        let id = id.map_err(Failure::Read)?;
        let in_range = u32::try_from(id).ok().filter(|id| *id <= i32::MAX.unsigned_abs());
        in_range.ok_or_else(|| Failure::Refused(format!("{what} {id} is out of range")))
    };
    let header = entry.header();
    Ok((Uid::from_raw(number(header.uid(), "owner")?), Gid::from_raw(number(header.gid(), "group")?)))
}

fn modified<R: Read>(entry: &Entry<'_, R>) -> Timespec {
    let seconds = entry.header().mtime().unwrap_or(0).min(i64::MAX.unsigned_abs() / 4);
    Timespec { tv_sec: seconds.cast_signed(), tv_nsec: 0 }
}

/// Owner, mode and times of what is not opened; a link is described itself.
fn describe<R: Read>(entry: &Entry<'_, R>, parent: &OwnedFd, name: &OsString, mode: Option<u32>) -> Result<(), Failure> {
    let owner = owner(entry)?;
    rustix::fs::chownat(parent, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)
        .during("fchownat", || format!("{name:?}"))?;
    if let Some(mode) = mode {
        let handle = rustix::fs::openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .during("openat", || format!("{name:?}"))?;
        rustix::fs::chmod(proc_path(&handle), Mode::from_raw_mode(mode)).during("chmod", || format!("{name:?}"))?;
    }
    let times = Timestamps { last_access: modified(entry), last_modification: modified(entry) };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).during("utimensat", || format!("{name:?}"))?;
    Ok(())
}

fn device<R: Read>(entry: &Entry<'_, R>, kind: tar::EntryType) -> Result<(FileType, u64), Failure> {
    if kind == tar::EntryType::Fifo {
        return Ok((FileType::Fifo, 0));
    }
    let header = entry.header();
    let number = |number: std::io::Result<Option<u32>>| Ok::<_, Failure>(number.map_err(Failure::Read)?.unwrap_or(0));
    let (major, minor) = (number(header.device_major())?, number(header.device_minor())?);
    if kind == tar::EntryType::Block {
        return Ok((FileType::BlockDevice, makedev(major, minor)));
    }
    if (major, minor) == (0, 0) {
        // This is how overlayfs marks what is hidden; only we write it.
        return Err(Failure::Refused("a character device 0:0 would hide a file of a lower layer".to_owned()));
    }
    Ok((FileType::CharacterDevice, makedev(major, minor)))
}

/// Attributes of users and file capabilities. What speaks to overlayfs or to security modules is the host's to say.
fn attributes<R: Read>(entry: &mut Entry<'_, R>, file: impl AsFd) -> Result<(), Failure> {
    const PREFIX: &str = "SCHILY.xattr.";
    let Some(extensions) = entry.pax_extensions().map_err(Failure::Read)? else { return Ok(()) };
    for extension in extensions {
        let extension = extension.map_err(Failure::Read)?;
        let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix(PREFIX)) else { continue };
        let wanted = name == "security.capability" || (name.starts_with("user.") && !name.starts_with("user.overlay."));
        if wanted {
            // What the file system cannot hold is left out, as an unpacking tar does.
            let _ = rustix::fs::fsetxattr(&file, name, extension.value_bytes(), XattrFlags::empty());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rcompose_sys::atomic::TempDir;

    use super::*;

    struct Layer(tar::Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        /// Adds an entry whose path and link are taken as they are, however wrong.
        fn entry(mut self, kind: tar::EntryType, path: &str, link: &str, content: &[u8]) -> Self {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            self.0.append(&header, content).unwrap();
            self
        }

        fn file(self, path: &str, content: &str) -> Self {
            self.entry(tar::EntryType::Regular, path, "", content.as_bytes())
        }

        fn unpack(self) -> (TempDir, Result<u64, LayerError>) {
            let bytes = self.0.into_inner().unwrap();
            let folder = TempDir::new().unwrap();
            let target = folder.path().join("layer");
            std::fs::create_dir(&target).unwrap();
            let result = unpack(bytes.as_slice(), &target, &folder.path().join("recipe"));
            let result = result.map(|(digest, size)| {
                assert_eq!(digest, Digest::of(&bytes));
                size
            });
            (folder, result)
        }
    }

    #[test]
    fn unpacks_files_links_and_whiteouts() {
        let layer = Layer::new()
            .entry(tar::EntryType::Directory, "etc/", "", b"")
            .file("etc/hosts", "x")
            .entry(tar::EntryType::Link, "etc/again", "/etc/hosts", b"")
            .entry(tar::EntryType::Symlink, "etc/link", "/etc/hosts", b"")
            .file("etc/.wh.gone", "")
            .file("opt/.wh..wh..opq", "");
        let (folder, result) = layer.unpack();
        assert_eq!(result.unwrap(), 1);
        let etc = folder.path().join("layer/etc");
        assert_eq!(std::fs::metadata(etc.join("again")).unwrap().nlink(), 2);
        assert_eq!(std::fs::read_link(etc.join("link")).unwrap(), Path::new("/etc/hosts"));
        assert_eq!(std::fs::symlink_metadata(etc.join("gone")).unwrap().rdev(), 0);
        let mut value = [0; 8];
        let opaque = rustix::fs::getxattr(folder.path().join("layer/opt"), "trusted.overlay.opaque", &mut value[..]);
        assert_eq!(&value[..opaque.unwrap()], b"y");
    }

    #[test]
    fn is_put_together_again_byte_for_byte() {
        let long = format!("{}/file", "d".repeat(98));
        let large = "content ".repeat(50_000);
        let layer = Layer::new()
            .entry(tar::EntryType::Directory, "etc/", "", b"")
            .file("etc/empty", "")
            .file("etc/.wh.gone", "of a whiteout")
            .file("./etc/large", &large)
            .entry(tar::EntryType::Symlink, "conf", "etc", b"")
            .file("conf/through", "a link")
            .entry(tar::EntryType::Link, "etc/again", "etc/large", b"")
            .file(&long[3..], "x");
        let mut bytes = layer.0.into_inner().unwrap();
        bytes.extend_from_slice(b"behind the end");
        let folder = TempDir::new().unwrap();
        let (target, recipe) = (folder.path().join("layer"), folder.path().join("recipe"));
        std::fs::create_dir(&target).unwrap();
        let digest = Digest::of(&bytes);
        assert_eq!(unpack(bytes.as_slice(), &target, &recipe).unwrap().0, digest);
        assert_eq!(archive_size(&recipe).unwrap(), bytes.len() as u64);
        assert!(std::fs::metadata(&recipe).unwrap().len() < 1000, "the content of files is not in it");
        let mut again = Vec::new();
        Packed::open(&target, &recipe, &digest).unwrap().read_to_end(&mut again).unwrap();
        assert!(again == bytes);
        std::fs::write(target.join("conf/through"), "b link").unwrap();
        let changed = Packed::open(&target, &recipe, &digest).unwrap().read_to_end(&mut again);
        assert!(changed.unwrap_err().to_string().contains("is not what it was"));
    }

    #[test]
    fn nothing_is_written_outside() {
        let victim = TempDir::new().unwrap();
        let out = victim.path().join("written").to_string_lossy().into_owned();
        let layers = [
            Layer::new().file("../../escape", "x"),
            Layer::new().entry(tar::EntryType::Link, "passwd", "../../../etc/passwd", b""),
            Layer::new().entry(tar::EntryType::Char, "null", "", b""),
            Layer::new().file("dir/.wh..", "x"),
        ];
        for layer in layers {
            let (_folder, result) = layer.unpack();
            assert!(result.is_err(), "{result:?}");
        }
        // Through a link the entry lands inside, where the link leads as seen from the layer's root.
        let through =
            Layer::new().entry(tar::EntryType::Symlink, "out", victim.path().to_str().unwrap(), b"").file("out/written", "x");
        let (_folder, result) = through.unpack();
        assert!(result.is_err() || !Path::new(&out).exists());
        assert!(!Path::new(&out).exists());
        // A file that replaces a link does not write through it.
        let replaced = Layer::new().entry(tar::EntryType::Symlink, "file", &out, b"").file("file", "x");
        let (folder, result) = replaced.unpack();
        result.unwrap();
        assert!(!Path::new(&out).exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("layer/file")).unwrap(), "x");
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let bytes = Layer::new().file("a", "x").0.into_inner().unwrap();
        let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        assert!(unpack(&bytes[..700], folder.path(), &elsewhere.path().join("recipe")).is_err());
    }
}
