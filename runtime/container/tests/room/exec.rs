//! Other processes in a running container.

use std::io::Write;

use rcompose_container::frame::Frame;
use rcompose_container::launch::{ExecLaunch, LaunchError};

use crate::stage::{Stage, read_frames};

pub(crate) fn exec(stage: &Stage, arguments: &[&str], input: Option<&str>) -> Result<(String, Option<i32>), LaunchError> {
    let mut process = stage.spec.process.clone().expect("the stage is complete and the monitor listens");
    process.args = arguments.iter().map(|text| (*text).to_owned()).collect();
    let launch = ExecLaunch {
        state_dir: stage.path("state"),
        process,
        linux: stage.spec.linux.clone().expect("the stage is complete and the monitor listens"),
        stdin_open: input.is_some(),
        detached: false,
    };
    let (mut stream, helper) = stage.launcher.exec(launch)?.into_parts();
    if let Some(input) = input {
        stream
            .write_all(&Frame::Stdin(input.as_bytes().to_vec()).encode())
            .expect("the stage is complete and the monitor listens");
        stream.write_all(&Frame::StdinClosed.encode()).expect("the stage is complete and the monitor listens");
    }
    let answer = read_frames(stream);
    helper.reap();
    Ok(answer)
}

#[test]
fn joins_the_container_with_the_same_confinement() {
    let stage = Stage::shell("sleep 100");
    let container = stage.start();
    let status = "hostname; grep -E 'CapInh|CapBnd|CapAmb|Seccomp:' /proc/self/status; cat /proc/1/comm; unshare -U true";
    let (text, code) = exec(&stage, &["/bin/sh", "-c", status], None).unwrap();
    assert!(text.starts_with("stage\n") && text.contains("Seccomp:\t2") && text.contains("CapInh:\t0000000000000000"), "{text}");
    assert!(text.contains("sleep") && text.contains("ermitted"), "{text}");
    assert_eq!(code, Some(1));
    container.kill_all().unwrap();
    stage.finish(&container);
}

#[test]
fn gives_input_output_and_status() {
    let stage = Stage::shell("sleep 100");
    let container = stage.start();
    assert_eq!(exec(&stage, &["cat"], Some("hello")).unwrap(), ("hello".to_owned(), Some(0)));
    assert_eq!(exec(&stage, &["/bin/sh", "-c", "exit 3"], None).unwrap(), (String::new(), Some(3)));
    for (program, code) in [("nothere", 127), ("/etc/passwd", 126)] {
        match exec(&stage, &[program], None) {
            Err(LaunchError::Start(error)) => assert_eq!(error.code, code),
            other => panic!("{program}: {other:?}"),
        }
    }
    container.kill_all().unwrap();
    stage.finish(&container);
}

#[test]
fn ends_when_its_client_goes_away() {
    let stage = Stage::shell("sleep 100");
    let container = stage.start();
    let mut process = stage.spec.process.clone().unwrap();
    process.args = vec!["/bin/sleep".to_owned(), "99".to_owned()];
    let launch = ExecLaunch {
        state_dir: stage.path("state"),
        process,
        linux: stage.spec.linux.clone().unwrap(),
        stdin_open: false,
        detached: false,
    };
    let (stream, helper) = stage.launcher.exec(launch).unwrap().into_parts();
    drop(stream);
    helper.reap();
    let (processes, _) = exec(&stage, &["ps"], None).unwrap();
    assert!(!processes.contains("sleep 99"), "{processes}");
    container.kill_all().unwrap();
    stage.finish(&container);
}

#[test]
fn a_container_with_a_terminal_takes_others_with_terminals_again_and_again() {
    let mut stage = Stage::shell("sleep 100");
    stage.process().terminal = true;
    let container = stage.start();
    for _ in 0..3 {
        let (text, code) = exec(&stage, &["/bin/sh", "-c", "tty; [ -c /dev/console ] && exit 5"], None).unwrap();
        assert!(text.starts_with("/dev/pts/"), "{text}");
        assert_eq!(code, Some(5));
    }
    match exec(&stage, &["nothere"], None) {
        Err(LaunchError::Start(error)) => assert_eq!(error.code, 127, "{error}"),
        other => panic!("{other:?}"),
    }
    container.kill_all().unwrap();
    stage.finish(&container);
}
