//! Making a container: its record, its own layer, its volumes. Nothing runs yet.

use rcompose_image::{ImageConfig, View};
use rcompose_sys::atomic::{self, TempDir};
use rcompose_volume::{Volume, VolumeSpec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::effect::check_limits;
use super::{Engine, Entry, image, lock, new_id, now};
use crate::container::{Mount, MountSource};
use crate::error::Doing;
use crate::record::Record;
use crate::{ContainerSpec, EngineError};

impl Engine {
    /// Makes a container that does not run yet. `replaces` hands its anonymous volumes over.
    pub fn create(&self, mut spec: ContainerSpec, replaces: Option<&str>) -> Result<Record, EngineError> {
        check_limits(&spec)?;
        // Until the container's own record says that it uses the image.
        let _held = self.images.hold(&spec.image)?;
        let (image_id, config, view) = self.images.open_image(&spec.image)?;
        let name = spec.name.clone();
        self.reserve(&spec)?;
        let made = self.make(&mut spec, image_id, &config, &view, replaces);
        lock(&self.reserved).remove(&name);
        made
    }

    /// Has a container's record on disk: it is found again even if the power goes now.
    pub fn sync(&self, id: &str) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        Record::sync(&entry.paths.directory).doing(|| format!("keep the record of container {id}"))
    }

    /// Makes a volume, with a name that is made up if it has none; one that is there already is kept if it is made of the same.
    pub fn create_volume(&self, mut spec: VolumeSpec) -> Result<Volume, EngineError> {
        if spec.name.is_empty() {
            spec.name = atomic::random_hex(32).doing(|| "name a volume".to_owned())?;
            spec.anonymous = true;
        }
        let options = spec.options.clone();
        let volume = self.volumes.ensure(spec)?;
        if volume.spec.options == options { Ok(volume) } else { Err(EngineError::VolumeDiffers(volume.spec.name)) }
    }

    fn reserve(&self, spec: &ContainerSpec) -> Result<(), EngineError> {
        let mut reserved = lock(&self.reserved);
        if !self.is_free(&spec.name, None) || !reserved.insert(spec.name.clone()) {
            return Err(EngineError::NameTaken(spec.name.clone()));
        }
        Ok(())
    }

    fn make(
        &self,
        spec: &mut ContainerSpec,
        image_id: String,
        config: &ImageConfig,
        view: &View,
        replaces: Option<&str>,
    ) -> Result<Record, EngineError> {
        let id = new_id()?;
        let name = spec.name.clone();
        let doing = || format!("create container {name}");
        let inherited = replaces.and_then(|id| self.get(id).ok()).map(|it| it.record);
        let folder = TempDir::below(&self.config.data_root.join("containers")).doing(doing)?;
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        for name in ["upper", "work", "rootfs", "etc"] {
            std::fs::create_dir(folder.path().join(name)).doing(doing)?;
        }
        // Its own root lies over the image's, and is to look like it.
        match view.lower.first() {
            Some(top) => super::step::like(top, &folder.path().join("upper")).doing(doing)?,
            None => std::fs::set_permissions(folder.path().join("upper"), mode(0o755)).doing(doing)?,
        }
        // Tools look for it to know that they are in a container.
        std::fs::write(folder.path().join("upper/.dockerenv"), "").doing(doing)?;
        let anonymous_volumes = self.prepare_volumes(spec, config, view, inherited.as_ref())?;
        let record = Record {
            id: id.clone(),
            spec: spec.clone(),
            image_id,
            created: now() / 1_000_000_000,
            started_at: None,
            anonymous_volumes,
            failure: None,
            failed_at: 0,
            removing: None,
        };
        record.write(folder.path()).doing(doing)?;
        let paths = self.paths(id.as_str());
        atomic::publish_dir(folder.path(), &paths.directory).doing(doing)?;
        drop(folder.into_path());
        lock(&self.containers).insert(id.to_string(), Entry::new(record.clone(), None, paths));
        Ok(record)
    }

    /// Makes the volumes that are missing and fills those that are new; gives the names of the anonymous ones.
    fn prepare_volumes(
        &self,
        spec: &mut ContainerSpec,
        config: &ImageConfig,
        view: &View,
        inherited: Option<&Record>,
    ) -> Result<Vec<String>, EngineError> {
        self.take_over(spec)?;
        // What the image declares and nobody mounts over.
        for target in config.config.volumes.keys() {
            let target = target.trim_end_matches('/');
            if target.starts_with('/') && !spec.mounts.iter().any(|mount| mount.target.trim_end_matches('/') == target) {
                let source = MountSource::Volume { name: String::new(), nocopy: false, subpath: None };
                spec.mounts.push(Mount { target: target.to_owned(), read_only: false, source });
            }
        }
        let mut anonymous = Vec::new();
        let container = spec.name.clone();
        for mount in &mut spec.mounts {
            let target = mount.target.clone();
            match &mut mount.source {
                MountSource::Volume { name, nocopy, subpath } => {
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
                    if !*nocopy && subpath.is_none() {
                        self.fill(&volume, view, &target)?;
                    }
                }
                MountSource::Bind { path, create, .. } => ensure_source(&container, path, *create)?,
                MountSource::Tmpfs { .. } | MountSource::Image { .. } | MountSource::Trees { .. } => {}
            }
        }
        Ok(anonymous)
    }
}

impl Engine {
    /// Adds the mounts of other containers, where the container does not say itself what is there.
    fn take_over(&self, spec: &mut ContainerSpec) -> Result<(), EngineError> {
        for from in &spec.volumes_from {
            let source = self.find(&from.container).ok_or_else(|| EngineError::NoVolumesFrom {
                container: spec.name.clone(),
                source_container: from.container.clone(),
            })?;
            for mut mount in source.record.spec.mounts {
                let place = mount.target.trim_end_matches('/');
                let is_taken = spec.mounts.iter().any(|known| known.target.trim_end_matches('/') == place);
                if is_taken || matches!(mount.source, MountSource::Tmpfs { .. }) {
                    continue;
                }
                if let MountSource::Volume { nocopy, .. } = &mut mount.source {
                    // Its own image has nothing to say about what is in it.
                    *nocopy = true;
                }
                mount.read_only |= from.read_only;
                spec.mounts.push(mount);
            }
        }
        Ok(())
    }

    /// Gives a new volume what the image has where it is mounted.
    fn fill(&self, volume: &Volume, view: &View, target: &str) -> Result<(), EngineError> {
        let doing = || format!("open the image at {target}");
        let Some(root) = image::open(view).doing(doing)? else { return Ok(()) };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match root.open_file(target, flags, Mode::empty()) {
            Ok(source) => Ok(self.volumes.fill(volume, &source)?),
            // The image has nothing there, or something that is no directory.
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(error) => Err(error).doing(doing),
        }
    }
}

fn anonymous_at(record: &Record, target: &str) -> Option<String> {
    let mount = record.spec.mounts.iter().find(|mount| mount.target == target)?;
    match &mount.source {
        MountSource::Volume { name, .. } if record.anonymous_volumes.contains(name) => Some(name.clone()),
        _ => None,
    }
}

/// Makes a missing bind source, if that is wanted.
pub(super) fn ensure_source(container: &str, path: &std::path::Path, create: bool) -> Result<(), EngineError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if path.exists() {
        return Ok(());
    }
    if !create {
        return Err(EngineError::MissingSource { container: container.to_owned(), path: path.to_owned() });
    }
    let doing = || format!("make the bind source {}", path.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).doing(doing)?;
    // Whatever our own mask says.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).doing(doing)
}
