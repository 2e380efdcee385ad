//! The command line: what is common to all commands here, their own arguments in a file a family.

mod build;
mod config;
mod debug;
mod files;
mod graph;
mod life;
mod lists;
mod lock;
mod login;
mod run;
mod stack;
mod store;
mod test;
mod watch;
mod watching;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use build::{Build, Builder};
pub(crate) use config::Config;
pub(crate) use debug::Debug;
pub(crate) use files::{Commit, Cp, Export};
pub(crate) use graph::{Generate, Graph, GraphFormat, Publish, Viz};
pub(crate) use life::{Exec, Kill, Restart, Rm, Services, Start, Stop};
pub(crate) use lists::{Completion, Images, Logs, Ls, Man, Port, Ps, Version};
pub(crate) use lock::{Lock, Locking};
pub(crate) use login::{Login, Logout};
pub(crate) use run::{Pull, PullWhen, Push, Run};
pub(crate) use stack::{Create, Down, Ports, Scale, Up};
pub(crate) use store::{ArchiveFormat, CreateNetwork, CreateVolume, Image, List, Network, Remove, System, Volume};
pub(crate) use test::Test;
pub(crate) use watch::Watch;
pub(crate) use watching::{Attach, Events, Plan, Stats, Volumes, Wait, Why};

/// Runs Compose stacks with its own container runtime.
#[derive(Debug, Parser)]
#[command(name = "rcompose", version, disable_version_flag = true, max_term_width = 110, infer_long_args = false)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Show the version
    #[arg(short = 'v', long, hide = true)]
    pub(crate) version: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Compose file; several are merged in order, `-` is standard input; also a Git repository or an artifact of a registry:
    /// `https://HOST/REPOSITORY.git#BRANCH:FOLDER`, `oci://REGISTRY/NAME:TAG`
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Name of the project
    #[arg(short, long, value_name = "NAME")]
    pub(crate) project_name: Option<String>,
    /// Folder that relative paths start from; that of the first file if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) project_directory: Option<PathBuf>,
    /// File of variables, instead of `.env`
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Profile to switch on; `*` is all
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Vec<String>,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "MODE")]
    pub(crate) progress: Progress,
    /// When output is coloured
    #[arg(long, value_enum, default_value_t = Ansi::Auto, value_name = "WHEN")]
    pub(crate) ansi: Ansi,
    /// At most so many things at a time; -1 is no limit
    #[arg(long, value_name = "N", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true)]
    pub(crate) parallel: i64,
    /// Show what would be done, and why; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also networks, volumes, configs and secrets that no service uses
    #[arg(long)]
    pub(crate) all_resources: bool,
    /// How problems with the files are shown
    #[arg(long, value_enum, default_value_t = Diagnostics::Text, value_name = "FORMAT", hide_default_value = true)]
    pub(crate) diagnostics: Diagnostics,
    /// Names with `_` between their parts, as the first docker-compose made them
    #[arg(long)]
    pub(crate) compatibility: bool,
    /// Tell on standard error what is done on the way
    #[arg(long, hide = true)]
    pub(crate) verbose: bool,
    /// `--ansi never`
    #[arg(long, hide = true, conflicts_with = "ansi")]
    pub(crate) no_ansi: bool,
    /// `--project-directory`
    #[arg(long, hide = true, value_name = "DIR", conflicts_with = "project_directory")]
    pub(crate) workdir: Option<PathBuf>,
    /// Registry of stacks (`oci://`) that speaks plain HTTP
    #[arg(long, hide = true, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
    /// Never ask a registry or a repository for anything
    #[arg(long, global = true, env = "RCOMPOSE_OFFLINE", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) offline: bool,
    /// Path that a stack from elsewhere may name though it is outside of what was fetched; `/` is any
    #[arg(long, value_name = "PATH", env = "RCOMPOSE_ALLOW_PATHS", value_delimiter = ':', hide_env_values = true)]
    pub(crate) allow_path: Vec<PathBuf>,
    /// Where images, volumes and containers are kept
    #[arg(long, value_name = "DIR", env = "RCOMPOSE_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Where sockets and other things are that a reboot may take
    #[arg(long, value_name = "DIR", env = "RCOMPOSE_RUN_ROOT")]
    pub(crate) run_root: Option<PathBuf>,
    /// Progress goes to standard output; only a variable says so
    #[arg(skip)]
    pub(crate) status_on_stdout: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    #[default]
    Auto,
    Tty,
    Plain,
    Json,
    #[value(alias = "none")]
    Quiet,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Diagnostics {
    /// For people
    #[default]
    Text,
    /// A record a line
    Json,
    /// For editors and CI
    Sarif,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ansi {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start the stack
    Up(Up),
    /// Stop and remove the stack
    Down(Down),
    /// Create containers without starting them
    Create(Create),
    /// Show what `up` would do, and why; the exit code is 2 when there is something to do
    Plan(Plan),
    /// Show why the containers of a service were created, started or stopped
    Why(Why),
    /// Change how many containers services have
    Scale(Scale),
    /// List containers
    Ps(Ps),
    /// Show output of containers
    Logs(Logs),
    /// Bring the stack up, and do what its files say when files change
    Watch(Watch),
    /// Show what happens to containers, as it happens
    Events(Events),
    /// Show what containers use
    Stats(Stats),
    /// Connect this terminal to a container's first process
    Attach(Attach),
    /// Wait until containers have ended
    Wait(Wait),
    /// Run a command in a running container
    Exec(Exec),
    /// Open a shell with tools beside a container, also one that has none or does not run
    Debug(Debug),
    /// Run one command in a container of its own
    Run(Run),
    /// Run a command beside a private copy of the stack that is removed afterwards
    Test(Test),
    /// Build images of services
    Build(Build),
    /// Pull images
    Pull(Pull),
    /// Push images of services that say how they are built
    Push(Push),
    /// Start containers that exist
    Start(Start),
    /// Stop containers
    Stop(Stop),
    /// Restart containers
    Restart(Restart),
    /// Send a signal to containers
    Kill(Kill),
    /// Remove stopped containers
    Rm(Rm),
    /// Freeze containers
    Pause(Services),
    /// Thaw containers
    Unpause(Services),
    /// Write the digests of the stack's images to `compose.lock`
    Lock(Lock),
    Cp(Cp),
    /// Write the files of a container as an archive
    Export(Export),
    /// Make an image of a container
    Commit(Commit),
    /// Check the files and show them merged
    #[command(alias = "convert")]
    Config(Config),
    /// Show a Compose file that makes containers which are there again
    Generate(Generate),
    /// Send the stack to a registry, for `-f oci://`
    Publish(Publish),
    /// Show which service waits for which, and how each of them is
    Graph(Graph),
    /// Show which service waits for which, as DOT
    #[command(hide = true)]
    Viz(Viz),
    /// List images of the stack's containers
    Images(Images),
    /// Show the published address of a container port
    Port(Port),
    /// Show processes of containers
    Top(Services),
    /// List volumes of the stack
    Volumes(Volumes),
    /// List projects
    Ls(Ls),
    /// Show the stack on the whole terminal: services with figures, output, and keys
    Ui,
    /// Show the version
    Version(Version),
    /// Print a script by which a shell completes words; its first lines say how it is used
    Completion(Completion),
    /// Write the manual, a page a command
    #[command(hide = true)]
    Man(Man),
    /// Log in to a registry
    Login(Login),
    /// Log out of a registry
    Logout(Logout),
    /// The build cache
    #[command(subcommand)]
    Builder(Builder),
    /// Images of the store
    #[command(subcommand)]
    Image(Image),
    /// Networks
    #[command(subcommand)]
    Network(Network),
    /// Volumes
    #[command(subcommand)]
    Volume(Volume),
    /// The supervisor, its machine, and the room that everything takes
    #[command(subcommand)]
    System(System),
}

impl Command {
    /// Tells whether only what the lock has is to be used.
    pub(crate) fn is_locked(&self) -> bool {
        let locking = match self {
            Self::Up(up) => &up.locking,
            Self::Create(create) => &create.locking,
            Self::Run(run) => &run.locking,
            Self::Test(test) => &test.locking,
            Self::Build(build) => &build.locking,
            Self::Pull(pull) => &pull.locking,
            _ => return false,
        };
        locking.locked
    }
}
