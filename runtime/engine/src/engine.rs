//! The engine.

mod adopt;
mod commit;
mod connect;
mod create;
mod effect;
mod exec;
mod files;
mod host;
mod image;
mod life;
mod reach;
mod rebind;
mod remove;
mod start;
mod step;
mod sync;
mod tree;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ipnet::Ipv4Net;
use rcompose_container::{Container as Running, ContainerId, ExitRecord, Launcher};
use rcompose_image::Store as Images;
use rcompose_network::Networks;
use rcompose_volume::Store as Volumes;

pub use commit::Commit;
pub use exec::ExecRequest;
pub use host::Host;
pub use life::Figures;
pub use step::{BuildSession, Step, StepHandle, StepRequest};
pub use sync::{FileIdentity, SyncFailure, SyncPiece};
pub use tree::Tree;
pub use usage::PrunedImages;

use crate::EngineError;
use crate::error::Doing;
use crate::record::{Paths, Record};

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
    /// What it needs is in use from this moment on.
    starting: AtomicBool,
    /// Held by whoever starts, settles or removes the container; never while somebody waits for its end.
    transition: Mutex<()>,
    record: Mutex<Record>,
    running: Mutex<Option<Running>>,
    paths: Paths,
}

impl Entry {
    fn new(record: Record, running: Option<Running>, paths: Paths) -> Arc<Self> {
        Arc::new(Self {
            starting: AtomicBool::new(false),
            transition: Mutex::new(()),
            record: Mutex::new(record),
            running: Mutex::new(running),
            paths,
        })
    }

    fn record(&self) -> Record {
        lock(&self.record).clone()
    }

    /// Tells whether it runs, or is about to.
    fn is_up(&self) -> bool {
        self.starting.load(Ordering::SeqCst) || lock(&self.running).is_some()
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
    images: Arc<Images>,
    networks: Networks,
    volumes: Volumes,
    launcher: Launcher,
    containers: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// Names of containers that are being made.
    reserved: Mutex<BTreeSet<String>>,
    /// How many builds may want the network of builds; held by who makes it or takes it away.
    builds: Mutex<usize>,
}

impl Engine {
    /// Opens a data root, finds what runs, and clears away what a crash left half-done.
    pub fn open(config: Config, runtime: tokio::runtime::Handle) -> Result<Self, EngineError> {
        for folder in [config.data_root.join("containers"), config.data_root.join("logs"), config.run_root.join("containers")] {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
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
            images: Arc::new(Images::open(&config.data_root.join("images"))?),
            networks: Networks::open(networks, runtime)?,
            volumes,
            launcher,
            containers: Mutex::new(BTreeMap::new()),
            reserved: Mutex::new(BTreeSet::new()),
            builds: Mutex::new(0),
            root_hash,
            config,
        };
        engine.adopt()?;
        Ok(engine)
    }

    fn paths(&self, id: &str) -> Paths {
        Paths {
            directory: self.config.data_root.join("containers").join(id),
            state: self.config.run_root.join("containers").join(id),
        }
    }

    /// Below which cgroup containers are kept that ask for no other.
    pub fn cgroup_parent(&self) -> String {
        format!("/rcompose-{}", self.root_hash)
    }

    /// Where state is, and what may be used.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The images.
    pub fn images(&self) -> &Arc<Images> {
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
        let state = match (&running, record.removing.is_some()) {
            (_, true) => State::Removing,
            (Some(_), false) => State::Running,
            (None, false) => match (record.started_at, &record.failure) {
                // Also when a first start failed: it never ran.
                (None, _) => State::Created,
                (Some(_), Some((code, _))) => {
                    State::Exited(ExitRecord { code: *code, oom_killed: false, finished_at: record.failed_at, ran_for: 0 })
                }
                (Some(_), None) => {
                    State::Exited(ExitRecord::read(&entry.paths.exit()).unwrap_or_else(|| ExitRecord::unknown(now())))
                }
            },
        };
        Container { record, state, pid }
    }

    /// Where the output of a container is written.
    pub fn log_path(&self, record: &Record) -> PathBuf {
        let stream = record.spec.log.stream.clone().unwrap_or_else(|| record.id.to_string());
        self.config.data_root.join("logs").join(format!("{stream}.log"))
    }

    /// Bytes of what is kept of containers' output, by the first part of their streams' names: projects.
    pub fn log_sizes(&self) -> BTreeMap<String, u64> {
        let folders = std::fs::read_dir(self.config.data_root.join("logs")).into_iter().flatten().flatten();
        let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let size =
            |it: std::fs::DirEntry| (it.file_name().to_string_lossy().into_owned(), rcompose_volume::tree_size(&it.path()));
        folders.map(size).collect()
    }

    /// The merged tree of an image, read-only. `None` for an image without layers.
    ///
    /// # Errors
    /// No such image; directories of the host are no images.
    pub fn open_tree(&self, name: &str) -> Result<Option<rcompose_sys::beneath::Root>, EngineError> {
        let image = self.images.resolve(name)?;
        let (_, _, view) = self.images.open_image(&image.id.to_string())?;
        image::open(&view).doing(|| format!("open image {name}"))
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
