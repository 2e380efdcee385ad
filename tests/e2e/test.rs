//! A command beside a private copy of the stack.

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;

use crate::scratch;

/// A server with everything that two of it would meet at, and a job that it waits for.
const FIXED: &str = r#"
name: shop
services:
  web-api:
    image: rootfs:/
    container_name: the-web
    init: true
    command: [perl, "-MIO::Socket::INET", -e, "$$|=1; $$s=IO::Socket::INET->new(LocalPort=>80,Listen=>5,ReuseAddr=>1) or die; print qq(up\\n);
      while($$c=$$s->accept){print $$c qx(cat /data/note); close $$c}"]
    ports: ["8080:80"]
    expose: ["81"]
    volumes: ["data:/data"]
    networks: {lan: {ipv4_address: 10.77.0.9}}
    healthcheck: {test: [CMD, bash, -c, "exec 3<>/dev/tcp/127.0.0.1/80"], interval: 100ms}
    depends_on: {seed: {condition: service_completed_successfully}}
  seed:
    image: rootfs:/
    command: [sh, -c, "echo seeded >>/data/note"]
    volumes: ["data:/data"]
    networks: [lan]
  other:
    image: rootfs:/
    command: [sh, -c, "exit 1"]
volumes:
  data: {name: precious}
networks:
  lan: {ipam: {config: [{subnet: 10.77.0.0/24}]}}
"#;

const ASK: &str = r#"exec 3<>/dev/tcp/$WEB_API_HOST/$WEB_API_PORT_80; echo "$WEB_API_HOST $(cat <&3) ${WEB_API_PORT_81:+open}""#;

fn copies(place: &Scratch) -> String {
    let listed = place.run(&["ls", "-a", "-q"]).success();
    listed.lines().filter(|name| name.contains("-test-")).map(|name| format!("{name}\n")).collect()
}

#[test]
fn two_tests_at_once_meet_neither_each_other_nor_the_stack() {
    let place = scratch(FIXED);
    place.run(&["up", "-d", "--wait", "web-api"]).success();
    // Each waits until the other is there too.
    let rendezvous = "mkdir -p met; touch met/$COMPOSE_PROJECT_NAME; while [ $(ls met | wc -l) -lt 2 ]; do sleep 0.05; done";
    let script = format!("{rendezvous}; {ASK}; exit 0");
    let test = || place.run(&["test", "web-api", "--", "bash", "-c", &script]).success();
    let both = std::thread::scope(|scope| {
        let other = scope.spawn(test);
        [test(), other.join().unwrap()]
    });
    for output in both {
        assert_eq!(output, "127.0.0.1 seeded open\n");
    }
    let ours = place.run(&["exec", "-T", "web-api", "cat", "/data/note"]).success();
    assert_eq!(ours, "seeded\n", "the stack's own volume is as it was");
    assert_eq!(copies(&place), "");
    assert_eq!(place.run(&["volume", "ls", "-q"]).success(), "precious\n");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_test_that_fails_gives_its_code_and_keeps_the_logs() {
    let place = scratch(FIXED);
    let script = "test \"$(rcompose_inside)\" = up && exit 7; exit 8";
    let program = env!("CARGO_BIN_EXE_rcompose");
    // The program, called by the command, means the copy.
    let script = script.replace("rcompose_inside", &format!("{program} logs --no-log-prefix web-api"));
    let answer = place.run(&["test", "--logs", "kept/here", "web-api", "--", "sh", "-c", &script]);
    assert_eq!(answer.code, 7, "{}{}", answer.stdout, answer.stderr);
    let folder = place.project().join("kept/here");
    assert!(answer.stderr.contains(&format!("Logs of the test are in {}\n", folder.display())), "{}", answer.stderr);
    let log = std::fs::read_to_string(folder.join("web-api-1.log")).unwrap();
    assert!(log.ends_with("Z up\n"), "{log}");
    assert!(std::fs::read_to_string(folder.join("containers.json")).unwrap().contains("\"health\": \"healthy\""));
    let missing = place.run(&["test", "--logs", "kept", "web-api", "--", "no-such-program"]);
    assert_eq!(missing.code, 127, "{}", missing.stderr);
    assert!(missing.stderr.contains("error: failed to run `no-such-program`"), "{}", missing.stderr);
    let broken = place.run(&["test", "--logs", "broken", "--", "true"]);
    assert_eq!(broken.code, 1, "`other` ends with an error");
    assert!(broken.stderr.contains("other-1 exited (1)"), "{}", broken.stderr);
    assert_eq!(copies(&place), "");
    place.check_nothing_is_left();
}

#[test]
fn an_interrupted_test_leaves_nothing_and_a_killed_one_leaves_it_to_the_next() {
    let place = scratch(FIXED);
    let script = "trap 'exit 130' INT; touch begun; while kill -0 $PPID; do sleep 0.05; done";
    let begun = || place.project().join("begun").exists().then_some(());
    let mut interrupted = place.spawn(&["test", "web-api", "--", "bash", "-c", script]);
    wait_for("the command", begun);
    place.kill(i32::try_from(interrupted.id()).unwrap(), Signal::INT);
    assert_eq!(interrupted.wait().unwrap().code(), Some(130));
    assert_eq!(copies(&place), "");
    std::fs::remove_file(place.project().join("begun")).unwrap();
    let mut killed = place.spawn(&["test", "web-api", "--", "bash", "-c", script]);
    wait_for("the command", begun);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_ne!(copies(&place), "");
    place.run(&["test", "web-api", "--", "true"]).success();
    assert_eq!(copies(&place), "");
    place.check_nothing_is_left();
}
