//! Arguments of the commands on images, networks, volumes and the machine.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Load images from an archive: of `docker save`, or an OCI layout
    Load {
        /// File; standard input if not given
        #[arg(short, long, value_name = "FILE")]
        input: Option<PathBuf>,
        /// Say nothing
        #[arg(short, long)]
        quiet: bool,
    },
    /// Save images to an archive
    Save {
        /// Reference or id
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// File; standard output if not given
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// What the archive is for
        #[arg(long, value_enum, default_value_t = ArchiveFormat::DockerArchive, value_name = "FORM")]
        format: ArchiveFormat,
    },
    /// Pull images from their registries
    Pull {
        /// Reference
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// Without progress
        #[arg(short, long)]
        quiet: bool,
    },
    /// List images
    #[command(visible_alias = "list")]
    Ls {
        /// Only of this repository, or repository and tag
        repository: Option<String>,
        #[command(flatten)]
        list: List,
        /// Also those that have no tag; they are always shown
        #[arg(short, long, hide = true)]
        all: bool,
    },
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm {
        /// Reference or id
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
        /// Also with stopped containers, and with all its tags
        #[arg(short, long)]
        force: bool,
    },
    /// Describe images
    Inspect(Inspect),
    /// Remove images that no container was made from and that have no tag
    Prune {
        /// Also those that have tags
        #[arg(short, long)]
        all: bool,
        /// Without asking
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchiveFormat {
    /// As `docker save` writes it; it is an OCI layout too
    DockerArchive,
    /// An OCI layout, and nothing else
    OciArchive,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Make a network that belongs to no project: the files say `external: true` of it
    Create(CreateNetwork),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(List),
    /// Remove networks that nobody is on
    #[command(visible_alias = "remove")]
    Rm(Remove),
    /// Describe networks
    Inspect(Inspect),
    /// Remove networks that no container uses
    Prune {
        /// Without asking
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateNetwork {
    /// Name
    pub(crate) name: String,
    /// Only `bridge`
    #[arg(short, long, default_value = "bridge")]
    pub(crate) driver: String,
    /// Label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Option of the driver, as com.docker.network.driver.mtu=1400
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
    /// Addresses, one range a family; chosen if not given
    #[arg(long = "subnet", value_name = "CIDR")]
    pub(crate) subnets: Vec<ipnet::IpNet>,
    /// The host's address in a subnet; its first if not given
    #[arg(long = "gateway", value_name = "ADDRESS", requires = "subnets")]
    pub(crate) gateways: Vec<std::net::IpAddr>,
    /// Part of a subnet from which containers get theirs
    #[arg(long = "ip-range", value_name = "CIDR", requires = "subnets")]
    pub(crate) ranges: Vec<ipnet::IpNet>,
    /// No way out of the host
    #[arg(long)]
    pub(crate) internal: bool,
    /// IPv6 too
    #[arg(long)]
    pub(crate) ipv6: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateVolume {
    /// Name; one is made up if not given
    pub(crate) name: Option<String>,
    /// Only `local`
    #[arg(short, long, default_value = "local")]
    pub(crate) driver: String,
    /// Label
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Option of the driver: `type`, `o`, `device`
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Make a volume that belongs to no project: the files say `external: true` of it
    Create(CreateVolume),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(List),
    /// Remove volumes that no container mounts
    #[command(visible_alias = "remove")]
    Rm(Remove),
    /// Describe volumes
    Inspect(Inspect),
    /// Remove anonymous volumes that no container mounts
    Prune {
        /// Also those that have a name
        #[arg(short, long)]
        all: bool,
        /// Without asking
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum System {
    /// Describe the supervisor and its machine
    Info {
        /// `json`, or a template
        #[arg(short, long, value_name = "FORMAT")]
        format: Option<String>,
    },
    /// Show what takes room on the disk
    Df {
        /// Each image, container and volume
        #[arg(short, long)]
        verbose: bool,
        /// `table`, `json`, or a template
        #[arg(long, default_value = "table", value_name = "FORMAT", conflicts_with = "verbose")]
        format: String,
    },
}

/// Of every `ls`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only ids, or names of volumes
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// `table`, `json`, or a template
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only what fits: `name=x`, `label=key[=value]`, `driver=x`, `dangling=true`
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
}

/// Of every `rm` by name.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Name
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// What is not there is fine
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// Of every `inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Name, or what else stands for it
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// `json`, or a template
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
}
