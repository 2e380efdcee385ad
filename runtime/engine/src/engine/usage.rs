//! Who uses which image and which volume, and what goes when nobody does.

use rcompose_image::StoreError;
use rcompose_volume::Volume;

use super::{Engine, lock};
use crate::EngineError;
use crate::container::MountSource;
use crate::record::Record;

/// What went when images were pruned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedImages {
    /// References.
    pub untagged: Vec<String>,
    /// Ids.
    pub deleted: Vec<String>,
    /// Bytes of layers that no image has any more.
    pub reclaimed: u64,
}

impl Engine {
    /// Names of the containers that mount a volume.
    pub fn volume_users(&self, name: &str) -> Vec<String> {
        self.names_of(|record| uses_volume(record, name))
    }

    /// Removes a volume that no container mounts.
    pub fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let users = self.volume_users(name);
        if users.is_empty() {
            Ok(self.volumes.remove(name)?)
        } else {
            Err(EngineError::VolumeInUse { name: name.to_owned(), users })
        }
    }

    /// Removes volumes that no container mounts: anonymous ones, or with `named` all. Gives them with their bytes.
    pub fn prune_volumes(&self, named: bool) -> Result<Vec<(Volume, u64)>, EngineError> {
        let mut removed = Vec::new();
        for volume in self.volumes.list() {
            let name = &volume.spec.name;
            if (named || volume.spec.anonymous) && self.volume_users(name).is_empty() {
                let size = self.volumes.size(&volume);
                self.volumes.remove(name)?;
                removed.push((volume, size));
            }
        }
        Ok(removed)
    }

    /// Removes images that no container was made from: those that no reference stands for, or with `tagged` all.
    pub fn prune_images(&self, tagged: bool) -> Result<PrunedImages, EngineError> {
        let before = self.images.usage().total;
        let mut pruned = PrunedImages::default();
        for image in self.images.list() {
            let id = image.id.to_string();
            if (image.tags.is_empty() || tagged) && self.image_users(&id).is_empty() {
                let untagged = match self.images.remove(&id) {
                    Ok((untagged, _)) => untagged,
                    // A container is just being made from it.
                    Err(StoreError::InUse(_)) => continue,
                    Err(error) => return Err(error.into()),
                };
                pruned.untagged.extend(untagged);
                pruned.deleted.push(id);
            }
        }
        pruned.reclaimed = before.saturating_sub(self.images.usage().total);
        Ok(pruned)
    }

    /// Removes networks that no container is on and that no container names. Gives their names.
    pub fn prune_networks(&self) -> Result<Vec<String>, EngineError> {
        let mut removed = Vec::new();
        for network in self.networks.list() {
            let name = network.spec.name;
            if self.names_of(|record| record.spec.networks.iter().any(|endpoint| endpoint.network == name)).is_empty() {
                self.networks.remove(&name)?;
                removed.push(name);
            }
        }
        Ok(removed)
    }

    /// Bytes of a container's own layer.
    pub fn layer_size(&self, record: &Record) -> u64 {
        rcompose_volume::tree_size(&self.paths(record.id.as_str()).directory.join("upper"))
    }

    /// Lets go of what the host mounts for volumes that no running container uses.
    pub(super) fn release_volumes(&self) {
        let mounted = self.volumes.mounted();
        if mounted.is_empty() {
            return;
        }
        for name in mounted {
            let is_used = || {
                let containers = lock(&self.containers);
                containers.values().any(|entry| entry.is_up() && uses_volume(&lock(&entry.record), &name))
            };
            if let Err(error) = self.volumes.release(&name, is_used) {
                tracing::warn!(%error, volume = name, "a volume could not be unmounted");
            }
        }
    }

    /// Names of the containers that were made from an image.
    pub fn image_users(&self, image_id: &str) -> Vec<String> {
        self.names_of(|record| record.image_id == image_id)
    }

    /// Removes a reference, and with the last of them the image; by its id, an image that has no more than one.
    ///
    /// # Errors
    /// In use: an image that containers were made from, unless by `force`; one that containers run from, in any case.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<(Vec<String>, Option<String>), EngineError> {
        let image = self.images.resolve(name)?;
        let by_reference = name.parse().is_ok_and(|reference| image.tags.contains(&reference));
        if by_reference && image.tags.len() > 1 {
            return Ok((self.images.remove(name)?.0, None));
        }
        let id = image.id.to_string();
        let users = if force { self.names_of_running(&id) } else { self.image_users(&id) };
        if !users.is_empty() {
            return Err(EngineError::ImageInUse { name: name.to_owned(), users });
        }
        if image.tags.len() > 1 && !force {
            let tags = image.tags.iter().map(rcompose_image::Reference::familiar).collect();
            return Err(EngineError::ImageTags { name: name.to_owned(), tags });
        }
        let (untagged, gone) = self.images.remove(name)?;
        Ok((untagged, gone.map(|id| id.to_string())))
    }

    /// Names of the containers that run from an image, or are about to.
    fn names_of_running(&self, image_id: &str) -> Vec<String> {
        let entries = lock(&self.containers);
        let running = entries.values().filter(|entry| entry.is_up()).map(|entry| lock(&entry.record));
        let running = running.filter(|record| record.image_id == image_id);
        let mut names: Vec<String> = running.map(|record| record.spec.name.clone()).collect();
        names.sort();
        names
    }

    fn names_of(&self, matches: impl Fn(&Record) -> bool) -> Vec<String> {
        let entries = lock(&self.containers);
        let records = entries.values().map(|entry| lock(&entry.record));
        let mut names: Vec<String> = records.filter(|record| matches(record)).map(|record| record.spec.name.clone()).collect();
        names.sort();
        names
    }
}

fn uses_volume(record: &Record, name: &str) -> bool {
    let mounted =
        record.spec.mounts.iter().any(|mount| matches!(&mount.source, MountSource::Volume { name: of, .. } if of == name));
    mounted || record.anonymous_volumes.iter().any(|of| of == name)
}
