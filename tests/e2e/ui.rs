//! The dashboard, on terminals of several sizes.

use std::time::{Duration, Instant};

use rcompose_harness::wait_for;
use rustix::process::Signal;

use crate::scratch;

const SHOP: &str = r#"
name: shop
services:
  web:
    image: rootfs:/
    init: true
    command: [sh, -c, "i=0; while [ $$i -lt 100 ]; do i=$$((i+1)); echo request $$i; done; exec sleep infinity"]
    depends_on: [db]
    ports: ["8080:80"]
  db:
    image: rootfs:/
    init: true
    command: [sh, -c, "printf 'ready \\033[2J\\033]0;owned\\007\\n'; exec sleep infinity"]
    healthcheck: {test: [CMD, "true"], interval: 0.1s}
  job:
    image: rootfs:/
    command: [sh, -c, "exit 3"]
"#;

#[test]
fn the_dashboard_shows_services_figures_and_output() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    for (columns, rows) in [(60, 20), (80, 24), (160, 50)] {
        let mut ui = place.on_terminal(columns, rows, &["ui"]);
        let screen = ui.wait("services and figures", |screen| {
            screen.contains("✘ 1 failed") && screen.contains("exited 3") && screen.contains("ready") && screen.contains("iB")
        });
        assert!(screen.lines().next().unwrap().starts_with(" shop  ● 2 well"), "{screen}");
        assert_eq!(screen.contains("healthy"), columns >= 80, "{screen}");
        assert_eq!(screen.contains("8080->80"), columns >= 100, "{screen}");
        ui.keys("jj");
        ui.wait("output of `web`", |screen| screen.contains("output of web") && screen.contains("request "));
        ui.wait("all of it", |screen| screen.contains("request 100"));
        ui.keys("/request 5\r");
        ui.wait("a place in the output", |screen| screen.contains("newer below") && screen.contains("request 59\n ? help"));
        ui.keys("\u{1b}g");
        ui.wait("the graph", |screen| screen.contains("● web") && screen.contains("└─ ● db"));
        ui.keys("q");
        assert_eq!(ui.ended(), Some(0));
        // What it wrote last may still be on its way.
        let bytes = wait_for("the screen of before", || {
            let bytes = String::from_utf8_lossy(&ui.bytes()).into_owned();
            bytes.ends_with("\u{1b}[?1049l").then_some(bytes)
        });
        assert!(ui.is_as_before() && !bytes.contains("owned"));
    }
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn services_are_stopped_started_and_entered_by_keys() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    let mut ui = place.on_terminal(120, 30, &["ui"]);
    ui.wait("the services", |screen| screen.contains(">● db"));
    ui.keys("s");
    ui.wait("a stop", |screen| screen.contains(">○ db") && screen.contains("exited 143"));
    ui.keys("s");
    ui.wait("a start", |screen| screen.contains(">● db") && screen.contains("healthy"));
    ui.keys("e");
    wait_for("a shell", || {
        let top = place.run(&["top", "db"]).stdout;
        (top.contains("bash") || top.contains(" sh")).then_some(())
    });
    ui.keys("echo in $((40+2))\r");
    ui.wait("an answer", |screen| screen.contains("in 42"));
    ui.keys("exit\r");
    ui.wait("the dashboard again", |screen| screen.contains(">● db") && screen.contains("q quit"));
    ui.resize(70, 20);
    ui.wait("the whole dashboard at another size", |screen| screen.lines().count() == 20 && screen.contains(">● db"));
    place.kill(ui.pid(), Signal::TERM);
    assert_eq!(ui.ended(), Some(0));
    assert!(ui.is_as_before());
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn fifty_services_answer_keys_at_once() {
    let services: String = (0..50)
        .map(|number| {
            let talk = "trap 'exit 0' TERM; while :; do echo $$RANDOM; sleep 0.2; done";
            format!("  s{number:02}: {{image: 'rootfs:/', command: [sh, -c, \"{talk}\"]}}\n")
        })
        .collect();
    let place = scratch(&format!("name: many\nservices:\n{services}"));
    place.run(&["up", "-d"]).success();
    let mut ui = place.on_terminal(120, 40, &["ui"]);
    ui.wait("all of them", |screen| screen.contains("● 50 well") && screen.contains("iB"));
    let mut times: Vec<Duration> = Vec::new();
    for number in 1..40 {
        let began = Instant::now();
        ui.keys("j");
        let wanted = format!(">● s{number:02}");
        loop {
            if ui.screen().contains(&wanted) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{wanted}: {}", ui.screen());
            std::thread::yield_now();
        }
        times.push(began.elapsed());
    }
    times.sort();
    // A program that was not optimised, on a machine that is busy with the tests beside it.
    assert!(times[times.len() / 2] < Duration::from_millis(100), "{times:?}");
    ui.keys("q");
    assert_eq!(ui.ended(), Some(0));
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let place = scratch(SHOP);
    let answer = place.run(&["ui"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("`ui` needs a terminal"), "{}", answer.stderr);
}
