//! Single files that are mounted from the host and were replaced there: a mount holds the file, not its name.

use std::path::Path;

use rcompose_sys::beneath::{Root, file_type};
use rcompose_sys::mount::{self, Change};
use rcompose_sys::namespace;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::Engine;
use crate::EngineError;
use crate::container::{Mount, MountSource};
use crate::error::Doing;

impl Engine {
    /// Has a container that runs see the file that has its mounts' source as its name now; gives where. What does not run sees it
    /// when it starts. Whoever has the old one open keeps it.
    ///
    /// # Errors
    /// When the kernel is older than 6.5: nothing could take the place of a mount at once.
    pub fn rebind(&self, id: &str, source: &Path) -> Result<Vec<String>, EngineError> {
        let entry = self.entry(id)?;
        let record = entry.record();
        let Some(running) = entry.running() else { return Ok(Vec::new()) };
        let is_of = |mount: &&Mount| matches!(&mount.source, MountSource::Bind { path, .. } if path == source);
        let mut done = Vec::new();
        for bound in record.spec.mounts.iter().filter(is_of) {
            let doing = || format!("mount {} anew at `{}` of container {}", source.display(), bound.target, record.spec.name);
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let copy = open_tree(rustix::fs::CWD, source, flags).doing(doing)?;
            if file_type(&copy).doing(doing)? != FileType::RegularFile {
                continue;
            }
            let open = |name: &str, flags: OFlags| rustix::fs::open(name, flags | OFlags::CLOEXEC, Mode::empty());
            let mounts = open(&format!("/proc/{}/ns/mnt", running.pid()), OFlags::RDONLY).doing(doing)?;
            // Ours, which is what descriptors are named by also in a namespace that has another /proc, or none.
            let descriptors = open("/proc/self/fd", OFlags::PATH | OFlags::DIRECTORY).doing(doing)?;
            let mut changes = vec![Change::private()];
            changes.extend(bound.read_only.then(|| Change::read_only(false)));
            let replaced = namespace::run_with_mounts_of(&mounts, || {
                let target = Root::open(Path::new("/"))?.open_path(&bound.target)?;
                mount::replace(&copy, &target, &descriptors, &changes)
            });
            match replaced.and_then(|result| result) {
                Ok(()) => done.push(bound.target.clone()),
                // It has ended meanwhile.
                Err(error) if error.errno() == Errno::NOENT => {}
                Err(error) => return Err(error).doing(doing),
            }
        }
        Ok(done)
    }
}
