//! What the first process of a container does, in order, and what one that joins it does.
//!
//! The order follows from what each step needs and what it takes away; the reason stands beside each.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rcompose_sys::namespace::{self, Kinds};
use rcompose_sys::{exec, keyring, privilege};
use rustix::process::Signal;

use super::channel::{ChildEnd, StartError};
use super::{Confinement, Prepared, Stdio, credentials, devices, filesystem, mounts, reaper, settings, terminal};
use crate::spec::{NamespaceKind, Process};

pub(super) type StepResult<T> = Result<T, StartError>;

/// Says what was being done when a step failed.
pub(super) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> StepResult<T>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> StepResult<T> {
        self.map_err(|error| StartError { code: 128, text: format!("{}: {error}", what()) })
    }
}

/// Runs the first process of a container; comes back only after a failure.
pub(super) fn first_process(prepared: &Prepared, own_cgroup: bool, stdio: Stdio, channel: &ChildEnd) {
    if let Err(error) = build_and_run(prepared, own_cgroup, stdio, channel) {
        channel.fail(&error);
    }
}

fn build_and_run(prepared: &Prepared, own_cgroup: bool, stdio: Stdio, channel: &ChildEnd) -> StepResult<()> {
    let (process, linux) = (prepared.process(), prepared.linux());
    // Nothing before the limits are in place: the parent puts this process into its cgroup first.
    if !channel.wait_enter() {
        return Err(StartError { code: 128, text: "the monitor went away".to_owned() });
    }
    // Nobody inside may look into this process while it still holds what belongs to the host.
    privilege::set_dumpable(false).doing(|| "failed to protect the process".to_owned())?;
    // Without the monitor nobody would notice the end, or write the log: then there is no container.
    privilege::set_parent_death_signal(Signal::KILL.as_raw()).doing(|| "failed to tie the process to its monitor".to_owned())?;
    // A session of its own, before a terminal can become its controlling one.
    rustix::process::setsid().doing(|| "setsid".to_owned())?;
    // Descriptors of the monitor stay out of the container, whatever happens before execve.
    let io = stdio_onto_standard(stdio).doing(|| "failed to set up input and output".to_owned())?;
    exec::close_on_exec_from(3).doing(|| "failed to mark descriptors".to_owned())?;
    // Through the host's /proc, which nobody inside has touched.
    settings::apply_oom_score(process)?;
    for (kind, namespace) in prepared.joined.iter().filter(|(kind, _)| *kind != Kinds::PID) {
        namespace::enter(namespace, *kind).doing(|| "failed to join a namespace".to_owned())?;
    }
    // Now that it is in its cgroup, that cgroup becomes the root of what it sees.
    if own_cgroup {
        namespace::unshare(Kinds::CGROUP).doing(|| "failed to make a cgroup namespace".to_owned())?;
    }
    // Keys of the user who started all this are not the container's.
    keyring::new_session().doing(|| "failed to make a session keyring".to_owned())?;
    // Mounts made from here on must not travel to the host; the root is in place before anything is mounted in it.
    let root = filesystem::build_root(prepared)?;
    mounts::mount_all(&root, prepared)?;
    devices::create(&root, prepared)?;
    // Where the image lacks it, as long as the root can be written to.
    root.create_dir_all(working_directory(process), 0o755)
        .doing(|| format!("failed to make the working directory `{}`", process.cwd))?;
    // From here on plain paths are paths of the container.
    filesystem::enter_root(&root)?;
    devices::leave_null_of_host()?;
    let master = match io {
        Io::Ready => None,
        // Made from the container's own devpts, so that its name means the same inside.
        Io::Terminal => {
            let master = terminal::create()?;
            terminal::show_as_console()?;
            Some(master)
        }
    };
    settings::apply_names(prepared)?;
    // /proc is the container's own and still writable; afterwards it is not.
    settings::apply_sysctls(linux)?;
    filesystem::protect_paths(linux)?;
    // Last of the mounts: everything above may have needed a writable root.
    if prepared.spec.root.as_ref().is_some_and(|root| root.readonly) {
        filesystem::make_root_read_only()?;
    }
    settings::apply_limits(process)?;
    let user = credentials::resolve(&process.user)?;
    channel.ready(master.as_ref()).doing(|| "failed to report to the monitor".to_owned())?;
    // Ours goes with execve: until then a failure is still told, by a process that no terminal has hung up on.
    if !channel.wait_start() {
        return Err(StartError { code: 128, text: "the monitor went away before the start".to_owned() });
    }
    if linux.init && prepared.has_own(NamespaceKind::Pid) {
        // The rest happens in a child; this process stays as pid 1.
        reaper::become_init(|| become_program(process, &prepared.confinement, &user, channel), &prepared.confinement, channel)
    } else {
        become_program(process, &prepared.confinement, &user, channel)
    }
}

/// Runs a process that joins a container; comes back only after a failure.
pub(super) fn another_process(target: impl AsFd, process: &Process, confinement: &Confinement, stdio: Stdio, channel: &ChildEnd) {
    if let Err(error) = join_and_run(target, process, confinement, stdio, channel) {
        channel.fail(&error);
    }
}

fn join_and_run(
    target: impl AsFd,
    process: &Process,
    confinement: &Confinement,
    stdio: Stdio,
    channel: &ChildEnd,
) -> StepResult<()> {
    // As for the first process: limits first, then out of sight, then tied to the one who reports the end.
    if !channel.wait_enter() {
        return Err(StartError { code: 128, text: "the caller went away".to_owned() });
    }
    privilege::set_dumpable(false).doing(|| "failed to protect the process".to_owned())?;
    privilege::set_parent_death_signal(Signal::KILL.as_raw()).doing(|| "failed to tie the process to its caller".to_owned())?;
    rustix::process::setsid().doing(|| "setsid".to_owned())?;
    let io = stdio_onto_standard(stdio).doing(|| "failed to set up input and output".to_owned())?;
    exec::close_on_exec_from(3).doing(|| "failed to mark descriptors".to_owned())?;
    keyring::new_session().doing(|| "failed to make a session keyring".to_owned())?;
    // Through the host's /proc: what lies over the container's, the container may have put there.
    settings::apply_oom_score(process)?;
    // The mount namespace last: the pidfd that leads there is of no use afterwards.
    namespace::enter(target, Kinds::MOUNT).doing(|| "failed to join the container".to_owned())?;
    devices::leave_null_of_host()?;
    let master = match io {
        Io::Ready => None,
        Io::Terminal => Some(terminal::create()?),
    };
    settings::apply_limits(process)?;
    let user = credentials::resolve(&process.user)?;
    channel.ready(master.as_ref()).doing(|| "failed to report to the caller".to_owned())?;
    if !channel.wait_start() {
        return Err(StartError { code: 128, text: "the caller went away before the start".to_owned() });
    }
    become_program(process, confinement, &user, channel)
}

/// Gives up what the program must not have, and becomes it.
fn become_program(
    process: &Process,
    confinement: &Confinement,
    user: &credentials::Identity,
    channel: &ChildEnd,
) -> StepResult<()> {
    if process.no_new_privileges {
        privilege::set_no_new_privileges().doing(|| "failed to set no_new_privs".to_owned())?;
    } else if let Some(filter) = &confinement.filter {
        // Without no_new_privs loading needs CAP_SYS_ADMIN, which is about to go.
        filter.load().doing(|| "failed to load the seccomp filter".to_owned())?;
    }
    privilege::limit_bounding(confinement.present, confinement.bounding).doing(|| "failed to drop capabilities".to_owned())?;
    // The working directory as the user may see it; root may be unable to enter it (NFS), or the user.
    let entered = rustix::process::chdir(working_directory(process));
    privilege::keep_capabilities(true).doing(|| "failed to keep capabilities".to_owned())?;
    privilege::set_groups(&user.groups).doing(|| format!("failed to set the groups {:?}", user.groups))?;
    privilege::set_gid(user.gid).doing(|| format!("failed to become group {}", user.gid))?;
    privilege::set_uid(user.uid).doing(|| format!("failed to become user {}", user.uid))?;
    if entered.is_err() {
        rustix::process::chdir(working_directory(process))
            .doing(|| format!("cannot enter working directory `{}`", process.cwd))?;
    }
    check_inside()?;
    privilege::keep_capabilities(false).doing(|| "failed to keep capabilities".to_owned())?;
    // A user other than root has no capability until a file gives one; inheritable and ambient are always empty.
    let held = if user.uid == 0 { confinement.effective } else { 0 };
    privilege::set_capabilities(held, held, 0).doing(|| "failed to set capabilities".to_owned())?;
    privilege::clear_ambient().doing(|| "failed to clear ambient capabilities".to_owned())?;
    // The kernel forgets it when the user or the capabilities change.
    privilege::set_parent_death_signal(Signal::KILL.as_raw()).doing(|| "failed to tie the process to its parent".to_owned())?;
    if !channel.is_open() {
        return Err(StartError { code: 128, text: "the monitor went away".to_owned() });
    }
    let environment = credentials::environment(process, user);
    let program = resolve_program(process, &environment)?;
    exec::reset_signals().doing(|| "failed to reset signals".to_owned())?;
    if process.no_new_privileges
        && let Some(filter) = &confinement.filter
    {
        // With no_new_privs anybody may load it: as late as possible, so that the policy need not allow what came before.
        filter.load().doing(|| "failed to load the seccomp filter".to_owned())?;
    }
    Err(execute(process, &environment, &program))
}

fn working_directory(process: &Process) -> &str {
    if process.cwd.is_empty() { "/" } else { &process.cwd }
}

/// A working directory outside of the root shows as a path that is not absolute (CVE-2024-21626).
fn check_inside() -> StepResult<()> {
    let path = rustix::process::getcwd(Vec::new()).doing(|| "getcwd".to_owned())?;
    if path.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(StartError { code: 128, text: "the working directory is outside of the container".to_owned() })
    }
}

/// Finds the program as the container's PATH says.
fn resolve_program(process: &Process, environment: &[CString]) -> StepResult<CString> {
    let name = process.args.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| StartError { code: 127, text: "no command specified".to_owned() })?;
    let failure = |code, what: &str| StartError { code, text: format!("exec: \"{name}\": {what}") };
    let candidates = if name.contains('/') {
        vec![name.clone()]
    } else {
        let path = environment.iter().rev().find_map(|entry| entry.to_str().ok()?.strip_prefix("PATH="));
        path.unwrap_or_default().split(':').filter(|folder| !folder.is_empty()).map(|folder| format!("{folder}/{name}")).collect()
    };
    let mut denied = false;
    for candidate in &candidates {
        match rustix::fs::stat(candidate.as_str()) {
            Ok(about) if rustix::fs::FileType::from_raw_mode(about.st_mode) == rustix::fs::FileType::Directory => {
                denied = true;
            }
            Ok(_) if rustix::fs::access(candidate.as_str(), rustix::fs::Access::EXEC_OK).is_ok() => {
                return CString::new(candidate.as_str()).map_err(|_| failure(127, "the name holds a zero byte"));
            }
            Ok(_) | Err(rustix::io::Errno::ACCESS) => denied = true,
            Err(_) => {}
        }
    }
    Err(match (denied, name.contains('/')) {
        (true, _) => failure(126, "permission denied"),
        (false, true) => failure(127, "no such file or directory"),
        (false, false) => failure(127, "executable file not found in $PATH"),
    })
}

fn execute(process: &Process, environment: &[CString], program: &CString) -> StartError {
    let arguments: Vec<CString> = process.args.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect();
    let arguments: Vec<_> = arguments.iter().map(CString::as_c_str).collect();
    let environment: Vec<_> = environment.iter().map(CString::as_c_str).collect();
    let error = exec::execve(program, &arguments, &environment);
    let code = if error.is_not_found() { 127 } else { 126 };
    let hint = match error.errno() {
        rustix::io::Errno::NOENT => " (is the interpreter of the program there?)",
        rustix::io::Errno::NOEXEC => ": exec format error (built for another architecture, or a script without `#!`?)",
        _ => "",
    };
    StartError { code, text: format!("exec: \"{}\": {}{hint}", process.args[0], error.errno()) }
}

enum Io {
    Ready,
    Terminal,
}

fn stdio_onto_standard(stdio: Stdio) -> rcompose_sys::Result<Io> {
    use rcompose_sys::error::Context;
    let place = |stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd| {
        rustix::stdio::dup2_stdin(stdin)?;
        rustix::stdio::dup2_stdout(stdout)?;
        rustix::stdio::dup2_stderr(stderr)
    };
    match stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            place(&stdin, &stdout, &stderr).during("dup3", || "0, 1, 2".to_owned())?;
            Ok(Io::Ready)
        }
        Stdio::Terminal => Ok(Io::Terminal),
    }
}
