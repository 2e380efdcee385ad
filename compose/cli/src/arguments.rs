//! The command line.

mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use run::{Pull, PullWhen, Run};

/// Runs Compose stacks with its own container runtime.
#[derive(Debug, Parser)]
#[command(name = "rcompose", version, disable_version_flag = true, max_term_width = 110, infer_long_args = false)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Show the version
    #[arg(short = 'v', long, hide = true)]
    pub(crate) version: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Compose file; several are merged in order, `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Name of the project
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Folder that relative paths start from; that of the first file if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) project_directory: Option<PathBuf>,
    /// File of variables, instead of `.env`
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Profile to switch on; `*` is all
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Vec<String>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Progress::Auto, env = "COMPOSE_PROGRESS", value_name = "MODE")]
    pub(crate) progress: Progress,
    /// When output is coloured
    #[arg(long, value_enum, default_value_t = Ansi::Auto, env = "COMPOSE_ANSI", value_name = "WHEN")]
    pub(crate) ansi: Ansi,
    /// Show what would be done, and why; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where images, volumes and containers are kept
    #[arg(long, value_name = "DIR", env = "RCOMPOSE_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Where sockets and other things are that a reboot may take
    #[arg(long, value_name = "DIR", env = "RCOMPOSE_RUN_ROOT")]
    pub(crate) run_root: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    #[default]
    Auto,
    Tty,
    Plain,
    Json,
    #[value(alias = "none")]
    Quiet,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ansi {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start the stack
    Up(Up),
    /// Stop and remove the stack
    Down(Down),
    /// Create containers without starting them
    Create(Create),
    /// List containers
    Ps(Ps),
    /// Show output of containers
    Logs(Logs),
    /// Run a command in a running container
    Exec(Exec),
    /// Run one command in a container of its own
    Run(Run),
    /// Pull images
    Pull(Pull),
    /// Start containers that exist
    Start(Services),
    /// Stop containers
    Stop(Stop),
    /// Restart containers
    Restart(Restart),
    /// Send a signal to containers
    Kill(Kill),
    /// Remove stopped containers
    Rm(Rm),
    /// Freeze containers
    Pause(Services),
    /// Thaw containers
    Unpause(Services),
    /// Check the files and show them merged
    #[command(alias = "convert")]
    Config(Config),
    /// List images of the stack's containers
    Images(Images),
    /// Show the published address of a container port
    Port(Port),
    /// Show processes of containers
    Top(Services),
    /// List projects
    Ls(Ls),
    /// Show the version
    Version(Version),
    /// Images of the store
    #[command(subcommand)]
    Image(Image),
    /// Networks
    #[command(subcommand)]
    Network(Resource),
    /// Volumes
    #[command(subcommand)]
    Volume(Resource),
}

#[derive(Debug, Args)]
pub(crate) struct Services {
    pub(crate) services: Vec<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Up {
    pub(crate) services: Vec<String>,
    /// Leave containers running in the background
    #[arg(short, long, conflicts_with_all = ["attach", "attach_dependencies"])]
    pub(crate) detach: bool,
    /// Recreate containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Never recreate containers
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// Recreate dependencies too
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) always_recreate_deps: bool,
    /// Make anonymous volumes anew
    #[arg(short = 'V', long, conflicts_with = "no_recreate")]
    pub(crate) renew_anon_volumes: bool,
    /// Leave dependencies alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// Create without starting
    #[arg(long)]
    pub(crate) no_start: bool,
    /// Remove containers of services that are gone from the files
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS")]
    pub(crate) remove_orphans: bool,
    /// Replicas of a service
    #[arg(long, value_name = "SERVICE=N")]
    pub(crate) scale: Vec<String>,
    /// Seconds to wait when containers are stopped
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Stop everything when a container ends
    #[arg(long, conflicts_with = "detach")]
    pub(crate) abort_on_container_exit: bool,
    /// Stop everything when a container fails
    #[arg(long, conflicts_with_all = ["detach", "abort_on_container_exit"])]
    pub(crate) abort_on_container_failure: bool,
    /// End with the status of this service; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE", conflicts_with = "detach")]
    pub(crate) exit_code_from: Option<String>,
    /// Without colour
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Without names before the lines
    #[arg(long)]
    pub(crate) no_log_prefix: bool,
    /// With times
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Wait until everything is healthy, or runs; implies --detach
    #[arg(long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "attach", "attach_dependencies"])]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
    /// Pull images before: instead of what the files say
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<PullWhen>,
    /// Without progress of pulls
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Show only output of these services
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    pub(crate) attach: Vec<String>,
    /// Show output of dependencies too
    #[arg(long)]
    pub(crate) attach_dependencies: bool,
    /// Show no output of these services
    #[arg(long, value_name = "SERVICE")]
    pub(crate) no_attach: Vec<String>,
    /// Answer yes
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    pub(crate) services: Vec<String>,
    /// Recreate containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Never recreate containers
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// Remove containers of services that are gone from the files
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Replicas of a service
    #[arg(long, value_name = "SERVICE=N")]
    pub(crate) scale: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    pub(crate) services: Vec<String>,
    /// Remove containers of services that are gone from the files
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS")]
    pub(crate) remove_orphans: bool,
    /// Remove named volumes of the files, and anonymous ones
    #[arg(short, long, alias = "volume")]
    pub(crate) volumes: bool,
    /// Remove images
    #[arg(long, value_name = "local|all", value_parser = ["local", "all"])]
    pub(crate) rmi: Option<String>,
    /// Seconds to wait when containers are stopped
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
}

#[derive(Debug, Args)]
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
    /// `table` or `json`
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    pub(crate) format: String,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) status: Vec<String>,
    /// Whole commands and ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Logs {
    pub(crate) services: Vec<String>,
    /// Go on as output comes
    #[arg(short, long)]
    pub(crate) follow: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Exec {
    /// Leave it running in the background
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Variable, `NAME=value`, or `NAME` as it is here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Replica
    #[arg(long, default_value_t = 0)]
    pub(crate) index: u32,
    /// With all capabilities
    #[arg(long)]
    pub(crate) privileged: bool,
    /// User
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Without a terminal
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    pub(crate) no_tty: bool,
    /// Folder
    #[arg(short, long)]
    pub(crate) workdir: Option<String>,
    /// Keep standard input open
    #[arg(short, long, hide = true)]
    pub(crate) interactive: bool,
    /// With a terminal
    #[arg(short, long, hide = true)]
    pub(crate) tty: bool,
    pub(crate) service: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    pub(crate) services: Vec<String>,
    /// Seconds to wait; negative is for ever
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    pub(crate) services: Vec<String>,
    /// Seconds to wait; negative is for ever
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Leave dependents alone
    #[arg(long)]
    pub(crate) no_deps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    pub(crate) services: Vec<String>,
    /// Signal
    #[arg(short, long, default_value = "SIGKILL")]
    pub(crate) signal: String,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    pub(crate) services: Vec<String>,
    /// Without asking
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Stop those that run
    #[arg(short, long)]
    pub(crate) stop: bool,
    /// With their anonymous volumes
    #[arg(short, long)]
    pub(crate) volumes: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Config {
    /// `yaml` or `json`
    #[arg(long, default_value = "yaml", value_parser = ["yaml", "json"])]
    pub(crate) format: String,
    /// Only check
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Names of services
    #[arg(long)]
    pub(crate) services: bool,
    /// Names of volumes
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Names of networks
    #[arg(long)]
    pub(crate) networks: bool,
    /// Names of profiles
    #[arg(long)]
    pub(crate) profiles: bool,
    /// Images
    #[arg(long)]
    pub(crate) images: bool,
    /// Fingerprints of services; `*` is all
    #[arg(long, value_name = "SERVICE,...")]
    pub(crate) hash: Option<String>,
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

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Load images from an archive
    Load {
        /// File; standard input if not given
        #[arg(short, long)]
        input: Option<PathBuf>,
    },
    /// Pull images from their registries
    Pull {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// List images
    Ls {
        /// Only ids
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove images
    Rm {
        #[arg(required = true)]
        images: Vec<String>,
        /// Also those that containers were made from
        #[arg(short, long)]
        force: bool,
    },
    /// Describe images
    Inspect {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove images that nothing refers to
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Resource {
    /// List them
    Ls {
        /// Only names
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove some
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Describe some
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
}
