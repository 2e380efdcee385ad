//! Arguments of what is done with the files of containers.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// Copy files between containers of a service and the host
///
/// One of the two is `SERVICE:PATH`, the other a path of the host, or `-` for an archive (tar) on standard input or output. A path
/// that has a colon and is of the host begins with `./` or `/`.
///
/// A folder that is copied to a folder that is there goes into it, or only its content if its path ends with `/.`; to a place
/// where nothing is, it becomes that. A place that ends with `/` has to be a folder.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// `SERVICE:PATH`, a path of the host, or `-`
    pub(crate) source: String,
    /// `SERVICE:PATH`, a path of the host, or `-`
    pub(crate) destination: String,
    /// Also containers that `run` has made
    #[arg(long)]
    pub(crate) all: bool,
    /// Keep users and groups
    #[arg(short, long)]
    pub(crate) archive: bool,
    /// Copy what a link at the source leads to
    #[arg(short = 'L', long)]
    pub(crate) follow_link: bool,
    /// Replica; without it files are copied to all, and from the first
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    pub(crate) service: String,
    /// File, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replica
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Commit {
    pub(crate) service: String,
    /// Name of the image
    pub(crate) reference: Option<String>,
    /// Who made it
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) author: String,
    /// Instruction of a Dockerfile that changes the image: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER,
    /// VOLUME, WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// What was done
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) message: String,
    /// Freeze the container meanwhile
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true")]
    pub(crate) pause: bool,
    /// Replica
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
}
