//! The facade that introduces containers, images, networks and volumes to each other.

pub mod container;

pub use container::ContainerSpec;
