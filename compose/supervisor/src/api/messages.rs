//! What travels over the socket: JSON, one object a line where it is a stream.
//!
//! The version is part of every path (`/v1/...`); a field is only ever added.

mod artifact;
mod card;
mod debug;
mod event;
mod files;
mod look;
mod store;
pub(crate) mod sync;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rcompose_build::BuildEvent;
use rcompose_engine::image::Pins;
use rcompose_model::Project;
use rcompose_model::project::PullPolicy;
use rcompose_plan::{BuildWhen, Change};
use serde::{Deserialize, Serialize};

pub use artifact::{ArtifactFile, ArtifactRole, PublishRequest, StackArtifact, StackRequest};
pub use card::{ExitReport, FailureCard, ProbeReport};
pub use debug::DebugRequest;
pub use event::{ContainerEvent, EventsRequest, Happening, Why};
pub use files::{CommitRequest, FileKind, FileRequest, FileSummary};
pub use look::{ContainerStats, EndedContainer, StatsRequest, WaitRequest};
pub use rcompose_engine::container::{ContainerSpec, Mount as ContainerMount, MountSource, Namespace, PublishedPort};
pub use store::{
    CheckRequest, CheckedImage, Created, DiskUsage, DockerImport, HistoryStep, ImageSummary, ImportRequest, LoadedImage,
    LocalFile, Named, ProcessSummary, ProjectUsage, PruneRequest, Removed, ResourceSummary, SaveRequest, SystemInfo, TagRequest,
    TransferRequest, VolumeUsage,
};
pub use sync::{
    MAX_CONTENT, RebindRequest, SyncEntry, SyncFrame, SyncRequest, SyncedContainer, put_sync_content, put_sync_entry,
};

/// Of the messages below.
pub const VERSION: u32 = 1;

/// What is to become of a project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// Its name.
    pub project_name: String,
    /// What the files say, where they were read.
    pub project: Option<Project>,
    /// What is asked for.
    pub action: Action,
    /// The command that asks, as its user knows it: `up`. The log of events keeps it.
    #[serde(default)]
    pub command: String,
    /// Nothing is done; the plan is shown.
    pub dry_run: bool,
    /// By which it is called off; nobody else uses it.
    #[serde(default)]
    pub ticket: String,
    /// At most so many operations at a time.
    #[serde(default)]
    pub parallel: Option<NonZeroUsize>,
    /// No registry is asked for anything.
    #[serde(default)]
    pub offline: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Make what the files ask for.
    Up(UpOptions),
    /// Take it away.
    Down(DownOptions),
    /// Make a container for one command; it is started by whoever wants its output.
    Run(RunOptions),
    /// Have the images at hand.
    Pull(PullOptions),
    /// Send images to their registries.
    Push(PushOptions),
    /// Build images.
    Build(BuildOptions),
    /// Containers as they are.
    Lifecycle {
        /// Only of these services; empty is all.
        services: Vec<String>,
        /// What.
        what: LifecycleVerb,
        /// Seconds, instead of the grace periods.
        timeout: Option<i64>,
    },
}

impl Action {
    /// How images are built on the way.
    pub fn build_options(&self) -> Option<&BuildOptions> {
        match self {
            Self::Up(options) => Some(&options.build_options),
            Self::Run(options) => Some(&options.build_options),
            Self::Build(options) => Some(options),
            Self::Down(_) | Self::Pull(_) | Self::Push(_) | Self::Lifecycle { .. } => None,
        }
    }
}

/// What `up` and `create` ask for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct UpOptions {
    pub services: Vec<String>,
    pub no_deps: bool,
    pub no_start: bool,
    pub force_recreate: bool,
    pub no_recreate: bool,
    pub always_recreate_deps: bool,
    pub remove_orphans: bool,
    pub ignore_orphans: bool,
    pub renew_anonymous_volumes: bool,
    pub scale: BTreeMap<String, u32>,
    pub timeout: Option<i64>,
    pub wait: bool,
    pub wait_timeout: Option<u64>,
    pub pull: Option<PullPolicy>,
    /// When services with a build section are built, and how.
    pub build: BuildWhen,
    pub build_options: BuildOptions,
    /// Where a port is taken another one is published.
    pub substitute_ports: bool,
}

/// What `run` asks for. What its flags say of the service is part of the project already.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct RunOptions {
    pub service: String,
    /// Of the container; one is made up if it is not given.
    pub name: Option<String>,
    pub no_deps: bool,
    pub remove_orphans: bool,
    pub use_aliases: bool,
    pub tty: bool,
    pub interactive: bool,
    pub pull: Option<PullPolicy>,
    /// When services with a build section are built, and how.
    pub build: BuildWhen,
    pub build_options: BuildOptions,
}

/// What `build` asks for, and how other commands build.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct BuildOptions {
    pub services: Vec<String>,
    pub with_dependencies: bool,
    pub args: BTreeMap<String, String>,
    pub no_cache: bool,
    pub pull: bool,
    /// Bytes.
    pub memory: Option<u64>,
    pub ssh: Vec<String>,
    /// Socket of the agent of whoever asks.
    pub ssh_agent: Option<String>,
    /// The Dockerfiles are looked at, and nothing is built.
    pub check: bool,
    /// What was built is sent to its registry.
    pub push: bool,
    /// Digests that base images are pinned to.
    pub pins: Pins,
}

/// What the build cache takes, or what of it went; bytes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildCacheUsage {
    /// Steps that are known; not bytes.
    pub steps: usize,
    /// Of layers that no image has.
    pub layers: u64,
    /// Of caches of mounts.
    pub mounts: u64,
    /// Of what was fetched.
    pub fetched: u64,
}

/// What of the build cache is to go.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildCachePrune {
    /// What images have, and caches of mounts, too.
    pub all: bool,
}

/// What `pull` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct PullOptions {
    pub services: Vec<String>,
    pub include_deps: bool,
    pub ignore_failures: bool,
    pub ignore_buildable: bool,
    pub policy: Option<PullPolicy>,
}

/// What `push` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct PushOptions {
    pub services: Vec<String>,
    pub include_deps: bool,
    pub ignore_failures: bool,
}

/// What `down` asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct DownOptions {
    pub services: Vec<String>,
    pub remove_orphans: bool,
    pub volumes: bool,
    /// `local` or `all`.
    pub images: Option<String>,
    pub timeout: Option<i64>,
}

/// What happens to containers as they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the commands of that name document them")]
pub enum LifecycleVerb {
    Start { wait: bool, wait_timeout: Option<u64> },
    Stop,
    Restart { no_deps: bool },
    Kill { signal: String },
    Pause,
    Unpause,
    Remove { stop: bool, volumes: bool },
}

/// One line of the answer to [`ApplyRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A resource changes.
    Progress {
        /// `Container shop-web-1`.
        id: String,
        /// `Creating`, `Created`, ...
        text: String,
        /// Whether it is still going on.
        status: ProgressStatus,
    },
    /// A line that a command of a service says: `pre_start`, `post_start`, `pre_stop`.
    Hook {
        /// `web-1 ->`, `web pre_start[0] ->`.
        prefix: String,
        /// The line.
        text: String,
    },
    /// More about what a resource is doing.
    Detail {
        /// `Container shop-web-1`.
        id: String,
        /// What, in a few words.
        text: String,
    },
    /// How far a pull or push is that was told to be under way, all layers together.
    Transfer {
        /// `Image redis:7`.
        id: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// How far one layer of it is.
    Layer {
        /// `Image redis:7`.
        id: String,
        /// Twelve digits of the digest of what is sent.
        layer: String,
        /// `Downloading`, `Pull complete`, ...
        text: String,
        /// Whether it is still going on.
        status: ProgressStatus,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The image that was pulled or pushed.
    Image {
        /// With `sha256:`.
        id: String,
        /// In full.
        reference: String,
        /// What the registry has under it, with `sha256:`.
        digest: String,
    },
    /// Something happens in a build.
    Build {
        /// The service that is built.
        service: String,
        /// What.
        what: BuildEvent,
    },
    /// Something to know.
    Warning {
        /// What.
        text: String,
    },
    /// The plan, of a dry run.
    Plan {
        /// One operation a line.
        text: String,
        /// How many.
        operations: usize,
        /// What it comes to, of a plan of `up`; what stays as it is included.
        #[serde(default)]
        changes: Vec<Change>,
    },
    /// The container that was made for one command.
    Made {
        /// 64 hex digits.
        id: String,
        /// Its name.
        name: String,
    },
    /// It is done.
    Done,
    /// It is not.
    Failed(Failure),
}

/// How far a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of docker compose")]
pub enum ProgressStatus {
    Working,
    Done,
    Warning,
    Error,
}

/// What failed, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// Where the files are at fault: `file:line:column`.
    pub place: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// The container that is behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Box<FailureCard>>,
}

impl Failure {
    /// From an error and everything behind it.
    pub fn of(error: &dyn std::error::Error) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self { message: error.to_string(), causes, place: None, hint: None, card: None }
    }

    /// From a sentence.
    pub fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), place: None, hint: None, card: None }
    }
}

/// A container, as `ps` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSummary {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Its service.
    pub service: String,
    /// From 1; 0 for one-off containers.
    pub number: u32,
    /// As the service names it.
    pub image: String,
    /// Its id.
    pub image_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// Nanoseconds since 1970.
    pub started_at: Option<i64>,
    /// Nanoseconds since 1970.
    pub finished_at: Option<i64>,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `removing`.
    pub state: String,
    /// `starting`, `healthy`, `unhealthy`, or empty.
    pub health: String,
    /// Of the last end.
    pub exit_code: i32,
    /// The kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// How often its policy started it again.
    pub restarts: u32,
    /// Published ports.
    pub ports: Vec<PortSummary>,
    /// `80/tcp`, not published.
    pub exposed: Vec<String>,
    /// Names.
    pub networks: Vec<String>,
    /// Names.
    pub volumes: Vec<String>,
    /// All of them.
    pub labels: BTreeMap<String, String>,
    /// Why it could not be started.
    pub failure: Option<String>,
    /// Its program has a terminal.
    #[serde(default)]
    pub tty: bool,
    /// Its program takes input.
    #[serde(default)]
    pub stdin_open: bool,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortSummary {
    /// Address of the host.
    #[serde(rename = "URL")]
    pub url: String,
    /// Port of the container.
    pub target_port: u16,
    /// Port of the host.
    pub published_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// Which output is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LogsRequest {
    /// Project.
    pub project: String,
    /// Only of these services; empty is all.
    pub services: Vec<String>,
    /// Only of the replica with this number; 0 is all.
    pub index: u32,
    /// What comes later too.
    pub follow: bool,
    /// Only the last so many lines of each container.
    pub tail: Option<usize>,
    /// Nanoseconds since 1970.
    pub since: Option<i64>,
    /// Nanoseconds since 1970.
    pub until: Option<i64>,
    /// Ends when no container runs any more.
    pub until_ended: bool,
    /// What failed is told with its reasons.
    pub cards: bool,
}

/// One line of output, or an end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LogEvent {
    /// A line.
    Line {
        /// Name of the container.
        container: String,
        /// Its service.
        service: String,
        /// `stdout` or `stderr`.
        stream: String,
        /// Nanoseconds since 1970.
        time: i64,
        /// With its newline, unless it goes on.
        text: String,
    },
    /// A container ended.
    Exited {
        /// Name of the container.
        container: String,
        /// Its service.
        service: String,
        /// Status.
        code: i32,
        /// Its policy starts it again.
        restarting: bool,
    },
    /// It ended though nobody told it to, and not well; or it became unhealthy. Follows its end.
    Failed(FailureCard),
}

/// Another process in a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the flags of the command, which documents them")]
pub struct ExecMessage {
    pub project: String,
    pub service: String,
    pub index: u32,
    pub command: Vec<String>,
    pub environment: Vec<(String, Option<String>)>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub tty: bool,
    pub stdin_open: bool,
    pub privileged: bool,
    pub detached: bool,
}

/// A project, as `ls` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProjectSummary {
    /// Its name.
    pub name: String,
    /// `running(2)`.
    pub status: String,
    /// Comma-separated.
    pub config_files: String,
}

/// Who answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// Of the messages.
    pub api: u32,
    /// Of the program.
    pub version: String,
    /// Number of the process.
    pub pid: u32,
}
