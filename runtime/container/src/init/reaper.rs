//! The small init that `init: true` asks for: pid 1 that passes signals on and collects orphans.

use rcompose_sys::clone::{Forked, NewNamespaces};
use rcompose_sys::signals::SignalSet;
use rcompose_sys::{exec, privilege};
use rustix::process::{Pid, Signal, WaitOptions};

use super::Confinement;
use super::channel::ChildEnd;
use super::steps::{Doing, StepResult};

/// Forks the program and stays behind as pid 1, until the program has ended; then ends with its status.
///
/// This process keeps no descriptor of the host, stays out of sight (not dumpable), since it runs our own program file, and may
/// do nothing but signal.
pub(super) fn become_init(
    program: impl FnOnce() -> StepResult<()>,
    confinement: &Confinement,
    channel: &ChildEnd,
) -> StepResult<()> {
    let signals = SignalSet::all();
    signals.block().doing(|| "failed to block signals".to_owned())?;
    match rcompose_sys::clone::fork(NewNamespaces::default()).doing(|| "failed to fork behind init".to_owned())? {
        Forked::Child => {
            privilege::set_parent_death_signal(Signal::KILL.as_raw()).doing(|| "failed to tie the program to init".to_owned())?;
            let result = take_terminal().and_then(|()| program());
            if let Err(error) = &result {
                channel.fail(error);
            }
            exec::exit_now(result.err().map_or(1, |error| error.code));
        }
        Forked::Parent { pid, pidfd } => {
            drop(pidfd);
            exec::close_from(3).doing(|| "failed to close descriptors".to_owned())?;
            confine(confinement)?;
            serve(pid, &signals)
        }
    }
}

/// Makes the program the terminal's foreground job. The session stays pid 1's, so that it hears when the terminal goes.
fn take_terminal() -> StepResult<()> {
    let own = rustix::process::getpid();
    rustix::process::setpgid(None, None).doing(|| "failed to make a process group".to_owned())?;
    let stdin = rustix::stdio::stdin();
    if rustix::termios::isatty(stdin) {
        // SIGTTOU, which a background process gets for this, is blocked with all others.
        rustix::termios::tcsetpgrp(stdin, own).doing(|| "failed to give the terminal to the program".to_owned())?;
    }
    Ok(())
}

/// What is left to pid 1: signals to processes of any user, and waiting for them.
fn confine(confinement: &Confinement) -> StepResult<()> {
    const CAP_KILL: u64 = 1 << 5;
    let keep = confinement.present & CAP_KILL;
    privilege::set_no_new_privileges().doing(|| "failed to set no_new_privs".to_owned())?;
    privilege::limit_bounding(confinement.present, keep).doing(|| "failed to drop capabilities".to_owned())?;
    privilege::set_capabilities(keep, keep, 0).doing(|| "failed to set capabilities".to_owned())?;
    match &confinement.filter_of_init {
        Some(filter) => filter.load().doing(|| "failed to load the seccomp filter".to_owned()),
        None => Ok(()),
    }
}

fn serve(program: Pid, signals: &SignalSet) -> StepResult<()> {
    loop {
        let signal = signals.wait().doing(|| "failed to wait for a signal".to_owned())?;
        if signal == libc::SIGCHLD {
            collect(program);
        } else if let Some(signal) = Signal::from_named_raw(signal) {
            // A program that has just ended is collected next.
            let _ = rustix::process::kill_process(program, signal);
        }
    }
}

fn collect(program: Pid) {
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == program {
            let code = status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0));
            exec::exit_now(code);
        }
    }
}
