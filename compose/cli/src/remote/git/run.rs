//! Running `git`: with little of our environment, nobody to ask, an end in time, and files that do not grow without end.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rcompose_model::without_credentials;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::GitReference;
use crate::environment::Environment;

/// What a run may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The largest file that `git` may write, in blocks of 512 bytes: a pack of 512 MiB.
const MAX_BLOCKS: &str = "1048576";
/// The most of an answer that is read.
const MAX_ANSWER: u64 = 64 << 20;
/// The most of a complaint that is shown.
const MAX_COMPLAINT: usize = 600;
/// Limits its files and becomes `git`.
const LIMITED: &str = "ulimit -f \"$1\" && shift && exec git \"$@\"";

/// Variables that say how repositories are reached; `git` gets no others.
const KEPT: [&str; 23] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
];

/// How far a run reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the repository: the user's configuration says how.
    Repository,
    /// No further than the scratch folder: nobody's configuration is read.
    Here,
}

/// The `git` program, for one reference.
pub(super) struct Git<'a> {
    pub(super) reference: &'a GitReference,
    pub(super) environment: &'a Environment,
    /// Where it runs; nobody else's.
    pub(super) folder: &'a Path,
}

impl Git<'_> {
    /// What it answers.
    pub(super) fn run(&self, reach: Reach, words: &[&str]) -> Result<Vec<u8>, String> {
        let (answer, complaint) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let file = |path: &Path| File::create(path).map_err(|error| format!("failed to make {}: {error}", path.display()));
        let mut command = self.command(reach, words);
        command.stdin(Stdio::null()).stdout(file(&answer)?).stderr(file(&complaint)?);
        let child = command.spawn().map_err(|error| format!("failed to start git: {error}"))?;
        let status = wait(child, PATIENCE)?;
        if status.success() {
            return read(&answer);
        }
        // The one that writes may be a child of the one that we wait for.
        let (said, limit) = (read(&complaint)?, Signal::XFSZ.as_raw());
        let told = String::from_utf8_lossy(&said).contains(&format!("died of signal {limit}"));
        Err(match status.code() {
            Some(127) => "`git` is needed for that: install it".to_owned(),
            _ if told || status.signal() == Some(limit) => "it is larger than 512 MiB".to_owned(),
            _ => self.complaint(&said, status),
        })
    }

    fn command(&self, reach: Reach, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LIMITED, "git", MAX_BLOCKS]);
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "core.attributesFile=/dev/null",
            "core.autocrlf=false",
            "core.symlinks=true",
            "core.protectHFS=true",
            "core.protectNTFS=true",
            // Large objects are streamed, not held in memory.
            "core.bigFileThreshold=16m",
            "credential.interactive=false",
            "fetch.fsckObjects=true",
            // One pack, so that the limit of a file is the limit of all.
            "fetch.unpackLimit=1",
            "fetch.recurseSubmodules=false",
            "submodule.recurse=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "init.defaultBranch=none",
            "http.lowSpeedLimit=100",
            "http.lowSpeedTime=60",
        ] {
            command.args(["-c", setting]);
        }
        command.args(words).current_dir(self.folder).env_clear();
        let kept = KEPT.iter().filter_map(|name| Some((name, self.environment.get(*name)?)));
        command.envs(kept).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "/bin/false");
        command.env("GIT_ALLOW_PROTOCOL", allowed(self.reference.scheme)).env("GIT_NO_REPLACE_OBJECTS", "1");
        let own_ssh = ["GIT_SSH", "GIT_SSH_COMMAND"].iter().any(|name| self.environment.contains_key(*name));
        if !own_ssh {
            let ssh = "ssh -o BatchMode=yes -o ControlMaster=no -o ConnectTimeout=15 -o ServerAliveInterval=15";
            command.env("GIT_SSH_COMMAND", ssh);
        }
        if reach == Reach::Here {
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_SYSTEM", "/dev/null").env("GIT_CONFIG_GLOBAL", "/dev/null");
        }
        command
    }

    /// What it said, without secrets and without what a terminal would obey.
    fn complaint(&self, bytes: &[u8], status: ExitStatus) -> String {
        let text = String::from_utf8_lossy(bytes).replace(&self.reference.remote, &without_credentials(&self.reference.remote));
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let shown: String = lines.join("; ").chars().filter(|letter| !letter.is_control()).take(MAX_COMPLAINT).collect();
        if shown.is_empty() { format!("git: {status}") } else { format!("git: {shown}") }
    }
}

/// The ways that `git` may take: where the user's configuration rewrites an address, from https to ssh, but not to commands.
fn allowed(scheme: &str) -> &str {
    match scheme {
        "https" => "https:ssh",
        "http" => "http:https",
        other => other,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(MAX_ANSWER + 1).read_to_end(&mut bytes));
    opened.map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    if bytes.len() as u64 > MAX_ANSWER { Err("git: the answer is too long".to_owned()) } else { Ok(bytes) }
}

/// Waits for its end. It shares our process group, so that Ctrl-C ends both.
fn wait(mut child: Child, patience: Duration) -> Result<ExitStatus, String> {
    let failed = |error: std::io::Error| format!("failed to wait for git: {error}");
    let pid = Pid::from_child(&child);
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty()).and_then(|fd| {
        let timeout = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
        rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout))
    });
    match ended.map_err(|error| failed(error.into())) {
        Ok(1..) => child.wait().map_err(failed),
        other => {
            // Those that it started first: they would go on, and wait for a server that does not answer.
            for pid in descendants(pid).into_iter().chain([pid]) {
                // One that has just ended is what is wanted.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
            child.wait().map_err(failed)?;
            other?;
            Err(format!("git did not come to an end in {} seconds", patience.as_secs()))
        }
    }
}

fn descendants(pid: Pid) -> Vec<Pid> {
    let mut found = vec![pid];
    let mut position = 0;
    while let Some(pid) = found.get(position) {
        let number = pid.as_raw_nonzero();
        let listed = std::fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
        found.extend(listed.split_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)));
        position += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs a script in place of `git`.
    fn run(name: &str, script: &str) -> Result<Vec<u8>, String> {
        let folder = std::env::temp_dir().join(format!("rcompose-git-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("git"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(folder.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let environment = [("PATH", path.as_str()), ("GIT_DIR", "/trap"), ("SECRET", "x")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let reference = GitReference::parse("https://me:secret@host/a.git").unwrap();
        let answer = Git { reference: &reference, environment: &environment, folder: &folder }.run(Reach::Repository, &["x"]);
        std::fs::remove_dir_all(&folder).unwrap();
        answer
    }

    #[test]
    fn git_gets_little_of_the_environment() {
        let seen = String::from_utf8(run("environment", "env").unwrap()).unwrap();
        for name in ["GIT_DIR=", "SECRET="] {
            assert!(!seen.lines().any(|line| line.starts_with(name)), "{seen}");
        }
        for line in ["GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:ssh"] {
            assert!(seen.lines().any(|known| known == line), "{line}: {seen}");
        }
    }

    #[test]
    fn what_grows_without_end_is_cut_off() {
        assert_eq!(run("limit", "exec truncate --size=600M large").unwrap_err(), "it is larger than 512 MiB");
    }

    #[test]
    fn complaints_hold_no_secret_and_nothing_for_a_terminal() {
        let said = run("complaint", "printf 'fatal: \\033[31m%s\\n' https://me:secret@host/a.git >&2; exit 3").unwrap_err();
        assert_eq!(said, "git: fatal: [31mhttps://host/a.git");
        assert!(run("none", "exit 127").unwrap_err().contains("install it"));
    }

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let mut command = Command::new("/bin/sh");
        let child = command.args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let sleeper = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let fd = rustix::process::pidfd_open(sleeper, PidfdFlags::empty()).unwrap();
        assert!(wait(child, Duration::from_millis(50)).unwrap_err().contains("did not come to an end"));
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let ended = rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(ended, 1, "its child went on");
    }
}
