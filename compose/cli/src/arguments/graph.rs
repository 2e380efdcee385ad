//! Arguments of pictures of a stack, and of stacks that go elsewhere.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// Only these, and what they wait for
    pub(crate) services: Vec<String>,
    /// How it is drawn
    #[arg(long, value_enum, default_value_t = GraphFormat::Text, value_name = "FORMAT")]
    pub(crate) format: GraphFormat,
    /// File, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A tree for the terminal
    Text,
    /// A picture
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the command")]
pub(crate) struct Viz {
    /// With the images of services
    #[arg(long)]
    pub(crate) image: bool,
    /// With the networks of services
    #[arg(long)]
    pub(crate) networks: bool,
    /// With the published ports of services
    #[arg(long)]
    pub(crate) ports: bool,
    /// Indent with spaces, not tabs
    #[arg(long)]
    pub(crate) spaces: bool,
    /// Spaces or tabs for a level
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) indentation_size: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Where to: REGISTRY/NAME:TAG
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) repository: String,
    /// Push the images of services too, and name them by their digests
    #[arg(long)]
    pub(crate) app: bool,
    /// Form of the artifact; 1.0 is for older registries
    #[arg(long, value_name = "VERSION", value_parser = ["1.0", "1.1"])]
    pub(crate) oci_version: Option<String>,
    /// Name images by the digests that registries have for them now
    #[arg(long)]
    pub(crate) resolve_image_digests: bool,
    /// With the files of variables that services name
    #[arg(long)]
    pub(crate) with_env: bool,
    /// Answer yes to every question
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Registry that speaks plain HTTP
    #[arg(long, hide = true, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
    /// Name of the project
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Folder that the project is named by
    #[arg(long, value_name = "DIR")]
    pub(crate) project_dir: Option<PathBuf>,
    /// `yaml` or `json`
    #[arg(long, default_value = "yaml", value_parser = ["yaml", "json"])]
    pub(crate) format: String,
}
