//! Names given and taken away, and containers with what belongs to them.

use rcompose_container::cgroup;
use rcompose_sys::atomic;
use rcompose_volume::VolumeError;

use super::adopt::TEMPORARY;
use super::{Engine, lock};
use crate::EngineError;
use crate::error::Doing;
use crate::record::{Record, Removal};

impl Engine {
    /// Gives a container another name.
    pub fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        // With it held nobody else takes a name.
        let reserved = lock(&self.reserved);
        if reserved.contains(name) || !self.is_free(name, Some(id)) {
            return Err(EngineError::NameTaken(name.to_owned()));
        }
        let mut record = lock(&entry.record);
        let renamed = Record { spec: crate::ContainerSpec { name: name.to_owned(), ..record.spec.clone() }, ..record.clone() };
        renamed.write(&entry.paths.directory).doing(|| format!("rename container {name}"))?;
        *record = renamed;
        Ok(())
    }

    /// Says whether a container gets other ports where those that it asks for are taken, from its next start on.
    pub fn set_substitute_ports(&self, id: &str, substitute: bool) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        let mut record = lock(&entry.record);
        if record.spec.substitute_ports == substitute {
            return Ok(());
        }
        let mut changed = record.clone();
        changed.spec.substitute_ports = substitute;
        changed.write(&entry.paths.directory).doing(|| format!("change container {}", changed.spec.name))?;
        *record = changed;
        Ok(())
    }

    /// Tells whether no container but `own` has a name.
    pub(super) fn is_free(&self, name: &str, own: Option<&str>) -> bool {
        let containers = lock(&self.containers);
        containers.iter().all(|(id, entry)| Some(id.as_str()) == own || lock(&entry.record).spec.name != name)
    }

    /// Removes a container that does not run; with `volumes`, its anonymous volumes too.
    pub fn remove(&self, id: &str, volumes: bool) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        let _transition = lock(&entry.transition);
        if let Some(running) = entry.running() {
            let ended = running.wait(Some(std::time::Duration::ZERO)).doing(|| format!("look at container {id}"))?;
            if !ended {
                return Err(EngineError::StillRunning(entry.record().spec.name));
            }
            self.settle_entry(&entry)?;
        }
        // First the intent, so that whoever finds it half-removed goes on.
        let record = {
            let mut record = lock(&entry.record);
            record.removing = Some(Removal { volumes });
            record.write(&entry.paths.directory).doing(|| format!("remove container {id}"))?;
            record.clone()
        };
        self.let_go(id);
        if volumes {
            self.remove_anonymous_volumes(&record)?;
        }
        let doing = || format!("remove container {}", record.spec.name);
        // Out of the way in one step: a tree that is half gone is nobody's.
        let trash = format!("{TEMPORARY}{}", atomic::random_hex(8).doing(doing)?);
        let trash = self.config.data_root.join("containers").join(trash);
        std::fs::rename(&entry.paths.directory, &trash).doing(doing)?;
        lock(&self.containers).remove(id);
        atomic::remove_tree(&trash).doing(doing)?;
        self.remove_empty_cgroup();
        Ok(())
    }

    fn remove_anonymous_volumes(&self, record: &Record) -> Result<(), EngineError> {
        let own = &record.spec.name;
        for name in &record.anonymous_volumes {
            if self.volume_users(name).iter().any(|user| user != own) {
                continue;
            }
            match self.volumes.remove(name) {
                Err(error) if !matches!(error, VolumeError::NotFound(_)) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// The cgroup around all containers goes with the last of them; the next launch makes it again.
    pub(super) fn remove_empty_cgroup(&self) {
        if !lock(&self.containers).is_empty() {
            return;
        }
        let parent = self.cgroup_parent();
        for hierarchy in cgroup::hierarchies().map(|found| found.all()).unwrap_or_default() {
            // One that is still used, or was never made, stays what it is.
            let _ = std::fs::remove_dir(hierarchy.mount_point.join(parent.trim_start_matches('/')));
        }
    }
}
