//! An unpacked layer beside its archive: is everything there, as it was, and nothing else?
//!
//! The content of files is part of the archive's digest; this is about the rest: kinds, owners, modes, sizes, links.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rcompose_sys::beneath::Root;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};

use super::{OPAQUE, WHITEOUT, clean};

/// The most entries that are compared: more would be held in memory.
const MAX_ENTRIES: usize = 1_000_000;
/// The most differences that are told.
const MAX_TOLD: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    kind: FileType,
    /// Of anything but links.
    mode: Option<u32>,
    owner: (u64, u64),
    /// Of files.
    size: Option<u64>,
    /// Of links.
    target: Option<Vec<u8>>,
}

/// Reads an archive to its end and compares it with the tree that was made of it; gives what differs.
pub(crate) fn compare(archive: &mut impl Read, layer: &Path) -> io::Result<Vec<String>> {
    let root = Root::open(layer)?;
    let mut expected: BTreeMap<PathBuf, Expected> = BTreeMap::new();
    let mut tar = tar::Archive::new(&mut *archive);
    for entry in tar.entries()? {
        let entry = entry?;
        if expected.len() >= MAX_ENTRIES {
            return Ok(vec![format!("it has more than {MAX_ENTRIES} entries: they are not compared")]);
        }
        add(&mut expected, &entry)?;
    }
    io::copy(archive, &mut io::sink())?;
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for (path, wanted) in &expected {
        let shown = format!("/{}", path.display());
        let found = root.open_path_nofollow(path).and_then(|handle| {
            let about = rustix::fs::fstat(&handle).map_err(|errno| rcompose_sys::Error::new("fstat", &shown, errno))?;
            let target = rustix::fs::readlinkat(&handle, "", Vec::new()).ok().map(std::ffi::CString::into_bytes);
            Ok((about, target))
        });
        match found {
            Ok((about, target)) => {
                known.insert(about.st_ino);
                problems.extend(difference(wanted, &about, target).map(|what| format!("{shown} {what}")));
            }
            Err(_) => problems.push(format!("{shown} is missing")),
        }
        if problems.len() >= MAX_TOLD {
            return Ok(problems);
        }
    }
    strangers(layer, &known, &mut problems)?;
    Ok(problems)
}

fn add<R: Read>(expected: &mut BTreeMap<PathBuf, Expected>, entry: &tar::Entry<'_, R>) -> io::Result<()> {
    let path = clean(&entry.path_bytes()).map_err(io::Error::other)?;
    let header = entry.header();
    let hidden = |name: &[u8]| path.with_file_name(OsStr::from_bytes(name));
    match path.file_name().map(OsStrExt::as_bytes) {
        None | Some(OPAQUE) => return Ok(()),
        Some(name) if name.starts_with(WHITEOUT) => {
            let name = &name[WHITEOUT.len()..];
            if !name.starts_with(WHITEOUT) && !expected.contains_key(&hidden(name)) {
                let owner = (0, 0);
                let device = Expected { kind: FileType::CharacterDevice, mode: None, owner, size: None, target: None };
                expected.insert(hidden(name), device);
            }
            return Ok(());
        }
        Some(_) => {}
    }
    let link = || entry.link_name_bytes().unwrap_or_default().into_owned();
    let kind = match header.entry_type() {
        tar::EntryType::Directory => FileType::Directory,
        tar::EntryType::Symlink => FileType::Symlink,
        tar::EntryType::Char => FileType::CharacterDevice,
        tar::EntryType::Block => FileType::BlockDevice,
        tar::EntryType::Fifo => FileType::Fifo,
        tar::EntryType::Link => {
            let target = clean(&link()).map_err(io::Error::other)?;
            if let Some(same) = expected.get(&target).cloned() {
                expected.insert(path, same);
            }
            return Ok(());
        }
        _ => FileType::RegularFile,
    };
    if kind != FileType::Directory && expected.get(&path).is_some_and(|known| known.kind == FileType::Directory) {
        // What was below it went with it.
        expected.retain(|other, _| !other.starts_with(&path));
    }
    // A sparse file has another size than its entry.
    let plain = matches!(header.entry_type(), tar::EntryType::Regular | tar::EntryType::Continuous);
    let wanted = Expected {
        kind,
        mode: (kind != FileType::Symlink).then_some(header.mode()? & 0o7777),
        owner: (header.uid()?, header.gid()?),
        size: plain.then(|| entry.size()),
        target: (kind == FileType::Symlink).then(link),
    };
    expected.insert(path, wanted);
    Ok(())
}

fn difference(wanted: &Expected, about: &Stat, target: Option<Vec<u8>>) -> Option<String> {
    let kind = FileType::from_raw_mode(about.st_mode);
    if kind != wanted.kind {
        return Some(format!("is of another kind: {kind:?} instead of {:?}", wanted.kind));
    }
    let owner = (u64::from(about.st_uid), u64::from(about.st_gid));
    if owner != wanted.owner {
        return Some(format!("belongs to {}:{} instead of {}:{}", owner.0, owner.1, wanted.owner.0, wanted.owner.1));
    }
    let mode = about.st_mode & 0o7777;
    if wanted.mode.is_some_and(|wanted| wanted != mode) {
        return Some(format!("has mode {mode:o} instead of {:o}", wanted.mode.unwrap_or(0)));
    }
    if wanted.size.is_some_and(|size| size != u64::try_from(about.st_size).unwrap_or(0)) {
        return Some(format!("has {} bytes instead of {}", about.st_size, wanted.size.unwrap_or(0)));
    }
    (wanted.target.is_some() && wanted.target != target).then(|| "leads to another place".to_owned())
}

/// Files that no entry made. Directories may be there only to hold others.
fn strangers(layer: &Path, known: &BTreeSet<u64>, problems: &mut Vec<String>) -> io::Result<()> {
    let mut folders = vec![PathBuf::new()];
    let root = Root::open(layer)?;
    while let Some(folder) = folders.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory =
            root.open_file(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder }, flags, Mode::empty())?;
        for entry in Dir::new(directory)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = folder.join(name);
            if entry.file_type() == FileType::Directory {
                folders.push(path);
            } else if !known.contains(&entry.ino()) {
                problems.push(format!("/{} is not part of it", path.display()));
            }
            if problems.len() >= MAX_TOLD {
                return Ok(());
            }
        }
    }
    Ok(())
}
