//! From a spec to a process that waits for the word to start.
//!
//! [`prepare`] validates and compiles without touching anything. [`spawn`] forks the process that becomes the container's first
//! one; [`steps`] holds the one list of what it does, in order. The two sides talk over a socket:
//!
//! ```text
//!   parent (monitor)                      child (init)
//!   puts it into the cgroup, `enter` ──►  builds the world
//!   `wait_ready`                     ◄──  ready, with the terminal's master if there is one
//!   `start`                          ──►  drops privileges, execve
//!                                    ◄──  the socket closes: it runs; or what went wrong
//! ```

pub mod capabilities;
mod channel;
mod credentials;
mod devices;
mod filesystem;
mod mounts;
mod reaper;
pub mod seccomp;
mod settings;
mod steps;
mod terminal;

pub use credentials::owner_in;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rcompose_sys::clone::{Forked, NewNamespaces};
use rcompose_sys::namespace::{self, Kinds};
use rustix::process::Pid;

pub use channel::{Channel, StartError};
pub use mounts::{NAMESPACE, SUBPATH, attach_all};
use seccomp::{Filter, SeccompError};

use crate::rootfs::Rootfs;
use crate::spec::{Linux, NamespaceKind, Process, Spec};

/// A spec that cannot be run, or a step on the way that failed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something is missing or contradicts itself.
    #[error("invalid spec: {0}")]
    Invalid(String),
    /// A capability of another name.
    #[error("unknown capability `{0}`")]
    UnknownCapability(String),
    /// The policy.
    #[error("failed to compile the seccomp policy")]
    Seccomp(#[from] SeccompError),
    /// A namespace that should be joined.
    #[error("failed to open namespace {}", path.display())]
    OpenNamespace {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rcompose_sys::Error,
    },
    /// The fork and what leads to it.
    #[error("failed to fork the first process")]
    Fork(#[source] rcompose_sys::Error),
    /// The other side said so, or went away.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What a process needs besides its spec, compiled.
pub(crate) struct Confinement {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) present: u64,
    pub(crate) filter: Option<Filter>,
    /// Of the small init: the built-in one, since a policy that is made for a program may forbid what pid 1 has to do.
    pub(crate) filter_of_init: Option<Filter>,
}

impl Confinement {
    fn of(process: &Process, linux: &Linux) -> Result<Self, InitError> {
        let present = rcompose_sys::privilege::bounding_capabilities();
        let mask = |names: &[String]| capabilities::mask(names.iter().map(String::as_str)).map_err(InitError::UnknownCapability);
        let wanted = process.capabilities.clone().unwrap_or_default();
        // What the host itself lacks is left out: nested and small machines lack some.
        let bounding = mask(&wanted.bounding)? & present;
        let effective = mask(&wanted.effective)? & present;
        let filter = match &linux.seccomp {
            Some(policy) => Some(seccomp::custom(policy)?),
            None if linux.seccomp_default => Some(seccomp::built_in(bounding)?),
            None => None,
        };
        let filter_of_init = match (&filter, linux.seccomp.is_some()) {
            (Some(filter), false) => Some(filter.clone()),
            (Some(_), true) if linux.init => Some(seccomp::built_in(bounding)?),
            _ => None,
        };
        Ok(Self { bounding, effective, present, filter, filter_of_init })
    }
}

/// A spec that has been checked.
pub struct Prepared {
    pub(crate) spec: Spec,
    pub(crate) rootfs: Rootfs,
    /// Where the root file system is, or where the overlay is mounted.
    pub(crate) root: PathBuf,
    pub(crate) confinement: Confinement,
    pub(crate) joined: Vec<(Kinds, OwnedFd)>,
    /// Sources of mounts that propagate, by the mount's index.
    pub(crate) trees: BTreeMap<usize, OwnedFd>,
    new: NewNamespaces,
}

impl Prepared {
    pub(crate) fn process(&self) -> &Process {
        self.spec.process.as_ref().expect("`prepare` refuses a spec without a process")
    }

    pub(crate) fn linux(&self) -> &Linux {
        self.spec.linux.as_ref().expect("`prepare` refuses a spec without a `linux` section")
    }

    pub(crate) fn has_own(&self, kind: NamespaceKind) -> bool {
        self.linux().namespaces.iter().any(|namespace| namespace.kind == kind)
    }
}

/// Input and output of a process.
pub enum Stdio {
    /// Three descriptors, for 0 to 2.
    Pipes {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A terminal that is made inside; its master comes back when the process is ready.
    Terminal,
}

/// A process that has been forked and waits.
pub struct Spawned {
    /// Number, as the caller sees it.
    pub pid: Pid,
    /// Descriptor.
    pub pidfd: OwnedFd,
    /// The way to talk to it.
    pub channel: Channel,
}

/// Checks a spec, opens what it joins, and compiles its policy. Changes nothing.
pub fn prepare(spec: Spec, bundle: &Path, rootfs: Rootfs) -> Result<Prepared, InitError> {
    let process = spec.process.as_ref().ok_or_else(|| invalid("no `process`"))?;
    let linux = spec.linux.as_ref().ok_or_else(|| invalid("no `linux` section"))?;
    let root = spec.root.as_ref().ok_or_else(|| invalid("no `root`"))?;
    settings::check(process, linux)?;
    let confinement = Confinement::of(process, linux)?;
    let (new, joined) = namespaces(linux)?;
    if linux.sysctl.keys().any(|name| name.starts_with("net")) && settings::is_hosts_network(&joined)? {
        return Err(invalid("sysctls of the network: the namespace that is joined is the host's"));
    }
    let root = bundle.join(&root.path);
    let trees = mounts::open_elsewhere(&spec.mounts)?;
    Ok(Prepared { confinement, joined, trees, new, root, rootfs, spec })
}

pub(crate) fn invalid(text: impl Into<String>) -> InitError {
    InitError::Invalid(text.into())
}

fn namespaces(linux: &Linux) -> Result<(NewNamespaces, Vec<(Kinds, OwnedFd)>), InitError> {
    let mut new = NewNamespaces::default();
    let mut joined = Vec::new();
    for namespace in &linux.namespaces {
        let (flag, kind) = match namespace.kind {
            NamespaceKind::Mount => (&mut new.mount, Kinds::MOUNT),
            NamespaceKind::Pid => (&mut new.pid, Kinds::PID),
            NamespaceKind::Ipc => (&mut new.ipc, Kinds::IPC),
            NamespaceKind::Uts => (&mut new.uts, Kinds::UTS),
            NamespaceKind::Network => (&mut new.network, Kinds::NETWORK),
            NamespaceKind::Cgroup => (&mut new.cgroup, Kinds::CGROUP),
            NamespaceKind::User => return Err(invalid("user namespaces are not supported yet")),
            NamespaceKind::Time => return Err(invalid("time namespaces are not supported")),
        };
        match &namespace.path {
            None => *flag = true,
            Some(path) => {
                let opened = rcompose_sys::netns::open(path);
                joined.push((kind, opened.map_err(|source| InitError::OpenNamespace { path: path.clone(), source })?));
            }
        }
    }
    if !new.mount {
        return Err(invalid("a container needs a mount namespace of its own"));
    }
    Ok((new, joined))
}

/// Forks the container's first process. It waits for [`Channel::enter`].
///
/// For processes of one thread.
pub fn spawn(prepared: &Prepared, stdio: Stdio) -> Result<Spawned, InitError> {
    // A process enters a pid namespace only by being born there.
    for (_, namespace) in prepared.joined.iter().filter(|(kind, _)| *kind == Kinds::PID) {
        namespace::enter(namespace, Kinds::PID).map_err(InitError::Fork)?;
    }
    // The cgroup namespace is made by the child itself, after it was put into its cgroup: that cgroup is to be the root.
    let new = NewNamespaces { cgroup: false, ..prepared.new };
    fork(new, |channel| steps::first_process(prepared, prepared.new.cgroup, stdio, channel))
}

/// Forks another process into the container that `target` (the pidfd of its first process) is in.
///
/// For processes of one thread: the caller itself enters the container's namespaces.
pub fn spawn_exec(target: impl AsFd, process: &Process, linux: &Linux, stdio: Stdio) -> Result<Spawned, InitError> {
    let confinement = Confinement::of(process, linux)?;
    let kinds = Kinds::PID | Kinds::IPC | Kinds::UTS | Kinds::NETWORK | Kinds::CGROUP;
    namespace::enter(&target, kinds).map_err(InitError::Fork)?;
    fork(NewNamespaces::default(), |channel| steps::another_process(&target, process, &confinement, stdio, channel))
}

fn fork(new: NewNamespaces, child: impl FnOnce(&channel::ChildEnd)) -> Result<Spawned, InitError> {
    let (ours, theirs) = channel::pair().map_err(InitError::Fork)?;
    match rcompose_sys::clone::fork(new).map_err(InitError::Fork)? {
        Forked::Parent { pid, pidfd } => {
            drop(theirs);
            Ok(Spawned { pid, pidfd, channel: ours })
        }
        Forked::Child => {
            drop(ours);
            child(&theirs);
            // Only a failure comes back, and it has been reported.
            rcompose_sys::exec::exit_now(1)
        }
    }
}

/// `/dev/null`, checked to be that.
pub(crate) fn open_null() -> rcompose_sys::Result<File> {
    devices::open_null()
}
