//! Starting a container: network, files, bundle, monitor; in this order, and undone in reverse.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rcompose_container::launch::LogTarget;
use rcompose_container::{Container as Running, Launch, Rootfs};
use rcompose_image::{ImageConfig, View};
use rcompose_network::Attached;

use super::connect::{Joined, Names};
use super::{Engine, Entry, lock, now};
use crate::bundle::{self, Sources, Surroundings};
use crate::error::Doing;
use crate::record::{Paths, Record};
use crate::{EngineError, devices, parse_size, seccomp};

impl Engine {
    /// Starts a container that does not run. What fails leaves nothing behind, and is remembered.
    pub fn start(&self, id: &str) -> Result<(), EngineError> {
        self.start_then(id, |_| Ok(())).map(drop)
    }

    /// As [`Engine::start`], but the program begins at a moment: everything else is made before, as far as there is time.
    pub fn start_at(&self, id: &str, moment: Instant) -> Result<(), EngineError> {
        let wait = |_: &Running| {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            Ok(())
        };
        self.start_then(id, wait).map(drop)
    }

    /// As [`Engine::start`], with a stream of frames that is open before the container's first instruction.
    pub fn start_attached(&self, id: &str) -> Result<UnixStream, EngineError> {
        let attach = |created: &Running| created.attach().doing(|| format!("attach to container {id}"));
        match self.start_then(id, attach)? {
            Some(stream) => Ok(stream),
            None => self.attach(id),
        }
    }

    /// `then` is called between creation and start; it gives nothing when the container runs already.
    fn start_then<T>(&self, id: &str, then: impl FnOnce(&Running) -> Result<T, EngineError>) -> Result<Option<T>, EngineError> {
        let entry = self.entry(id)?;
        let _transition = lock(&entry.transition);
        if let Some(running) = entry.running() {
            let ended = running.wait(Some(std::time::Duration::ZERO)).doing(|| format!("look at container {id}"))?;
            if !ended {
                return Ok(None);
            }
            self.settle_entry(&entry)?;
        }
        let record = entry.record();
        if record.removing.is_some() {
            return Err(EngineError::NotFound(record.spec.name));
        }
        entry.starting.store(true, Ordering::SeqCst);
        let started = self.launch(&entry, &record, then);
        let noted = note_start(&entry, started.as_ref().err());
        let started = started.map(|(running, outcome)| {
            *lock(&entry.running) = Some(running);
            Some(outcome)
        });
        entry.starting.store(false, Ordering::SeqCst);
        if started.is_err() {
            self.let_go(id);
        }
        noted.and(started)
    }

    fn launch<T>(
        &self,
        entry: &Entry,
        record: &Record,
        then: impl FnOnce(&Running) -> Result<T, EngineError>,
    ) -> Result<(Running, T), EngineError> {
        let (_, image, view) = self.images.open_image(&record.image_id)?;
        let paths = &entry.paths;
        let joined = self.joined(&record.spec)?;
        let attached = self.connect(record)?;
        let names = self.names(paths, record, attached.as_ref())?;
        let sources = self.sources(paths, &record.spec)?;
        let parts = Parts { image: &image, view: &view, attached, joined: &joined, names, sources };
        self.write_bundle(paths, record, parts)?;
        let created = self.create_running(paths, record, &view)?;
        let failure = |source| EngineError::Launch { container: record.spec.name.clone(), source };
        let started = joined.check().and_then(|()| then(&created)).and_then(|outcome| {
            created.start().map_err(|error| failure(error.into()))?;
            Ok(outcome)
        });
        if started.is_err() {
            // The one that was started has said all it knows; the one that was not has to be told.
            let _ = created.kill_all();
            let _ = created.wait(Some(std::time::Duration::from_secs(10)));
            let _ = created.release();
        }
        started.map(|outcome| (created, outcome))
    }

    /// Everything but the container's own program.
    fn create_running(&self, paths: &Paths, record: &Record, view: &View) -> Result<Running, EngineError> {
        let doing = || format!("start container {}", record.spec.name);
        // An old end is not to be taken for the new one.
        rcompose_sys::atomic::remove_tree(&paths.exit()).doing(doing)?;
        std::fs::create_dir_all(&paths.state).doing(doing)?;
        let log = self.log_target(record)?;
        let launch = Launch {
            id: record.id.clone(),
            bundle: paths.directory.clone(),
            rootfs: Rootfs::Overlay {
                lower: self.layers(paths, view).doing(doing)?,
                upper: paths.directory.join("upper"),
                work: paths.directory.join("work"),
                throwaway: false,
            },
            state_dir: paths.state.clone(),
            exit_record: paths.exit(),
            log,
            stdin_open: record.spec.stdin_open,
            bound: false,
        };
        let failure = |source| EngineError::Launch { container: record.spec.name.clone(), source };
        self.launcher.create(launch).map_err(failure).inspect_err(|_| {
            // Made a moment ago, for this start alone.
            let _ = rcompose_sys::atomic::remove_tree(&paths.state);
        })
    }

    /// The layers of an image; an overlay wants one even where the image has none.
    pub(super) fn layers(&self, paths: &Paths, view: &View) -> std::io::Result<Vec<PathBuf>> {
        if !view.lower.is_empty() {
            return Ok(view.lower.clone());
        }
        let empty = paths.directory.join("empty");
        std::fs::create_dir_all(&empty)?;
        Ok(vec![empty])
    }

    fn log_target(&self, record: &Record) -> Result<Option<LogTarget>, EngineError> {
        let log = &record.spec.log;
        if log.driver == "none" {
            return Ok(None);
        }
        let path = self.log_path(record);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        }
        let invalid = |text: String| EngineError::Invalid { container: record.spec.name.clone(), text };
        let max_size = match log.options.get("max-size") {
            Some(text) => Some(parse_size(text).ok_or_else(|| invalid(format!("log option `max-size`: `{text}` is no size")))?),
            None => None,
        };
        let max_files = match log.options.get("max-file") {
            Some(text) => text.parse().map_err(|_| invalid(format!("log option `max-file`: `{text}` is no number")))?,
            None => 1,
        };
        Ok(Some(LogTarget { path, max_size, max_files }))
    }

    pub(super) fn write_bundle(&self, paths: &Paths, record: &Record, parts: Parts<'_>) -> Result<(), EngineError> {
        let spec = &record.spec;
        let hierarchies = rcompose_container::cgroup::hierarchies().doing(|| "find the cgroups".to_owned())?;
        let around = Surroundings {
            id: record.id.as_str(),
            hostname: &parts.names.hostname,
            image: parts.image,
            view: parts.view,
            network: parts.attached.map(|attached| attached.namespace).or_else(|| parts.joined.network()),
            joined: &parts.joined.namespaces,
            etc: &parts.names.etc,
            sources: parts.sources,
            devices: devices::of(spec)?,
            seccomp: seccomp::of(spec)?,
            cgroup_parent: spec.cgroup_parent.clone().unwrap_or_else(|| self.cgroup_parent()),
            unified_cgroups: hierarchies.is_unified(),
        };
        let json = serde_json::to_vec(&bundle::spec(spec, &around)?).expect("a spec has a JSON form");
        // The environment may hold secrets; nobody relies on it after a power loss.
        let path = paths.directory.join("config.json");
        rcompose_sys::atomic::write_file_relaxed(&path, &json, 0o600).doing(|| format!("write the bundle of {}", spec.name))
    }
}

/// What a bundle is put together from.
pub(super) struct Parts<'a> {
    pub(super) image: &'a ImageConfig,
    pub(super) view: &'a View,
    pub(super) attached: Option<Attached>,
    pub(super) joined: &'a Joined,
    pub(super) names: Names,
    pub(super) sources: Sources,
}

/// Writes down that a start was made, or why it was not.
fn note_start(entry: &Entry, failure: Option<&EngineError>) -> Result<(), EngineError> {
    let mut record = lock(&entry.record);
    match failure {
        Some(error) => {
            record.failure = Some((error.exit_code(), error.with_causes()));
            record.failed_at = now();
        }
        None => (record.failure, record.started_at) = (None, Some(now())),
    }
    record.write(&entry.paths.directory).doing(|| format!("record the start of {}", record.spec.name))
}
