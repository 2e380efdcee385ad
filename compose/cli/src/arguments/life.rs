//! Arguments of what is done to containers as they are.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Services {
    pub(crate) services: Vec<String>,
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
pub(crate) struct Start {
    pub(crate) services: Vec<String>,
    /// Wait until everything is healthy, or runs
    #[arg(long)]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
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
    /// Remove containers of services that are gone from the files
    #[arg(long)]
    pub(crate) remove_orphans: bool,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
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
    /// No effect: one-off containers go too anyway
    #[arg(short, long, hide = true)]
    all: bool,
}
