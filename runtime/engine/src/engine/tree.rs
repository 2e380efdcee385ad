//! A container's files, from outside: what `cp`, `export`, `commit` and syncing read and write.
//!
//! ```text
//! runs         its mount namespace, by way of its first process: volumes, memory and all that was mounted since
//! does not     its layers and mounts, put together in a namespace that nobody else sees; without what is in memory
//! ```
//! [`Tree`] is a descriptor and the promise of [`Root`]: paths are resolved below it by the kernel, no link leads out of it, and
//! no process runs in the container for it. To read, take [`Engine::read_tree`]. To write, give [`Engine::change_tree`] the work:
//! it gets a [`Root`] with `new_file`, `put_directory`, `put_symlink`, `remove_all` and so on (`sys::beneath::change`), and a
//! container that does not run cannot start meanwhile. A tree is for one piece of work: a container that was started anew has
//! another, and what is written to the old one may be lost.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rcompose_container::init::{StartError, attach_all};
use rcompose_container::spec::Mount;
use rcompose_image::View;
use rcompose_sys::beneath::Root;
use rcompose_sys::mount::{self, Writable};
use rcompose_sys::{namespace, overlay, process};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree};

use super::{Engine, Entry, lock};
use crate::EngineError;
use crate::bundle;
use crate::container::MountSource;
use crate::error::Doing;
use crate::record::{Paths, Record};

/// The files of a container.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    /// Of a container that runs. While it is held, what is mounted below the root stays where it is, also when the container ends.
    namespace: Option<OwnedFd>,
}

impl Tree {
    /// Where its paths begin.
    pub fn root(&self) -> &Root {
        &self.root
    }
}

impl Engine {
    /// Opens the files of a container for reading, as its processes see them.
    pub fn read_tree(&self, id: &str) -> Result<Tree, EngineError> {
        let entry = self.entry(id)?;
        if let Some(tree) = live(&entry)? {
            return Ok(tree);
        }
        let _transition = lock(&entry.transition);
        self.still(&entry, Access::Read)
    }

    /// Lets `work` change the files of a container; if it does not run, it cannot be started before that is done.
    pub fn change_tree<T>(&self, id: &str, work: impl FnOnce(&Root) -> Result<T, EngineError>) -> Result<T, EngineError> {
        let entry = self.entry(id)?;
        if let Some(tree) = live(&entry)? {
            return work(tree.root());
        }
        let _transition = lock(&entry.transition);
        let tree = match live(&entry)? {
            Some(tree) => tree,
            None => self.still(&entry, Access::Write)?,
        };
        work(tree.root())
    }

    /// Opens the root file system of a container for reading, without anything that is mounted in it.
    pub fn read_layers(&self, id: &str) -> Result<Tree, EngineError> {
        let entry = self.entry(id)?;
        let (_, _, view) = self.images.open_image(&entry.record().image_id)?;
        let doing = || format!("open the files of container {}", entry.record().spec.name);
        let base = match live(&entry)? {
            // Clones of mounts can be attached in another namespace than the one they were cloned in.
            Some(Tree { root, namespace: Some(namespace) }) => Base::Mounted(root_mount(&root, &namespace).doing(doing)?),
            _ => Base::Read,
        };
        let tree = self.assemble(&entry.paths, &view, base, &bundle::image_mounts(&view)).doing(doing)?;
        Ok(Tree { root: Root::from_fd(tree), namespace: None })
    }

    /// The directories that the root of a container is made of, topmost first: what it has changed, and its image.
    pub fn layers_of(&self, id: &str) -> Result<Vec<PathBuf>, EngineError> {
        let entry = self.entry(id)?;
        let (_, _, view) = self.images.open_image(&entry.record().image_id)?;
        Ok([vec![entry.paths.directory.join("upper")], view.lower].concat())
    }

    /// Puts the files of a container together that does not run; the caller holds its transition.
    fn still(&self, entry: &Entry, access: Access) -> Result<Tree, EngineError> {
        let record = entry.record();
        let doing = || format!("open the files of container {}", record.spec.name);
        let (_, _, view) = self.images.open_image(&record.image_id)?;
        // Its volumes are in use until they are part of the tree.
        entry.starting.store(true, Ordering::SeqCst);
        let tree = self.own_mounts(&entry.paths, &record, &view).and_then(|mounts| {
            let writable = access == Access::Write && !record.spec.read_only;
            let base = if writable { Base::Write } else { Base::Read };
            self.assemble(&entry.paths, &view, base, &mounts).doing(doing)
        });
        entry.starting.store(false, Ordering::SeqCst);
        self.release_volumes();
        Ok(Tree { root: Root::from_fd(tree?), namespace: None })
    }

    /// What would be mounted in a container, without what is in memory.
    fn own_mounts(&self, paths: &Paths, record: &Record, view: &View) -> Result<Vec<Mount>, EngineError> {
        let mut spec = record.spec.clone();
        spec.files.clear();
        spec.mounts.retain(|mount| !matches!(mount.source, MountSource::Tmpfs { .. }));
        let sources = self.sources(paths, &spec)?;
        let mut mounts = bundle::own_mounts(&spec, view, &paths.etc(), &sources)?;
        // Written at its first start.
        let etc = paths.etc();
        mounts.retain(|mount| mount.source.as_ref().is_none_or(|source| !source.starts_with(&etc) || source.exists()));
        Ok(mounts)
    }

    fn assemble(&self, paths: &Paths, view: &View, base: Base, mounts: &[Mount]) -> Result<OwnedFd, AssembleError> {
        let place = paths.directory.join("rootfs");
        let layers = self.layers(paths, view)?;
        let (upper, work) = (paths.directory.join("upper"), paths.directory.join("work"));
        let writable = Writable { upper: &upper, work: &work, throwaway: false };
        let overlay = |access: Access| {
            let mounted = match access {
                Access::Write => overlay::mounted(&layers, Some(writable)),
                Access::Read => overlay::mounted(&[std::slice::from_ref(&upper), &layers].concat(), None),
            };
            mounted.map(Root::from_fd)
        };
        mount::apart(&place, || match base {
            Base::Write => fill(&overlay(Access::Write)?, &place, mounts),
            Base::Mounted(mounted) => fill(&Root::from_fd(mounted), &place, mounts),
            Base::Read => {
                let root = overlay(Access::Read)?;
                if mounts.iter().any(|mount| is_missing(&root, mount)) {
                    // Places for what is mounted are made as a start would make them.
                    fill(&overlay(Access::Write)?, &place, mounts)?;
                    rustix::mount::unmount(&place, UnmountFlags::DETACH)?;
                    return fill(&overlay(Access::Read)?, &place, mounts);
                }
                fill(&root, &place, mounts)
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// What the mounts of a tree are attached to.
enum Base {
    /// The layers; nothing can be written.
    Read,
    /// The layers.
    Write,
    /// The root of a container that runs.
    Mounted(OwnedFd),
}

/// Why a tree could not be put together.
#[derive(Debug, thiserror::Error)]
enum AssembleError {
    #[error(transparent)]
    System(#[from] rcompose_sys::Error),
    #[error(transparent)]
    Input(#[from] std::io::Error),
    #[error(transparent)]
    Mount(#[from] StartError),
}

impl From<Errno> for AssembleError {
    fn from(errno: Errno) -> Self {
        Self::Input(errno.into())
    }
}

impl From<AssembleError> for std::io::Error {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::System(error) => error.into(),
            AssembleError::Input(error) => error,
            AssembleError::Mount(error) => Self::other(error),
        }
    }
}

fn is_missing(root: &Root, mount: &Mount) -> bool {
    matches!(root.open_path(&mount.destination), Err(error) if error.errno() == Errno::NOENT)
}

fn fill(root: &Root, place: &Path, mounts: &[Mount]) -> Result<(), AssembleError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(root, "", rustix::fs::CWD, place, flags)?;
    Ok(attach_all(root, mounts)?)
}

/// The files of a container that runs; `None` if it does not.
fn live(entry: &Entry) -> Result<Option<Tree>, EngineError> {
    let Some(running) = entry.running() else { return Ok(None) };
    let open = |name: &str, flags: OFlags| {
        rustix::fs::open(format!("/proc/{}/{name}", running.pid()), flags | OFlags::CLOEXEC, Mode::empty())
    };
    // The namespace first: whoever has ended since has no root any more.
    let opened =
        open("ns/mnt", OFlags::RDONLY).and_then(|namespace| Ok((namespace, open("root", OFlags::PATH | OFlags::DIRECTORY)?)));
    // Looked at after both were opened: the number was its own until then.
    let ended = process::pidfd_wait(running.first_process(), Some(std::time::Duration::ZERO));
    match (ended, opened) {
        (Ok(false), Ok((namespace, root))) => Ok(Some(Tree { root: Root::from_fd(root), namespace: Some(namespace) })),
        (Ok(false), Err(errno)) => Err(errno).doing(|| format!("open the files of container {}", entry.record().spec.name)),
        // About to be taken note of.
        _ => Ok(None),
    }
}

/// A copy of what is mounted as the root of a container, and of nothing that is mounted below it.
fn root_mount(root: &Root, namespace: &OwnedFd) -> rcompose_sys::Result<OwnedFd> {
    let copy = || {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        open_tree(root, "", flags).map_err(|errno| rcompose_sys::Error::new("open_tree", "OPEN_TREE_CLONE", errno))
    };
    namespace::run_with_mounts_of(namespace, copy)?
}
