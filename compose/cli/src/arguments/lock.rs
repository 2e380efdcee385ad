//! Arguments of `lock`, and of commands that keep to it.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// Only ask for images of these services again
    pub(crate) services: Vec<String>,
    /// Ask nobody and write nothing; fail if an image is missing in the lock, or one is in it that no service needs
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Locking {
    /// Use images by the digests of `compose.lock`, and none that is not in it
    #[arg(long, env = "RCOMPOSE_LOCKED", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) locked: bool,
}
