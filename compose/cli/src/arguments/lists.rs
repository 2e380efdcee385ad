//! Arguments of questions about a stack.

use clap::{ArgAction, Args};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Ps {
    pub(crate) services: Vec<String>,
    /// Also those that do not run
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only names of services
    #[arg(long = "services")]
    pub(crate) names: bool,
    /// `table`, `json`, or a template; what `psFormat` of docker's configuration says, or `table`
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Only what fits: `status=STATE`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) status: Vec<String>,
    /// Whole commands and ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Also containers of services that are gone from the files
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true")]
    pub(crate) orphans: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Logs {
    pub(crate) services: Vec<String>,
    /// Go on as output comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only of this replica; for one service
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
    /// Only the last so many lines of each container
    #[arg(short = 'n', long, default_value = "all")]
    pub(crate) tail: String,
    /// Not before: a time, or how long ago (`5m`)
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Not after: a time, or how long ago
    #[arg(long)]
    pub(crate) until: Option<String>,
    /// With times
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Without colour
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Without names before the lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    pub(crate) services: Vec<String>,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// `table` or `json`
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
}

#[derive(Debug, Args)]
pub(crate) struct Port {
    pub(crate) service: String,
    pub(crate) port: u16,
    /// `tcp` or `udp`
    #[arg(long, default_value = "tcp")]
    pub(crate) protocol: String,
    /// Replica
    #[arg(long, default_value_t = 0)]
    pub(crate) index: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Also those of which nothing runs
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only what fits: `name=PATTERN`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
    /// `table` or `json`
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// `pretty` or `json`
    #[arg(short, long, default_value = "pretty", value_parser = ["pretty", "json"])]
    pub(crate) format: String,
    /// Only the number
    #[arg(long)]
    pub(crate) short: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// Shell
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    pub(crate) shell: String,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder, which is there
    #[arg(value_name = "DIR")]
    pub(crate) folder: std::path::PathBuf,
}
