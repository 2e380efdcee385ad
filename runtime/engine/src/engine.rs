//! The engine.

mod create;
mod exec;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ipnet::Ipv4Net;
use rcompose_container::{Container as Running, ContainerId, ExitRecord, Launcher};
use rcompose_image::Store as Images;
use rcompose_network::Networks;
use rcompose_volume::Store as Volumes;
use rustix::process::Signal;

pub use exec::ExecRequest;

use crate::container::MountSource;
use crate::error::Doing;
use crate::record::{Paths, Record};
use crate::{ContainerSpec, EngineError};

/// Where state is, and what may be used.
#[derive(Debug, Clone)]
pub struct Config {
    /// What outlives a reboot.
    pub data_root: PathBuf,
    /// What does not.
    pub run_root: PathBuf,
    /// Subnets are cut from these; the default ones if empty.
    pub pools: Vec<Ipv4Net>,
    /// The program that knows the role `monitor`.
    pub program: PathBuf,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Never started.
    Created,
    /// Its processes run, or stand still.
    Running,
    /// It has ended.
    Exited(ExitRecord),
    /// A removal was begun.
    Removing,
}

/// A container, as the engine knows it now.
#[derive(Debug, Clone)]
pub struct Container {
    /// What is kept of it.
    pub record: Record,
    /// What it does.
    pub state: State,
    /// Number of its first process.
    pub pid: Option<i32>,
}

struct Entry {
    record: Mutex<Record>,
    running: Mutex<Option<Running>>,
    paths: Paths,
}

impl Entry {
    fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    fn running(&self) -> Option<Running> {
        lock(&self.running).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Containers, images, networks and volumes of one data root.
pub struct Engine {
    config: Config,
    root_hash: String,
    images: Images,
    networks: Networks,
    volumes: Volumes,
    launcher: Launcher,
    containers: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// Names of containers that are being made.
    reserved: Mutex<BTreeSet<String>>,
}

impl Engine {
    /// Opens a data root, finds what runs, and clears away what a crash left half-done.
    pub fn open(config: Config, runtime: tokio::runtime::Handle) -> Result<Self, EngineError> {
        for folder in [config.data_root.join("containers"), config.data_root.join("logs"), config.run_root.join("containers")] {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o710).create(&folder);
            made.doing(|| format!("make {}", folder.display()))?;
        }
        let root_hash = root_hash(&config.data_root);
        let pools = if config.pools.is_empty() { rcompose_network::Config::default_pools() } else { config.pools.clone() };
        let networks = rcompose_network::Config {
            data_dir: config.data_root.join("networks"),
            run_dir: config.run_root.join("netns"),
            pools,
            prefix: 24,
            root: root_hash.clone(),
        };
        let volumes = Volumes::open(&config.data_root.join("volumes")).doing(|| "open the volumes".to_owned())?;
        let launcher =
            Launcher::of(&config.program).map_err(|source| EngineError::Launch { container: "any".to_owned(), source })?;
        let engine = Self {
            images: Images::open(&config.data_root.join("images"))?,
            networks: Networks::open(networks, runtime)?,
            volumes,
            launcher,
            containers: Mutex::new(BTreeMap::new()),
            reserved: Mutex::new(BTreeSet::new()),
            root_hash,
            config,
        };
        engine.adopt()?;
        Ok(engine)
    }

    /// Finds the containers of an earlier engine: those that run are taken over, those that ended meanwhile keep their record, what
    /// was half-made or half-removed goes.
    fn adopt(&self) -> Result<(), EngineError> {
        let mut alive = BTreeSet::new();
        let folder = self.config.data_root.join("containers");
        for entry in std::fs::read_dir(&folder).doing(|| format!("list {}", folder.display()))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let paths = self.paths(&name);
            let Some(record) = Record::read(&paths.directory).filter(|record| record.id.as_str() == name) else {
                // A folder without a whole record was being made.
                self.clear(&paths);
                continue;
            };
            let running = Running::open(&paths.state);
            if running.is_some() {
                alive.insert(name.clone());
            } else {
                self.sweep_launch(&paths, &record);
            }
            let entry = Entry { record: Mutex::new(record), running: Mutex::new(running), paths };
            lock(&self.containers).insert(name, Arc::new(entry));
        }
        self.networks.restore(&alive)?;
        let removing: Vec<String> =
            lock(&self.containers).iter().filter(|(_, entry)| entry.record().removing).map(|(id, _)| id.clone()).collect();
        removing.iter().try_for_each(|id| self.remove(id, false))
    }

    /// What is left of a start whose processes are gone.
    fn sweep_launch(&self, paths: &Paths, record: &Record) {
        if paths.state.exists()
            && let Err(error) = rcompose_container::container::sweep(&paths.state)
        {
            tracing::warn!(%error, container = record.spec.name, "what a container left could not be removed");
        }
        // Nobody waited for its end: then nobody knows it.
        if record.started_at.is_some() && ExitRecord::read(&paths.exit()).is_none() && record.failure.is_none() {
            let _ = ExitRecord::unknown(now()).write(&paths.exit());
        }
        start::release_secrets(paths);
    }

    fn clear(&self, paths: &Paths) {
        if let Err(error) = rcompose_sys::atomic::remove_tree(&paths.directory) {
            tracing::warn!(%error, "something half-made could not be removed");
        }
    }

    fn paths(&self, id: &str) -> Paths {
        Paths {
            directory: self.config.data_root.join("containers").join(id),
            state: self.config.run_root.join("containers").join(id),
        }
    }

    /// The images.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The volumes.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, EngineError> {
        lock(&self.containers).get(id).cloned().ok_or_else(|| EngineError::NotFound(id.to_owned()))
    }

    /// Finds a container by id, name, or the beginning of an id.
    pub fn find(&self, name: &str) -> Option<Container> {
        let containers = lock(&self.containers);
        let by_name = containers.values().find(|entry| lock(&entry.record).spec.name == name);
        let mut by_id = containers.iter().filter(|(id, _)| name.len() >= 4 && id.starts_with(name)).map(|(_, entry)| entry);
        let entry = by_name.cloned().or_else(|| by_id.next().cloned().filter(|_| by_id.next().is_none()));
        drop(containers);
        entry.map(|entry| self.describe(&entry))
    }

    /// A container by id.
    pub fn get(&self, id: &str) -> Result<Container, EngineError> {
        Ok(self.describe(&*self.entry(id)?))
    }

    /// All containers, by id.
    pub fn list(&self) -> Vec<Container> {
        let entries: Vec<Arc<Entry>> = lock(&self.containers).values().cloned().collect();
        entries.iter().map(|entry| self.describe(entry)).collect()
    }

    fn describe(&self, entry: &Entry) -> Container {
        let record = entry.record();
        let running = entry.running();
        let pid = running.as_ref().map(Running::pid);
        let state = match (&running, record.removing) {
            (_, true) => State::Removing,
            (Some(_), false) => State::Running,
            (None, false) => match (record.started_at, &record.failure) {
                (_, Some((code, _))) => {
                    State::Exited(ExitRecord { code: *code, oom_killed: false, finished_at: record.created, ran_for: 0 })
                }
                (None, None) => State::Created,
                (Some(_), None) => {
                    State::Exited(ExitRecord::read(&entry.paths.exit()).unwrap_or_else(|| ExitRecord::unknown(now())))
                }
            },
        };
        Container { record, state, pid }
    }

    /// A descriptor that is readable when a running container has ended.
    pub fn ended(&self, id: &str) -> Result<OwnedFd, EngineError> {
        let entry = self.entry(id)?;
        let running = entry.running().ok_or_else(|| EngineError::NotRunning(entry.record().spec.name))?;
        running.ended().try_clone_to_owned().doing(|| "watch a container".to_owned())
    }

    /// Takes note of a container's end, after [`Engine::ended`] said so; gives how it ended. Its network stays, for a restart.
    pub fn settle(&self, id: &str) -> Result<ExitRecord, EngineError> {
        let entry = self.entry(id)?;
        if let Some(running) = lock(&entry.running).take()
            && let Err(error) = running.release()
        {
            tracing::warn!(%error, container = id, "what a container left could not be removed");
        }
        if let Some(record) = ExitRecord::read(&entry.paths.exit()) {
            return Ok(record);
        }
        let record = ExitRecord::unknown(now());
        record.write(&entry.paths.exit()).doing(|| "record an end".to_owned())?;
        Ok(record)
    }

    /// Takes a container that does not run off its networks, and its secrets out of memory.
    pub fn disconnect(&self, id: &str) {
        self.networks.detach(id);
        start::release_secrets(&self.paths(id));
    }

    /// Sends a signal to the first process of a running container.
    pub fn signal(&self, id: &str, signal: Signal) -> Result<(), EngineError> {
        self.running(id)?.signal(signal).doing(|| format!("signal container {id}"))
    }

    /// Kills every process of a running container.
    pub fn kill(&self, id: &str) -> Result<(), EngineError> {
        self.running(id)?.kill_all().doing(|| format!("kill container {id}"))
    }

    /// Tells whether the first process does anything about a signal.
    pub fn handles(&self, id: &str, signal: Signal) -> bool {
        self.running(id).is_ok_and(|running| running.handles(signal))
    }

    /// Freezes or thaws a running container.
    pub fn set_paused(&self, id: &str, paused: bool) -> Result<(), EngineError> {
        let running = self.running(id)?;
        running.set_paused(paused).map_err(|source| EngineError::Cgroup { container: id.to_owned(), source })
    }

    /// Processes of a running container, as the host numbers them.
    pub fn processes(&self, id: &str) -> Result<Vec<i32>, EngineError> {
        self.running(id)?.processes().map_err(|source| EngineError::Cgroup { container: id.to_owned(), source })
    }

    /// Opens a stream of frames to a running container.
    pub fn attach(&self, id: &str) -> Result<std::os::unix::net::UnixStream, EngineError> {
        self.running(id)?.attach().doing(|| format!("attach to container {id}"))
    }

    fn running(&self, id: &str) -> Result<Running, EngineError> {
        let entry = self.entry(id)?;
        entry.running().ok_or_else(|| EngineError::NotRunning(entry.record().spec.name))
    }

    /// Gives a container another name.
    pub fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        if lock(&self.containers).iter().any(|(other, it)| other != id && lock(&it.record).spec.name == name) {
            return Err(EngineError::NameTaken(name.to_owned()));
        }
        let mut record = lock(&entry.record);
        name.clone_into(&mut record.spec.name);
        record.write(&entry.paths.directory).doing(|| format!("rename container {name}"))
    }

    /// Removes a container that does not run; with `volumes`, its anonymous volumes too.
    pub fn remove(&self, id: &str, volumes: bool) -> Result<(), EngineError> {
        let entry = self.entry(id)?;
        if entry.running().is_some() {
            return Err(EngineError::StillRunning(entry.record().spec.name));
        }
        // First the intent, so that whoever finds it half-removed goes on.
        let record = {
            let mut record = lock(&entry.record);
            record.removing = true;
            record.write(&entry.paths.directory).doing(|| format!("remove container {id}"))?;
            record.clone()
        };
        self.disconnect(id);
        rcompose_sys::atomic::remove_tree(&entry.paths.directory).doing(|| format!("remove container {}", record.spec.name))?;
        lock(&self.containers).remove(id);
        if volumes {
            for name in record.anonymous_volumes.iter().filter(|name| self.volume_users(name).is_empty()) {
                match self.volumes.remove(name) {
                    Err(error) if !matches!(error, rcompose_volume::VolumeError::NotFound(_)) => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Names of the containers that mount a volume.
    pub fn volume_users(&self, name: &str) -> Vec<String> {
        let uses = |record: &Record| {
            let mounted = record
                .spec
                .mounts
                .iter()
                .any(|mount| matches!(&mount.source, MountSource::Volume { name: of, .. } if of == name));
            mounted || record.anonymous_volumes.iter().any(|of| of == name)
        };
        lock(&self.containers).values().map(|entry| entry.record()).filter(uses).map(|record| record.spec.name).collect()
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

    /// Names of the containers that were made from an image.
    pub fn image_users(&self, image_id: &str) -> Vec<String> {
        let entries = lock(&self.containers);
        entries.values().map(|entry| entry.record()).filter(|it| it.image_id == image_id).map(|it| it.spec.name).collect()
    }

    /// Removes a reference, or an image that no container was made from.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<(Vec<String>, Option<String>), EngineError> {
        let image = self.images.resolve(name)?;
        let users = self.image_users(&image.id.to_string());
        if !users.is_empty() && !force {
            return Err(EngineError::ImageInUse { name: name.to_owned(), users });
        }
        let (untagged, gone) = self.images.remove(name)?;
        Ok((untagged, gone.map(|id| id.to_string())))
    }

    /// Where the output of a container is written.
    pub fn log_path(&self, record: &Record) -> PathBuf {
        let stream = record.spec.log.stream.clone().unwrap_or_else(|| record.id.to_string());
        self.config.data_root.join("logs").join(format!("{stream}.log"))
    }

    /// Removes the logs below a path of the log store.
    pub fn remove_logs(&self, below: &str) -> Result<(), EngineError> {
        let path = self.config.data_root.join("logs").join(below);
        rcompose_sys::atomic::remove_tree(&path).doing(|| format!("remove the logs of {below}"))
    }

    /// Ends servers; containers go on.
    pub async fn close(&self) {
        self.networks.close().await;
    }
}

/// Four hex digits that tell data roots apart.
fn root_hash(data_root: &Path) -> String {
    let path = std::fs::canonicalize(data_root).unwrap_or_else(|_| data_root.to_owned());
    rcompose_image::Digest::of(path.as_os_str().as_encoded_bytes()).hex()[..4].to_owned()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// A new id.
fn new_id() -> Result<ContainerId, EngineError> {
    let hex = rcompose_sys::atomic::random_hex(32).doing(|| "make an id".to_owned())?;
    Ok(hex.parse().expect("64 hex digits are an id"))
}

/// Unused names may be taken.
fn is_free(containers: &BTreeMap<String, Arc<Entry>>, spec: &ContainerSpec) -> bool {
    !containers.values().any(|entry| lock(&entry.record).spec.name == spec.name)
}
