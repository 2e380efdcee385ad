//! What an engine finds when it opens: containers of an earlier one, in whatever state that left them.
//!
//! ```text
//! runs                    taken over; a start that was not finished is
//! ended meanwhile         its exit record tells how; without one nobody knows
//! half-made               the folder still has its temporary name: gone
//! half-removed            the removal is finished, as it was asked for
//! damaged                 stays where it is, and is left out
//! ```

use std::collections::BTreeSet;

use rcompose_container::{Container as Running, ExitRecord};

use super::{Engine, Entry, files, lock, now};
use crate::EngineError;
use crate::error::Doing;
use crate::record::{Paths, Record};

/// How folders begin that nobody has published yet, or that are on their way out.
pub(super) const TEMPORARY: &str = "rcompose-";

impl Engine {
    pub(super) fn adopt(&self) -> Result<(), EngineError> {
        let folder = self.config.data_root.join("containers");
        for entry in std::fs::read_dir(&folder).doing(|| format!("list {}", folder.display()))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TEMPORARY) {
                clear(&entry.path());
                continue;
            }
            let paths = self.paths(&name);
            match Record::read(&paths.directory).filter(|record| record.id.as_str() == name) {
                Some(record) => self.adopt_one(record, paths),
                None => tracing::warn!(container = name, "the record of a container cannot be read; it is left out"),
            }
        }
        self.sweep_run_root();
        self.networks.restore(&self.running_ids())?;
        self.remove_build_network();
        let removals: Vec<(String, bool)> = lock(&self.containers)
            .iter()
            .filter_map(|(id, entry)| entry.record().removing.map(|removal| (id.clone(), removal.volumes)))
            .collect();
        removals.iter().try_for_each(|(id, volumes)| self.remove(id, *volumes))?;
        self.release_volumes();
        self.remove_empty_cgroup();
        Ok(())
    }

    fn adopt_one(&self, mut record: Record, paths: Paths) {
        let running = Running::open(&paths.state);
        match &running {
            Some(running) => finish_start(running, &mut record, &paths),
            None => sweep_launch(&paths, &record),
        }
        lock(&self.containers).insert(record.id.to_string(), Entry::new(record, running, paths));
    }

    fn running_ids(&self) -> BTreeSet<String> {
        let containers = lock(&self.containers);
        containers.iter().filter(|(_, entry)| entry.running().is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// State of containers that no record knows any more.
    fn sweep_run_root(&self) {
        let folder = self.config.run_root.join("containers");
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = name.split('.').next().unwrap_or_default();
            if !lock(&self.containers).contains_key(id) {
                let paths = self.paths(id);
                sweep_state(&paths);
                files::release_files(&paths);
                clear(&paths.state.with_extension(super::step::STEP));
            }
        }
    }
}

/// Between the start of the program and the note of it lies a moment in which a supervisor can die.
fn finish_start(running: &Running, record: &mut Record, paths: &Paths) {
    let launched = std::fs::metadata(paths.state.join("state.json")).and_then(|about| about.modified()).ok();
    let launched = launched.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let launched = launched.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
    if record.started_at.is_some_and(|started| started >= launched) {
        return;
    }
    // Refused by a container that was started already; one that cannot be started ends, which is told by its exit record.
    let _ = running.start();
    (record.started_at, record.failure) = (Some(now()), None);
    if let Err(error) = record.write(&paths.directory) {
        tracing::warn!(%error, container = record.spec.name, "a start could not be noted");
    }
}

/// What is left of a start whose processes are gone.
fn sweep_launch(paths: &Paths, record: &Record) {
    sweep_state(paths);
    // Nobody waited for its end: then nobody knows it.
    if record.started_at.is_some() && ExitRecord::read(&paths.exit()).is_none() && record.failure.is_none() {
        // Without a record it is unknown just the same.
        let _ = ExitRecord::unknown(now()).write(&paths.exit());
    }
    files::release_files(paths);
}

fn sweep_state(paths: &Paths) {
    if paths.state.exists()
        && let Err(error) = rcompose_container::container::sweep(&paths.state)
    {
        tracing::warn!(%error, state = %paths.state.display(), "what a container left could not be removed");
    }
}

fn clear(path: &std::path::Path) {
    if let Err(error) = rcompose_sys::atomic::remove_tree(path) {
        tracing::warn!(%error, "something half-made could not be removed");
    }
}
