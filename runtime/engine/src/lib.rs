//! The facade that introduces containers, images, networks and volumes to each other.
//!
//! [`Engine`] keeps a record of each container ([`ContainerSpec`], as it was asked for) and makes everything else at each start:
//! endpoints, mounts, the bundle. Its functions block; they may be called from many threads at once.

mod bundle;
pub mod container;
mod devices;
mod engine;
mod error;
mod record;
mod seccomp;
mod size;

pub use container::ContainerSpec;
pub use engine::{
    BuildSession, Commit, Config, Container, Engine, ExecRequest, Figures, FileIdentity, Host, PrunedImages, State, Step,
    StepHandle, StepRequest, SyncFailure, SyncPiece, Tree,
};
pub use error::EngineError;
pub use record::Record;
pub use size::parse_size;

pub use rcompose_container::logs;
pub use rcompose_container::{ExitRecord, Process, cgroup, frame, launch};
pub use rcompose_image as image;
pub use rcompose_network as network;
pub use rcompose_sys::atomic::{random_hex, sync_file, write_file_relaxed as write_file};
pub use rcompose_sys::beneath;
pub use rcompose_sys::exec::close_from as close_descriptors_from;
pub use rcompose_sys::process::{boot_id, parse_signal, trim_memory};
pub use rcompose_volume as volume;
