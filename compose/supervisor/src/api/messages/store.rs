//! Images, networks, volumes, and the machine: what the lists show, and what is done to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BuildCacheUsage;

/// An image, as `image ls` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageSummary {
    /// With `sha256:`.
    pub id: String,
    /// References that stand for it.
    pub tags: Vec<String>,
    /// RFC 3339.
    pub created: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Bytes that no other image has too.
    pub unique_size: u64,
    /// Containers that were made from it.
    pub containers: usize,
    /// `linux/amd64`.
    pub platform: String,
    /// Its own.
    pub labels: BTreeMap<String, String>,
    /// What registries have under its references: `redis@sha256:...`.
    #[serde(default)]
    pub digests: Vec<String>,
    /// Seconds since 1970; 0 if that is not known.
    #[serde(default)]
    pub tagged: i64,
}

/// An image that is to be pulled or pushed. The answer is a stream of events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TransferRequest {
    /// Reference.
    pub name: String,
    /// `linux/arm64`, instead of this machine's.
    #[serde(default)]
    pub platform: Option<String>,
    /// No registry is asked.
    #[serde(default)]
    pub offline: bool,
}

/// Another name for an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TagRequest {
    /// Reference or id.
    pub source: String,
    /// Reference.
    pub target: String,
}

/// One step of an image's making, latest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HistoryStep {
    /// Of the image, for its last step.
    pub id: Option<String>,
    /// RFC 3339.
    pub created: Option<String>,
    /// What was run.
    pub created_by: String,
    /// Bytes of the layer that it made.
    pub size: u64,
    /// What was said about it.
    pub comment: String,
    /// It came with the reference that stands for the image.
    pub tags: Vec<String>,
}

/// A file that whoever asks has open: `/proc/PID/fd/N`, and what it has to be. The answer is `null` if it cannot be seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalFile {
    /// Where it is open.
    pub path: std::path::PathBuf,
    /// Number of its device.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// A tree that becomes an image of one layer; its archive is the body, this is the query.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImportRequest {
    /// Reference that is to stand for it.
    #[serde(default)]
    pub reference: String,
    /// What is said about it.
    #[serde(default)]
    pub message: String,
    /// `linux/arm64`, instead of this machine's.
    #[serde(default)]
    pub platform: String,
}

/// Images that a docker engine of this machine has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DockerImport {
    /// Its socket.
    pub socket: std::path::PathBuf,
    /// References or ids.
    pub names: Vec<String>,
}

/// What is to be done about what a check finds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct CheckRequest {
    /// Mend it.
    pub repair: bool,
    /// No registry is asked.
    pub offline: bool,
}

/// An image, checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckedImage {
    /// With `sha256:`.
    pub id: String,
    /// References that stand for it.
    pub tags: Vec<String>,
    /// What is wrong with it; empty if nothing is.
    pub problems: Vec<String>,
    /// Whether it is whole now.
    pub mended: bool,
}

/// An image that was loaded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadedImage {
    /// With `sha256:`.
    pub id: String,
    /// References that stand for it now.
    pub tags: Vec<String>,
}

/// Which images go into one archive. The answer is the archive; if it ends early, its trailer says why.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SaveRequest {
    /// References or ids.
    pub names: Vec<String>,
    /// Without the table of contents of `docker save`.
    pub oci: bool,
}

/// What is asked of one image, network or volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Named {
    /// Its name, or what else stands for it.
    pub name: String,
    /// Even if something speaks against it.
    #[serde(default)]
    pub force: bool,
}

/// What is removed of all that nobody uses.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct PruneRequest {
    /// Also what has a name: tagged images, named volumes.
    pub all: bool,
}

/// A network or volume that was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Created {
    /// Id of a network, name of a volume.
    pub id: String,
    /// What was asked for and has no effect.
    pub warnings: Vec<String>,
}

/// What went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Removed {
    /// References that stood for images.
    pub untagged: Vec<String>,
    /// Ids of images, names of networks and volumes.
    pub deleted: Vec<String>,
    /// Bytes; 0 where they were not counted.
    pub reclaimed: u64,
}

/// A network or volume, as the lists show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResourceSummary {
    /// Its name.
    pub name: String,
    /// `bridge` or `local`.
    pub driver: String,
    /// Containers that use it.
    pub users: Vec<String>,
    /// Everything, in Docker's words.
    pub inspect: serde_json::Value,
}

/// What takes room on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Images; layers that several have are counted in each.
    pub images: Vec<ImageSummary>,
    /// Bytes of all layers, each counted once.
    pub layers_size: u64,
    /// Of these, those that images have which containers were made from.
    pub layers_in_use: u64,
    /// Bytes of each container's own layer, by id.
    pub containers: BTreeMap<String, u64>,
    /// Volumes.
    pub volumes: Vec<VolumeUsage>,
    /// Bytes of what is kept of containers' output, by project.
    #[serde(default)]
    pub logs: BTreeMap<String, u64>,
    /// Bytes of layers that no image has, of pulls that were cut off and of builds, and of what builds keep besides.
    #[serde(default)]
    pub cache: u64,
    /// Of these, those that `image prune` and `builder prune -a` would take now.
    #[serde(default)]
    pub cache_unused: u64,
    /// By project.
    #[serde(default)]
    pub projects: Vec<ProjectUsage>,
    /// Of the build cache, part by part.
    #[serde(default)]
    pub build_cache: BuildCacheUsage,
}

/// How much a project takes. What several have is counted in each.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProjectUsage {
    /// Its name.
    pub name: String,
    /// Bytes of the images that its containers were made from.
    pub images: u64,
    /// Bytes of its containers' own layers.
    pub containers: u64,
    /// Bytes of its volumes.
    pub volumes: u64,
    /// Bytes of its containers' output.
    pub logs: u64,
}

/// How much a volume takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// Containers that mount it.
    pub links: usize,
    /// Bytes.
    pub size: u64,
}

/// The supervisor and its machine, in the words of Docker's `info`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "Docker's words")]
pub struct SystemInfo {
    pub server_version: String,
    /// Number of the supervisor's process.
    pub supervisor_pid: u32,
    pub containers: usize,
    pub containers_running: usize,
    pub containers_paused: usize,
    pub containers_stopped: usize,
    pub images: usize,
    pub networks: usize,
    pub volumes: usize,
    pub driver: String,
    /// Empty where no cgroup is visible.
    pub cgroup_version: String,
    pub kernel_version: String,
    pub operating_system: String,
    #[serde(rename = "OSType")]
    pub os_type: String,
    pub architecture: String,
    #[serde(rename = "NCPU")]
    pub cpus: usize,
    /// Bytes.
    pub mem_total: u64,
    pub name: String,
    /// The data root.
    pub docker_root_dir: String,
    pub run_root: String,
    pub security_options: Vec<String>,
}

/// A process of a container, as `top` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// Number of its user.
    pub uid: u32,
    /// Its number on the host.
    pub pid: i32,
    /// Number of its parent.
    pub parent: i32,
    /// Percent of one CPU since it started.
    pub cpu_percent: u64,
    /// Seconds since 1970.
    pub started: i64,
    /// `pts/0`, or `?`.
    pub terminal: String,
    /// Seconds of CPU time.
    pub cpu_time: u64,
    /// Program and arguments.
    pub command: String,
}
