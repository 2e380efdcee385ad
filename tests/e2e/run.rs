//! One command in a container of its own.

use std::io::Write;
use std::process::Stdio;

use rcompose_harness::wait_for;
use rustix::process::Signal;

use crate::{SHOP, scratch};

const TOOLS: &str = "
name: tools
services:
  db:
    image: 'rootfs:/'
    init: true
    command: [sleep, '1000']
  job:
    image: 'rootfs:/'
    init: true
    depends_on: [db]
    profiles: [jobs]
    environment: {COLOUR: red, SIZE: small}
    entrypoint: [echo, entry]
    command: [usual]
    ports: ['8080:80']
    restart: always
    volumes: ['data:/data']
volumes: {data: {}}
";

#[test]
fn a_command_runs_with_what_its_service_has_and_ends_with_its_status() {
    let place = scratch(TOOLS);
    let usual = place.run(&["run", "--rm", "job"]);
    assert_eq!((usual.stdout.as_str(), usual.code), ("entry usual\n", 0), "{}", usual.stderr);
    assert!(usual.stderr.contains("Container tools-db-1 Started"), "{}", usual.stderr);
    assert_eq!(place.run(&["run", "--rm", "job", "$HOME", "-x"]).success(), "entry $HOME -x\n");
    let script = "echo $COLOUR $SIZE $MORE; id -u; pwd; hostname >/data/name; exit 7";
    let flags = ["run", "--rm", "-e", "COLOUR=blue", "-e", "MORE=$x", "-u", "7", "-w", "/tmp", "--entrypoint", "sh", "job", "-c"];
    let answer = place.run(&[&flags[..], &[&script.replace("hostname >/data/name; ", "")]].concat());
    assert_eq!((answer.stdout.as_str(), answer.code), ("blue small $x\n7\n/tmp\n", 7), "{}", answer.stderr);
    assert_eq!(place.run(&["ps", "-a", "--services"]).success(), "db\n", "nothing is left of those that ended");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn input_reaches_it_and_only_its_output_is_on_standard_output() {
    let place = scratch(TOOLS);
    let mut child = place
        .command_of(&["run", "--rm", "-T", "--entrypoint", "sh", "job", "-c", "echo error >&2; tr a-z A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "HELLO\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("error\n"));
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn its_flags_are_those_of_its_own_container_and_the_service_stays_as_it_is() {
    let place = scratch(TOOLS);
    place.run(&["up", "-d", "db"]).success();
    place.write("list.env", "FROM=file\nCOLOUR=green\n");
    let id = place
        .run(&[
            "run",
            "-d",
            "--no-deps",
            "--name",
            "mine",
            "-p",
            "8099:81",
            "-v",
            "./:/here:ro",
            "-v",
            "other:/other",
            "--env-from-file",
            "list.env",
            "-l",
            "a=b",
            "--entrypoint",
            "sleep 1000",
            "job",
        ])
        .success();
    assert_eq!(id.trim().len(), 64, "{id}");
    let listed = place.run(&["ps", "--format", "json"]).success();
    let line = listed.lines().find(|line| line.contains("\"mine\"")).unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains("8099") && !line.contains("8080") && line.contains(&id[..12]), "{line}");
    let show = "echo $FROM $COLOUR; ls /here/compose.yaml; touch /here/x || echo refused";
    let shown = place.run(&["exec", "-T", "job", "sh", "-c", show]).success();
    assert_eq!(shown, "file green\n/here/compose.yaml\nrefused\n");
    let again = place.run(&["up", "-d", "db"]);
    assert!(again.stderr.contains("Container tools-db-1 Running"), "{}", again.stderr);
    place.run(&["kill", "job"]).success();
    wait_for("its end", || place.run(&["ps", "-a", "--format", "json"]).success().contains("exited").then_some(()));
    place.run(&["down", "-v", "--remove-orphans"]).success();
    assert_eq!(place.run(&["volume", "ls", "-q"]).success(), "other\n");
    place.run(&["volume", "rm", "other"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_cannot_start_is_an_error_of_ours() {
    let place = scratch(TOOLS);
    let missing = place.run(&["run", "--rm", "--no-deps", "--entrypoint", "no-such-program", "job"]);
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    assert!(missing.stderr.contains("no-such-program"), "{}", missing.stderr);
    for (flags, told) in [
        (&["run", "-P", "-p", "1:1", "job"][..], "cannot be used with"),
        (&["run", "nobody"], "no such service: nobody"),
        (&["run", "-v", "x:relative", "job"], "relative"),
        (&["run", "--env-from-file", "none", "job"], "none"),
    ] {
        let refused = place.run(flags);
        assert_eq!(refused.code, 1, "{flags:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "{flags:?}: {}", refused.stderr);
    }
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn signals_go_to_the_command_and_the_second_interrupt_kills_it() {
    let place = scratch(SHOP);
    let mut run = place.spawn(&[
        "run",
        "--rm",
        "--no-deps",
        "-T",
        "web",
        "sh",
        "-c",
        "trap 'echo caught' INT; echo ready; while :; do sleep 0.1; done",
    ]);
    wait_for("the command", || place.output().contains("ready").then_some(()));
    let pid = i32::try_from(run.id()).unwrap();
    place.kill(pid, Signal::INT);
    wait_for("the trap", || place.output().contains("caught").then_some(()));
    place.kill(pid, Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(137));
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn it_goes_at_its_end_even_if_the_supervisor_was_killed_meanwhile() {
    let place = scratch(TOOLS);
    place.run(&["run", "-d", "--rm", "--no-deps", "--entrypoint", "sleep 0.3", "job"]).success();
    place.kill(place.supervisor().unwrap(), Signal::KILL);
    wait_for("the removal", || place.run(&["ps", "-a", "-q"]).success().is_empty().then_some(()));
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
