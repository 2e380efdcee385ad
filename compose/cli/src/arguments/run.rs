//! Arguments of `run`, `pull` and `push`.

use clap::{ArgAction, Args, ValueEnum};
use rcompose_model::project::PullPolicy;

use super::Locking;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) locking: Locking,
    /// Leave it running in the background, and print its id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Variable, `NAME=value`, or `NAME` as it is here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// File of variables
    #[arg(long, value_name = "FILE")]
    pub(crate) env_from_file: Vec<std::path::PathBuf>,
    /// Label
    #[arg(short, long, visible_alias = "labels", value_name = "NAME=VALUE")]
    pub(crate) label: Vec<String>,
    /// Remove the container when it has ended
    #[arg(long)]
    pub(crate) rm: bool,
    /// Without a terminal
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    pub(crate) no_tty: bool,
    /// With a terminal
    #[arg(short, long, hide = true, conflicts_with = "no_tty")]
    pub(crate) tty: bool,
    /// Keep standard input open
    #[arg(short, long, hide = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true")]
    pub(crate) interactive: bool,
    /// Name of the container
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// User
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Folder
    #[arg(short, long)]
    pub(crate) workdir: Option<String>,
    /// Instead of the image's entrypoint and command
    #[arg(long)]
    pub(crate) entrypoint: Option<String>,
    /// Capability to add
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_add: Vec<String>,
    /// Capability to drop
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) cap_drop: Vec<String>,
    /// Leave dependencies alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// Mount, as in the files
    #[arg(short, long, visible_alias = "volumes", value_name = "SOURCE:TARGET")]
    pub(crate) volume: Vec<String>,
    /// Port to publish, as in the files
    #[arg(short, long, value_name = "PORT")]
    pub(crate) publish: Vec<String>,
    /// Publish the ports of the service
    #[arg(short = 'P', long, conflicts_with = "publish")]
    pub(crate) service_ports: bool,
    /// Answer to the names of the service
    #[arg(long)]
    pub(crate) use_aliases: bool,
    /// When the image is pulled: instead of what the files say
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<PullWhen>,
    /// Without progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Build the image before
    #[arg(long)]
    pub(crate) build: bool,
    /// Without progress of builds
    #[arg(long)]
    pub(crate) quiet_build: bool,
    /// Without progress of pulls
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Remove containers of services that are gone from the files
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS")]
    pub(crate) remove_orphans: bool,
    /// Answer yes: to what is asked of stacks and files from elsewhere
    #[arg(short, long)]
    pub(crate) yes: bool,
    pub(crate) service: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) locking: Locking,
    pub(crate) services: Vec<String>,
    /// Those of dependencies too
    #[arg(long)]
    pub(crate) include_deps: bool,
    /// Go on when one cannot be pulled
    #[arg(long)]
    pub(crate) ignore_pull_failures: bool,
    /// Leave out images that can be built; without this it is a warning when one of them cannot be pulled
    #[arg(long)]
    pub(crate) ignore_buildable: bool,
    /// Images are pulled side by side in any case
    #[arg(long, hide = true)]
    _parallel: bool,
    /// `--parallel 1` before the command does that
    #[arg(long, hide = true)]
    _no_parallel: bool,
    /// When images are pulled
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) policy: Option<PullWhen>,
    /// Without progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    pub(crate) services: Vec<String>,
    /// Those of dependencies too
    #[arg(long)]
    pub(crate) include_deps: bool,
    /// Go on when one cannot be pushed
    #[arg(long)]
    pub(crate) ignore_push_failures: bool,
    /// Without progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullWhen {
    /// Before each creation
    Always,
    /// When it is not there
    #[value(alias = "if_not_present")]
    Missing,
    /// Never
    Never,
    /// Never: what has a build section is built
    Build,
}

impl PullWhen {
    pub(crate) fn policy(self) -> PullPolicy {
        match self {
            Self::Always => PullPolicy::Always,
            Self::Missing => PullPolicy::Missing,
            Self::Never => PullPolicy::Never,
            Self::Build => PullPolicy::Build,
        }
    }
}
