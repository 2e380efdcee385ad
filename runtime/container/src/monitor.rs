//! The monitor: the only process that a running container depends on. One thread, one loop, no state beside files.
//!
//! ```text
//! main ─► run   a container: cgroup, init, state file, answer, loop, exit record
//!     └─► exec  another process in a container: init, answer, loop
//! ```
//! The loop ([`session::Session`]) waits for descriptors: output to be logged and passed on, clients, the end of the process.

mod clients;
mod session;

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

use rcompose_sys::process::Identity;
use rcompose_sys::signals::SignalSet;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::cgroup::Cgroup;
use crate::exit::ExitRecord;
use crate::init::{self, Spawned, StartError, Stdio};
use crate::launch::{Answer, ExecLaunch, Instructions, Launch, read_message, write_message};
use crate::logs;
use crate::spec::Spec;
use crate::state::State;
use session::{Ended, Session};

/// The role `monitor`: reads its instructions from standard input and does them.
pub fn main() -> ExitCode {
    rcompose_sys::exec::ignore_sigpipe();
    // Out of the session of whoever started us: its terminal's signals are not for containers.
    let _ = rustix::process::setsid();
    // The kernel is to kill the container before the one that reports it; without the right to ask that is only a pity.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
    let Ok(mut supervisor) = take_standard_input() else { return ExitCode::FAILURE };
    let instructions = read_message(&mut supervisor).ok().and_then(|message| serde_json::from_slice(&message).ok());
    match instructions {
        Some(Instructions::Run(launch)) => run(*launch, supervisor),
        Some(Instructions::Exec(launch)) => exec(*launch, supervisor),
        None => ExitCode::FAILURE,
    }
}

/// The socket moves away from 0, and nothing is left there that a container could inherit.
fn take_standard_input() -> std::io::Result<UnixStream> {
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = init::open_null()?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(UnixStream::from(socket))
}

fn run(launch: Launch, mut supervisor: UnixStream) -> ExitCode {
    let mut made = match create(&launch) {
        Ok(made) => made,
        Err(error) => {
            refuse(&mut supervisor, &error);
            return ExitCode::FAILURE;
        }
    };
    if answer(&mut supervisor, &Answer::Ready).is_err() {
        // Nobody will ever start it.
        made.discard();
        return ExitCode::FAILURE;
    }
    if launch.bound {
        made.session.serve_only(supervisor);
    } else {
        drop(supervisor);
    }
    let ended = made.session.run();
    let oom_killed = made.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > 0);
    let record = ExitRecord { code: ended.code, oom_killed, finished_at: ended.finished_at, ran_for: ended.ran_for };
    // Without a record the supervisor says "unknown", which is the truth then.
    let recorded = record.write(&launch.exit_record);
    made.session.announce_end(ended.code);
    if let Some(cgroup) = &made.cgroup {
        cgroup.kill();
        // What cannot be removed now is removed by whoever releases the container.
        let _ = cgroup.remove();
    }
    if recorded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A container that waits to be started.
struct Created {
    session: Session,
    cgroup: Option<Cgroup>,
}

impl Created {
    fn discard(&mut self) {
        self.session.kill();
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
            // As above: the next one who looks removes it.
            let _ = cgroup.remove();
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> StartError {
    StartError { code: 128, text: format!("{what}: {error}") }
}

fn create(launch: &Launch) -> Result<Created, StartError> {
    let config = launch.bundle.join("config.json");
    let spec: Spec = std::fs::read(&config)
        .map_err(|error| failed(&format!("failed to read {}", config.display()), &error))
        .and_then(|json| serde_json::from_slice(&json).map_err(|error| failed("failed to parse config.json", &error)))?;
    let prepared = init::prepare(spec, &launch.bundle, launch.rootfs.clone())
        .map_err(|error| failed("failed to prepare", &chain(&error)))?;
    let signals = SignalSet::of(&[libc::SIGCHLD]);
    signals.block().map_err(|error| failed("failed to block signals", &error))?;
    let listener = listen(launch).map_err(|error| failed("failed to listen", &error))?;
    let linux = prepared.linux();
    let path = linux.cgroups_path.clone();
    let resources = linux.resources.clone().unwrap_or_default();
    let cgroup = path.as_deref().map(|path| Cgroup::create(path, &resources)).transpose();
    let cgroup = cgroup.map_err(|error| failed("failed to make the cgroup", &chain(&error)))?;
    let started = start_init(launch, &prepared, cgroup.as_ref(), path, &signals, listener);
    if started.is_err()
        && let Some(cgroup) = &cgroup
    {
        cgroup.kill();
        // The error that is on its way tells the story.
        let _ = cgroup.remove();
    }
    Ok(Created { session: started?, cgroup })
}

fn start_init(
    launch: &Launch,
    prepared: &init::Prepared,
    cgroup: Option<&Cgroup>,
    cgroup_path: Option<String>,
    signals: &SignalSet,
    listener: UnixListener,
) -> Result<Session, StartError> {
    let terminal = prepared.process().terminal;
    let Plumbing { inside, stdin, outputs } =
        plumb(terminal, launch.stdin_open).map_err(|error| failed("failed to make pipes", &error))?;
    let spawned = init::spawn(prepared, inside).map_err(|error| failed("failed to start", &chain(&error)))?;
    let Spawned { pid, pidfd, channel } = spawned;
    if let Some(cgroup) = cgroup {
        cgroup.add(pid.as_raw_nonzero().get()).map_err(|error| failed("failed to enter the cgroup", &chain(&error)))?;
    }
    channel.enter()?;
    let master = channel.wait_ready()?;
    let identity = |pid| Identity::of(pid).map_err(|error| failed("failed to identify a process", &error));
    let state = State { monitor: identity(rustix::process::getpid())?.into(), init: identity(pid)?.into(), cgroup: cgroup_path };
    state.write(&launch.state_dir).map_err(|error| failed("failed to write the state", &error))?;
    let log = launch.log.as_ref().map(|target| {
        let limits = logs::Limits { size: target.max_size, files: target.max_files.max(1) };
        logs::Writer::open(&target.path, limits)
    });
    let log = log.transpose().map_err(|error| failed("failed to open the log", &error))?;
    let signals = signals.descriptor().map_err(|error| failed("failed to watch for signals", &error))?;
    let mut session = Session::new(pid, pidfd, signals, channel);
    session.listener = Some(listener);
    session.log = log;
    session.connect(master, stdin, outputs);
    Ok(session)
}

fn exec(launch: ExecLaunch, mut client: UnixStream) -> ExitCode {
    match join(&launch) {
        Err(error) => {
            refuse(&mut client, &error);
            ExitCode::FAILURE
        }
        Ok(mut session) => {
            if answer(&mut client, &Answer::Ready).is_err() {
                session.kill();
                return ExitCode::FAILURE;
            }
            if !launch.detached {
                session.serve_only(client);
            }
            let Ended { code, .. } = session.run();
            session.announce_end(code);
            // Whoever has no stream to read it from learns it so.
            ExitCode::from(u8::try_from(code).unwrap_or(255))
        }
    }
}

fn join(launch: &ExecLaunch) -> Result<Session, StartError> {
    let gone = || StartError { code: 128, text: "the container is not running".to_owned() };
    let state = State::read(&launch.state_dir).ok_or_else(gone)?;
    let target = state.init.identity().open_verified().ok().flatten().ok_or_else(gone)?;
    let signals = SignalSet::of(&[libc::SIGCHLD]);
    signals.block().map_err(|error| failed("failed to block signals", &error))?;
    let Plumbing { inside, stdin, outputs } =
        plumb(launch.process.terminal, launch.stdin_open).map_err(|error| failed("failed to make pipes", &error))?;
    let spawned = init::spawn_exec(target.as_fd(), &launch.process, &launch.linux, inside);
    let Spawned { pid, pidfd, channel } = spawned.map_err(|error| failed("failed to start", &chain(&error)))?;
    if let Some(path) = &state.cgroup {
        let added = Cgroup::open(path).and_then(|cgroup| cgroup.add(pid.as_raw_nonzero().get()));
        added.map_err(|error| failed("failed to enter the cgroup", &chain(&error)))?;
    }
    channel.enter()?;
    let master = channel.wait_ready()?;
    channel.start()?;
    let signals = signals.descriptor().map_err(|error| failed("failed to watch for signals", &error))?;
    let mut session = Session::new(pid, pidfd, signals, channel);
    session.started();
    session.connect(master, stdin, outputs);
    Ok(session)
}

fn answer(stream: &mut UnixStream, answer: &Answer) -> std::io::Result<()> {
    write_message(stream, &serde_json::to_vec(answer)?)
}

fn refuse(stream: &mut UnixStream, error: &StartError) {
    // Whoever asked is gone if this fails.
    let _ = answer(stream, &Answer::Failed { code: error.code, text: error.text.clone() });
}

/// An error with everything behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The socket stands in the state directory, which is bound by descriptor: socket paths have to be short.
fn listen(launch: &Launch) -> std::io::Result<UnixListener> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(&launch.state_dir, flags, Mode::empty())?;
    let path = format!("{}/control", rcompose_sys::beneath::proc_path(&directory));
    // One left by a crashed monitor would be in the way.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

struct Plumbing {
    inside: Stdio,
    stdin: Option<OwnedFd>,
    outputs: Vec<(logs::Stream, OwnedFd)>,
}

fn plumb(terminal: bool, stdin_open: bool) -> std::io::Result<Plumbing> {
    if terminal {
        return Ok(Plumbing { inside: Stdio::Terminal, stdin: None, outputs: Vec::new() });
    }
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let (stdin, writer) = if stdin_open {
        let (reader, writer) = pipe()?;
        (reader, Some(writer))
    } else {
        (OwnedFd::from(init::open_null()?), None)
    };
    let ((out_reader, stdout), (err_reader, stderr)) = (pipe()?, pipe()?);
    let outputs = vec![(logs::Stream::Stdout, out_reader), (logs::Stream::Stderr, err_reader)];
    Ok(Plumbing { inside: Stdio::Pipes { stdin, stdout, stderr }, stdin: writer, outputs })
}

/// Reads what is there and no more, without waiting.
fn read_available(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
    match source.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
