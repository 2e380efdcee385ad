//! From a directory to the archive of a layer: sorted, with whole seconds, the same bytes for the same content.
//!
//! The directory is the upper one of an overlay: a character device 0:0 hides a file below, an attribute makes a directory
//! opaque. The archive itself is written nowhere: its digest is taken, and the recipe that puts it together again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::{Root, proc_path};
use rcompose_sys::error::Context;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, major, minor};
use sha2::{Digest as _, Sha256};

use super::recipe::Recorder;
use super::{OPAQUE, WHITEOUT};
use crate::Digest;
use crate::attributes;
use crate::level::Level;

const BLOCK: usize = 512;
const OVERLAY: &str = "trusted.overlay.";

/// A directory that cannot become a layer.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file that cannot be read.
    #[error("failed to read `{entry}`")]
    Read {
        /// Its path in the layer.
        entry: String,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
    /// A file that is written to while it is packed.
    #[error("`{0}` changed while it was read")]
    Changed(String),
    /// What is kept for putting the archive together again.
    #[error("failed to write the recipe of the layer")]
    Recipe(#[source] io::Error),
}

/// A layer that was packed.
pub(crate) struct PackedLayer {
    /// Of the archive.
    pub(crate) digest: Digest,
    /// Of its files.
    pub(crate) bytes: u64,
}

/// How a directory is packed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PackOptions {
    /// Later times become this, in seconds since 1970.
    pub(crate) latest: Option<i64>,
    /// The directory itself has an entry too: its mode or owner is not what it was below.
    pub(crate) with_root: bool,
}

/// Packs a directory, and takes from it what only the overlay that wrote it knows.
pub(crate) fn pack(directory: &Path, recipe: &Path, how: PackOptions) -> Result<PackedLayer, PackError> {
    let root = Root::open(directory).map_err(at_root)?;
    let recorder = Recorder::create(recipe).map_err(PackError::Recipe)?;
    let mut packer = Packer { recorder, hash: Sha256::new(), position: 0, bytes: 0, links: BTreeMap::new(), latest: how.latest };
    let top = root.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(at_root)?;
    if how.with_root {
        let about = rustix::fs::fstat(&top).during("fstat", String::new).map_err(at_root)?;
        packer.header(tar::EntryType::Directory, b"./", &about, &[], 0, &[])?;
    }
    packer.tree(top)?;
    packer.write(&[0; 2 * BLOCK])?;
    let Packer { recorder, hash, bytes, .. } = packer;
    recorder.finish().map_err(PackError::Recipe)?;
    Ok(PackedLayer { digest: Digest::from_hash(&hash.finalize()), bytes })
}

fn at_root(source: rcompose_sys::Error) -> PackError {
    PackError::Read { entry: "/".to_owned(), source }
}

struct Packer {
    recorder: Recorder,
    hash: Sha256,
    position: u64,
    bytes: u64,
    /// Files with several names, and the first of them.
    links: BTreeMap<(u64, u64), PathBuf>,
    latest: Option<i64>,
}

impl Packer {
    /// Without recursion, so that depth costs no stack.
    fn tree(&mut self, top: OwnedFd) -> Result<(), PackError> {
        strip(&top);
        let mut levels = vec![Level::open(top, PathBuf::new()).map_err(at_root)?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let read = |source| PackError::Read { entry: path.display().to_string(), source };
            let about = rustix::fs::statat(&level.directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            let about = about.during("fstatat", || format!("{name:?}")).map_err(read)?;
            if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(&level.directory, &name, flags, Mode::empty());
                let below = below.during("openat", || format!("{name:?}")).map_err(read)?;
                self.directory(&below, &path, &about)?;
                let below = Level::open(below, path.clone()).map_err(read)?;
                levels.push(below);
            } else {
                let directory = level.directory.as_fd();
                self.entry(&directory, &name, &path, &about)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, directory: &OwnedFd, path: &Path, about: &Stat) -> Result<(), PackError> {
        let attributes = attributes(directory);
        let opaque = attributes.iter().any(|(name, value)| name == "trusted.overlay.opaque" && value == b"y");
        strip(directory);
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.push(b'/');
        let clamped = self.modified(about);
        if clamped != about.st_mtime {
            let times = times(clamped);
            let set = rustix::fs::futimens(directory, &times).during("futimens", || format!("{path:?}"));
            set.map_err(|source| PackError::Read { entry: path.display().to_string(), source })?;
        }
        self.header(tar::EntryType::Directory, &name, about, &[], 0, &attributes)?;
        if opaque {
            self.hidden(&path.join(OsStr::from_bytes(OPAQUE)))?;
        }
        Ok(())
    }

    fn entry(&mut self, directory: &impl AsFd, name: &OsStr, path: &Path, about: &Stat) -> Result<(), PackError> {
        let read = |source| PackError::Read { entry: path.display().to_string(), source };
        let raw = path.as_os_str().as_bytes();
        let kind = FileType::from_raw_mode(about.st_mode);
        if kind == FileType::CharacterDevice && about.st_rdev == 0 {
            let hidden = [WHITEOUT, name.as_bytes()].concat();
            return self.hidden(&path.with_file_name(OsStr::from_bytes(&hidden)));
        }
        // No archive holds one, and nobody could answer there.
        if kind == FileType::Socket {
            return Ok(());
        }
        if about.st_nlink > 1 {
            if let Some(first) = self.links.get(&(about.st_dev, about.st_ino)) {
                let first = first.as_os_str().as_bytes().to_vec();
                return self.header(tar::EntryType::Link, raw, about, &first, 0, &[]);
            }
            self.links.insert((about.st_dev, about.st_ino), path.to_owned());
        }
        let clamped = self.modified(about);
        if clamped != about.st_mtime {
            let set = rustix::fs::utimensat(directory, name, &times(clamped), AtFlags::SYMLINK_NOFOLLOW);
            set.during("utimensat", || format!("{path:?}")).map_err(read)?;
        }
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(directory, name, flags, Mode::empty());
                let file = file.during("openat", || format!("{name:?}")).map_err(read)?;
                self.file(file, path, about)
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(directory, name, Vec::new());
                let link = link.during("readlinkat", || format!("{name:?}")).map_err(read)?;
                self.header(tar::EntryType::Symlink, raw, about, link.as_bytes(), 0, &[])
            }
            FileType::Fifo => self.header(tar::EntryType::Fifo, raw, about, &[], 0, &[]),
            FileType::CharacterDevice => self.header(tar::EntryType::Char, raw, about, &[], 0, &[]),
            FileType::BlockDevice => self.header(tar::EntryType::Block, raw, about, &[], 0, &[]),
            FileType::Directory | FileType::Socket | FileType::Unknown => Ok(()),
        }
    }

    fn file(&mut self, file: OwnedFd, path: &Path, about: &Stat) -> Result<(), PackError> {
        let attributes = attributes(&file);
        strip(&file);
        let size = u64::try_from(about.st_size).unwrap_or(0);
        self.header(tar::EntryType::Regular, path.as_os_str().as_bytes(), about, &[], size, &attributes)?;
        self.recorder.file(path, self.position, size).map_err(PackError::Recipe)?;
        let read = |error: io::Error| PackError::Read {
            entry: path.display().to_string(),
            source: crate::store::io("read", path, &error),
        };
        let mut left = size;
        let mut source = File::from(file).take(size);
        let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).clamp(1, 256 * 1024)];
        while left > 0 {
            let count = source.read(&mut buffer).map_err(read)?;
            if count == 0 {
                return Err(PackError::Changed(path.display().to_string()));
            }
            left -= count as u64;
            self.write(&buffer[..count])?;
        }
        self.bytes += size;
        self.pad(size)
    }

    /// An entry that hides something of the layers below.
    fn hidden(&mut self, path: &Path) -> Result<(), PackError> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_mtime(0);
        self.entry_header(header, path.as_os_str().as_bytes(), &[], Vec::new())
    }

    fn header(
        &mut self,
        kind: tar::EntryType,
        name: &[u8],
        about: &Stat,
        link: &[u8],
        size: u64,
        attributes: &[(String, Vec<u8>)],
    ) -> Result<(), PackError> {
        const LARGEST: u64 = 0o7_777_777;
        let mut header = tar::Header::new_ustar();
        let mut extensions = Vec::new();
        header.set_entry_type(kind);
        header.set_mode(about.st_mode & 0o7777);
        for (key, number) in [("uid", u64::from(about.st_uid)), ("gid", u64::from(about.st_gid))] {
            if number > LARGEST {
                extensions.push((key.as_bytes().to_vec(), number.to_string().into_bytes()));
            }
        }
        header.set_uid(u64::from(about.st_uid).min(LARGEST));
        header.set_gid(u64::from(about.st_gid).min(LARGEST));
        if size > 0o77_777_777_777 {
            extensions.push((b"size".to_vec(), size.to_string().into_bytes()));
        }
        header.set_size(size.min(0o77_777_777_777));
        header.set_mtime(u64::try_from(self.modified(about)).unwrap_or(0).min(0o77_777_777_777));
        if matches!(kind, tar::EntryType::Char | tar::EntryType::Block)
            && let Some(ustar) = header.as_ustar_mut()
        {
            ustar.set_device_major(major(about.st_rdev));
            ustar.set_device_minor(minor(about.st_rdev));
        }
        for (key, value) in attributes.iter().filter(|(key, _)| !key.starts_with(OVERLAY)) {
            extensions.push((format!("SCHILY.xattr.{key}").into_bytes(), value.clone()));
        }
        self.entry_header(header, name, link, extensions)
    }

    /// Writes a header, before it what does not fit.
    fn entry_header(
        &mut self,
        mut header: tar::Header,
        name: &[u8],
        link: &[u8],
        mut extensions: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), PackError> {
        for (key, value, field) in [("path", name, 0), ("linkpath", link, 1)] {
            let old = header.as_old_mut();
            let target = if field == 0 { &mut old.name } else { &mut old.linkname };
            let length = value.len().min(target.len());
            target[..length].copy_from_slice(&value[..length]);
            if value.len() > length {
                extensions.push((key.as_bytes().to_vec(), value.to_vec()));
            }
        }
        if !extensions.is_empty() {
            extensions.sort();
            let records: Vec<u8> = extensions.iter().flat_map(|(key, value)| record(key, value)).collect();
            let mut extended = tar::Header::new_ustar();
            extended.set_entry_type(tar::EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(records.len() as u64);
            extended.as_old_mut().name[..12].copy_from_slice(b"PaxHeaders.0");
            extended.set_cksum();
            self.write(extended.as_bytes())?;
            self.write(&records)?;
            self.pad(records.len() as u64)?;
        }
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn modified(&self, about: &Stat) -> i64 {
        about.st_mtime.min(self.latest.unwrap_or(i64::MAX))
    }

    fn pad(&mut self, length: u64) -> Result<(), PackError> {
        let left = usize::try_from(length % BLOCK as u64).unwrap_or(0);
        if left == 0 { Ok(()) } else { self.write(&[0; BLOCK][left..]) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.hash.update(bytes);
        self.position += bytes.len() as u64;
        self.recorder.pass(bytes).map_err(PackError::Recipe)
    }
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

/// Attributes that a layer may have, and those of overlays.
fn attributes(file: impl AsFd) -> Vec<(String, Vec<u8>)> {
    attributes::read(file, |name| attributes::belongs_to_layer(name) || name.starts_with(OVERLAY))
}

/// Takes what an overlay has written for itself; only that a directory is opaque is part of the layer.
fn strip(file: impl AsFd) {
    for (name, _) in attributes(&file) {
        if name.starts_with(OVERLAY) && name != "trusted.overlay.opaque" {
            // One that stays says nothing to an overlay that has this layer below.
            let _ = rustix::fs::removexattr(proc_path(&file), name);
        }
    }
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::*;

    /// Packs `made`, puts the archive together again, and unpacks it elsewhere.
    fn there_and_back(made: &dyn Fn(&Path)) -> (TempDir, Vec<(String, tar::EntryType)>) {
        let folder = TempDir::new().unwrap();
        let (upper, recipe, again) = (folder.path().join("upper"), folder.path().join("recipe"), folder.path().join("again"));
        std::fs::create_dir(&upper).unwrap();
        std::fs::create_dir(&again).unwrap();
        made(&upper);
        let packed = pack(&upper, &recipe, PackOptions::default()).unwrap();
        let mut archive = Vec::new();
        super::super::Packed::open(&upper, &recipe, &packed.digest).unwrap().read_to_end(&mut archive).unwrap();
        assert_eq!(archive.len() % 512, 0);
        let bytes = super::super::unpack(archive.as_slice(), &again, &folder.path().join("other")).unwrap();
        assert_eq!(bytes, (packed.digest.clone(), packed.bytes));
        assert_eq!(pack(&again, &recipe, PackOptions::default()).unwrap().digest, packed.digest, "packed again it is the same");
        let mut tar = tar::Archive::new(archive.as_slice());
        let entries = tar.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().entry_type())
        });
        let entries = entries.collect();
        (folder, entries)
    }

    #[test]
    fn everything_a_layer_can_hold_comes_back() {
        let long = "long/".repeat(40) + "name";
        let (folder, entries) = there_and_back(&|upper| {
            std::fs::create_dir_all(upper.join("b/c")).unwrap();
            std::fs::write(upper.join("b/file"), vec![7; 700]).unwrap();
            std::fs::hard_link(upper.join("b/file"), upper.join("b/link")).unwrap();
            std::os::unix::fs::symlink("../else/where", upper.join("a")).unwrap();
            std::fs::create_dir_all(upper.join(&long).parent().unwrap()).unwrap();
            std::fs::write(upper.join(&long), "deep").unwrap();
            let device = upper.join("b/gone");
            rustix::fs::mknodat(rustix::fs::CWD, &device, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
            rustix::fs::setxattr(upper.join("b/c"), "trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty()).unwrap();
            rustix::fs::setxattr(upper.join("b"), "trusted.overlay.impure", b"y", rustix::fs::XattrFlags::empty()).unwrap();
            rustix::fs::setxattr(upper.join("b/file"), "user.note", b"x", rustix::fs::XattrFlags::empty()).unwrap();
        });
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..7], ["a", "b/", "b/c/", "b/c/.wh..wh..opq", "b/file", "b/.wh.gone", "b/link"]);
        assert_eq!(entries[6].1, tar::EntryType::Link);
        let again = folder.path().join("again");
        assert_eq!(std::fs::read(again.join(&long)).unwrap(), b"deep");
        let mut value = [0; 8];
        assert_eq!(rustix::fs::getxattr(again.join("b/file"), "user.note", &mut value[..]).unwrap(), 1);
        assert!(rustix::fs::getxattr(folder.path().join("upper/b"), "trusted.overlay.impure", &mut value[..]).is_err());
    }

    #[test]
    fn an_empty_layer_is_the_one_that_everybody_has() {
        let (folder, _) = there_and_back(&|_| {});
        let packed = pack(&folder.path().join("upper"), &folder.path().join("recipe"), PackOptions::default()).unwrap();
        assert_eq!(packed.digest.hex(), "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    }

    #[test]
    fn times_are_clamped_in_the_archive_and_in_the_directory() {
        let folder = TempDir::new().unwrap();
        let upper = folder.path().join("upper");
        std::fs::create_dir_all(upper.join("d")).unwrap();
        std::fs::write(upper.join("d/f"), "x").unwrap();
        let recipe = folder.path().join("recipe");
        let first = pack(&upper, &recipe, PackOptions { latest: Some(1000), with_root: false }).unwrap().digest;
        std::fs::write(upper.join("d/f"), "x").unwrap();
        assert_eq!(pack(&upper, &recipe, PackOptions { latest: Some(1000), with_root: false }).unwrap().digest, first);
        let modified = std::fs::metadata(upper.join("d/f")).unwrap().modified().unwrap();
        assert_eq!(modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1000);
    }
}
