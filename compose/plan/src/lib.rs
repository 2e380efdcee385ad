//! Desired and observed to a DAG of operations, each with its cause.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no log. What a decision needs comes in as arguments
//! ([`Project`](rcompose_model::Project), [`Observed`], a request), what was decided comes out as a [`Plan`].
//!
//! ```text
//!  images()   which images must be looked at before anything else can be decided
//!  builds()   which images are built, one that another is built from before it
//!  up()       make what the files ask for: networks, volumes, containers
//!  run()      one container for one command, and what it depends on
//!  down()     take away what exists
//!  changes()  what plans come to for each network, volume, image and container
//!  lifecycle  start, stop, restart, kill, pause, unpause, remove: containers as they are
//! ```

pub mod builds;
pub mod cause;
pub mod changes;
mod diff;
pub mod down;
pub mod error;
pub mod fingerprint;
pub mod graph;
pub mod images;
pub mod labels;
pub mod lifecycle;
mod naming;
pub mod observed;
pub mod operation;
pub mod plan;
mod pushes;
pub mod up;

pub use builds::{BuildRequest, BuildWhen, builds};
pub use cause::Cause;
pub use changes::{Change, Fate, Kind, changes};
pub use down::{Down, ImageRemoval, down};
pub use error::PlanError;
pub use images::{ImageRequest, images};
pub use lifecycle::{Lifecycle, lifecycle};
pub use naming::{container_name, hook_name, image_name, one_off_name, replacement_name};
pub use observed::Observed;
pub use operation::{ContainerRef, OneOff, Operation};
pub use plan::{Plan, Planned};
pub use pushes::pushes;
pub use up::run::{Run, run};
pub use up::{Recreate, Up, up};
