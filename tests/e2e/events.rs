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

#[test]
fn a_plan_says_what_would_change_and_its_exit_code_whether_anything_would() {
    let place = scratch(SHOP);
    let first = place.run(&["plan"]);
    assert_eq!(first.code, 2, "{}", first.stderr);
    insta::assert_snapshot!(first.stdout, @"
    + create    network shop_default   not there yet (compose.yaml:2:1)
    + create    volume shop_data       not there yet (compose.yaml:15:3)
    + create    container shop-db-1    not there yet (compose.yaml:9:3)
    + create    container shop-web-1   not there yet (compose.yaml:4:3)

    4 to create.
    ");
    assert_eq!(place.run(&["ps", "-a", "-q"]).success(), "", "a plan does nothing");
    place.run(&["up", "-d"]).success();
    insta::assert_snapshot!(place.run(&["plan"]).success(), @"
    = keep      network shop_default
    = keep      volume shop_data
    = keep      container shop-db-1
    = keep      container shop-web-1

    Nothing to do: 4 stay as they are.
    ");
    place.write(
        "compose.yaml",
        &SHOP.replace("echo web is up", "echo web is new").replace("  db:\n", "  base:\n").replace("[db]", "[base]"),
    );
    let changed = place.run(&["plan", "--remove-orphans"]);
    assert_eq!(changed.code, 2, "{}", changed.stderr);
    insta::assert_snapshot!(changed.stdout, @"
    + create    container shop-base-1   not there yet (compose.yaml:9:3)
    - remove    container shop-db-1     its service is no longer in the files
    ~ recreate  container shop-web-1    `command` changed (compose.yaml:7:5)
    = keep      network shop_default
    = keep      volume shop_data

    1 to create, 1 to recreate, 1 to remove; 2 stay as they are.
    ");
    let json: Value = serde_json::from_str(&place.run(&["plan", "--format", "json", "web"]).stdout).expect("JSON");
    let web =
        json["changes"].as_array().expect("a list").iter().find(|it| it["name"] == "shop-web-1").expect("a change of `web`");
    assert_eq!((&json["pending"], &web["action"], &web["service"]), (&true.into(), &"recreate".into(), &"web".into()));
    assert!(web["place"].as_str().is_some_and(|place| place.ends_with("compose.yaml:7:5")), "{web}");
    place.run(&["down", "-v", "--remove-orphans"]).success();
    place.check_nothing_is_left();
}

#[test]
fn why_tells_the_last_of_each_and_all_when_asked() {
    let place = scratch(SHOP);
    let never = place.run(&["why", "web"]);
    assert_eq!(never.code, 1);
    assert!(never.stderr.contains("it was never created"), "{}", never.stderr);
    assert!(place.run(&["why", "wbe"]).stderr.contains("no such service: wbe"));
    place.run(&["up", "-d"]).success();
    place.write("compose.yaml", &SHOP.replace("echo web is up", "echo web is new"));
    place.run(&["up", "-d"]).success();
    let normal = |text: String| {
        let lines = text.lines().map(|line| match line.strip_prefix("  ") {
            Some(line) => format!("  {} TIME {}", line[..9].trim_end(), &line[32..]).trim_end().to_owned(),
            None => line.split(": ").next().expect("a name").to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(normal(place.run(&["why", "web"]).success()), @"
    shop-web-1
      recreated TIME by `up`: `command` changed (compose.yaml:7:5)
      stopped TIME exit code 143, by `up`: replaced
      started TIME by `up`: `command` changed (compose.yaml:7:5)
    ");
    place.run(&["restart", "web"]).success();
    place.run(&["kill", "web"]).success();
    wait_for("its end", || place.run(&["ps", "-a", "web"]).success().contains("Exited (137)").then_some(()));
    insta::assert_snapshot!(normal(place.run(&["why", "web"]).success()), @"
    shop-web-1
      recreated TIME by `up`: `command` changed (compose.yaml:7:5)
      restarted TIME by `restart`: asked for
      killed TIME exit code 137, by `kill`: asked for
    ");
    place.run(&["down", "-v"]).success();
    insta::assert_snapshot!(normal(place.run(&["why", "--all", "web"]).success()), @"
    shop-web-1
      created TIME by `up`: not there yet (compose.yaml:4:3)
      started TIME by `up`: not there yet (compose.yaml:4:3)
      recreated TIME by `up`: `command` changed (compose.yaml:7:5)
      stopped TIME exit code 143, by `up`: replaced
      started TIME by `up`: `command` changed (compose.yaml:7:5)
      stopped TIME exit code 143, by `restart`: asked for
      restarted TIME by `restart`: asked for
      killed TIME exit code 137, by `kill`: asked for
      removed TIME by `down`: asked for
    ");
    place.check_nothing_is_left();
}
