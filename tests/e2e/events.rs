//! What happens to containers is told, and kept with its reason.

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;
use serde_json::Value;

use crate::{SHOP, scratch};

/// Every event of the project so far.
pub(crate) fn events(place: &Scratch, services: &[&str]) -> Vec<Value> {
    let text = place.run(&[&["events", "--json", "--since", "1h", "--until", "0s"], services].concat()).success();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The actions of a service; `kill` with its signal, `die` with its status.
fn actions(place: &Scratch, service: &str) -> Vec<String> {
    let action = |event: &Value| {
        let attribute = |name: &str| event["attributes"][name].as_str().map(|value| format!(" {value}")).unwrap_or_default();
        let word = event["action"].as_str().expect("an action");
        format!("{word}{}{}", attribute("signal"), attribute("exitCode"))
    };
    events(place, &[service]).iter().map(action).collect()
}

#[test]
fn stops_restarts_and_crashes_have_their_order() {
    let place = scratch(&format!(
        "{}  crash: {{image: 'rootfs:/', restart: 'on-failure:1', command: [sh, -c, 'exit 3']}}\n",
        SHOP.replace("volumes:\n  data:\n", "")
            .replace("    volumes: [\"data:/data\"]\n", "")
            .replace("  db:\n", "  db:\n    stop_grace_period: 100ms\n")
            .replace("echo db is up; exec sleep infinity", "trap '' TERM; echo db is up; sleep infinity")
    ));
    place.run(&["up", "-d"]).success();
    wait_for("the handler", || place.run(&["logs", "db"]).success().contains("db is up").then_some(()));
    wait_for("the last end", || place.run(&["ps", "-a", "crash"]).success().contains("Exited (3)").then_some(()));
    assert_eq!(actions(&place, "crash"), ["create", "start", "die 3", "start", "die 3"]);
    place.run(&["restart", "web"]).success();
    place.run(&["pause", "web"]).success();
    place.run(&["unpause", "web"]).success();
    place.run(&["exec", "-T", "web", "sh", "-c", "exit 7"]);
    wait_for("the end of exec", || actions(&place, "web").contains(&"exec_die 7".to_owned()).then_some(()));
    place.run(&["kill", "web"]).success();
    wait_for("its end", || actions(&place, "web").contains(&"die 137".to_owned()).then_some(()));
    place.run(&["down"]).success();
    let web = ["create", "start", "kill 15", "stop", "die 143", "start", "restart", "pause", "unpause"];
    let rest = ["exec_create: sh -c exit 7", "exec_start: sh -c exit 7", "exec_die 7", "kill 9", "die 137", "destroy"];
    assert_eq!(actions(&place, "web"), [&web[..], &rest].concat());
    assert_eq!(actions(&place, "db"), ["create", "start", "kill 15", "kill 9", "stop", "die 137", "destroy"]);
    place.check_nothing_is_left();
}

#[test]
fn events_come_as_they_happen_also_over_the_death_of_a_supervisor() {
    let place = scratch(SHOP);
    place.run(&["up", "-d", "db"]).success();
    let mut listener = place.spawn(&["events", "--json"]);
    let seen = |word: &str| place.output().lines().any(|line| line.contains(&format!("\"action\":\"{word}\"")));
    wait_for("a listener", || {
        place.run(&["exec", "-T", "db", "true"]).success();
        seen("exec_die").then_some(())
    });
    place.kill(place.supervisor().unwrap(), Signal::KILL);
    place.run(&["run", "--rm", "--no-deps", "web", "true"]).success();
    place.run(&["stop", "db"]).success();
    wait_for("what came later", || seen("die").then_some(()));
    place.kill(i32::try_from(listener.id()).unwrap(), Signal::INT);
    assert_eq!(listener.wait().unwrap().code(), Some(130));
    let told: Vec<Value> = place.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.windows(2).all(|pair| pair[0]["event"].as_u64() < pair[1]["event"].as_u64()), "{told:?}");
    assert!(told.iter().all(|event| event["service"] == "db"), "those of `run` are not told: {told:?}");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn an_event_says_why_with_the_line_behind_it() {
    let place = scratch(SHOP);
    place.run(&["up", "-d", "web"]).success();
    place.write("compose.yaml", &SHOP.replace("echo web is up", "echo web is new"));
    place.run(&["up", "-d"]).success();
    let created: Vec<Value> = events(&place, &["web"]).into_iter().filter(|event| event["action"] == "create").collect();
    assert_eq!(created[0]["why"]["reason"], "not there yet");
    let why = &created[1]["why"];
    assert_eq!((&why["by"], &why["reason"]), (&"up".into(), &"`command` changed".into()));
    assert!(why["place"].as_str().unwrap().ends_with("compose.yaml:7:5"), "{why}");
    let text = place.run(&["events", "--since", "1h", "--until", "0s", "web"]).success();
    let line = text.lines().next().unwrap();
    assert!(line.contains(" container create ") && line.ends_with("(image=rootfs:/, name=shop-web-1)"), "{line}");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
