//! Steps of a build: containers that nobody lists, that end with this process, and whose upper directory becomes a layer.
//!
//! ```text
//! <run>/containers/<id>        state and socket of the monitor, as of any container
//!                 /<id>.step   its bundle; in memory, since the environment may hold secrets
//!                 /<id>.files  a tmpfs: secrets that were written for it
//! ```
//! A step is confined as every container is. The places of its mounts that the image does not have are made in a layer of their
//! own below the upper directory, so that nothing of them is left in the image.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcompose_container::frame::Frame;
use rcompose_container::{Container as Running, ContainerId, ExitRecord, Launch, Rootfs};
use rcompose_image::{ImageConfig, View};
use rcompose_network::{NetworkError, NetworkSpec};
use rcompose_sys::atomic;
use rcompose_sys::overlay;

use super::connect::Joined;
use super::start::Parts;
use super::{Engine, lock, new_id, now};
use crate::EngineError;
use crate::container::{ContainerSpec, Endpoint, MountSource, Namespace};
use crate::error::Doing;
use crate::record::{Paths, Record};

/// How the folder of a step's bundle ends.
pub(super) const STEP: &str = "step";
/// Where steps are connected that ask for no other network. It is there from the first that needs it to the end of the last build:
/// making it costs more than a small step.
const NETWORK: &str = "rcompose-build";

/// A step that is to run.
#[derive(Debug)]
pub struct StepRequest<'a> {
    /// What runs; its `image` is not looked up.
    pub spec: ContainerSpec,
    /// What the spec leaves open.
    pub image: &'a ImageConfig,
    /// The layers below.
    pub view: View,
    /// A folder on the store's file system with `upper` and `work`.
    pub folder: &'a Path,
}

/// A step that runs. It ends when this is dropped.
pub struct Step {
    id: ContainerId,
    name: String,
    paths: Paths,
    running: Running,
    frames: UnixStream,
    received: Vec<u8>,
}

/// A build: what its steps share is there until the last one ends.
pub struct BuildSession(Arc<Engine>);

impl Drop for BuildSession {
    fn drop(&mut self) {
        *lock(&self.0.builds) -= 1;
        self.0.remove_build_network();
    }
}

/// What kills a step from another thread.
#[derive(Debug, Clone)]
pub struct StepHandle(Running);

impl StepHandle {
    /// Kills every process of the step.
    pub fn kill(&self) {
        // One that has ended is what is wanted.
        let _ = self.0.kill_all();
    }
}

impl Step {
    /// What kills it from another thread.
    pub fn handle(&self) -> StepHandle {
        StepHandle(self.running.clone())
    }

    /// The next piece of output, whichever stream it went to; `None` when there is no more.
    pub fn output(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match Frame::take(&mut self.received) {
                Ok(Some(Frame::Stdout(bytes) | Frame::Stderr(bytes))) => return Some(bytes),
                Ok(Some(Frame::Exit(_))) | Err(_) => return None,
                Ok(Some(_)) => continue,
                Ok(None) => {}
            }
            match self.frames.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl Engine {
    /// Starts a step.
    pub fn start_step(&self, request: StepRequest<'_>) -> Result<Step, EngineError> {
        let id = new_id()?;
        let state = self.paths(id.as_str()).state;
        let paths = Paths { directory: state.with_extension(STEP), state };
        let name = request.spec.name.clone();
        let started = self.launch_step(id.clone(), &paths, request);
        let started = started.and_then(|(running, frames)| {
            let failure = |source| EngineError::Launch { container: name.clone(), source };
            running.start().map_err(|error| failure(error.into())).inspect_err(|_| end(&running))?;
            Ok((running, frames))
        });
        match started {
            Ok((running, frames)) => Ok(Step { id, name, paths, running, frames, received: Vec::new() }),
            Err(error) => {
                self.clear_step(id.as_str(), &paths);
                Err(error)
            }
        }
    }

    /// Waits for the end of a step whose output has been read, and clears away everything but its upper directory.
    pub fn end_step(&self, step: Step) -> Result<ExitRecord, EngineError> {
        let Step { id, name, paths, running, frames, .. } = step;
        let ended = running.wait(None).doing(|| format!("wait for {name}"));
        drop(frames);
        let record = ExitRecord::read(&paths.exit()).unwrap_or_else(|| ExitRecord::unknown(now()));
        if let Err(error) = running.release() {
            tracing::warn!(%error, step = name, "what a step left could not be removed");
        }
        self.clear_step(id.as_str(), &paths);
        ended.map(|_| record)
    }

    fn clear_step(&self, id: &str, paths: &Paths) {
        self.networks.detach(id);
        super::files::release_files(paths);
        for path in [&paths.directory, &paths.state] {
            if let Err(error) = atomic::remove_tree(path) {
                tracing::warn!(%error, "what a step left could not be removed");
            }
        }
        self.remove_empty_cgroup();
    }

    /// Says that a build begins; it ends with what is given.
    pub fn build_session(self: &Arc<Self>) -> BuildSession {
        *lock(&self.builds) += 1;
        BuildSession(self.clone())
    }

    /// Takes the network of builds away, unless a build may want it.
    pub(super) fn remove_build_network(&self) {
        let builds = lock(&self.builds);
        if *builds > 0 {
            return;
        }
        match self.networks.remove(NETWORK) {
            Ok(()) | Err(NetworkError::NotFound(_) | NetworkError::InUse { .. }) => {}
            Err(error) => tracing::warn!(%error, "the network of builds could not be removed"),
        }
    }

    fn launch_step(
        &self,
        id: ContainerId,
        paths: &Paths,
        request: StepRequest<'_>,
    ) -> Result<(Running, UnixStream), EngineError> {
        let StepRequest { spec, image, view, folder } = request;
        let name = spec.name.clone();
        let doing = || format!("prepare {name}");
        for part in [&paths.directory, &paths.directory.join("rootfs"), &paths.etc(), &paths.state] {
            std::fs::create_dir_all(part).doing(doing)?;
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&paths.directory, private).doing(doing)?;
        let lower = lower_of(&view, folder).doing(doing)?;
        let record = Record {
            id: id.clone(),
            spec,
            image_id: String::new(),
            created: now() / 1_000_000_000,
            started_at: None,
            anonymous_volumes: Vec::new(),
            failure: None,
            failed_at: 0,
            removing: None,
        };
        let attached = self.connect_step(&record)?;
        let names = self.names(paths, &record, attached.as_ref())?;
        let sources = self.sources(paths, &record.spec)?;
        let joined = Joined::default();
        let lower = match stubs(&record.spec, &lower, folder).doing(doing)? {
            Some(stub) => std::iter::once(stub).chain(lower).collect(),
            None => lower,
        };
        self.write_bundle(paths, &record, Parts { image, view: &view, attached, joined: &joined, names, sources })?;
        let launch = Launch {
            id,
            bundle: paths.directory.clone(),
            rootfs: Rootfs::Overlay { lower, upper: folder.join("upper"), work: folder.join("work"), throwaway: true },
            state_dir: paths.state.clone(),
            exit_record: paths.exit(),
            log: None,
            stdin_open: false,
            bound: true,
        };
        self.launcher.create_bound(launch).map_err(|source| EngineError::Launch { container: name.clone(), source })
    }

    /// Connects a step: to the network of builds where it names an endpoint of no network.
    fn connect_step(&self, record: &Record) -> Result<Option<rcompose_network::Attached>, EngineError> {
        if record.spec.namespaces.network != Namespace::Private || record.spec.networks.is_empty() {
            return self.connect(record);
        }
        // Held until the step is on the network.
        let _builds = lock(&self.builds);
        let mut record = record.clone();
        for endpoint in record.spec.networks.iter_mut().filter(|endpoint| endpoint.network.is_empty()) {
            if self.networks.get(NETWORK).is_none() {
                self.networks.create(NetworkSpec { name: NETWORK.to_owned(), ..NetworkSpec::default() })?;
            }
            *endpoint = Endpoint { network: NETWORK.to_owned(), ..endpoint.clone() };
        }
        self.connect(&record)
    }
}

/// The layers below a step; an overlay wants one even where there is none.
fn lower_of(view: &View, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !view.lower.is_empty() {
        return Ok(view.lower.clone());
    }
    let empty = folder.join("empty");
    std::fs::create_dir_all(&empty)?;
    Ok(vec![empty])
}

fn end(running: &Running) {
    // It has said all it knows; what cannot be waited for is swept at the next start.
    let _ = running.kill_all();
    let _ = running.wait(Some(std::time::Duration::from_secs(10)));
    let _ = running.release();
}

/// Makes the places of mounts that the layers do not have, as a layer; `None` if they have all of them.
fn stubs(spec: &ContainerSpec, lower: &[PathBuf], folder: &Path) -> std::io::Result<Option<PathBuf>> {
    let (upper, work) = (folder.join("stub"), folder.join("stub-work"));
    std::fs::create_dir_all(&upper)?;
    std::fs::create_dir_all(&work)?;
    like(&lower[0], &upper)?;
    let root = overlay::writable(lower, &upper, &work)?;
    let mut made = false;
    for (target, directory) in targets(spec) {
        match root.open_path(&target) {
            Ok(_) => continue,
            Err(error) if error.errno() == rustix::io::Errno::NOENT => {}
            // What is wrong with it is told when it is mounted.
            Err(_) => continue,
        }
        made = true;
        if directory {
            root.create_dir_all(&target, 0o755)?;
        } else {
            root.create_file(&target, 0o644)?;
        }
    }
    Ok(made.then_some(upper))
}

fn targets(spec: &ContainerSpec) -> Vec<(String, bool)> {
    let own = [("/proc", true), ("/dev", true), ("/sys", true), ("/etc/hosts", false), ("/etc/hostname", false)];
    let mut targets: Vec<(String, bool)> = own.map(|(path, directory)| (path.to_owned(), directory)).to_vec();
    targets.push(("/etc/resolv.conf".to_owned(), false));
    for mount in &spec.mounts {
        let directory = match &mount.source {
            MountSource::Bind { path, .. } => path.is_dir(),
            _ => true,
        };
        targets.push((mount.target.clone(), directory));
    }
    targets.extend(spec.files.iter().map(|file| (file.target.clone(), false)));
    // Below these lie other file systems.
    targets.retain(|(path, _)| !["/proc/", "/dev/", "/sys/"].iter().any(|top| path.starts_with(top)));
    targets
}

/// Gives a directory the mode and owner of another.
pub(super) fn like(from: &Path, to: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(from)?;
    std::os::unix::fs::chown(to, Some(about.uid()), Some(about.gid()))?;
    std::fs::set_permissions(to, about.permissions())
}
