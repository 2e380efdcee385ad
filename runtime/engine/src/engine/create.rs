//! Making a container: its record, its own layer, its volumes. Nothing runs yet.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rcompose_image::{ImageConfig, View};
use rcompose_sys::atomic::{self, TempDir};
use rcompose_sys::beneath::{Root, file_type};
use rcompose_volume::VolumeSpec;
use rustix::fs::FileType;

use super::{Engine, Entry, is_free, lock, new_id, now};
use crate::container::{Mount, MountSource};
use crate::error::Doing;
use crate::record::Record;
use crate::{ContainerSpec, EngineError};

impl Engine {
    /// Makes a container that does not run yet. `replaces` hands its anonymous volumes over.
    pub fn create(&self, mut spec: ContainerSpec, replaces: Option<&str>) -> Result<Record, EngineError> {
        let (image_id, image, view) = self.images.open_image(&spec.image)?;
        let name = spec.name.clone();
        self.reserve(&spec)?;
        let made = self.make(&mut spec, image_id, &image, &view, replaces);
        lock(&self.reserved).remove(&name);
        made
    }

    fn reserve(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let mut reserved = lock(&self.reserved);
        if !is_free(&lock(&self.containers), spec) || !reserved.insert(spec.name.clone()) {
            return Err(EngineError::NameTaken(spec.name.clone()));
        }
        Ok(())
    }

    fn make(
        &self,
        spec: &mut ContainerSpec,
        image_id: String,
        image: &ImageConfig,
        view: &View,
        replaces: Option<&str>,
    ) -> Result<Record, EngineError> {
        let id = new_id()?;
        let name = spec.name.clone();
        let doing = || format!("create container {name}");
        let inherited = replaces.and_then(|id| self.get(id).ok()).map(|it| it.record);
        let folder = TempDir::below(&self.config.data_root.join("containers")).doing(doing)?;
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(folder.path(), mode(0o711)).doing(doing)?;
        for name in ["upper", "work", "rootfs", "etc"] {
            std::fs::create_dir(folder.path().join(name)).doing(doing)?;
        }
        std::fs::set_permissions(folder.path().join("upper"), mode(0o755)).doing(doing)?;
        // Tools look for it to know that they are in a container.
        std::fs::write(folder.path().join("upper/.dockerenv"), "").doing(doing)?;
        let anonymous_volumes = self.prepare_volumes(spec, image, view, inherited.as_ref())?;
        let record = Record {
            id: id.clone(),
            spec: spec.clone(),
            image_id,
            created: now() / 1_000_000_000,
            started_at: None,
            anonymous_volumes,
            failure: None,
            removing: false,
        };
        record.write(folder.path()).doing(doing)?;
        let paths = self.paths(id.as_str());
        atomic::publish_dir(folder.path(), &paths.directory).doing(doing)?;
        drop(folder.into_path());
        let entry = Entry { record: Mutex::new(record.clone()), running: Mutex::new(None), paths };
        lock(&self.containers).insert(id.to_string(), Arc::new(entry));
        Ok(record)
    }

    /// Makes the volumes that are missing and fills those that are new; gives the names of the anonymous ones.
    fn prepare_volumes(
        &self,
        spec: &mut ContainerSpec,
        image: &ImageConfig,
        view: &View,
        inherited: Option<&Record>,
    ) -> Result<Vec<String>, EngineError> {
        // What the image declares and nobody mounts over.
        for target in image.config.volumes.keys() {
            let target = target.trim_end_matches('/');
            if target.starts_with('/') && !spec.mounts.iter().any(|mount| mount.target.trim_end_matches('/') == target) {
                let source = MountSource::Volume { name: String::new(), nocopy: false, subpath: None };
                spec.mounts.push(Mount { target: target.to_owned(), read_only: false, source });
            }
        }
        let mut anonymous = Vec::new();
        for mount in &mut spec.mounts {
            let target = mount.target.clone();
            match &mut mount.source {
                MountSource::Volume { name, nocopy, .. } => {
                    let unnamed = name.is_empty();
                    if unnamed {
                        *name = match inherited.and_then(|record| anonymous_at(record, &target)) {
                            Some(inherited) => inherited,
                            None => atomic::random_hex(32).doing(|| "name a volume".to_owned())?,
                        };
                        anonymous.push(name.clone());
                    }
                    let labels = std::collections::BTreeMap::from([("com.docker.volume.anonymous".to_owned(), String::new())]);
                    let labels = if unnamed { labels } else { std::collections::BTreeMap::new() };
                    let wanted = VolumeSpec { name: name.clone(), anonymous: unnamed, labels, ..VolumeSpec::default() };
                    let volume = self.volumes.ensure(wanted)?;
                    if !*nocopy && let Some(source) = directory_of_image(view, &target) {
                        self.volumes.fill(&volume, &source)?;
                    }
                }
                MountSource::Bind { path, create, .. } => {
                    if !path.exists() {
                        if !*create {
                            return Err(EngineError::MissingSource { container: spec.name.clone(), path: path.clone() });
                        }
                        std::fs::create_dir_all(&path).doing(|| format!("make the bind source {}", path.display()))?;
                    }
                }
                MountSource::Tmpfs { .. } | MountSource::Image { .. } => {}
            }
        }
        Ok(anonymous)
    }
}

fn anonymous_at(record: &Record, target: &str) -> Option<String> {
    let mount = record.spec.mounts.iter().find(|mount| mount.target == target)?;
    match &mount.source {
        MountSource::Volume { name, .. } if record.anonymous_volumes.contains(name) => Some(name.clone()),
        _ => None,
    }
}

/// The directory that an image has at a path, in the topmost layer that has it.
///
/// A directory that several layers share is taken from the topmost one alone where that is all there is to see; otherwise the
/// merged view is needed, which the layers below contribute to.
fn directory_of_image(view: &View, target: &str) -> Option<OwnedFd> {
    let layers = view.lower.iter().filter_map(|layer| Root::open(layer).ok());
    let found = layers
        .filter_map(|root| root.open_path(target).ok())
        .find(|handle| file_type(handle).is_ok_and(|kind| kind == FileType::Directory));
    found.and_then(|handle| {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::openat(&handle, ".", flags, rustix::fs::Mode::empty()).ok()
    })
}
