//! What an attached `up` shows on a terminal, and what its keys do.

use rcompose_harness::wait_for;
use rustix::process::Signal;

use crate::scratch;

/// A service that waits for another one, one that talks, one that tries to take the terminal over.
const TALKERS: &str = r#"
name: talk
services:
  web:
    image: rootfs:/
    command: [sh, -c, "trap 'echo bye; exit 0' TERM; while :; do echo tick; sleep 0.05; done"]
    depends_on: {db: {condition: service_healthy}}
  db:
    image: rootfs:/
    command: [sh, -c, "sleep 0.4; touch /tmp/ok; exec sleep infinity"]
    healthcheck: {test: [CMD-SHELL, "cat /tmp/ok"], interval: 0.1s, retries: 50}
  evil:
    image: rootfs:/
    init: true
    command: [sh, -c, "printf 'a\\033[2J\\033[1;1H\\033]0;owned\\007\\033[?1049h\\033[31mred\\n日本語 wide\\n'; exec sleep infinity"]
"#;

fn last_row(screen: &str) -> &str {
    screen.lines().last().unwrap_or_default()
}

#[test]
fn a_stack_comes_up_before_ones_eyes_at_any_size() {
    for (columns, rows) in [(60, 24), (80, 24), (120, 40), (200, 12)] {
        let place = scratch(TALKERS);
        let mut up = place.on_terminal(columns, rows, &["up", "-d"]);
        up.wait("a probe that fails", |screen| screen.contains("Waiting  probe"));
        assert_eq!(up.ended(), Some(0), "{}", up.screen());
        let screen = up.screen();
        assert!(screen.starts_with("[+] up 4/4\n"), "{screen}");
        for row in ["Network talk_default", "Container talk-web-1", "Container talk-evil-1", "Container talk-db-1"] {
            let shown: Vec<&str> = screen.lines().filter(|line| line.contains(row)).collect();
            assert!(matches!(shown.as_slice(), [line] if line.starts_with(" ✔ ") && line.ends_with('s')), "{row}: {screen}");
        }
        assert!(screen.contains("Container talk-db-1    Healthy"), "{screen}");
        place.run(&["down"]).success();
        place.check_nothing_is_left();
    }
}

#[test]
fn more_containers_than_rows_leave_the_urgent_ones() {
    let services: String =
        (0..14).map(|number| format!("  s{number}: {{image: 'rootfs:/', init: true, command: [sleep, infinity]}}\n")).collect();
    let place = scratch(&format!("name: many\nservices:\n{services}"));
    let mut up = place.on_terminal(80, 10, &["up", "-d"]);
    assert_eq!(up.ended(), Some(0));
    let screen = up.screen();
    assert_eq!(screen.matches("[+] up 15/15").count(), 1, "{screen}");
    assert!(screen.ends_with(" ... 8 more"), "{screen}");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_terminal_that_is_resized_shows_everything_once() {
    let place = scratch(&TALKERS.replace("sleep 0.4", "sleep 1.5"));
    let mut up = place.on_terminal(120, 24, &["up", "-d"]);
    up.wait("a row that waits", |screen| screen.contains("Waiting  probe"));
    up.resize(70, 24);
    up.wait("narrow rows", |screen| {
        screen.matches("[+] up").count() == 1 && screen.matches("Container talk-db-1").count() == 1 && screen.contains('…')
    });
    up.resize(160, 24);
    assert_eq!(up.ended(), Some(0));
    let screen = up.wait("wide rows", |screen| screen.lines().any(|line| line.chars().count() > 150));
    assert_eq!((screen.matches("[+] up").count(), screen.matches("talk-db-1").count()), (1, 1), "{screen}");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn output_cannot_take_the_terminal_over() {
    let place = scratch(TALKERS);
    let mut up = place.on_terminal(80, 24, &["up"]);
    let screen = up.wait("every line", |screen| screen.contains("日本語 wide") && screen.contains("web-1   | tick"));
    assert!(screen.contains("evil-1  | ared\nevil-1  | 日本語 wide"), "{screen}");
    let bytes = String::from_utf8_lossy(&up.bytes()).into_owned();
    for hostile in ["\u{1b}[2J", "\u{1b}[1;1H", "owned", "1049"] {
        assert!(!bytes.contains(hostile), "{hostile:?} came through");
    }
    assert!(bytes.contains("\u{1b}[31mred\u{1b}[0m"), "colours are left");
    up.keys("\u{3}");
    assert_eq!(up.ended(), Some(130));
    let screen = up.screen();
    assert!(screen.contains("web-1   | bye"), "what is said at the end is shown: {screen}");
    assert!(screen.contains("does not handle SIGTERM"), "{screen}");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn keys_choose_what_is_shown_and_detach() {
    let place = scratch(TALKERS);
    let mut up = place.on_terminal(80, 24, &["up"]);
    up.wait("the menu below the lines", |screen| {
        screen.contains("| tick") && last_row(screen) == "d detach  r restart  f filter  s service  ? help"
    });
    assert!(!up.is_as_before());
    up.keys("f");
    up.wait("the question", |screen| last_row(screen).starts_with("show only lines with:"));
    up.keys("nothing\r\r");
    let marked = up.wait("a line", |screen| screen.contains("────"));
    let after = |screen: &str| screen.rsplit("────").next().unwrap_or_default().to_owned();
    assert!(!after(&marked).contains("| tick"), "{marked}");
    up.keys("\u{1b}");
    up.wait("lines again", |screen| after(screen).contains("| tick"));
    up.keys("rev\r");
    up.wait("a restart", |screen| screen.contains("Container talk-evil-1 Started"));
    up.keys("d");
    assert_eq!(up.ended(), Some(0));
    assert!(last_row(&up.screen()).starts_with("Detached"), "{}", up.screen());
    assert!(up.is_as_before());
    assert_eq!(place.run(&["ps", "--services"]).success(), "db\nevil\nweb\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn the_terminal_is_restored_whatever_happens() {
    let place = scratch(TALKERS);
    let mut up = place.on_terminal(80, 24, &["up"]);
    up.wait("the menu", |screen| last_row(screen).ends_with("? help"));
    up.keys("\u{1a}");
    wait_for("the program stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", up.pid())).unwrap_or_default();
        stat.contains(") T ").then_some(())
    });
    assert!(up.is_as_before(), "a shell has the terminal now");
    place.kill(up.pid(), Signal::CONT);
    wait_for("the keys are ours again", || (!up.is_as_before()).then_some(()));
    up.wait("the menu", |screen| last_row(screen).ends_with("? help"));
    place.kill(up.pid(), Signal::TERM);
    assert_eq!(up.ended(), Some(130));
    assert!(up.is_as_before());
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn nobody_is_asked_for_keys_where_none_are_wanted() {
    let place = scratch(TALKERS);
    for (variables, arguments) in [
        (&[("COMPOSE_MENU", "0")][..], &["up"][..]),
        (&[], &["up", "--menu=false"]),
        (&[("TERM", "dumb")], &["up"]),
        (&[], &["--ansi", "never", "up"]),
    ] {
        let mut up = place.on_terminal_with(80, 24, variables, arguments);
        up.wait("lines", |screen| screen.contains("| tick"));
        assert!(up.is_as_before() && !up.screen().contains("detach"), "{arguments:?}: {}", up.screen());
        place.kill(up.pid(), Signal::INT);
        assert_eq!(up.ended(), Some(130));
    }
    let mut up = place.on_terminal_with(80, 24, &[("NO_COLOR", "1")], &["up"]);
    up.wait("lines", |screen| screen.contains("| tick") && screen.contains("ared"));
    let bytes = String::from_utf8_lossy(&up.bytes()).into_owned();
    assert!(["[31m", "[32m", "[36m"].iter().all(|colour| !bytes.contains(colour)), "no colours");
    place.kill(up.pid(), Signal::INT);
    up.ended();
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn what_is_killed_by_a_second_interrupt_is_dead_at_once() {
    let stubborn =
        "services: {a: {image: 'rootfs:/', command: [sh, -c, 'trap \"\" TERM; echo up; while :; do sleep 0.1; done']}}";
    let place = scratch(&format!("name: stubborn\n{stubborn}"));
    let mut up = place.on_terminal(80, 24, &["up"]);
    up.wait("a line", |screen| screen.contains("| up"));
    let began = std::time::Instant::now();
    up.keys("\u{3}");
    up.wait("the stop", |screen| screen.contains("Gracefully Stopping"));
    up.keys("\u{3}");
    assert_eq!(up.ended(), Some(130));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "its grace period was not waited out");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
