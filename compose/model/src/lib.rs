//! Compose files to one typed [`Project`], every value knowing its place.
//!
//! ```text
//! load         files, environment, names          parse        text to nodes that know their place
//! interpolate  ${VAR:-x}                          merge        several files to one tree
//! decode       the tree to the typed model: validation, defaults, long forms; every problem at once
//! ```
//! Files are opened through one trait, [`Files`], and nothing else of the machine is looked at.

mod decode;
mod diagnostic;
mod envfile;
mod interpolate;
mod load;
mod merge;
pub mod node;
pub mod origin;
mod parse;
pub mod project;
mod units;
mod words;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{Files, HostFiles, LoadRequest, Loaded, check_project_name, load, read_variables};
pub use node::Node;
pub use origin::{Origins, Place};
pub use project::Project;
