//! Named volumes: created, filled from an image once, described, removed.

mod copy;
mod store;

pub use store::{Store, Volume, VolumeError, VolumeSpec};
