//! Arguments of `build` and `builder`.

use clap::{Args, Subcommand};

use super::{Locking, Progress};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) locking: Locking,
    pub(crate) services: Vec<String>,
    /// Value of an argument, `NAME=value`, or `NAME` as it is here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Of another builder; has no effect here
    #[arg(long, value_name = "NAME")]
    pub(crate) builder: Option<String>,
    /// Look at the Dockerfiles, and build nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Memory that a step may have
    #[arg(short, long, value_name = "BYTES")]
    pub(crate) memory: Option<String>,
    /// Take nothing from the cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Show what would be built, as bake files have it
    #[arg(long)]
    pub(crate) print: bool,
    /// Attestation; has no effect here
    #[arg(long, value_name = "KIND")]
    pub(crate) provenance: Option<String>,
    /// Attestation; has no effect here
    #[arg(long, value_name = "KIND")]
    pub(crate) sbom: Option<String>,
    /// Ask registries for newer base images
    #[arg(long)]
    pub(crate) pull: bool,
    /// Push what was built, to where `image` and `tags` say
    #[arg(long)]
    pub(crate) push: bool,
    /// Without progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Agent, `default` or `ID=SOCKET`
    #[arg(long, value_name = "ID[=SOCKET]")]
    pub(crate) ssh: Vec<String>,
    /// Images of dependencies too
    #[arg(long)]
    pub(crate) with_dependencies: bool,
    #[arg(long = "progress", value_enum, value_name = "MODE", hide = true, id = "build_progress")]
    pub(crate) progress: Option<Progress>,
    #[arg(long, hide = true, id = "build_parallel")]
    pub(crate) parallel: bool,
    #[arg(long, hide = true)]
    pub(crate) compress: bool,
    #[arg(long, hide = true)]
    pub(crate) force_rm: bool,
    #[arg(long, hide = true)]
    pub(crate) no_rm: bool,
}

/// The build cache.
#[derive(Debug, Subcommand)]
pub(crate) enum Builder {
    /// Show what the build cache takes
    Df,
    /// Remove build cache that no image has
    Prune {
        /// All of it, caches of mounts too
        #[arg(short, long)]
        all: bool,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}
