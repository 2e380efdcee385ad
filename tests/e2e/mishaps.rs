//! What goes wrong leaves nothing behind.

use rcompose_harness::wait_for;
use rustix::process::Signal;

use crate::scratch;

#[test]
fn a_taken_port_fails_that_service_and_says_so() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', init: true, command: [sleep, infinity], ports: ['7777:80']}, \
         b: {image: 'rootfs:/', init: true, command: [sleep, infinity], ports: ['7777:80'], depends_on: [a]}}",
    );
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("Bind for 0.0.0.0:7777 failed: port is already allocated"), "{}", answer.stderr);
    assert_eq!(place.run(&["-p", "x", "ps", "--services"]).success(), "a\n");
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_command_that_is_not_there_leaves_no_half_started_container() {
    let place = scratch("services: {a: {image: 'rootfs:/', command: [nothere]}}");
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("executable file not found in $PATH"), "{}", answer.stderr);
    assert_eq!(place.run(&["-p", "x", "ps", "-a", "--format", "{{.State}}"]).success(), "created\n");
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_limit_of_swap_below_that_of_memory_is_refused() {
    let place = scratch("services: {a: {image: 'rootfs:/', command: ['true'], mem_limit: 64m, memswap_limit: 32m}}");
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("33554432 is less than the mem_limit of 67108864"), "{}", answer.stderr);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn ports_that_no_network_can_publish_are_told() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', init: true, command: [sleep, infinity], ports: ['7778:80'], networks: [closed]}}\n\
         networks: {closed: {internal: true}}",
    );
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert!(answer.stderr.contains("container x-a-1: its ports are not published"), "{}", answer.stderr);
    answer.success();
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_unhealthy_dependency_stops_what_waits_for_it() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', init: true, command: [sleep, infinity], \
         healthcheck: {test: [CMD, 'false'], interval: 50ms, retries: 2}}, \
         b: {image: 'rootfs:/', init: true, command: [sleep, infinity], depends_on: {a: {condition: service_healthy}}}}",
    );
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("dependency failed to start: container x-a-1 is unhealthy"), "{}", answer.stderr);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_job_is_waited_for_and_its_failure_counts() {
    let job = |code: u8| {
        format!(
            "services: {{job: {{image: 'rootfs:/', command: [sh, -c, 'exit {code}']}}, \
             app: {{image: 'rootfs:/', init: true, command: [sleep, infinity], \
             depends_on: {{job: {{condition: service_completed_successfully}}}}}}}}"
        )
    };
    let place = scratch(&job(0));
    place.run(&["-p", "x", "up", "-d"]).success();
    assert_eq!(place.run(&["-p", "x", "ps", "--services"]).success(), "app\n");
    place.run(&["-p", "x", "down"]).success();
    place.write("compose.yaml", &job(4));
    let answer = place.run(&["-p", "x", "up", "-d"]);
    assert!(answer.stderr.contains("service \"job\" didn't complete successfully: exit 4"), "{}", answer.stderr);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn the_supervisor_goes_when_nothing_is_left_to_do() {
    let place = scratch("services: {a: {image: 'rootfs:/', command: ['true']}}");
    place.run(&["-p", "x", "up", "-d"]).success();
    place.run(&["-p", "x", "down"]).success();
    wait_for("the end of the supervisor", || place.supervisor().is_none().then_some(()));
    place.check_nothing_is_left();
}

#[test]
fn nothing_that_the_caller_has_open_is_held_by_what_goes_on() {
    let place = scratch("services: {a: {image: 'rootfs:/', init: true, command: [sleep, '1000']}}");
    let program = place.command_of(&["-p", "x", "up", "-d"]);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let mut shell = std::process::Command::new("sh");
    // What `flock LOCK COMMAND` does, and a script with a pipe at a high number.
    shell.args(["-c", "exec 7>lock; flock 7; exec \"$@\"", "sh"]).args(words).current_dir(place.project());
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(shell.status().unwrap().success());
    place.run(&["-p", "x", "exec", "-T", "a", "true"]).success();
    let lock = std::fs::File::open(place.project().join("lock")).unwrap();
    assert!(lock.try_lock().is_ok(), "somebody still has it");
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_stop_goes_on_where_a_killed_supervisor_left_it() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', restart: always, command: [sh, -c, \"trap 'echo told' TERM; echo up; while :; do sleep 0.1; done\"]}}",
    );
    place.run(&["-p", "x", "up", "-d"]).success();
    wait_for("the trap", || place.run(&["-p", "x", "logs"]).success().contains("up").then_some(()));
    let mut stop = place.spawn(&["-p", "x", "stop", "-t", "2"]);
    wait_for("the signal", || place.run(&["-p", "x", "logs"]).success().contains("told").then_some(()));
    place.kill(place.supervisor().unwrap(), Signal::KILL);
    assert_ne!(stop.wait().unwrap().code(), Some(0), "it could not see the end");
    assert!(!place.run(&["-p", "x", "ps", "-q"]).success().is_empty(), "its grace period goes on");
    wait_for("the end", || place.run(&["-p", "x", "ps", "-a"]).success().contains("Exited (137)").then_some(()));
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}
