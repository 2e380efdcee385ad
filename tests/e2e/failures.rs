//! What is told when a service fails, and when a port is taken.

use rcompose_harness::{Terminal, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::scratch;

/// Something that others wait for and that never works.
fn sick(command: &str, extra: &str) -> String {
    format!(
        "name: sick\nservices:\n  web: {{image: 'rootfs:/', command: [sleep, infinity], depends_on: {{db: {{condition: service_healthy}}}}}}\n  \
         db: {{image: 'rootfs:/', command: [sh, -c, '{command}'], {extra}\n    healthcheck: {{test: [CMD-SHELL, 'echo no answer; exit 7'], interval: 0.1s, retries: 2}}}}\n"
    )
}

#[test]
fn an_unhealthy_dependency_is_told_with_its_probe_and_its_lines() {
    let place = scratch(&sick("echo loading; echo still loading >&2; exec sleep infinity", ""));
    let answer = place.run(&["up", "-d"]);
    assert_eq!(answer.code, 1);
    let expected = "error: dependency failed to start: container sick-db-1 is unhealthy\n  \
                    probe failed 2 of 2 times, status 7: /bin/sh -c echo no answer; exit 7\n  | no answer\n  \
                    last lines of sick-db-1:\n  | loading\n  | still loading\n  try: rcompose logs db  or  rcompose exec db sh\n";
    assert!(answer.stderr.ends_with(expected), "{}", answer.stderr);
    let answer = place.run(&["--progress", "json", "up", "-d"]);
    let last: Value = serde_json::from_str(answer.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["version"], &last["error"]), (&1.into(), &true.into()));
    assert_eq!(last["failure"]["probe"]["code"], 7);
    assert_eq!(last["failure"]["log"][1], "still loading");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_is_missing_is_named() {
    let place = scratch(
        "name: gone
services:
  secret: {image: 'rootfs:/', command: ['true'], secrets: [key]}
  user: {image: 'rootfs:/', command: ['true'], user: nobody-here}
  program: {image: 'rootfs:/', command: [/no/such/program]}
secrets: {key: {file: ./key.txt}}
",
    );
    let said = |service: &str| place.run(&["up", "-d", service]).stderr;
    assert!(said("secret").contains("project/key.txt: No such file or directory"), "{}", said("secret"));
    assert!(said("user").contains("hint: the image has no such user: check `user:`"), "{}", said("user"));
    assert!(said("program").contains("hint: check `command:` and `entrypoint:`"), "{}", said("program"));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_a_status_means_is_told_wherever_a_service_fails() {
    let place = scratch(
        "name: ends
services:
  segv:
    image: rootfs:/
    profiles: [a]
    init: true
    command: [sh, -c, 'echo begin; kill -SEGV $$$$']
    healthcheck: {test: [CMD, 'true'], interval: 10s}
  none: {image: 'rootfs:/', profiles: [b], command: [/no/such/program]}
  job: {image: 'rootfs:/', profiles: [c], command: [sh, -c, 'cat /no/such/file']}
  after: {image: 'rootfs:/', profiles: [c], command: [sleep, '9'], depends_on: {job: {condition: service_completed_successfully}}}
",
    );
    let answer = place.run(&["--profile", "a", "up", "--wait"]);
    assert!(answer.code == 1 && answer.stderr.contains("status 139, segmentation fault (SIGSEGV)"), "{}", answer.stderr);
    assert!(answer.stderr.contains("  | begin\n"), "{}", answer.stderr);
    let answer = place.run(&["--profile", "b", "up", "-d"]);
    assert!(answer.code == 1 && answer.stderr.contains("status 127"), "{}", answer.stderr);
    assert!(answer.stderr.contains("try: rcompose run --rm --entrypoint sh none"), "{}", answer.stderr);
    let answer = place.run(&["--profile", "c", "up", "-d"]);
    assert!(answer.code == 1 && answer.stderr.contains("hint: a file is missing"), "{}", answer.stderr);
    assert!(answer.stderr.contains("No such file or directory"), "{}", answer.stderr);
    place.run(&["--profile", "*", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn memory_that_was_not_enough_is_told_in_an_attached_up() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', mem_limit: 16m, memswap_limit: 16m, command: [sh, -c, 'x=a; while :; do x=$$x$$x; done']}}",
    );
    let answer = place.run(&["-p", "big", "up"]);
    let all = format!("{}{}", answer.stdout, answer.stderr);
    assert!(all.contains("exited with code 137") && all.contains("out of memory"), "{all}");
    assert!(all.contains("limited to 16 MiB: raise `mem_limit`"), "{all}");
    place.run(&["-p", "big", "down"]).success();
    place.check_nothing_is_left();
}

/// A port of the place's network that this process holds.
fn held(place: &rcompose_harness::Scratch, port: u16) -> std::process::Child {
    let script = format!(
        "import socket,time; s=socket.socket(); s.bind((\"0.0.0.0\",{port})); s.listen(); print(1,flush=True); time.sleep(99)"
    );
    let mut command = place.command_in_network("python3");
    let mut child = command.args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().expect("python3 is there");
    let output = child.stdout.as_mut().expect("it is piped");
    std::io::Read::read_exact(output, &mut [0]).expect("it says that it listens");
    child
}

#[test]
fn whoever_holds_a_port_is_named_and_another_port_is_the_same_each_time() {
    let port = |name: &str| {
        format!(
            "name: {name}\nservices: {{web: {{image: 'rootfs:/', init: true, command: [sleep, infinity], ports: ['8080:80']}}}}\n"
        )
    };
    let place = scratch(&port("one"));
    place.write("two.yaml", &port("two"));
    let mut holder = held(&place, 8080);
    let answer = place.run(&["up", "-d"]);
    let expected = format!("Bind for 0.0.0.0:8080 failed: port is already allocated by process {} (python3)", holder.id());
    assert!(answer.code == 1 && answer.stderr.contains(&expected), "{}", answer.stderr);
    assert!(answer.stderr.contains("`up --ports auto`"), "{}", answer.stderr);
    let answer = place.run(&["up", "-d", "--ports", "auto"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("port 8080 is taken"), "{}", answer.stderr);
    let first = place.run(&["port", "web", "80"]).success();
    assert!(!first.contains(":8080"), "{first}");
    let number = first.trim().rsplit(':').next().unwrap().to_owned();
    assert!(place.run(&["ps"]).success().contains(&format!("0.0.0.0:{number}->80/tcp")));
    place.run(&["down"]).success();
    place.run(&["up", "-d", "--ports", "auto"]).success();
    assert_eq!(place.run(&["port", "web", "80"]).success(), first, "the same each time");
    place.run(&["down"]).success();
    holder.kill().unwrap();
    holder.wait().unwrap();
    place.run(&["up", "-d", "--ports", "auto"]).success();
    assert!(place.run(&["port", "web", "80"]).success().ends_with(":8080\n"), "what is free is what was asked for");
    let answer = place.run(&["-f", "two.yaml", "up", "-d"]);
    assert!(answer.stderr.contains("port is already allocated by container one-web-1 of project one"), "{}", answer.stderr);
    assert!(answer.stderr.contains("`rcompose -p one stop web`"), "{}", answer.stderr);
    place.run(&["-f", "two.yaml", "down"]).success();
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_interrupt_while_others_are_waited_for_waits_for_nobody() {
    let place = scratch(&sick("exec sleep infinity", "").replace("retries: 2", "retries: 1000"));
    let mut up: Terminal = place.on_terminal(80, 24, &["up"]);
    up.wait("a wait", |screen| screen.contains("Waiting"));
    up.keys("\u{3}");
    assert_eq!(up.ended(), Some(130), "{}", up.screen());
    assert_eq!(place.run(&["ps", "-q"]).success(), "", "everything was stopped");
    let mut waiting = place.spawn(&["up", "--wait"]);
    wait_for("a start", || (!place.run(&["ps", "-q", "db"]).success().is_empty()).then_some(()));
    place.kill(i32::try_from(waiting.id()).unwrap(), Signal::INT);
    assert_eq!(waiting.wait().unwrap().code(), Some(130));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
