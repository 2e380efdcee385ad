//! Arguments of `debug`.

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "The container is seen from within: its processes, network and names are the shell's, and its files, as it sees them, are \
in /container. Of one that does not run only files are there, read-only. Nothing of it changes by that: the shell has a container of its own."
)]
pub(crate) struct Debug {
    pub(crate) service: String,
    /// Program and arguments, instead of a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
    /// Image with the tools; `rootfs:/` is this machine's own programs
    #[arg(long, value_name = "IMAGE", default_value = Debug::HOST)]
    pub(crate) image: String,
    /// Number of the replica
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) index: u32,
    /// Without a terminal
    #[arg(short = 'T', long)]
    pub(crate) no_tty: bool,
}

impl Debug {
    /// The image that is no image.
    pub(crate) const HOST: &str = "rootfs:/";
}
