//! Arguments of `watch`.

use clap::{ArgAction, Args};

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only what the rules of these services say
    pub(crate) services: Vec<String>,
    /// Leave the stack as it is before, also when its files change
    #[arg(long)]
    pub(crate) no_up: bool,
    /// Remove images that a build leaves without a name
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) prune: bool,
    /// Without progress of builds
    #[arg(long)]
    pub(crate) quiet: bool,
}
