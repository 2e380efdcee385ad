//! A service and the attributes of its containers, in canonical form.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HttpProbe, WatchRule};

/// What every container of one service looks like.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Service {
    /// The key in the file.
    pub name: String,
    /// Reference as written, or `None` when only `build` says what to run.
    pub image: Option<String>,
    /// How to make the image.
    pub build: Option<Build>,
    /// When to ask the registry.
    pub pull_policy: Option<PullPolicy>,
    /// `os[/arch[/variant]]`.
    pub platform: Option<String>,
    /// Replaces the image's command; `Some(vec![])` empties it.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entrypoint and drops its command.
    pub entrypoint: Option<Vec<String>>,
    /// `None` as a value removes the variable that the image sets. `env_file` is merged in already.
    pub environment: BTreeMap<String, Option<String>>,
    /// The files that `environment` was merged from.
    pub env_files: Vec<EnvFile>,
    /// The user's labels, `label_file` merged in.
    pub labels: BTreeMap<String, String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Number of replicas wanted.
    pub scale: u32,
    /// A name instead of `<project>-<service>-<n>`.
    pub container_name: Option<String>,
    /// UTS host name; the short container id if not given.
    pub hostname: Option<String>,
    /// UTS domain name.
    pub domainname: Option<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// Supplementary groups, names or numbers.
    pub group_add: Vec<String>,
    /// Absolute path in the container.
    pub working_dir: Option<String>,
    /// Whether a terminal is allocated.
    pub tty: bool,
    /// Whether standard input is kept open.
    pub stdin_open: bool,
    /// Whether a small init is pid 1.
    pub init: bool,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// All capabilities, devices, no filters.
    pub privileged: bool,
    /// Names with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Names with or without `CAP_`, or `ALL`.
    pub cap_drop: Vec<String>,
    /// Parsed `security_opt`.
    pub security_opt: Vec<SecurityOption>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Resource limits by name (`nofile`).
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Rules of the device cgroup, `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Memory, CPU and process limits, from both `deploy.resources` and the older attributes.
    pub limits: Limits,
    /// −1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Kept below this cgroup.
    pub cgroup_parent: Option<String>,
    /// `host` or `private`.
    pub cgroup: Option<String>,
    /// `private`, `shareable`, `host`, `none`, `service:X`, `container:X`.
    pub ipc: Option<String>,
    /// `host`, `service:X`, `container:X`.
    pub pid: Option<String>,
    /// `host`.
    pub uts: Option<String>,
    /// `host`.
    pub userns_mode: Option<String>,
    /// Name of the OCI runtime.
    pub runtime: Option<String>,
    /// Instead of project networks.
    pub network_mode: Option<NetworkMode>,
    /// Networks by key of the file; empty with a `network_mode`.
    pub networks: BTreeMap<String, NetworkAttachment>,
    /// Published ports, one target port each unless `published` is a range.
    pub ports: Vec<PortMapping>,
    /// `80/tcp`, documentation only.
    pub expose: Vec<String>,
    /// `SERVICE[:ALIAS]`.
    pub links: Vec<String>,
    /// `CONTAINER[:ALIAS]`.
    pub external_links: Vec<String>,
    /// Servers for names outside.
    pub dns: Vec<IpAddr>,
    /// `resolv.conf` options.
    pub dns_opt: Vec<String>,
    /// `resolv.conf` search domains; `["."]` empties them.
    pub dns_search: Vec<String>,
    /// `/etc/hosts` entries in file order: name, address or `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// Of the first interface.
    pub mac_address: Option<String>,
    /// Binds, volumes, tmpfs and image mounts, by order in the file; `tmpfs:` included.
    pub mounts: Vec<Mount>,
    /// `SERVICE[:ro|rw]` or `container:NAME[:ro|rw]`.
    pub volumes_from: Vec<String>,
    /// Configs mounted as files.
    pub configs: Vec<FileReference>,
    /// Secrets mounted as files.
    pub secrets: Vec<FileReference>,
    /// Services that must be there first, by name; implied ones included.
    pub depends_on: BTreeMap<String, Dependency>,
    /// How the engine tells whether the service works.
    pub healthcheck: Option<Healthcheck>,
    /// What the supervisor does when a container ends.
    pub restart: RestartPolicy,
    /// `SIGTERM` or a number; the image's if not given.
    pub stop_signal: Option<String>,
    /// Time between the stop signal and the kill; 10 s if not given.
    pub stop_grace_period: Option<Duration>,
    /// Where output goes.
    pub logging: Logging,
    /// Whether `up` shows its output; true unless switched off.
    pub attach: bool,
    /// Runs in containers of their own before the first container starts.
    #[serde(default)]
    pub pre_start: Vec<StartHook>,
    /// Runs in the container after it started.
    pub post_start: Vec<Hook>,
    /// Runs in the container before it is stopped.
    pub pre_stop: Vec<Hook>,
    /// What follows when files change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<WatchRule>,
    /// Profiles that enable it; empty means always.
    pub profiles: Vec<String>,
    /// SHA-256 over the canonical form of what matters to a container, hex (CON-H-1).
    pub config_hash: String,
}

/// How an image is made; carried whole for the builder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Build {
    /// Absolute directory, or a URL.
    pub context: String,
    /// The canonical `build` section as JSON, for the attributes that only the builder reads.
    pub attributes: serde_json::Value,
}

/// When an image is pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// Before each creation.
    Always,
    /// Never.
    Never,
    /// When absent.
    Missing,
    /// Not pulled but built.
    Build,
    /// When the last pull is longer ago than this (`daily`, `weekly`, `every_X`, `refresh`).
    Every(Duration),
}

/// One entry of `env_file`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Absolute.
    pub path: PathBuf,
    /// Whether its absence is an error.
    pub required: bool,
    /// `raw`, or `None` for the usual grammar.
    pub format: Option<String>,
}

/// One entry of `security_opt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityOption {
    /// `no-new-privileges[:BOOL]`.
    NoNewPrivileges(bool),
    /// `seccomp=unconfined`.
    SeccompUnconfined,
    /// `seccomp=builtin`.
    SeccompBuiltin,
    /// `seccomp=FILE`, absolute.
    SeccompFile(PathBuf),
    /// `apparmor=PROFILE`.
    Apparmor(String),
    /// `label=...`.
    Label(String),
    /// `systempaths=unconfined`.
    SystemPathsUnconfined,
    /// `writable-cgroups[=BOOL]`.
    WritableCgroups(bool),
}

/// Soft and hard limit; −1 is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What applies at first.
    pub soft: i64,
    /// What the process may raise it to.
    pub hard: i64,
}

/// A device node of the host, shown in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Letters of `rwm`.
    pub permissions: String,
}

/// Limits of the cgroup. Bytes, microseconds, counts; `None` is no limit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Hard memory limit, bytes.
    pub memory: Option<u64>,
    /// Soft memory limit, bytes.
    pub memory_reservation: Option<u64>,
    /// Memory plus swap, bytes; −1 is unlimited.
    pub memory_swap: Option<i64>,
    /// 0 to 100, cgroup v1.
    pub memory_swappiness: Option<u64>,
    /// cgroup v1.
    pub oom_kill_disable: bool,
    /// Fraction of CPUs, `1.5`.
    pub cpus: Option<f64>,
    /// Relative weight, 2 to 262 144.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds per period; −1 is unlimited.
    pub cpu_quota: Option<i64>,
    /// `0-3` or `0,1`.
    pub cpuset: Option<String>,
    /// Processes; −1 is unlimited.
    pub pids: Option<i64>,
}

/// Instead of project networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Only loopback.
    None,
    /// The host's network.
    Host,
    /// The shared bridge outside all projects.
    Bridge,
    /// That of another service of the project.
    Service(String),
    /// That of any container, by name or id.
    Container(String),
}

/// How a service takes part in a network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// More names on this network.
    pub aliases: Vec<String>,
    /// Fixed address.
    pub ipv4_address: Option<IpAddr>,
    /// Fixed address.
    pub ipv6_address: Option<IpAddr>,
    /// More addresses.
    pub link_local_ips: Vec<IpAddr>,
    /// `02:42:ac:11:00:02`.
    pub mac_address: Option<String>,
    /// Instead of `eth<n>`.
    pub interface_name: Option<String>,
    /// Verbatim.
    pub driver_opts: BTreeMap<String, String>,
    /// Higher is connected first.
    pub priority: i64,
    /// Higher gives the default route.
    pub gw_priority: i64,
}

/// Transport of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Port in the container.
    pub target: u16,
    /// First and last host port to choose from (equal for one port); `None` lets the kernel choose.
    pub published: Option<(u16, u16)>,
    /// Address of the host; `None` is every address, v4 and v6.
    pub host_ip: Option<IpAddr>,
    /// TCP unless given.
    pub protocol: Protocol,
    /// Name of the port, documentation.
    pub name: Option<String>,
    /// Application protocol, documentation.
    pub app_protocol: Option<String>,
    /// `ingress` or `host`; no effect on one host.
    pub mode: String,
}

/// Something mounted into the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute, clean path in the container.
    pub target: String,
    /// `ro`.
    pub read_only: bool,
    /// What is there.
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A path of the host.
    Bind {
        /// Absolute.
        source: PathBuf,
        /// Whether a missing source becomes a directory.
        create_host_path: bool,
        /// `rprivate` unless given.
        propagation: Propagation,
        /// `enabled`, `disabled`, `writable`, `readonly`.
        recursive: Option<String>,
        /// `z` or `Z`.
        selinux: Option<String>,
    },
    /// A named volume: key in [`super::Project::volumes`].
    Volume {
        /// Key of the top-level volume.
        source: String,
        /// Do not fill it from the image.
        nocopy: bool,
        /// Only this directory of it.
        subpath: Option<String>,
    },
    /// A volume without a name, kept when the container is recreated.
    Anonymous {
        /// Do not fill it from the image.
        nocopy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
        /// Other mount options of the short form, verbatim.
        options: Vec<String>,
    },
    /// Read-only content of an image.
    Image {
        /// Reference.
        source: String,
        /// Only this directory of it.
        subpath: Option<String>,
    },
}

/// Whether mounts made later pass through a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "mount(8) documents the six")]
pub enum Propagation {
    #[default]
    Rprivate,
    Private,
    Rshared,
    Shared,
    Rslave,
    Slave,
}

/// Use of a config or a secret by a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileReference {
    /// Key of the top-level config or secret.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Owner; root if not given.
    pub uid: Option<String>,
    /// Group; root if not given.
    pub gid: Option<String>,
    /// Permission bits; 0444 if not given.
    pub mode: Option<u32>,
}

/// When a dependency counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its containers were started.
    #[default]
    ServiceStarted,
    /// All its containers are healthy.
    ServiceHealthy,
    /// A container of it ended with status 0.
    ServiceCompletedSuccessfully,
}

/// One edge of `depends_on`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// What to wait for.
    pub condition: Condition,
    /// Whether a restart of the dependency by us restarts this service too.
    pub restart: bool,
    /// Whether its absence or failure is an error.
    pub required: bool,
}

/// How the engine tells whether a container works. Absent fields fall back to the image's, then to the defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Healthcheck {
    /// The probe; `None` takes the image's.
    pub test: Option<HealthcheckTest>,
    /// Between the end of one probe and the start of the next; 30 s.
    pub interval: Option<Duration>,
    /// Of one probe; 30 s.
    pub timeout: Option<Duration>,
    /// Failures in a row until unhealthy; 3.
    pub retries: Option<u32>,
    /// Failures do not count while it lasts; 0.
    pub start_period: Option<Duration>,
    /// Interval inside the start period; 5 s.
    pub start_interval: Option<Duration>,
    /// Whether a container that becomes unhealthy is started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
}

/// What a health check runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthcheckTest {
    /// Switched off, the image's too.
    None,
    /// Arguments.
    Command(Vec<String>),
    /// For the shell of the image.
    Shell(String),
    /// Nothing is run: the container has to answer with a status from 200 to 399.
    Http(HttpProbe),
    /// Nothing is run: the container has to take connections on this port.
    Tcp(u16),
    /// Nothing is run: a line of its output has to hold this text.
    Log(String),
}

/// What happens when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Always started again.
    Always,
    /// Started again after a failure.
    OnFailure {
        /// At most so many times; `None` is without limit.
        max_retries: Option<u32>,
    },
    /// Always, except after a manual stop.
    UnlessStopped,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    /// `json-file` unless given.
    pub driver: String,
    /// Verbatim.
    pub options: BTreeMap<String, String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { driver: "json-file".to_owned(), options: BTreeMap::new() }
    }
}

/// A command that runs in the container at a point of its life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// Arguments.
    pub command: Vec<String>,
    /// Instead of the service's.
    pub user: Option<String>,
    /// With all capabilities.
    pub privileged: bool,
    /// Instead of the service's.
    pub working_dir: Option<String>,
    /// More variables; `None` removes one.
    pub environment: BTreeMap<String, Option<String>>,
}

/// A command that runs in a container of its own, with the volumes and networks of its service's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartHook {
    /// What runs.
    #[serde(flatten)]
    pub hook: Hook,
    /// Reference as written; the service's own image if not given.
    pub image: Option<String>,
}
