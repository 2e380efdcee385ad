//! Arguments of pictures of a stack.

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
