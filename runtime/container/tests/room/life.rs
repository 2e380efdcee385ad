//! Starting, ending, and what is known afterwards.

use std::io::Write;
use std::time::Duration;

use rcompose_container::frame::Frame;
use rcompose_container::spec::{Memory, Pids};
use rcompose_container::{Container, ExitRecord};
use rustix::process::Signal;

use crate::stage::{Stage, read_frames};

#[test]
fn runs_a_program_and_keeps_its_output_and_status() {
    assert_eq!(Stage::shell("echo out; echo err >&2; exit 3").run(), (3, "out\nerr\n".to_owned()));
}

#[test]
fn says_that_a_signal_ended_it() {
    let stage = Stage::shell("sleep 100");
    let container = stage.start();
    container.signal(Signal::KILL).unwrap();
    assert_eq!(stage.finish(&container).0, 137);
}

#[test]
fn refuses_what_cannot_be_executed_with_the_known_status() {
    for (program, code, text) in [
        ("nothere", 127, "exec: \"nothere\": executable file not found in $PATH"),
        ("/bin/nothere", 127, "exec: \"/bin/nothere\": no such file or directory"),
        ("/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied"),
        ("/etc", 126, "exec: \"/etc\": permission denied"),
    ] {
        let stage = Stage::program(&[program]);
        let container = stage.create().unwrap();
        let error = container.start().unwrap_err();
        assert_eq!((error.code, error.text.as_str()), (code, text));
        assert!(container.wait(Some(Duration::from_secs(10))).unwrap());
        container.release().unwrap();
        stage.check_nothing_is_left();
    }
}

#[test]
fn is_found_again_by_its_state_directory() {
    let stage = Stage::shell("echo here; sleep 100");
    let first = stage.start();
    stage.wait_for_output("here");
    let again = Container::open(&stage.path("state")).unwrap();
    assert_eq!(again.pid(), first.pid());
    again.kill_all().unwrap();
    assert_eq!(stage.finish(&first), (137, "here\n".to_owned()));
    assert!(Container::open(&stage.path("state")).is_none());
}

#[test]
fn dies_with_its_monitor_and_nothing_claims_to_know_why() {
    let stage = Stage::shell("sleep 100");
    let container = stage.start();
    let pid = container.pid();
    let state = std::fs::read_to_string(stage.path("state/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let monitor = i32::try_from(state["monitor"]["pid"].as_i64().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(monitor).unwrap(), Signal::KILL).unwrap();
    assert!(container.wait(Some(Duration::from_secs(10))).unwrap());
    container.release().unwrap();
    assert!(ExitRecord::read(&stage.path("exit.json")).is_none());
    // Whoever adopted it may not have collected it yet, but it runs no more.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
    stage.check_nothing_is_left();
}

#[test]
fn notices_that_memory_ran_out() {
    let mut stage = Stage::shell("dd if=/dev/zero of=/dev/null bs=200M count=1");
    let memory = Memory { limit: Some(24 << 20), swap: Some(24 << 20), ..Memory::default() };
    stage.linux().resources.as_mut().unwrap().memory = Some(memory);
    let (code, _) = stage.run();
    assert_eq!(code, 137);
    assert!(ExitRecord::read(&stage.path("exit.json")).unwrap().oom_killed);
}

#[test]
fn a_limit_that_the_kernel_refuses_is_an_error() {
    if rcompose_container::cgroup::hierarchies().unwrap().is_unified() {
        // It counts swap alone: this cannot be said there.
        return;
    }
    let mut stage = Stage::shell("true");
    let memory = Memory { limit: Some(64 << 20), swap: Some(32 << 20), ..Memory::default() };
    stage.linux().resources.as_mut().unwrap().memory = Some(memory);
    let error = stage.create().unwrap_err().to_string();
    assert!(error.contains("failed to write to") && error.contains("memory.memsw.limit_in_bytes"), "{error}");
}

#[test]
fn holds_a_fork_bomb() {
    let mut stage = Stage::shell("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait");
    stage.linux().resources.as_mut().unwrap().pids = Some(Pids { limit: 5 });
    let (_, output) = stage.run();
    assert!(output.contains("can't fork"), "{output}");
}

#[test]
fn stands_still_while_paused() {
    let stage = Stage::shell("echo ready; cat /proc/self/stat >/dev/null; sleep 100");
    let container = stage.start();
    stage.wait_for_output("ready");
    container.set_paused(true).unwrap();
    container.signal(Signal::TERM).unwrap();
    assert!(!container.wait(Some(Duration::from_millis(50))).unwrap());
    container.set_paused(false).unwrap();
    container.kill_all().unwrap();
    stage.finish(&container);
}

#[test]
fn passes_input_and_output_to_an_attached_client() {
    let mut stage = Stage::program(&["/bin/cat"]);
    stage.stdin_open = true;
    let container = stage.create().unwrap();
    let mut stream = container.attach().unwrap();
    container.start().unwrap();
    stream.write_all(&Frame::Stdin(b"over\n".to_vec()).encode()).unwrap();
    stream.write_all(&Frame::StdinClosed.encode()).unwrap();
    assert_eq!(read_frames(stream), ("over\n".to_owned(), Some(0)));
    assert_eq!(stage.finish(&container), (0, "over\n".to_owned()));
}

#[test]
fn has_a_terminal_of_the_size_that_is_asked_for() {
    let mut stage = Stage::shell("tty; read line; stty size; ls /dev/console");
    stage.process().terminal = true;
    let container = stage.create().unwrap();
    let mut stream = container.attach().unwrap();
    container.start().unwrap();
    stream.write_all(&Frame::Resize { rows: 33, columns: 99 }.encode()).unwrap();
    stream.write_all(&Frame::Stdin(b"go\n".to_vec()).encode()).unwrap();
    let (output, code) = read_frames(stream);
    assert!(output.contains("/dev/pts/0") && output.contains("33 99") && output.contains("/dev/console"), "{output}");
    assert_eq!(code, Some(0));
    stage.finish(&container);
}

#[test]
fn a_small_init_collects_orphans_and_passes_signals_on() {
    let mut stage = Stage::shell("trap 'echo caught; exit 7' TERM; (sleep 0.01 &) ; echo pid $$; while :; do sleep 0.05; done");
    stage.linux().init = true;
    let container = stage.start();
    stage.wait_for_output("pid 2");
    container.signal(Signal::TERM).unwrap();
    let (code, output) = stage.finish(&container);
    assert_eq!(code, 7, "{output}");
    assert!(output.contains("caught"));
}

#[test]
fn is_gone_when_it_was_never_started() {
    let stage = Stage::shell("echo never");
    let container = stage.create().unwrap();
    container.kill_all().unwrap();
    assert!(container.wait(Some(Duration::from_secs(10))).unwrap());
    container.release().unwrap();
    assert!(!stage.output().contains("never"));
    stage.check_nothing_is_left();
}

#[test]
fn a_small_init_leaves_the_terminal_to_the_program_and_may_do_little() {
    let script =
        "echo said >/dev/tty; ps -o pid,tty | grep -c pts; grep -E 'CapEff|CapBnd|Seccomp:|NoNewPrivs' /proc/1/status; read line";
    let mut stage = Stage::shell(script);
    stage.linux().init = true;
    stage.process().terminal = true;
    let container = stage.create().unwrap();
    let mut stream = container.attach().unwrap();
    container.start().unwrap();
    stage.wait_for_output("Seccomp:");
    stage.wait_for_output("NoNewPrivs:");
    // Ctrl-C goes to the job in the foreground.
    stream.write_all(&Frame::Stdin(b"\x03".to_vec()).encode()).unwrap();
    let (output, code) = read_frames(stream);
    assert_eq!(code, Some(130), "{output}");
    assert!(output.contains("said") && output.contains("CapEff:\t0000000000000020"), "{output}");
    assert!(output.contains("CapBnd:\t0000000000000020") && output.contains("Seccomp:\t2"), "{output}");
    stage.finish(&container);
}
