//! Arguments of `test`.

use std::path::PathBuf;

use clap::Args;

use super::Locking;

#[derive(Debug, Args)]
#[command(after_help = "Variables of the command, of every service that came up (`web-api` is WEB_API):
  WEB_HOST               address of this machine at which it answers
  WEB_PORT_80            port of this machine that leads to port 80 of its first replica
  WEB_PORT_53_UDP        the same of a UDP port
  COMPOSE_PROJECT_NAME   name of the private copy: `rcompose exec web ...` in the command means it")]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) locking: Locking,
    /// Only these services and what they depend on
    pub(crate) services: Vec<String>,
    /// Program and arguments, run here, not in a container
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
    /// Build images before
    #[arg(long)]
    pub(crate) build: bool,
    /// Seconds until everything has to be healthy
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
    /// Folder for the logs of a test that failed; a new one in the folder for temporary files if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
    /// Answer yes where the stack comes from elsewhere
    #[arg(short, long)]
    pub(crate) yes: bool,
}
