//! Arguments of `login` and `logout`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Host of the registry; that of docker.io if not given
    pub(crate) server: Option<String>,
    /// Name
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// Password; whoever lists processes sees it
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub(crate) password: Option<String>,
    /// Take the password from standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Host of the registry; that of docker.io if not given
    pub(crate) server: Option<String>,
}
