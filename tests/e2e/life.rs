//! A stack comes up, works, changes, and goes away.

use rcompose_harness::wait_for;
use rustix::process::Signal;

use crate::{SHOP, scratch};

#[test]
fn comes_up_works_and_goes_away_without_a_trace() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    assert!(!place.cgroups().is_empty(), "containers are counted and limited");
    assert_eq!(place.run(&["ps", "--services"]).success(), "db\nweb\n");
    assert_eq!(place.run(&["exec", "-T", "web", "sh", "-c", "getent hosts db >/dev/null && echo found"]).success(), "found\n");
    let answer = place.run(&["exec", "-T", "db", "sh", "-c", "echo kept >/data/file; exit 3"]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    let logs = wait_for("both lines", || {
        Some(place.run(&["logs"]).success()).filter(|it| it.contains("web is up") && it.contains("db is up"))
    });
    assert!(logs.contains("web-1  | web is up\n"), "{logs}");
    place.run(&["down"]).success();
    assert_eq!(place.run(&["volume", "ls", "-q"]).success(), "shop_data\n");
    place.run(&["up", "-d"]).success();
    assert_eq!(place.run(&["exec", "-T", "db", "cat", "/data/file"]).success(), "kept\n");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn does_nothing_twice_and_only_what_changed_afterwards() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    let before = place.run(&["ps", "-q"]).success();
    let again = place.run(&["up", "-d"]);
    assert!(again.stderr.contains("Container shop-web-1 Running"), "{}", again.stderr);
    assert_eq!(place.run(&["ps", "-q"]).success(), before);
    place.write("compose.yaml", &SHOP.replace("echo web is up", "echo web is new"));
    let plan = place.run(&["--dry-run", "up", "-d"]);
    assert!(plan.stderr.contains("`command` changed"), "{}", plan.stderr);
    place.run(&["up", "-d"]).success();
    let after = place.run(&["ps", "-q"]).success();
    let kept = after.lines().filter(|id| before.contains(id)).count();
    assert_eq!((kept, after.lines().count()), (1, 2), "only `web` was recreated");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn containers_and_logs_go_on_when_the_supervisor_is_killed() {
    let counting = "services: {a: {image: 'rootfs:/', init: true, command: [sh, -c, 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done']}, \
                    b: {image: 'rootfs:/', command: [sh, -c, 'sleep 0.5; exit 3']}}";
    let place = scratch(&counting.replace("$((i+1))", "$$((i+1))").replace("echo $i", "echo $$i"));
    place.run(&["-p", "count", "up", "-d"]).success();
    let ids = place.run(&["-p", "count", "ps", "-q", "a"]).success();
    let supervisor = place.supervisor().unwrap();
    place.kill(supervisor, Signal::KILL);
    wait_for("the end of `b`", || {
        let ended = place.run(&["-p", "count", "ps", "-a", "--format", "json", "b"]).success();
        ended.contains("\"ExitCode\":3").then_some(())
    });
    assert_eq!(place.run(&["-p", "count", "ps", "-q", "a"]).success(), ids);
    let numbers = wait_for("enough lines", || {
        let logs = place.run(&["-p", "count", "logs", "--no-log-prefix", "a"]).success();
        let numbers: Vec<u32> = logs.lines().map(|line| line.parse().unwrap()).collect();
        (numbers.len() > 100).then_some(numbers)
    });
    assert!(numbers.iter().zip(1..).all(|(found, expected)| *found == expected), "a gap in {numbers:?}");
    place.run(&["-p", "count", "down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn stays_attached_until_interrupted() {
    let place = scratch(SHOP);
    let mut up = place.spawn(&["up"]);
    wait_for("both lines", || {
        let output = place.output();
        (output.contains("web-1  | web is up") && output.contains("db-1   | db is up")).then_some(())
    });
    place.kill(i32::try_from(up.id()).unwrap(), Signal::INT);
    let status = up.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{}", place.output());
    assert!(place.output().contains("Gracefully Stopping"));
    assert_eq!(place.run(&["ps", "-q"]).success(), "");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_interrupt_stops_what_was_asked_for_and_nothing_else() {
    let service = "{image: 'rootfs:/', init: true, command: [sh, -c, 'echo here; exec sleep infinity']}";
    let place = scratch(&format!("name: two\nservices: {{a: {service}, b: {service}}}"));
    place.run(&["up", "-d", "a"]).success();
    let mut up = place.spawn(&["up", "b"]);
    wait_for("its line", || place.output().contains("b-1  | here").then_some(()));
    place.kill(i32::try_from(up.id()).unwrap(), Signal::INT);
    assert_eq!(up.wait().unwrap().code(), Some(130), "{}", place.output());
    assert_eq!(place.run(&["ps", "--services"]).success(), "a\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn ends_with_the_status_that_was_asked_for() {
    let place = scratch(
        "services: {a: {image: 'rootfs:/', command: [sh, -c, 'exit 4']}, b: {image: 'rootfs:/', init: true, command: [sleep, infinity]}}",
    );
    assert_eq!(place.run(&["-p", "x", "up", "--exit-code-from", "a"]).code, 4);
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn restarts_what_crashes_and_gives_up_when_told_to() {
    let place = scratch("services: {a: {image: 'rootfs:/', restart: 'on-failure:2', command: [sh, -c, 'echo run; exit 5']}}");
    place.run(&["-p", "x", "up", "-d"]).success();
    wait_for("the last end", || place.run(&["-p", "x", "ps", "-a"]).success().contains("Exited (5)").then_some(()));
    assert_eq!(place.run(&["-p", "x", "logs", "--no-log-prefix"]).success(), "run\nrun\nrun\n");
    place.run(&["-p", "x", "down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn pauses_stops_starts_and_removes() {
    let place = scratch(SHOP);
    place.run(&["up", "-d", "--wait"]).success();
    place.run(&["pause", "web"]).success();
    assert!(place.run(&["ps"]).success().contains("(Paused)"));
    let answer = place.run(&["exec", "-T", "web", "true"]);
    assert!(answer.code == 1 && answer.stderr.contains("is paused\nhint: `rcompose unpause`"), "{}", answer.stderr);
    place.run(&["unpause", "web"]).success();
    place.run(&["stop"]).success();
    assert!(place.run(&["ps", "-a"]).success().contains("Exited (143)"));
    place.run(&["start"]).success();
    place.run(&["restart", "web"]).success();
    place.run(&["kill"]).success();
    wait_for("the end", || place.run(&["ps", "-q"]).success().is_empty().then_some(()));
    place.run(&["rm", "-f"]).success();
    assert_eq!(place.run(&["ps", "-aq"]).success(), "");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
