//! Arguments of commands that look at what containers do.

use clap::Args;

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
