//! The instructions, typed. Variables in them are not expanded yet.

use std::time::Duration;

use super::heredoc::Heredoc;
use super::problem::Place;

/// An instruction, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it begins.
    pub place: Place,
    /// The last line that belongs to it.
    pub last_line: u32,
    /// As written, its lines joined, for people.
    pub text: String,
    /// What it says.
    pub kind: Kind,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the instructions of the Dockerfile reference")]
pub enum Kind {
    From(From),
    Run(Run),
    Cmd(Command),
    Entrypoint(Command),
    Label(Vec<(String, String)>),
    Maintainer(String),
    Expose(String),
    Env(Vec<(String, String)>),
    /// ADD and COPY.
    Copy(Copy),
    Volume(Vec<String>),
    User(String),
    Workdir(String),
    Arg(Vec<(String, Option<String>)>),
    /// The instruction that it keeps for others, as written.
    Onbuild(String),
    StopSignal(String),
    Healthcheck(Healthcheck),
    Shell(Vec<String>),
}

/// Begins a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Reference, an earlier stage, a named context or `scratch`.
    pub image: String,
    /// `--platform`.
    pub platform: Option<String>,
    /// `AS`.
    pub name: Option<String>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Program and arguments.
    Exec(Vec<String>),
    /// A line for the shell.
    Shell(String),
}

/// A command whose changes become a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run; of a heredoc alone, its body.
    pub command: Command,
    /// `--mount`.
    pub mounts: Vec<super::mount::Mount>,
    /// `--network`.
    pub network: Option<String>,
    /// `--security`.
    pub security: Option<String>,
    /// `--device`.
    pub devices: Vec<String>,
    /// The command is a script for the program that its first line names.
    pub script: Option<Heredoc>,
}

/// Files that become a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the instruction")]
pub struct Copy {
    /// ADD: takes URLs, and unpacks archives.
    pub add: bool,
    /// What is copied.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub target: String,
    /// Stage, image or named context.
    pub from: Option<String>,
    /// `user[:group]`.
    pub chown: Option<String>,
    /// Octal or symbolic.
    pub chmod: Option<String>,
    /// The layer does not depend on what is below.
    pub link: bool,
    /// The sources keep their parents.
    pub parents: bool,
    /// Patterns of what stays away.
    pub excludes: Vec<String>,
    /// `sha256:...`.
    pub checksum: Option<String>,
    /// Whether archives are unpacked; what it is by default depends on where they come from.
    pub unpack: Option<bool>,
    /// Of a git repository.
    pub keep_git_dir: bool,
}

/// A source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path, a pattern or a URL.
    Path(String),
    /// A file that stands in the Dockerfile.
    Inline(Heredoc),
}

/// How it is told whether a container works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Healthcheck {
    /// `None` switches the check of the base off.
    pub command: Option<Command>,
    /// `--interval`.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`.
    pub retries: Option<u32>,
}
