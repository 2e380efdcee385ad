//! The examples do what their READMEs say.

mod registry;

use std::path::{Path, PathBuf};

use rcompose_harness::{Scratch, wait_for};

use registry::Registry;

fn stack(name: &str) -> (Scratch, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/stacks").join(name);
    (Scratch::new(env!("CARGO_BIN_EXE_rcompose")), folder)
}

#[test]
fn hello_counts_visits_over_a_down() {
    let (place, folder) = stack("hello");
    let visit = || {
        // The port is open before the program behind it listens.
        let ask = "use IO::Socket::INET; my $s; for (1..400) { last if $s = IO::Socket::INET->new('127.0.0.1:8080'); \
                   select undef, undef, undef, 0.02 } print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; print <$s>";
        place.inside(&["perl", "-e", ask])
    };
    place.run_in(&folder, &["up", "-d", "--wait"]).success();
    let first = visit();
    assert!(first.contains("Visit number 1"), "{first}");
    place.run_in(&folder, &["down"]).success();
    place.run_in(&folder, &["up", "-d", "--wait"]).success();
    let second = visit();
    assert!(second.contains("Visit number 2"), "{second}");
    place.run_in(&folder, &["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn crash_loop_restarts_as_its_policies_say() {
    let (place, folder) = stack("crash-loop");
    place.run_in(&folder, &["up", "-d"]).success();
    wait_for("three restarts", || {
        let text = place.run_in(&folder, &["ps", "-a"]).success();
        text.contains("Exited (7)").then_some(())
    });
    assert_eq!(place.run_in(&folder, &["logs", "--no-log-prefix", "three-times"]).success().lines().count(), 4);
    assert!(place.run_in(&folder, &["ps", "-a", "once"]).success().contains("Exited (0)"));
    place.run_in(&folder, &["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn scaled_answers_with_every_replica() {
    let (place, folder) = stack("scaled");
    place.run_in(&folder, &["up", "-d"]).success();
    let addresses = |count: usize| {
        wait_for("the addresses", || {
            let text = place
                .run_in(&folder, &["exec", "-T", "client", "sh", "-c", "getent ahostsv4 worker | cut -d' ' -f1 | sort -u"])
                .success();
            (text.lines().count() == count).then_some(())
        });
    };
    addresses(3);
    place.run_in(&folder, &["up", "-d", "--scale", "worker=5"]).success();
    addresses(5);
    place.run_in(&folder, &["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn watch_serves_what_is_edited() {
    let (place, example) = stack("watch");
    // What is edited is a copy.
    let folder = place.project();
    std::fs::create_dir(folder.join("pages")).unwrap();
    for name in ["compose.yaml", "server.pl", "pages/index"] {
        std::fs::copy(example.join(name), folder.join(name)).unwrap();
    }
    let edit = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        std::fs::write(folder.join(name), text.replace(from, to)).unwrap();
    };
    let serves = |port: u16, path: &str, text: &str| {
        let ask = format!(
            "use IO::Socket::INET; my $s = IO::Socket::INET->new('127.0.0.1:{port}') or exit; print $s \"GET /{path} HTTP/1.0\\r\\n\\r\\n\"; print <$s>"
        );
        wait_for(text, || place.inside(&["perl", "-e", &ask]).contains(text).then_some(()));
    };
    let mut watch = place.spawn(&["up", "--watch"]);
    serves(8080, "", "This page can be edited.");
    place.write("pages/other", "Another page.\n");
    place.write("pages/secret.draft", "");
    serves(8080, "other", "Another page.");
    edit("server.pl", "first", "second");
    serves(8080, "", "Served by the second version");
    edit("compose.yaml", "8080:80", "8081:80");
    serves(8081, "other", "Another page.");
    assert!(!place.output().contains("secret.draft"), "{}", place.output());
    place.kill(i32::try_from(watch.id()).unwrap(), rustix::process::Signal::INT);
    assert_eq!(watch.wait().unwrap().code(), Some(130), "{}", place.output());
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn postgres_redis_web_keeps_visits_over_a_down() {
    let (mut place, folder) = stack("postgres-redis-web");
    let registry = Registry::start(&mut place);
    let visit = || {
        let ask = "import urllib.request; print(urllib.request.urlopen(\"http://127.0.0.1:8080\").read().decode())";
        place.inside(&["python3", "-c", ask])
    };
    let up = place.run_in(&folder, &["up", "-d", "--wait"]);
    assert!(up.stderr.contains("Image postgres:15 Pulled"), "{}", up.stderr);
    up.success();
    assert_eq!(visit().trim(), "Visit number 1, 1 rows in the database");
    place.run_in(&folder, &["restart", "cache", "db"]).success();
    place.run_in(&folder, &["up", "-d", "--wait"]).success();
    assert_eq!(visit().trim(), "Visit number 2, 2 rows in the database");
    place.run_in(&folder, &["down"]).success();
    // What was pulled is there: nobody is asked again.
    drop(registry);
    place.run_in(&folder, &["up", "-d", "--wait"]).success();
    assert_eq!(visit().trim(), "Visit number 3, 3 rows in the database");
    let query = ["exec", "-T", "db", "psql", "--username=postgres", "--tuples-only", "--no-align", "visits", "--command"];
    let numbers = place.run_in(&folder, &[&query[..], &["SELECT number FROM visit ORDER BY at"]].concat()).success();
    assert_eq!(numbers, "1\n2\n3\n");
    place.run_in(&folder, &["down", "-v"]).success();
    place.check_nothing_is_left();
}
