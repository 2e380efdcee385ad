//! What exists now, as far as planning needs to know it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rcompose_model::project::{Condition, Hook, Service};
use serde::{Deserialize, Serialize};

/// Everything that exists for one project, and the images by reference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Containers of the project, one-off ones included.
    pub containers: Vec<Container>,
    /// Networks by name: the project's own, and every one that its files name.
    pub networks: BTreeMap<String, Resource>,
    /// Volumes by name: the project's own, and every one that its files name.
    pub volumes: BTreeMap<String, Resource>,
    /// Ids of the images that are there, by every reference that the files use.
    pub images: BTreeMap<String, String>,
}

impl Observed {
    /// Lists the containers of `service` that are not one-off, by number.
    pub fn replicas(&self, service: &str) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(move |container| container.service == service && !container.one_off)
    }
}

/// A container of the project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// Unique in the data root.
    pub name: String,
    /// The service that it is a replica of, or that it was run for.
    pub service: String,
    /// From 1; 0 for a one-off container.
    pub number: u32,
    /// Made by `run`.
    pub one_off: bool,
    /// Made for one of the commands that run before a service; one-off too.
    pub hook: bool,
    /// [`Service::config_hash`] of the service as it was when the container was created.
    pub config_hash: String,
    /// Id of its image.
    pub image: String,
    /// What it does.
    pub state: State,
    /// Names of the networks that it was created for.
    pub networks: Vec<String>,
    /// Names of the volumes that it mounts.
    pub volumes: Vec<String>,
    /// What its service depended on when it was created; ordering works without the files.
    pub depends_on: Vec<Dependency>,
    /// The service as it was when the container was created, if that is still known.
    pub applied: Option<Arc<Service>>,
}

impl Container {
    /// What its service wants to be run in it before it is stopped: nothing runs in one that does not run itself.
    pub fn pre_stop(&self) -> Vec<Hook> {
        let running = matches!(self.state, State::Running { .. }) && !self.one_off;
        self.applied.as_ref().filter(|_| running).map(|service| service.pre_stop.clone()).unwrap_or_default()
    }

    /// What its service wants to be run in it after it has started.
    pub fn post_start(&self) -> Vec<Hook> {
        self.applied.as_ref().filter(|_| !self.one_off).map(|service| service.post_start.clone()).unwrap_or_default()
    }
}

/// A remembered edge of `depends_on`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The service.
    pub service: String,
    /// When it counts as there.
    pub condition: Condition,
    /// Whether a restart of it restarts the dependent too.
    pub restart: bool,
}

/// What a container does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Never started.
    #[default]
    Created,
    /// Runs.
    Running {
        /// `None` without a health check.
        healthy: Option<bool>,
    },
    /// Frozen.
    Paused,
    /// Waits to be started again by its policy.
    Restarting,
    /// Ended.
    Exited {
        /// Its status.
        code: i32,
    },
    /// A removal was begun and not finished.
    Removing,
}

impl State {
    /// Tells whether there is something that must be stopped before it can be removed.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running { .. } | Self::Paused | Self::Restarting)
    }
}

/// A network or volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// The project that made it, if one did.
    pub project: Option<String>,
    /// Its key in the file that made it.
    pub key: Option<String>,
    /// Fingerprint of its configuration when it was made; `None` when it was made by hand.
    pub config_hash: Option<String>,
}
