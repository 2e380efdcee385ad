//! Compose files to one typed [`Project`], every value knowing its place.

pub mod origin;
pub mod project;

pub use origin::{Origins, Place};
pub use project::Project;
