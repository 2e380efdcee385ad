//! Trees of mounts that are put together where nobody sees them, and are attached nowhere.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};

use crate::Error;
use crate::error::Context;
use crate::namespace::{self, Kinds};

/// Runs `build` in a mount namespace that ends with it; gives what it has mounted at `place`, with everything below.
///
/// The tree is there as long as its descriptor, or one that was opened by it. No mount table ever shows it.
pub fn apart<E: From<Error> + Send>(place: &Path, build: impl FnOnce() -> Result<(), E> + Send) -> Result<OwnedFd, E> {
    crate::netns::on_thread(|| {
        namespace::unshare(Kinds::MOUNT)?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).during("mount", || "\"/\", MS_REC|MS_PRIVATE".to_owned())?;
        if let Err(error) = build() {
            return Ok(Err(error));
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        Ok(Ok(open_tree(rustix::fs::CWD, place, flags).during("open_tree", || format!("{place:?}, OPEN_TREE_CLONE"))?))
    })?
}
