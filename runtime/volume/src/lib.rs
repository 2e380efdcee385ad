//! Named volumes: created, filled from an image once, mounted if they have a file system of their own, described, removed.

mod copy;
mod fill;
mod options;
mod size;
mod store;

pub use copy::copy_tree;
pub use options::InvalidOptions;
pub use size::tree_size;
pub use store::{Store, Volume, VolumeError, VolumeSpec};
