//! Arguments of what makes a stack and takes it away.

use clap::{Args, ValueEnum};

use super::{Locking, PullWhen};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) locking: Locking,
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
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Say nothing of them; only a variable asks for it
    #[arg(skip)]
    pub(crate) ignore_orphans: bool,
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
    /// Show keys that do something while attached, on a terminal; on unless switched off here or by COMPOSE_MENU
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) menu: Option<bool>,
    /// Wait until everything is healthy, or runs; implies --detach
    #[arg(long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "attach", "attach_dependencies"])]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
    /// What to do where a port to publish is taken: `auto` publishes another one, the same each time while it is free
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) ports: Option<Ports>,
    /// Pull images before: instead of what the files say
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<PullWhen>,
    /// Build images before
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) build: bool,
    /// Build nothing, even if an image is missing
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Without progress of builds
    #[arg(long)]
    pub(crate) quiet_build: bool,
    /// Without progress of pulls
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Do what the files say when files change: write them into containers, build, restart; also when the files of the stack
    /// itself change
    #[arg(short, long, conflicts_with_all = ["detach", "wait", "no_start", "no_build"])]
    pub(crate) watch: bool,
    /// Plan and apply what changes when the files of the stack itself do: Compose files, files of variables, Dockerfiles
    #[arg(long, conflicts_with_all = ["detach", "wait", "no_start"])]
    pub(crate) live: bool,
    /// Show only output of these services
    #[arg(long, value_name = "SERVICE", conflicts_with = "attach_dependencies")]
    pub(crate) attach: Vec<String>,
    /// Show output of dependencies too
    #[arg(long)]
    pub(crate) attach_dependencies: bool,
    /// Show no output of these services
    #[arg(long, value_name = "SERVICE")]
    pub(crate) no_attach: Vec<String>,
    /// Answer yes: to what is asked of stacks and files from elsewhere
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ports {
    /// Publish those that are asked for, or fail
    Strict,
    /// Publish others where they are taken
    Auto,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) locking: Locking,
    pub(crate) services: Vec<String>,
    /// Build images before
    #[arg(long, conflicts_with = "no_build")]
    pub(crate) build: bool,
    /// Build nothing, even if an image is missing
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Recreate containers even if nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub(crate) force_recreate: bool,
    /// Never recreate containers
    #[arg(long)]
    pub(crate) no_recreate: bool,
    /// Remove containers of services that are gone from the files
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Say nothing of them; only a variable asks for it
    #[arg(skip)]
    pub(crate) ignore_orphans: bool,
    /// Pull images before: instead of what the files say
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<PullWhen>,
    /// Without progress of pulls
    #[arg(long)]
    pub(crate) quiet_pull: bool,
    /// Replicas of a service
    #[arg(long, value_name = "SERVICE=N")]
    pub(crate) scale: Vec<String>,
    /// Answer yes: to what is asked of stacks and files from elsewhere
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    pub(crate) services: Vec<String>,
    /// Remove containers of services that are gone from the files
    #[arg(long)]
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
pub(crate) struct Scale {
    /// How many containers a service is to have
    #[arg(required = true, value_name = "SERVICE=N")]
    pub(crate) counts: Vec<String>,
    /// Leave dependencies alone
    #[arg(long)]
    pub(crate) no_deps: bool,
}
