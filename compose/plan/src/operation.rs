//! The operations that a plan is made of.

use std::fmt;
use std::time::Duration;

use rcompose_model::project::{Condition, Hook, PullPolicy, StartHook};
use serde::{Deserialize, Serialize};

/// A container that an operation acts on.
///
/// One that exists is known by its id; one that the same plan creates is known by its name only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRef {
    /// Of an existing container.
    pub id: Option<String>,
    /// Its name when the operation is carried out.
    pub name: String,
    /// The service that it belongs to.
    pub service: String,
}

/// What a container that is made for one command is, beside its service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneOff {
    /// Its name.
    pub name: String,
    /// 64 hex digits that no other has.
    pub slug: String,
    /// It gets a terminal.
    pub tty: bool,
    /// It takes input.
    pub interactive: bool,
    /// It answers for its service.
    pub use_aliases: bool,
}

/// One change of the world. Carrying an operation out twice is the same as once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Has the image at hand: looks, and pulls if the policy says so.
    EnsureImage {
        /// As written.
        reference: String,
        /// When to ask the registry.
        policy: PullPolicy,
        /// `os[/arch[/variant]]`.
        platform: Option<String>,
        /// A failure is only a warning.
        optional: bool,
    },
    /// Sends an image to its registry.
    PushImage {
        /// As written.
        reference: String,
    },
    /// Builds the image of a service.
    BuildImage {
        /// Service.
        service: String,
        /// Its image.
        reference: String,
        /// Only if the image is not there.
        missing: bool,
        /// Pulls it before, and builds only what cannot be pulled.
        pull: bool,
    },
    /// Makes the network `key` of the project.
    CreateNetwork {
        /// Key in the file.
        key: String,
        /// Name.
        name: String,
    },
    /// Takes a network away; one that is still used stays, with a warning.
    RemoveNetwork {
        /// Name.
        name: String,
    },
    /// Makes the volume `key` of the project.
    CreateVolume {
        /// Key in the file.
        key: String,
        /// Name.
        name: String,
    },
    /// Takes a volume and its content away.
    RemoveVolume {
        /// Name.
        name: String,
    },
    /// Makes a container, not started.
    CreateContainer {
        /// Service.
        service: String,
        /// From 1.
        number: u32,
        /// Name, a temporary one when it replaces another.
        name: String,
        /// The container whose anonymous volumes it takes over.
        replaces: Option<ContainerRef>,
        /// Makes anonymous volumes anew instead.
        renew_anonymous_volumes: bool,
    },
    /// Makes a container that is no replica, not started.
    CreateOneOff {
        /// Service.
        service: String,
        /// What it is beside its service.
        one_off: OneOff,
    },
    /// Gives a container its final name.
    RenameContainer {
        /// Which.
        container: ContainerRef,
        /// To what.
        name: String,
    },
    /// Runs one command after the other in containers of their own, beside a container that does not run yet.
    Prepare {
        /// Whose mounts and networks they have.
        container: ContainerRef,
        /// `pre_start` of its service.
        hooks: Vec<StartHook>,
    },
    /// Starts a container, and runs commands in it.
    StartContainer {
        /// Which.
        container: ContainerRef,
        /// `post_start` of its service.
        hooks: Vec<Hook>,
    },
    /// Stops a container: commands in it, signal, grace, kill.
    StopContainer {
        /// Which.
        container: ContainerRef,
        /// Instead of the container's own grace period.
        timeout: Option<Duration>,
        /// `pre_stop` of its service.
        hooks: Vec<Hook>,
    },
    /// Sends a signal.
    KillContainer {
        /// Which.
        container: ContainerRef,
        /// `SIGKILL`, `HUP`, `9`.
        signal: String,
    },
    /// Freezes.
    PauseContainer {
        /// Which.
        container: ContainerRef,
    },
    /// Thaws.
    UnpauseContainer {
        /// Which.
        container: ContainerRef,
    },
    /// Removes a stopped container.
    RemoveContainer {
        /// Which.
        container: ContainerRef,
        /// Its anonymous volumes too.
        volumes: bool,
    },
    /// Waits until the containers of a service fulfil a condition.
    Await {
        /// Whose.
        service: String,
        /// Which.
        condition: Condition,
        /// Whether a failure is an error for the dependents, or only a warning.
        required: bool,
    },
    /// Removes an image by reference; one that is still used stays, with a warning.
    RemoveImage {
        /// As written.
        reference: String,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureImage { reference, policy, .. } => match policy {
                PullPolicy::Always => write!(out, "pull image `{reference}`"),
                _ => write!(out, "ensure image `{reference}`"),
            },
            Self::PushImage { reference } => write!(out, "push image `{reference}`"),
            Self::BuildImage { service, reference, missing: false, .. } => {
                write!(out, "build image `{reference}` of service `{service}`")
            }
            Self::BuildImage { service, reference, missing: true, .. } => {
                write!(out, "build image `{reference}` of service `{service}` unless it is there")
            }
            Self::CreateNetwork { name, .. } => write!(out, "create network `{name}`"),
            Self::RemoveNetwork { name } => write!(out, "remove network `{name}`"),
            Self::CreateVolume { name, .. } => write!(out, "create volume `{name}`"),
            Self::RemoveVolume { name } => write!(out, "remove volume `{name}`"),
            Self::CreateContainer { name, replaces: None, .. } => write!(out, "create container `{name}`"),
            Self::CreateContainer { name, replaces: Some(old), .. } => {
                write!(out, "create container `{name}` in place of `{}`", old.name)
            }
            Self::CreateOneOff { service, one_off } => {
                write!(out, "create container `{}` for one command of `{service}`", one_off.name)
            }
            Self::RenameContainer { container, name } => write!(out, "rename container `{}` to `{name}`", container.name),
            Self::Prepare { container, hooks } => {
                write!(out, "run {} before container `{}`", commands(hooks.len()), container.name)
            }
            Self::StartContainer { container, hooks } if hooks.is_empty() => write!(out, "start container `{}`", container.name),
            Self::StartContainer { container, hooks } => {
                write!(out, "start container `{}` and run {} in it", container.name, commands(hooks.len()))
            }
            Self::StopContainer { container, hooks, .. } if hooks.is_empty() => {
                write!(out, "stop container `{}`", container.name)
            }
            Self::StopContainer { container, hooks, .. } => {
                write!(out, "run {} in container `{}` and stop it", commands(hooks.len()), container.name)
            }
            Self::KillContainer { container, signal } => write!(out, "send {signal} to container `{}`", container.name),
            Self::PauseContainer { container } => write!(out, "pause container `{}`", container.name),
            Self::UnpauseContainer { container } => write!(out, "unpause container `{}`", container.name),
            Self::RemoveContainer { container, volumes: false } => write!(out, "remove container `{}`", container.name),
            Self::RemoveContainer { container, volumes: true } => {
                write!(out, "remove container `{}` and its anonymous volumes", container.name)
            }
            Self::Await { service, condition, .. } => {
                write!(out, "wait until service `{service}` {}", condition_text(*condition))
            }
            Self::RemoveImage { reference } => write!(out, "remove image `{reference}`"),
        }
    }
}

fn commands(count: usize) -> String {
    if count == 1 { "1 command".to_owned() } else { format!("{count} commands") }
}

fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::ServiceStarted => "is started",
        Condition::ServiceHealthy => "is healthy",
        Condition::ServiceCompletedSuccessfully => "has completed",
    }
}
