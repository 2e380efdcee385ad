//! Builds images from Dockerfiles: the language, the graph of stages and steps, the cache.
//!
//! ```text
//! dockerfile   the language                              request   what is to be built        builder   all builds
//! sources      what a build is made from                 build     one of them: its stages    values    what names stand for
//! state        what a stage has come to: pure            stage     base, then instructions    event     what happens
//! files        COPY, ADD, WORKDIR       command   RUN     mounts    what RUN mounts            error     what fails
//! tree         what files are taken from                 index     what they were
//! archive, remote, git   what ADD takes besides files; contexts from git
//! cache        what steps came to, by what went in       scheduler one for all builds      collect   what of it goes
//! ```
//! A step's key is a digest of everything it depends on; the same key never runs twice, however many builds want it.

mod archive;
mod build;
mod builder;
mod cache;
mod change;
mod collect;
mod command;
mod copy;
pub mod dockerfile;
mod error;
mod event;
mod files;
mod git;
mod index;
mod mounts;
mod owner;
mod platform;
mod remote;
mod request;
mod scheduler;
mod sources;
mod ssh;
mod stage;
mod state;
mod tree;
mod usage;
mod values;

pub use builder::{Builder, Built};
pub use cache::exchange::CACHE_KIND;
pub use change::changed;
pub use error::{BuildError, PullFailure, StepError};
pub use event::{BuildEvent, Excerpt};
pub use request::{
    BuildRequest, CacheTarget, ContextSource, DockerfileSource, Entitlement, ExchangeFailure, NamedContext, Network, Outside,
    SecretSource, Watch,
};
pub use scheduler::Cancel;
pub use usage::{CacheUsage, Prune};
