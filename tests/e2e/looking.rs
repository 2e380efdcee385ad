//! What containers use, being connected to them, waiting for them, and how many there are.

use std::io::Write;
use std::process::Stdio;

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::{SHOP, scratch};

fn stats(place: &Scratch, flags: &[&str]) -> Vec<Value> {
    let text = place.run(&[&["stats", "--no-stream", "--format", "json"], flags].concat()).success();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn figures_are_those_of_the_container() {
    let busy = "
name: busy
services:
  spin: {image: 'rootfs:/', init: true, command: [sh, -c, 'while :; do :; done']}
  rest:
    image: rootfs:/
    init: true
    mem_limit: 64m
    command: [sh, -c, 'head -c 3000000 /dev/zero | dd of=/file bs=1000000 oflag=direct conv=fsync 2>/dev/null; exec sleep infinity']
    ports: ['18080:80']
  gone: {image: 'rootfs:/', command: ['true']}
";
    let place = scratch(busy);
    place.run(&["up", "-d"]).success();
    let of = |all: &[Value], name: &str| all.iter().find(|it| it["Name"] == name).cloned();
    let all = wait_for("the ends of `gone` and of what `rest` does first", || {
        let all = stats(&place, &[]);
        (all.len() == 2 && of(&all, "busy-rest-1")?["PIDs"] == "2").then_some(all)
    });
    let (spin, rest) = (of(&all, "busy-spin-1").expect("it runs"), of(&all, "busy-rest-1").expect("it runs"));
    let percent = |it: &Value| it["CPUPerc"].as_str().and_then(|text| text.trim_end_matches('%').parse::<f64>().ok());
    assert!(percent(&spin).is_some_and(|share| share > 5.0 && share < 110.0), "{spin}");
    assert!(percent(&rest).is_some_and(|share| share < 50.0), "{rest}");
    assert!(rest["MemUsage"].as_str().is_some_and(|text| text.ends_with(" / 64MiB")), "{rest}");
    // A door that is closed: a packet each way.
    place.run(&["exec", "-T", "rest", "bash", "-c", "</dev/tcp/spin/1"]);
    let rest = of(&stats(&place, &["rest"]), "busy-rest-1").expect("it runs");
    let both_ways = |text: &str| text.split(" / ").all(|count| count != "0B");
    assert!(rest["NetIO"].as_str().is_some_and(both_ways), "{rest}");
    assert_eq!(of(&stats(&place, &["-a"]), "busy-gone-1").expect("it is listed")["PIDs"], "0");
    assert_eq!(stats(&place, &["rest"]).len(), 1);
    let table = place.run(&["stats", "--no-stream", "--no-trunc", "rest"]).success();
    assert!(table.starts_with("CONTAINER ID") && table.lines().count() == 2, "{table}");
    let named = place.run(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "rest"]).success();
    assert_eq!(named, "busy-rest-1 2\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn in_a_pipe_one_table_follows_the_other_until_ctrl_c() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    let mut child = place.spawn(&["stats"]);
    wait_for("two tables", || (place.output().matches("CONTAINER ID").count() >= 2).then_some(()));
    assert!(!place.output().contains('\u{1b}'), "a pipe is no terminal: {}", place.output());
    place.kill(i32::try_from(child.id()).unwrap(), Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

const READER: &str = "
name: read
services:
  shell: {image: 'rootfs:/', tty: true, stdin_open: true, command: [sh, -c, 'while read line; do echo \"got $$line\"; [ \"$$line\" = end ] && exit 5; done']}
  pipe: {image: 'rootfs:/', stdin_open: true, command: [sh, -c, 'trap \"exit 9\" TERM; echo ready; while read line; do echo \"got $$line\"; done']}
  gone: {image: 'rootfs:/', command: ['true']}
";

#[test]
fn attached_input_reaches_the_first_process_and_its_status_comes_back() {
    let place = scratch(READER);
    place.run(&["up", "-d"]).success();
    let shown = place.press_on_terminal(80, &["attach", "shell"], "hello\rend\r");
    assert_eq!(shown.code, 5, "{}", shown.stdout);
    assert!(shown.stdout.contains("got hello") && shown.stdout.contains("got end"), "{}", shown.stdout);
    let refused = place.run(&["attach", "shell"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("cannot attach to container read-shell-1: it is exited; start it first"),
        "{}",
        refused.stderr
    );
    assert!(place.run(&["attach", "--index", "7", "shell"]).stderr.contains("is not running container #7"));
    let mut attached = place.command_of(&["attach", "pipe"]);
    let mut attached = attached.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = attached.stdin.take().unwrap();
    input.write_all(b"one\n").unwrap();
    wait_for("the answer", || place.run(&["logs", "pipe"]).success().contains("got one").then_some(()));
    // Its input does not end with ours.
    drop(input);
    assert_eq!(place.run(&["ps", "--services", "pipe"]).success(), "pipe\n");
    place.kill(i32::try_from(attached.id()).unwrap(), Signal::TERM);
    let output = attached.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(9), "got one\n"));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn keys_leave_an_attached_container_to_itself() {
    let place = scratch(READER);
    place.run(&["up", "-d", "shell"]).success();
    for (flags, keys) in [(&["attach", "shell"][..], "hi\r\x10\x11"), (&["attach", "--detach-keys", "x,y", "shell"], "xy")] {
        let left = place.press_on_terminal(80, flags, keys);
        assert_eq!(left.code, 0, "{}", left.stdout);
        assert!(left.stdout.contains("read escape sequence"), "{}", left.stdout);
    }
    assert!(place.run(&["attach", "--detach-keys", "xy", "shell"]).stderr.contains("`xy` is no key"));
    wait_for("what was typed", || place.run(&["logs", "shell"]).success().contains("got hi").then_some(()));
    assert_eq!(place.run(&["ps", "--services"]).success(), "shell\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn wait_ends_with_the_status_of_the_last_end() {
    let place = scratch(
        "
name: w
services:
  a: {image: 'rootfs:/', command: [sh, -c, 'until [ -e /go ]; do sleep 0.01; done; exit 4']}
  b: {image: 'rootfs:/', init: true, command: [sleep, infinity]}
",
    );
    place.run(&["up", "-d"]).success();
    let id = place.run(&["ps", "-q", "a"]).success();
    let mut waiting = place.spawn(&["wait", "a"]);
    place.kill(place.supervisor().unwrap(), Signal::KILL);
    place.run(&["exec", "-T", "a", "touch", "/go"]).success();
    assert_eq!(waiting.wait().unwrap().code(), Some(4));
    assert_eq!(place.output(), format!("container \"{}\" exited with status code 4\n", id.trim()));
    let nobody = place.run(&["wait", "a"]);
    assert_eq!((nobody.code, nobody.stderr.as_str()), (1, "error: no containers for project \"w\"\n"));
    let mut waiting = place.spawn(&["wait", "--down-project", "b"]);
    wait_for("somebody who waits", || {
        place.run(&["kill", "-s", "TERM", "b"]);
        waiting.try_wait().unwrap()
    });
    assert_eq!(place.run(&["ps", "-a", "-q"]).success(), "");
    place.check_nothing_is_left();
}

#[test]
fn scale_changes_one_service_and_volumes_lists_those_of_the_stack() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    place.run(&["volume", "create", "foreign"]).success();
    let scaled = place.run(&["scale", "web=3"]);
    assert!(scaled.stderr.contains("Container shop-web-3 Started"), "{}", scaled.stderr);
    assert_eq!(place.run(&["ps", "--format", "{{.Name}}"]).success(), "shop-db-1\nshop-web-1\nshop-web-2\nshop-web-3\n");
    place.run(&["scale", "--no-deps", "web=1"]).success();
    assert_eq!(place.run(&["ps", "--format", "{{.Name}}", "web"]).success(), "shop-web-1\n");
    for wrong in ["web", "web=x", "web=-1", "nobody=1"] {
        assert_eq!(place.run(&["scale", wrong]).code, 1, "{wrong}");
    }
    assert_eq!(place.run(&["volumes"]).success(), "DRIVER   VOLUME NAME\nlocal    shop_data\n");
    assert_eq!(place.run(&["volumes", "-q", "db"]).success(), "shop_data\n");
    assert_eq!(place.run(&["volumes", "-q", "web"]).success(), "");
    assert_eq!(place.run(&["volumes", "--format", "{{.Name}} {{.Driver}}"]).success(), "shop_data local\n");
    place.run(&["down", "-v"]).success();
    place.run(&["volume", "rm", "foreign"]).success();
    place.check_nothing_is_left();
}
