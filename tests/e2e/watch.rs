//! `watch`, `up --watch`, `up --live`: files reach containers, and what else follows from them.

use std::path::Path;
use std::process::Child;
use std::time::Instant;

use rcompose_harness::{Scratch, wait_for};
use rustix::process::Signal;

use crate::scratch;

/// A service that keeps whatever it gets.
fn stack(rules: &str) -> String {
    format!(
        "name: shop\nservices:\n  web:\n    image: rootfs:/\n    init: true\n    command: [sh, -c, 'mkdir -p /app; exec sleep infinity']\n    \
         develop:\n      watch:\n{rules}"
    )
}

const SYNC: &str = "        - { path: src, action: sync, target: /app, ignore: [node_modules] }\n";

struct Watched<'a> {
    place: &'a Scratch,
    child: Child,
}

impl<'a> Watched<'a> {
    #[track_caller]
    fn begin(place: &'a Scratch, arguments: &[&str]) -> Self {
        let child = place.spawn(arguments);
        wait_for("the watch", || place.output().contains(" ⦿ Watch enabled").then_some(()));
        Self { place, child }
    }

    #[track_caller]
    fn says(&self, text: &str) {
        let told = || format!("{}{}", self.place.output(), errors(self.place));
        wait_for(&format!("`{text}`"), || told().contains(text).then_some(()));
    }

    fn end(mut self) {
        self.place.kill(self.child.id().cast_signed(), Signal::INT);
        assert_eq!(self.child.wait().expect("it ends").code(), Some(130), "{}", errors(self.place));
    }
}

fn errors(place: &Scratch) -> String {
    std::fs::read_to_string(place.project().join("../stderr")).unwrap_or_default()
}

fn put(place: &Scratch, name: &str, text: &str) {
    let path = place.project().join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder can be made");
    std::fs::write(path, text).expect("a file can be written");
}

/// What a shell says in a replica of `web`.
fn said(place: &Scratch, index: u32, script: &str) -> String {
    place.run(&["exec", "-T", "--index", &index.to_string(), "web", "sh", "-c", script]).stdout
}

#[track_caller]
fn wait_said(place: &Scratch, index: u32, script: &str, expected: &str) {
    let mut last = String::new();
    let begin = Instant::now();
    while begin.elapsed() < rcompose_harness::PATIENCE {
        last = said(place, index, script);
        if last == expected {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{script} says {last:?} in replica {index}, not {expected:?}: {}{}", place.output(), errors(place));
}

fn finish(place: &Scratch) {
    place.run(&["down", "-v", "-t", "0"]).success();
    place.check_nothing_is_left();
}

#[test]
fn files_come_and_go_in_all_replicas_and_in_those_that_come_later() {
    let place = scratch(&stack(SYNC).replace("    init:", "    scale: 2\n    init:"));
    put(&place, "src/old", "from before");
    let watched = Watched::begin(&place, &["watch"]);
    put(&place, "src/a/b/new", "one");
    put(&place, "src/node_modules/x", "not this");
    for index in [1, 2] {
        wait_said(&place, index, "cat /app/a/b/new", "one");
    }
    watched.says("web: synchronised");
    // Stopped, it gets what changes all the same.
    place.run(&["stop", "-t", "0", "web"]).success();
    put(&place, "src/a/b/new", "two");
    std::fs::rename(place.project().join("src/old"), place.project().join("src/renamed")).unwrap();
    place.run(&["start", "web"]).success();
    for index in [1, 2] {
        wait_said(&place, index, "cat /app/a/b/new; cat /app/renamed; ls /app/node_modules 2>/dev/null", "twofrom before");
    }
    // Made anew, it gets everything that changed since the beginning.
    place.run(&["up", "-d", "--force-recreate", "-t", "0"]).success();
    for index in [1, 2] {
        wait_said(&place, index, "cat /app/a/b/new; cat /app/renamed; ls /app", "twofrom beforea\nrenamed\n");
    }
    std::fs::remove_dir_all(place.project().join("src/a")).unwrap();
    wait_said(&place, 1, "ls /app", "renamed\n");
    watched.end();
    finish(&place);
}

#[test]
fn what_follows_is_what_the_rule_says() {
    let rules = "        - { path: again, action: restart }\n        \
                 - { path: conf, action: sync+restart, target: /etc/shop.conf }\n        \
                 - { path: src, action: sync+exec, target: /app, initial_sync: true, exec: { command: [sh, -c, 'cat /app/x >> /ran; echo done'] } }\n";
    let place = scratch(&stack(rules));
    put(&place, "src/x", "1");
    put(&place, "conf", "a");
    put(&place, "again", "");
    let watched = Watched::begin(&place, &["watch"]);
    wait_said(&place, 1, "cat /app/x", "1");
    let id = || place.run(&["ps", "-q", "web"]).success();
    let started = || said(&place, 1, "cut -d' ' -f22 /proc/1/stat");
    let (first, mut before) = (id(), started());
    put(&place, "src/x", "2");
    wait_said(&place, 1, "cat /ran", "2");
    watched.says("shop-web-1: done");
    watched.says("web: ran `sh -c cat /app/x >> /ran; echo done` in");
    for name in ["again", "conf"] {
        put(&place, name, "b");
        watched.says(&format!("web: restarting, {name} changed"));
        let now = wait_for("the restart", || Some(started()).filter(|it| !it.is_empty() && *it != before));
        before = now;
    }
    wait_said(&place, 1, "cat /etc/shop.conf /app/x", "b2");
    assert_eq!(id(), first, "it is the same container");
    watched.end();
    finish(&place);
}

/// Of one program, made without any registry; the build takes a while.
fn built(place: &Scratch) {
    std::fs::copy("/bin/busybox", place.project().join("busybox")).expect("busybox-static is installed");
    place.write(
        "Dockerfile",
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCOPY version /version\n\
         RUN sleep 1; cat /version > /built\nCMD [\"sleep\", \"1000\"]\n",
    );
    place.write(".dockerignore", "src/skipped\n");
}

const BUILT: &str = "name: shop
services:
  web:
    build: .
    init: true
    develop:
      watch:
        - { path: version, action: rebuild }
        - { path: src, action: sync, target: /app }
  front:
    image: rootfs:/
    init: true
    command: [sh, -c, 'echo front is up; exec sleep infinity']
    depends_on: { web: { condition: service_started, restart: true } }
";

#[test]
fn nothing_is_lost_that_changes_during_a_build() {
    let place = scratch(BUILT);
    built(&place);
    put(&place, "version", "1");
    put(&place, "src/x", "1");
    let watched = Watched::begin(&place, &["watch"]);
    wait_said(&place, 1, "cat /built", "1");
    let front = || place.run(&["logs", "--no-log-prefix", "front"]).success().lines().count();
    assert_eq!(front(), 1);
    put(&place, "version", "2");
    watched.says("web: rebuilding, version changed");
    put(&place, "src/x", "2");
    put(&place, "src/skipped", "2");
    put(&place, "version", "3");
    wait_said(&place, 1, "cat /built /app/x /app/skipped 2>/dev/null", "32");
    wait_for("the restart of what depends on it", || (front() >= 2).then_some(()));
    wait_for("the end of old images", || {
        let images = place.run(&["image", "ls", "-a", "-q"]).success();
        (images.lines().count() == 1).then_some(())
    });
    watched.end();
    finish(&place);
}

#[test]
fn a_watcher_that_was_killed_leaves_no_lock_and_no_half_file() {
    let place = scratch(BUILT);
    built(&place);
    put(&place, "version", "1");
    let mut watched = Watched::begin(&place, &["watch"]);
    let second = place.run(&["watch", "--no-up"]);
    assert!(second.code == 1 && second.stderr.contains("is already being watched by process"), "{}", second.stderr);
    put(&place, "src/large", &"x".repeat(8 << 20));
    place.kill(watched.child.id().cast_signed(), Signal::KILL);
    watched.child.wait().unwrap();
    let left = said(&place, 1, "find /app -name '.*.rcompose'; cat /app/large 2>/dev/null | wc -c");
    assert!(["0\n", "8388608\n"].contains(&left.as_str()), "{left}");
    put(&place, "version", "2");
    let watched = Watched::begin(&place, &["watch"]);
    wait_said(&place, 1, "cat /built", "2");
    put(&place, "src/small", "x");
    wait_said(&place, 1, "cat /app/small", "x");
    watched.end();
    finish(&place);
}

#[test]
fn what_cannot_be_written_says_why_and_what_is_mounted_is_left_alone() {
    let rules = format!("{SYNC}        - {{ path: bound, action: sync, target: /bound }}\n");
    let compose = stack(&rules).replace("'mkdir -p /app; ", "'").replace("    init:", "    read_only: true\n    init:");
    let place = scratch(&compose.replace("    develop:", "    volumes: ['./bound:/bound']\n    develop:"));
    put(&place, "src/x", "1");
    put(&place, "bound/y", "1");
    let watched = Watched::begin(&place, &["watch"]);
    watched.says("bound is mounted into its containers already, and is not synchronised");
    put(&place, "bound/y", "2");
    put(&place, "src/x", "2");
    watched.says("error: failed to write `/app/x`");
    watched.says("hint: it is on a read-only file system");
    assert_eq!(said(&place, 1, "cat /bound/y"), "2");
    assert!(!place.output().contains("bound/y"), "{}", place.output());
    watched.end();
    finish(&place);
}

#[test]
fn the_files_of_the_stack_are_watched_and_a_broken_one_changes_nothing() {
    let service = |name: &str, word: &str| {
        format!(
            "  {name}:\n    image: rootfs:/\n    init: true\n    command: [sh, -c, 'echo {word}; exec sleep infinity']\n    env_file: of.env\n"
        )
    };
    let compose = |services: &str| format!("name: shop\nservices:\n{services}");
    let place = scratch(&compose(&service("web", "one $$A")));
    put(&place, "of.env", "A=1\n");
    let watched = Watched::begin(&place, &["up", "--live"]);
    let id = || place.run(&["ps", "-q", "web"]).success();
    wait_for("the first one", || place.output().contains("one 1").then_some(()));
    let first = id();
    place.write("compose.yaml", "services: [");
    watched.says("the files cannot be used, and the stack stays as it is");
    place.write("compose.yaml", &format!("# said otherwise\n{}", compose(&service("web", "one $$A"))));
    watched.says("the files changed, and the stack does not");
    assert_eq!(id(), first);
    place.write("compose.yaml", &compose(&(service("web", "two $$A") + &service("more", "three"))));
    watched.says("`command` changed");
    for word in ["two 1", "three"] {
        wait_for(word, || place.output().contains(word).then_some(()));
    }
    watched.says("the stack is as its files say");
    put(&place, "of.env", "A=5\n");
    wait_for("the variable", || place.output().contains("two 5").then_some(()));
    place.write("compose.yaml", &compose(&service("web", "two $$A")));
    wait_for("the end of the service", || place.run(&["ps", "-aq", "more"]).stdout.is_empty().then_some(()));
    watched.end();
    finish(&place);
}

#[test]
fn a_single_file_that_is_mounted_is_mounted_anew_when_an_editor_replaces_it() {
    let place = scratch(&stack(SYNC).replace("    develop:", "    volumes: ['./conf:/etc/shop.conf:ro']\n    develop:"));
    put(&place, "src/x", "1");
    put(&place, "conf", "1");
    let watched = Watched::begin(&place, &["watch"]);
    for text in ["2", "3"] {
        put(&place, "conf.new", text);
        std::fs::rename(place.project().join("conf.new"), place.project().join("conf")).unwrap();
        wait_said(&place, 1, "cat /etc/shop.conf", text);
    }
    watched.says("web: mounted conf anew in");
    watched.end();
    finish(&place);
}

#[test]
fn up_watches_beside_its_output_and_stops_what_it_started() {
    let place = scratch(&stack(SYNC));
    put(&place, "src/x", "1");
    let watched = Watched::begin(&place, &["up", "--watch"]);
    put(&place, "src/x", "2");
    wait_said(&place, 1, "cat /app/x", "2");
    watched.end();
    assert_eq!(place.run(&["ps", "-q"]).success(), "");
    finish(&place);
}

#[test]
fn a_checkout_of_thousands_of_files_arrives_whole() {
    let place = scratch(&stack(SYNC));
    for number in 0..10_000 {
        put(&place, &format!("src/d{}/f{number}", number % 100), "old");
    }
    let watched = Watched::begin(&place, &["watch"]);
    for number in 0..10_000 {
        let path = place.project().join(format!("src/d{}/f{number}", number % 100));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "new").unwrap();
    }
    wait_said(
        &place,
        1,
        "find /app -type f | wc -l; cat $(find /app -type f | head -5000) | sort -u | tr -d '\\n' | wc -c",
        "10000\n15000\n",
    );
    watched.end();
    finish(&place);
}

#[test]
fn a_stack_without_rules_is_not_watched() {
    let place = scratch("name: shop\nservices: {web: {image: 'rootfs:/', command: [sleep, infinity]}}");
    for command in [&["watch"][..], &["up", "--watch"]] {
        let answer = place.run(command);
        assert!(
            answer.code == 1 && answer.stderr.contains("none of the selected services is configured for watch"),
            "{answer:?}"
        );
    }
    place.check_nothing_is_left();
}
