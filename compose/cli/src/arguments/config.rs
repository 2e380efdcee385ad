//! Flags of `config`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Config {
    /// Only these services, and what they depend on
    pub(crate) services_wanted: Vec<String>,
    /// `yaml` or `json`
    #[arg(long, value_parser = ["yaml", "json"])]
    pub(crate) format: Option<String>,
    /// Only check
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Save to a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Leave `${VARIABLE}` as it is
    #[arg(long)]
    pub(crate) no_interpolate: bool,
    /// Leave out what goes without saying: names, the default network, implied dependencies
    #[arg(long)]
    pub(crate) no_normalize: bool,
    /// Leave relative paths as they are
    #[arg(long)]
    pub(crate) no_path_resolution: bool,
    /// Do not check that the parts fit together
    #[arg(long)]
    pub(crate) no_consistency: bool,
    /// Do not read the `env_file`s of services
    #[arg(long)]
    pub(crate) no_env_resolution: bool,
    /// Where each value was written, beside it
    #[arg(long, conflicts_with_all = ["format", "no_interpolate"])]
    pub(crate) origin: bool,
    /// Names of services, one per line
    #[arg(long)]
    pub(crate) services: bool,
    /// Names of volumes, one per line
    #[arg(long)]
    pub(crate) volumes: bool,
    /// Names of networks, one per line
    #[arg(long)]
    pub(crate) networks: bool,
    /// Names of models, one per line
    #[arg(long)]
    pub(crate) models: bool,
    /// Names of profiles, one per line
    #[arg(long)]
    pub(crate) profiles: bool,
    /// Images, one per line
    #[arg(long)]
    pub(crate) images: bool,
    /// Fingerprints of services; `*` is all
    #[arg(long, value_name = "SERVICE,...")]
    pub(crate) hash: Option<String>,
    /// Variables of the files: where they are used and set, what that shadows
    #[arg(long)]
    pub(crate) variables: bool,
    /// Variables that the files can use, with their values
    #[arg(long)]
    pub(crate) environment: bool,
}
