//! The one writer of state: observes what exists, carries plans out, keeps services alive, answers on a socket.
//!
//! ```text
//! api        the router, its messages             client     the other side of the socket
//! observe    what exists, for the planner         execute    a plan, operation by operation
//! translate  a service to a container             keep       a driver for each container
//! resource   a network or volume to what is made
//! service    the machine of a container: pure     restart    when it is started again
//! health     whether it works                     docker     another engine's images
//! build      images that services are built to   events     what happens to containers, kept and told
//! stats      what containers use
//! lock       the digests that a stack's images are pinned to
//! card       why a service failed                debug      a container of tools beside another one
//! ```

mod api;
mod build;
mod card;
pub mod client;
mod debug;
mod docker;
mod events;
mod execute;
pub mod health;
mod keep;
pub mod lock;
mod logs;
mod observe;
mod resource;
pub mod restart;
mod role;
mod service;
mod settings;
mod stats;
mod supervisor;
mod translate;

pub use api::messages;
pub use rcompose_build as builder;
pub use rcompose_engine::image::{RegistryConfig, RegistryError, log_in, log_out};
pub use rcompose_engine::{frame, parse_size};
pub use role::{leave_starter, main};
pub use settings::Settings;

/// Archives of trees, for the side of a copy that is on the host.
pub mod files {
    pub use rcompose_engine::beneath::Root;
    pub use rcompose_engine::image::{ExtractError, Ownership, TreePart, extract, write_part};
}
