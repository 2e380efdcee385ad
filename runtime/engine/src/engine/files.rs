//! What a container has of the host's files: volumes, images, bind sources, and files that are written for it.

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use super::Engine;
use super::create::ensure_source;
use crate::EngineError;
use crate::bundle::{Source, Sources};
use crate::container::{ContainerSpec, FileContent, InjectedFile, MountSource};
use crate::error::Doing;
use crate::record::Paths;

impl Engine {
    /// Has everything ready that is mounted from the host, and writes injected files.
    pub(super) fn sources(&self, paths: &Paths, spec: &ContainerSpec) -> Result<Sources, EngineError> {
        let mut sources = Sources::new();
        for mount in &spec.mounts {
            match &mount.source {
                MountSource::Volume { name, subpath, .. } => {
                    let volume = self.volumes.acquire(name)?;
                    let subpath = subpath.clone().filter(|path| !path.is_empty());
                    let read_only = volume.is_read_only();
                    sources.insert(mount.target.clone(), Source { trees: vec![volume.data()], subpath, read_only });
                }
                MountSource::Image { reference, subpath } => {
                    let (_, _, view) = self.images.open_image(reference)?;
                    let subpath = subpath.clone().filter(|path| !path.is_empty());
                    sources.insert(mount.target.clone(), Source { trees: view.lower, subpath, read_only: true });
                }
                MountSource::Bind { path, create, .. } => ensure_source(&spec.name, path, *create)?,
                MountSource::Tmpfs { .. } | MountSource::Trees { .. } => {}
            }
        }
        if !spec.files.is_empty() {
            let folder = paths.files();
            release_files(paths);
            std::fs::create_dir_all(&folder).doing(|| format!("make {}", folder.display()))?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount("tmpfs", &folder, "tmpfs", flags, Some(c"mode=0711,size=16m"))
                .doing(|| format!("mount {}", folder.display()))?;
            for (number, file) in spec.files.iter().enumerate() {
                let path = folder.join(number.to_string());
                inject(&path, file).doing(|| format!("write `{}` of container {}", file.target, spec.name))?;
                sources.insert(file.target.clone(), Source::file(path));
            }
        }
        Ok(sources)
    }
}

fn inject(path: &Path, file: &InjectedFile) -> std::io::Result<()> {
    use std::io::Write;
    let bytes = match &file.content {
        FileContent::Inline(text) => text.clone().into_bytes(),
        FileContent::HostFile(source) => {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let read = || -> std::io::Result<Vec<u8>> {
                let open = rustix::fs::open(source, flags, Mode::empty())?;
                Ok(rcompose_sys::beneath::read_regular(open, 8 << 20)?)
            };
            // It is the file of the host that cannot be read, and nothing of the container's.
            read().map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", source.display())))?
        }
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    let mut target = std::fs::File::from(target);
    target.write_all(&bytes)?;
    std::os::unix::fs::fchown(&target, Some(file.uid), Some(file.gid))?;
    target.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(file.mode))
}

/// Takes injected files out of memory. What is not there is fine.
pub(super) fn release_files(paths: &Paths) {
    let folder = paths.files();
    if folder.exists() {
        // Busy or not mounted: it goes with its last user, or is a plain folder.
        let _ = rustix::mount::unmount(&folder, UnmountFlags::DETACH);
        let _ = std::fs::remove_dir(&folder);
    }
}
