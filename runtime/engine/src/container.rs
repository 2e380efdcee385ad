//! What a container is, as the engine is told: [`ContainerSpec`], the record that the engine keeps of it.
//!
//! Objects refer to each other by name, never by id, so that nothing can be stale: a container names its networks and
//! volumes, and the endpoints and mounts are made anew at each start.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that decides what a container is. Written once, at creation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Unique in the data root.
    pub name: String,
    /// Reference or id of the image.
    pub image: String,
    /// Free-form; how those above the engine find their containers again.
    pub labels: BTreeMap<String, String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entrypoint and drops its command.
    pub entrypoint: Option<Vec<String>>,
    /// `None` as a value removes what the image sets.
    pub environment: BTreeMap<String, Option<String>>,
    /// Instead of the image's.
    pub working_dir: Option<String>,
    /// `user[:group]`, instead of the image's.
    pub user: Option<String>,
    /// Names or numbers.
    pub group_add: Vec<String>,
    /// The short id if not given.
    pub hostname: Option<String>,
    /// UTS domain name.
    pub domainname: Option<String>,
    /// Whether a terminal is allocated.
    pub tty: bool,
    /// Whether standard input is kept open for attach.
    pub stdin_open: bool,
    /// Whether a small init is pid 1.
    pub init: bool,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// What it may do.
    pub security: Security,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Soft and hard by name (`nofile`); −1 is unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Host path, container path, permissions.
    pub devices: Vec<(String, String, String)>,
    /// `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Bytes; 64 MiB if not given.
    pub shm_size: Option<u64>,
    /// Of the cgroup.
    pub limits: Limits,
    /// −1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Kept below this cgroup.
    pub cgroup_parent: Option<String>,
    /// Which namespaces are shared.
    pub namespaces: Namespaces,
    /// Where it is connected; empty unless `namespaces.network` is private.
    pub networks: Vec<Endpoint>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Another port is published where the one that is asked for is taken.
    #[serde(default)]
    pub substitute_ports: bool,
    /// `80/tcp`, documentation only.
    pub expose: Vec<String>,
    /// Names outside, their servers; empty takes the host's.
    pub dns: Vec<IpAddr>,
    /// `resolv.conf` options.
    pub dns_options: Vec<String>,
    /// `resolv.conf` search; `None` takes the host's.
    pub dns_search: Option<Vec<String>>,
    /// `/etc/hosts`: name and address, or `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// Containers whose mounts it takes over when it is made, but for those in memory; what it mounts itself goes first.
    #[serde(default)]
    pub volumes_from: Vec<VolumesFrom>,
    /// Files written into a tmpfs of the container and mounted at their targets (configs, secrets).
    pub files: Vec<InjectedFile>,
    /// Health check as asked; absent fields fall back to the image's.
    pub healthcheck: Option<Healthcheck>,
    /// Instead of the image's.
    pub stop_signal: Option<String>,
    /// Between stop signal and kill.
    pub stop_grace_period: Option<Duration>,
    /// Where output goes.
    pub log: Log,
}

/// What a container may do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Security {
    /// All capabilities and devices, no filters.
    pub privileged: bool,
    /// Names with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Names with or without `CAP_`, or `ALL`.
    pub cap_drop: Vec<String>,
    /// Set-user-id programs gain nothing.
    pub no_new_privileges: bool,
    /// Which system calls are allowed.
    pub seccomp: Seccomp,
    /// No masked and read-only paths.
    pub unconfined_paths: bool,
    /// The cgroup mount is writable.
    pub writable_cgroups: bool,
}

/// Which system calls are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// The built-in policy.
    #[default]
    Builtin,
    /// All.
    Unconfined,
    /// A policy file in Docker's format, absolute.
    File(PathBuf),
}

/// Limits of the cgroup; `None` is no limit. Units as in the field's line.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Memory plus swap, bytes; −1 is unlimited.
    pub memory_swap: Option<i64>,
    /// 0 to 100, cgroup v1 only.
    pub memory_swappiness: Option<u64>,
    /// cgroup v1 only.
    pub oom_kill_disable: bool,
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

/// Which namespaces a container has for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespaces {
    /// Links, addresses, ports.
    pub network: Namespace,
    /// Processes.
    pub pid: Namespace,
    /// Shared memory and queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// `None` is private on cgroup v2 and the host's on v1.
    pub cgroup: Option<Namespace>,
}

/// Whose namespace it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of the container with this name, which must run.
    Container(String),
}

/// A connection to a network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name of the network.
    pub network: String,
    /// Names under which others on this network find the container, besides its name and short id.
    pub aliases: Vec<String>,
    /// Names that only this container sees on this network, and the container or alias each stands for (links).
    pub links: BTreeMap<String, String>,
    /// Fixed address.
    pub ipv4_address: Option<IpAddr>,
    /// Fixed address.
    pub ipv6_address: Option<IpAddr>,
    /// More addresses.
    #[serde(default)]
    pub link_local_ips: Vec<IpAddr>,
    /// `02:42:ac:11:00:02`.
    pub mac_address: Option<String>,
    /// Instead of `eth<n>`.
    pub interface_name: Option<String>,
    /// Higher gives the default route.
    pub gateway_priority: i64,
}

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Port in the container.
    pub target: u16,
    /// First and last host port to choose from; `None` lets the kernel choose.
    pub published: Option<(u16, u16)>,
    /// `None` is every address, v4 and v6.
    pub host_ip: Option<IpAddr>,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Transport.
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

/// Something mounted into the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: String,
    /// Read-only, with everything below where the kernel can.
    pub read_only: bool,
    /// What is there.
    pub source: MountSource,
}

/// A container whose mounts another one takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesFrom {
    /// Its name or id.
    pub container: String,
    /// Whether what it can write is only to be read.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A path of the host.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// Whether a missing path becomes a directory.
        create: bool,
        /// `rprivate`, `private`, `rshared`, `shared`, `rslave`, `slave`.
        propagation: String,
        /// Whether mounts below the source are shown too.
        recursive: bool,
    },
    /// A named volume.
    Volume {
        /// Its name; a 64-hex name marks an anonymous one.
        name: String,
        /// Do not fill it from the image.
        nocopy: bool,
        /// Only this directory of it.
        subpath: Option<String>,
    },
    /// Memory.
    Tmpfs {
        /// mount(8) options (`size=64m`, `mode=1777`, `noexec`).
        options: Vec<String>,
    },
    /// Directories of the host, seen as one; a part of them is resolved inside.
    Trees {
        /// Topmost first.
        lower: Vec<PathBuf>,
        /// Only this directory of them.
        subpath: Option<String>,
        /// Takes the writes, and what an overlay needs besides; without it a single tree takes them itself.
        upper: Option<(PathBuf, PathBuf)>,
    },
    /// Read-only content of an image.
    Image {
        /// Reference.
        reference: String,
        /// Only this directory of it.
        subpath: Option<String>,
    },
}

/// A file that the engine writes for the container.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFile {
    /// Absolute path in the container.
    pub target: String,
    /// Bytes, or where they are on the host.
    pub content: FileContent,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl std::fmt::Debug for InjectedFile {
    /// Leaves the content out: it may be a secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("InjectedFile").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Where the bytes of an injected file come from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// Read from the host at each start.
    HostFile(PathBuf),
    /// Given.
    Inline(String),
}

/// Health check as asked; absent fields fall back to the image's, then to the documented defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", "..."]`, or what those who probe understand besides; `None` takes the image's.
    pub test: Option<Vec<String>>,
    /// 30 s.
    pub interval: Option<Duration>,
    /// 30 s.
    pub timeout: Option<Duration>,
    /// 3.
    pub retries: Option<u32>,
    /// 0.
    pub start_period: Option<Duration>,
    /// 5 s.
    pub start_interval: Option<Duration>,
    /// Whether a container that becomes unhealthy is started again.
    #[serde(default)]
    pub restart: bool,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Log {
    /// `json-file`, `local` or `none`.
    pub driver: String,
    /// `max-size`, `max-file` and so on, verbatim.
    pub options: BTreeMap<String, String>,
    /// Groups log files so that they outlive a recreated container: path below the log store, such as `shop/web/shop-web-1`.
    pub stream: Option<String>,
}
