//! What a status means.

use crate::messages::ExitReport;

const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `SIGTERM`, `SIGRTMIN+3`.
pub(crate) fn signal_name(number: i32) -> String {
    match usize::try_from(number - 1).ok().and_then(|at| SIGNALS.get(at)) {
        Some(name) => format!("SIG{name}"),
        None if number >= 34 => format!("SIGRTMIN+{}", number - 34),
        None => format!("signal {number}"),
    }
}

/// Decodes a status.
pub(super) fn report(code: i32, oom_killed: bool) -> ExitReport {
    let signal = (129..=128 + 64).contains(&code).then(|| signal_name(code - 128));
    let meaning = match (code, oom_killed) {
        (137, true) => "killed by the kernel: out of memory".to_owned(),
        (_, true) => "a process of it was killed by the kernel: out of memory".to_owned(),
        (0, _) => "it ended, without an error".to_owned(),
        (125 | 128, _) => "the container could not be started".to_owned(),
        (126, _) => "the program cannot be executed".to_owned(),
        (127, _) => "the program, or one that it runs, was not found".to_owned(),
        (255, _) => "status 255: often -1, or nobody saw the end".to_owned(),
        (132, _) => "illegal instruction (SIGILL)".to_owned(),
        (134, _) => "aborted itself (SIGABRT)".to_owned(),
        (135, _) => "bus error (SIGBUS)".to_owned(),
        (136, _) => "arithmetic error (SIGFPE)".to_owned(),
        (137, _) => "killed (SIGKILL): by somebody, or because it did not stop in time".to_owned(),
        (139, _) => "segmentation fault (SIGSEGV)".to_owned(),
        (141, _) => "wrote to a pipe that nobody reads (SIGPIPE)".to_owned(),
        (143, _) => "was told to end (SIGTERM)".to_owned(),
        (code, _) => match &signal {
            Some(signal) => format!("ended by {signal}"),
            None => format!("the program's own status {code}"),
        },
    };
    ExitReport { code, signal, oom_killed, meaning }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_decoded() {
        let check = |code, oom, signal: Option<&str>, meaning: &str| {
            let report = report(code, oom);
            assert_eq!((report.signal.as_deref(), report.meaning.as_str()), (signal, meaning), "{code}");
        };
        check(137, true, Some("SIGKILL"), "killed by the kernel: out of memory");
        check(137, false, Some("SIGKILL"), "killed (SIGKILL): by somebody, or because it did not stop in time");
        check(1, true, None, "a process of it was killed by the kernel: out of memory");
        check(127, false, None, "the program, or one that it runs, was not found");
        check(139, false, Some("SIGSEGV"), "segmentation fault (SIGSEGV)");
        check(138, false, Some("SIGUSR1"), "ended by SIGUSR1");
        check(165, false, Some("SIGRTMIN+3"), "ended by SIGRTMIN+3");
        check(3, false, None, "the program's own status 3");
    }
}
