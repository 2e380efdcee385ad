//! A tree as an archive: what `export` gives, sorted, with owners, modes, times, links, devices and attributes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, major, minor};

use crate::attributes;
use crate::level::Level;

/// Writes everything below a directory, without following links; `None` is empty.
///
/// # Errors
/// Those of `output`, and of what cannot be read.
pub fn write_tree(root: Option<&Root>, output: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(output);
    if let Some(root) = root {
        let top = root.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Writing { archive: &mut archive, links: BTreeMap::new() }.folders(top)?;
    }
    archive.into_inner()?.flush()
}

struct Writing<'a, W: Write> {
    archive: &'a mut tar::Builder<W>,
    /// Files with several names, and the first of them.
    links: BTreeMap<(u64, u64), PathBuf>,
}

impl<W: Write> Writing<'_, W> {
    /// Without recursion, so that depth costs no stack.
    fn folders(&mut self, top: OwnedFd) -> io::Result<()> {
        let mut levels = vec![Level::open(top, PathBuf::new())?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = level.path.join(&name);
            let about = rustix::fs::statat(&level.directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            match FileType::from_raw_mode(about.st_mode) {
                FileType::Directory => {
                    let below = rustix::fs::openat(&level.directory, &name, flags | OFlags::DIRECTORY, Mode::empty())?;
                    self.entry(tar::EntryType::Directory, &path, &about, 0, &attributes(&below), io::empty())?;
                    levels.push(Level::open(below, path)?);
                }
                FileType::RegularFile => {
                    let file = rustix::fs::openat(&level.directory, &name, flags, Mode::empty())?;
                    self.file(file, &path, &about)?;
                }
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(&level.directory, &name, Vec::new())?;
                    let mut header = header(tar::EntryType::Symlink, &about, 0);
                    let target = std::ffi::OsStr::from_bytes(target.to_bytes());
                    self.archive.append_link(&mut header, &path, target)?;
                }
                // This is how overlayfs marks what is hidden: it is not there.
                FileType::CharacterDevice if about.st_rdev == 0 => {}
                FileType::CharacterDevice => self.entry(tar::EntryType::Char, &path, &about, 0, &[], io::empty())?,
                FileType::BlockDevice => self.entry(tar::EntryType::Block, &path, &about, 0, &[], io::empty())?,
                FileType::Fifo => self.entry(tar::EntryType::Fifo, &path, &about, 0, &[], io::empty())?,
                // Sockets live as long as whoever listens.
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, file: OwnedFd, path: &Path, about: &Stat) -> io::Result<()> {
        let identity = (about.st_dev, about.st_ino);
        if about.st_nlink > 1 {
            if let Some(first) = self.links.get(&identity) {
                let mut header = header(tar::EntryType::Link, about, 0);
                return self.archive.append_link(&mut header, path, first);
            }
            self.links.insert(identity, path.to_owned());
        }
        let size = u64::try_from(about.st_size).unwrap_or(0);
        let attributes = attributes(&file);
        self.entry(tar::EntryType::Regular, path, about, size, &attributes, File::from(file).take(size))
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
