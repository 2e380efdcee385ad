//! Arguments of commands that look at what containers do.

use clap::{ArgAction, Args};

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of containers of these services
    pub(crate) services: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Also those since then: a time, or how long ago (`5m`)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// End at that time
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Plan {
    /// Only these services and what they depend on
    pub(crate) services: Vec<String>,
    /// `text` or `json`
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
    /// As `up` with it: recreate containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// As `up` with it: never recreate containers
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// As `up` with it: recreate dependencies too
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) always_recreate_deps: bool,
    /// As `up` with it: leave dependencies alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// As `up` with it: remove containers of services that are gone from the files
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Say nothing of them; only a variable asks for it
    #[arg(skip)]
    pub(crate) ignore_orphans: bool,
    /// As `up` with it: build images before
    #[arg(long)]
    pub(crate) build: bool,
    /// As `up` with it: replicas of a service
    #[arg(long, value_name = "SERVICE=N")]
    pub(crate) scale: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    pub(crate) service: String,
    /// Everything that is known, not only the last of each kind
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `text` or `json`
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Only of containers of these services
    pub(crate) services: Vec<String>,
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// `table`, `json`, or a template
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only once, not until Ctrl-C
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    pub(crate) service: String,
    /// Replica; the first that runs if not given
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
    /// Keys that leave the container to itself; what `detachKeys` of docker's configuration says, or `ctrl-p,ctrl-q`
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Send no input
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass signals on to the container; `=false` lets them end this program
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true")]
    pub(crate) sig_proxy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[arg(required = true)]
    pub(crate) services: Vec<String>,
    /// Take the whole stack down when the first container has ended
    #[arg(long)]
    pub(crate) down_project: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Volumes {
    /// Only those that containers of these services mount
    pub(crate) services: Vec<String>,
    /// `table`, `json`, or a template
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
