//! Device nodes and links of `/dev`.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::beneath::{Root, proc_path};
use rcompose_sys::error::Context;
use rcompose_sys::{Error, Result};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, makedev};
use rustix::io::Errno;

use super::Prepared;
use super::channel::StartError;
use super::steps::{Doing, StepResult};
use crate::spec::Device;

/// Name, major and minor number of what every container has.
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Fills `/dev` of the root.
pub(super) fn create(root: &Root, prepared: &Prepared) -> StepResult<()> {
    // A link in the image named /dev would have the nodes made elsewhere (CVE-2026-41579).
    let dev = match root.open_path_nofollow("/dev") {
        Ok(dev) => dev,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error).doing(|| "failed to open /dev".to_owned()),
    };
    if rcompose_sys::beneath::file_type(&dev).doing(|| "failed to look at /dev".to_owned())? != FileType::Directory {
        return Err(StartError { code: 128, text: "/dev of the image is not a directory".to_owned() });
    }
    // Only a /dev of our own is filled; a bind mount of the host's has everything.
    if !prepared.spec.mounts.iter().any(|mount| mount.destination == "/dev" && mount.kind.as_deref() == Some("tmpfs")) {
        return Ok(());
    }
    let umask = rustix::process::umask(Mode::empty());
    let made = fill(root, &dev, prepared);
    rustix::process::umask(umask);
    made
}

fn fill(root: &Root, dev: &OwnedFd, prepared: &Prepared) -> StepResult<()> {
    for (name, major, minor) in DEFAULT {
        let made = node(dev, name, FileType::CharacterDevice, (major, minor), 0o666);
        drop(made.doing(|| format!("failed to make /dev/{name}"))?);
    }
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, dev, name) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno).doing(|| format!("failed to make the link /dev/{name}")),
        }
    }
    if prepared.process().terminal {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let console = rustix::fs::openat(dev, "console", flags, Mode::from_raw_mode(0o620));
        drop(console.doing(|| "failed to make /dev/console".to_owned())?);
    }
    prepared.linux().devices.iter().try_for_each(|device| asked(root, device).doing(|| format!("failed to make {}", device.path)))
}

fn asked(root: &Root, device: &Device) -> Result<()> {
    let kind = match device.kind.as_str() {
        "c" | "u" => FileType::CharacterDevice,
        "b" => FileType::BlockDevice,
        "p" => FileType::Fifo,
        other => return Err(Error::new("mknodat", format!("type {other:?}"), Errno::INVAL)),
    };
    let path = std::path::Path::new(&device.path);
    if let Some(parent) = path.parent() {
        root.create_dir_all(parent, 0o755)?;
    }
    let (parent, name) = root.open_parent(path)?;
    let name = name.to_string_lossy();
    let mode = device.file_mode.unwrap_or(0o666);
    let made = node(&parent, &name, kind, (device.major, device.minor), mode)?;
    // By descriptor: where the node lies in a volume, others may exchange what the name stands for.
    let owner = (device.uid.map(Uid::from_raw), device.gid.map(Gid::from_raw));
    rustix::fs::chownat(&made, "", owner.0, owner.1, AtFlags::EMPTY_PATH).during("fchownat", || device.path.clone())?;
    rustix::fs::chmod(proc_path(&made), Mode::from_raw_mode(mode)).during("fchmodat", || device.path.clone())
}

/// Makes a node unless it is there, and gives a handle of it, which has been looked at.
fn node(parent: &OwnedFd, name: &str, kind: FileType, (major, minor): (u32, u32), mode: u32) -> Result<OwnedFd> {
    let number = makedev(major, minor);
    match rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(mode), number) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::new("mknodat", format!("{name:?}, {major}:{minor}"), errno)),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::empty()).during("openat", || format!("{name:?}, O_PATH"))?;
    let about = rustix::fs::fstat(&made).during("fstat", || name.to_owned())?;
    let same = FileType::from_raw_mode(about.st_mode) == kind && (kind == FileType::Fifo || about.st_rdev == number);
    if same { Ok(made) } else { Err(Error::new("mknodat", name.to_owned(), Errno::EXIST)) }
}

/// Lets go of the host's `/dev/null` where that is standard input: root inside could change its mode for everybody.
/// Where the container has none, a pipe without a writer is as empty.
pub(super) fn leave_null_of_host() -> StepResult<()> {
    let what = || "failed to give the process a null device".to_owned();
    if !is_null(rustix::stdio::stdin()).doing(what)? {
        return Ok(());
    }
    match open_null() {
        Ok(null) => rustix::stdio::dup2_stdin(&null).doing(what),
        Err(_) => {
            let (reader, _) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(what)?;
            rustix::stdio::dup2_stdin(&reader).doing(what)
        }
    }
}

fn is_null(handle: impl AsFd) -> rustix::io::Result<bool> {
    let about = rustix::fs::fstat(handle)?;
    Ok(FileType::from_raw_mode(about.st_mode) == FileType::CharacterDevice && about.st_rdev == makedev(1, 3))
}

/// `/dev/null`, checked to be that: what hides files of /proc must not be something else (CVE-2025-31133).
pub(super) fn open_null() -> Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty()).during("open", || "\"/dev/null\"".to_owned())?;
    if is_null(&null).during("fstat", || "\"/dev/null\"".to_owned())? {
        Ok(null.into())
    } else {
        Err(Error::new("open", "\"/dev/null\": not the null device", Errno::INVAL))
    }
}
