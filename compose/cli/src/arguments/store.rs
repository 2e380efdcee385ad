//! Arguments of the commands on images, networks and volumes.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Load images from an archive
    Load {
        /// File; standard input if not given
        #[arg(short, long)]
        input: Option<PathBuf>,
    },
    /// Pull images from their registries
    Pull {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// List images
    Ls {
        /// Only ids
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove images
    Rm {
        #[arg(required = true)]
        images: Vec<String>,
        /// Also those that containers were made from
        #[arg(short, long)]
        force: bool,
    },
    /// Describe images
    Inspect {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove images that nothing refers to
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Resource {
    /// List them
    Ls {
        /// Only names
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove some
    Rm {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Describe some
    Inspect {
        #[arg(required = true)]
        names: Vec<String>,
    },
}
