//! Builds images.

pub mod dockerfile;
