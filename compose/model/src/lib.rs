//! Compose files to one typed [`Project`], every value knowing its place.
//!
//! ```text
//! load         files, environment, names          parse        text to nodes that know their place
//! interpolate  ${VAR:-x}                          merge        two trees to one; unique: what is the same in lists
//! schema       what may be said, as one table     check        a tree beside that table
//! canonical    short forms to long ones           paths        relative ones to absolute ones
//! normalize    what goes without saying           settle       every value of its type
//! consistency  what fits together                 select       profiles, named services, what is used
//! environment  files of variables and labels      emit         the tree as YAML and JSON
//! decode       the settled tree to the types of `project`
//! ```
//! Files are opened through one trait, [`Files`], and nothing else of the machine is looked at.

mod canonical;
mod check;
mod consistency;
mod decode;
mod diagnostic;
mod effect;
pub mod emit;
mod envfile;
mod environment;
mod excerpt;
mod interpolate;
mod load;
mod merge;
pub mod node;
mod normalize;
pub mod origin;
mod parse;
mod paths;
pub mod project;
mod render;
mod scalar;
mod schema;
mod select;
mod settle;
mod trail;
mod unique;
mod units;
pub mod variables;
mod words;

pub use diagnostic::{Code, Diagnostic, Note, Severity};
pub use load::{
    Files, HostFiles, LoadRequest, Loaded, Model, Remote, Without, check_project_name, load, load_model, read_variables,
};
pub use node::Node;
pub use origin::{Origins, Place};
pub use project::Project;
pub use render::Excerpt;
