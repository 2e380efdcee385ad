//! The small init that `init: true` asks for: pid 1 that passes signals on and collects orphans.

use rcompose_sys::clone::{Forked, NewNamespaces};
use rcompose_sys::signals::SignalSet;
use rcompose_sys::{exec, privilege};
use rustix::process::{Pid, Signal, WaitOptions};

use super::channel::ChildEnd;
use super::steps::{Doing, StepResult};

/// Forks the program and stays behind as pid 1, until the program has ended; then ends with its status.
///
/// This process keeps no descriptor of the host and stays out of sight (not dumpable), since it runs our own program file.
pub(super) fn become_init(program: impl FnOnce() -> StepResult<()>, channel: &ChildEnd) -> StepResult<()> {
    let signals = SignalSet::all();
    signals.block().doing(|| "failed to block signals".to_owned())?;
    match rcompose_sys::clone::fork(NewNamespaces::default()).doing(|| "failed to fork behind init".to_owned())? {
        Forked::Child => {
            privilege::set_parent_death_signal(Signal::KILL.as_raw()).doing(|| "failed to tie the program to init".to_owned())?;
            // The program leads a session of its own, and the terminal is its.
            let _ = rustix::process::setsid();
            let _ = rustix::process::ioctl_tiocsctty(rustix::stdio::stdin());
            let result = program();
            if let Err(error) = &result {
                channel.fail(error);
            }
            exec::exit_now(result.err().map_or(1, |error| error.code));
        }
        Forked::Parent { pid, pidfd } => {
            drop(pidfd);
            exec::close_from(3).doing(|| "failed to close descriptors".to_owned())?;
            serve(pid, &signals)
        }
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
