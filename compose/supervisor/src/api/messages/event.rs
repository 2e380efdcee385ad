//! What happened to containers.

use std::collections::BTreeMap;

use rcompose_model::Place;
use serde::{Deserialize, Serialize};

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEvent {
    /// Microseconds since 1970 when it was written down; later than every event before it, and never that of another.
    pub id: u64,
    /// When it happened, nanoseconds since 1970.
    pub time: i64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
    /// Id of the container.
    pub container: String,
    /// Its name at that time.
    pub name: String,
    /// The image that its service names.
    pub image: String,
    /// Its project.
    pub project: String,
    /// Its service.
    pub service: String,
    /// Of the replica, from 1; 0 for one-off containers.
    pub number: u32,
    /// Made by `run`.
    pub one_off: bool,
    /// Those that the files give it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Why, if somebody wanted it.
    #[serde(default)]
    pub why: Option<Why>,
}

/// What can happen to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Happening {
    /// It was made.
    Create,
    /// Somebody's terminal or pipes were connected to it.
    Attach,
    /// Its program runs.
    Start,
    /// It got a signal.
    Kill {
        /// Number.
        signal: i32,
    },
    /// A stop that was asked for is over.
    Stop,
    /// The kernel killed a process of it for want of memory.
    Oom,
    /// It ended.
    Die {
        /// Status.
        code: i32,
        /// Seconds that the program ran.
        ran_for: u64,
    },
    /// It was stopped and started again.
    Restart,
    /// It was taken away.
    Destroy,
    /// It was frozen.
    Pause,
    /// It was thawed.
    Unpause,
    /// What its probes say is different now.
    HealthStatus {
        /// `healthy` or `unhealthy`.
        health: String,
    },
    /// It has another name.
    Rename {
        /// The name before.
        from: String,
    },
    /// Another process is about to run in it.
    ExecCreate {
        /// Of this process, 64 hex digits.
        exec: String,
        /// Program and arguments.
        command: String,
    },
    /// That process runs.
    ExecStart {
        /// Of this process.
        exec: String,
        /// Program and arguments.
        command: String,
    },
    /// That process has ended.
    ExecDie {
        /// Of this process.
        exec: String,
        /// Status.
        code: i32,
    },
}

impl Happening {
    /// The word for it, as Docker has it: `start`, `health_status: healthy`, `exec_create: ls -l`.
    pub fn word(&self) -> String {
        match self {
            Self::Create => "create".to_owned(),
            Self::Attach => "attach".to_owned(),
            Self::Start => "start".to_owned(),
            Self::Kill { .. } => "kill".to_owned(),
            Self::Stop => "stop".to_owned(),
            Self::Oom => "oom".to_owned(),
            Self::Die { .. } => "die".to_owned(),
            Self::Restart => "restart".to_owned(),
            Self::Destroy => "destroy".to_owned(),
            Self::Pause => "pause".to_owned(),
            Self::Unpause => "unpause".to_owned(),
            Self::HealthStatus { health } => format!("health_status: {health}"),
            Self::Rename { .. } => "rename".to_owned(),
            Self::ExecCreate { command, .. } => format!("exec_create: {command}"),
            Self::ExecStart { command, .. } => format!("exec_start: {command}"),
            Self::ExecDie { .. } => "exec_die".to_owned(),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Kill { signal } => vec![("signal", signal.to_string())],
            Self::Die { code, ran_for } => vec![("exitCode", code.to_string()), ("execDuration", ran_for.to_string())],
            Self::Rename { from } => vec![("oldName", from.clone())],
            Self::ExecCreate { exec, .. } | Self::ExecStart { exec, .. } => vec![("execID", exec.clone())],
            Self::ExecDie { exec, code } => vec![("execID", exec.clone()), ("exitCode", code.to_string())],
            _ => Vec::new(),
        }
    }
}

impl ContainerEvent {
    /// Attributes by the names that Docker gives them; the labels of the files are among them.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let own = [("image", self.image.clone()), ("name", self.name.clone())].into_iter().chain(self.what.attributes());
        let mut all = self.labels.clone();
        all.extend(own.map(|(name, value)| (name.to_owned(), value)));
        all
    }
}

/// Why something happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The command that wanted it, or `policy` for the container's restart policy.
    pub by: String,
    /// In words: "`image` changed".
    pub reason: String,
    /// The line behind it.
    #[serde(default)]
    pub place: Option<Place>,
}

impl Why {
    /// What a container's own restart policy does.
    pub const POLICY: &'static str = "policy";

    /// A command that asks for just this.
    pub fn asked(by: &str) -> Self {
        Self { by: by.to_owned(), reason: "asked for".to_owned(), place: None }
    }
}

/// Which events are wanted. Without a bound in the past, those that come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsRequest {
    /// Only of this project.
    pub project: Option<String>,
    /// Only of these services; empty is all.
    pub services: Vec<String>,
    /// Those of containers that `run` made, too.
    pub one_off: bool,
    /// Not before, nanoseconds since 1970.
    pub since: Option<i64>,
    /// The stream ends then, nanoseconds since 1970.
    pub until: Option<i64>,
    /// Only those after the event with this id: how a listener that was cut off goes on.
    pub after: Option<u64>,
}

impl EventsRequest {
    /// Tells whether an event is wanted.
    pub fn fits(&self, event: &ContainerEvent) -> bool {
        self.project.as_ref().is_none_or(|project| *project == event.project)
            && (self.services.is_empty() || self.services.contains(&event.service))
            && (self.one_off || !event.one_off)
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
            && self.after.is_none_or(|after| event.id > after)
    }

    /// Tells whether events that happened already are wanted.
    pub fn looks_back(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.after.is_some()
    }
}
