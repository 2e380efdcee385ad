//! A place to run the program in: roots of its own, a network namespace that stands for the host, and the proof that nothing is left.

mod terminal;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use terminal::Terminal;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A scratch place. When it goes, so does everything that was made in it.
pub struct Scratch {
    program: PathBuf,
    folder: PathBuf,
    namespace: String,
    /// Variables that the program gets besides its roots.
    environment: Vec<(String, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Answer {
    /// Its status; 128 and more for signals.
    pub code: i32,
    /// What it said.
    pub stdout: String,
    /// What else it said.
    pub stderr: String,
}

impl Scratch {
    /// Makes a place for `program`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests start containers and need root");
        let name = format!("rct{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(folder.join("project")).expect("a folder can be made");
        let scratch = Self { program: program.into(), folder, namespace: name.clone(), environment: Vec::new() };
        // A mount namespace of the tests' own would hide the pins of `ip netns` from this process: the host's is used.
        scratch.command("ip", &["netns", "add", &name]);
        scratch.inside(&["ip", "link", "set", "lo", "up"]);
        scratch
    }

    /// The folder of the project.
    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.project().join(name), text).expect("a file can be written");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).output().expect("the program is installed");
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Only the network: `ip netns exec` would hide the host's cgroups too.
    fn network(&self) -> String {
        format!("--net=/run/netns/{}", self.namespace)
    }

    /// Runs a program of the host in the place's network.
    pub fn inside(&self, words: &[&str]) -> String {
        let network = self.network();
        self.command("nsenter", &[&[network.as_str(), "--"], words].concat())
    }

    /// A program of the host, to be run in the place's network in a way of one's own.
    pub fn command_in_network(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.network()).arg("--").arg(program);
        command
    }

    /// Sets a variable for every run of the program from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    fn prepare(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command_in_network(&self.program);
        command.args(arguments);
        self.surround(&mut command, folder);
        command
    }

    fn surround(&self, command: &mut Command, folder: &Path) {
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .env("RCOMPOSE_ROOT", self.folder.join("data"))
            .env("RCOMPOSE_RUN_ROOT", self.folder.join("run"));
        command.env_remove("COMPOSE_PROJECT_NAME").env("NO_COLOR", "1");
    }

    /// The program, to be run in the project's folder in a way of one's own.
    pub fn command_of(&self, arguments: &[&str]) -> Command {
        self.prepare(&self.project(), arguments)
    }

    /// Runs the program in the project's folder.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.run_in(&self.project(), arguments)
    }

    /// Runs the program in the project's folder with some variables.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let mut command = self.prepare(&self.project(), arguments);
        let command = command.envs(variables.iter().copied()).stdin(Stdio::null());
        Answer::of(&command.output().expect("the program can be run"))
    }

    /// Runs the program in any folder.
    pub fn run_in(&self, folder: &Path, arguments: &[&str]) -> Answer {
        Answer::of(&self.prepare(folder, arguments).stdin(Stdio::null()).output().expect("the program can be run"))
    }

    /// Runs the program on a terminal of so many columns, and answers what it asks.
    pub fn run_on_terminal(&self, columns: u16, arguments: &[&str], input: &str) -> Answer {
        self.with_input(columns, arguments, input, false)
    }

    /// As [`Scratch::run_on_terminal`], for a program that wants every key: they are pressed when it has said so.
    pub fn press_on_terminal(&self, columns: u16, arguments: &[&str], keys: &str) -> Answer {
        self.with_input(columns, arguments, keys, true)
    }

    fn with_input(&self, columns: u16, arguments: &[&str], input: &str, raw: bool) -> Answer {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&master).expect("the terminal is ours");
        unlockpt(&master).expect("the terminal is ours");
        let size = rustix::termios::Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).expect("a terminal has a size");
        let name = ptsname(&master, Vec::new()).expect("a terminal has a name").into_string().expect("in ASCII");
        let side = || std::fs::OpenOptions::new().read(true).write(true).open(&name).expect("a terminal can be opened");
        let mut command = self.prepare(&self.project(), arguments);
        let mut child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("the program can be run");
        drop(command);
        let mut master = std::fs::File::from(master);
        if raw {
            wait_for("a terminal that passes every key on", || {
                let modes = rustix::termios::tcgetattr(&master).expect("a terminal has modes").local_modes;
                (!modes.contains(rustix::termios::LocalModes::ICANON)).then_some(())
            });
        }
        master.write_all(input.as_bytes()).expect("a terminal takes input");
        let mut bytes = Vec::new();
        // It ends with an error when nobody has the other side open any more.
        let _ = master.read_to_end(&mut bytes);
        let status = child.wait().expect("the program can be waited for");
        let stdout = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        Answer { code: status.code().unwrap_or(-1), stdout, stderr: String::new() }
    }

    /// Starts the program on a terminal of its own, as a shell would.
    pub fn on_terminal(&self, columns: u16, rows: u16, arguments: &[&str]) -> Terminal {
        self.on_terminal_with(columns, rows, &[], arguments)
    }

    /// As [`Scratch::on_terminal`], with variables; `NO_COLOR` is not set.
    pub fn on_terminal_with(&self, columns: u16, rows: u16, variables: &[(&str, &str)], arguments: &[&str]) -> Terminal {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "nsenter", &self.network(), "--"]).arg(&self.program).args(arguments);
        self.surround(&mut command, &self.project());
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color").envs(variables.iter().copied());
        Terminal::start(columns, rows, command)
    }

    /// Starts the program and leaves it running; its output goes to files that [`Scratch::output`] reads.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        let file = |name| std::fs::File::create(self.folder.join(name)).expect("a file can be made");
        let mut command = self.prepare(&self.project(), arguments);
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr")).spawn().expect("the program can be run")
    }

    /// What the program that was spawned last has said so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.join("stdout")).unwrap_or_default()
    }

    /// The supervisor's process number, if one answers.
    pub fn supervisor(&self) -> Option<i32> {
        let needle = self.folder.join("run").to_string_lossy().into_owned();
        processes_with(&needle).into_iter().find(|(_, line)| line.contains("supervisor")).map(|(pid, _)| pid)
    }

    /// The monitors' process numbers.
    pub fn monitors(&self) -> Vec<i32> {
        let all = processes_in(&self.namespace).into_iter();
        all.filter(|(_, line)| line.starts_with("rcompose monitor")).map(|(pid, _)| pid).collect()
    }

    /// Sends a signal to a process of this place.
    pub fn kill(&self, pid: i32, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process number");
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }

    /// The cgroups around all containers of this place, one a hierarchy.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let data = self.folder.join("data");
        let data = std::fs::canonicalize(&data).unwrap_or(data);
        let sum = self.command("sh", &["-c", "printf %s \"$0\" | sha256sum", &data.to_string_lossy()]);
        let name = format!("rcompose-{}", &sum[..4]);
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
        let roots = hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]);
        roots.map(|root| root.join(&name)).filter(|path| path.is_dir()).collect()
    }

    /// Proves that of the containers nothing is left: process, mount, cgroup, link, rule, directory.
    pub fn check_nothing_is_left(&self) {
        let folder = self.folder.to_string_lossy().into_owned();
        let links = self.inside(&["ip", "-o", "link"]);
        assert!(!links.contains(" rc") && !links.contains(" rv"), "links are left: {links}");
        let rules = self.inside(&["nft", "list", "ruleset"]);
        assert!(!rules.contains("rcompose"), "rules are left: {rules}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table can be read");
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&format!("{folder}/"))).collect();
        assert!(left.is_empty(), "mounts are left: {left:?}");
        let monitors: Vec<_> =
            processes_in(&self.namespace).into_iter().filter(|(_, line)| !line.contains("supervisor")).collect();
        assert!(monitors.is_empty(), "processes are left: {monitors:?}");
        let cgroups = self.cgroups();
        assert!(cgroups.is_empty(), "cgroups are left: {cgroups:?}");
        for part in ["data/containers", "data/volumes", "run/containers", "run/netns", "data/networks/endpoints"] {
            let entries: Vec<_> =
                std::fs::read_dir(self.folder.join(part)).into_iter().flatten().flatten().map(|it| it.path()).collect();
            assert!(entries.is_empty(), "left: {entries:?}");
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for (pid, _) in processes_in(&self.namespace) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                // One that has just ended is what is wanted.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
        if !std::thread::panicking() {
            for mount in mounts_below(&self.folder) {
                let _ = rustix::mount::unmount(&mount, rustix::mount::UnmountFlags::DETACH);
            }
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(folder)).collect()
}

fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

fn all_processes() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn processes_with(needle: &str) -> Vec<(i32, String)> {
    let lines = all_processes().into_iter().map(|pid| (pid, command_line(pid)));
    lines.filter(|(pid, line)| *pid != i32::try_from(std::process::id()).unwrap_or(0) && line.contains(needle)).collect()
}

/// Processes whose network is the namespace of that name.
fn processes_in(namespace: &str) -> Vec<(i32, String)> {
    use std::os::unix::fs::MetadataExt;
    let Ok(pin) = std::fs::metadata(format!("/run/netns/{namespace}")) else { return Vec::new() };
    let same = |pid: &i32| {
        std::fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|it| (it.dev(), it.ino()) == (pin.dev(), pin.ino()))
    };
    all_processes().into_iter().filter(same).map(|pid| (pid, command_line(pid))).collect()
}

impl Answer {
    /// Of a command that has ended.
    pub fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Gives standard output of a command that worked.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Waits until `ready` gives something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
