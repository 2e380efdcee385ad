//! Hostile and broken input: an error that says where, in bounded time and memory, and nothing has changed.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rcompose_harness::{Answer, Scratch};

use crate::scratch;

/// The longest that any of these may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most memory, in KiB: the program gets no more.
const MEMORY: &str = "300000";

/// Runs the program with little memory.
fn bounded(place: &Scratch, arguments: &[&str]) -> Answer {
    let mut command = Command::new("sh");
    let limited = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_rcompose")]).args(arguments);
    let begin = Instant::now();
    let output = command.current_dir(place.project()).stdin(Stdio::null()).output();
    assert!(begin.elapsed() < LIMIT, "{arguments:?} took {:?}", begin.elapsed());
    Answer::of(&output.expect("the program can be run"))
}

#[track_caller]
fn refused(compose: &str, told: &str) {
    let place = scratch(compose);
    let answer = bounded(&place, &["config", "-q"]);
    assert_eq!(answer.code, 1, "{}", answer.stderr);
    assert!(answer.stderr.contains(told), "expected `{told}`: {}", answer.stderr);
    assert!(answer.stderr.len() < 10_000, "{} bytes of error", answer.stderr.len());
}

#[test]
fn aliases_that_multiply() {
    let level = |number: u32| format!("x-{number}: &a{number} [{}]\n", vec![format!("*a{}", number - 1); 10].join(","));
    let bomb = format!("x-0: &a0 [x]\n{}services: {{a: {{image: x, labels: *a29}}}}\n", (1..30).map(level).collect::<String>());
    refused(&bomb, "copies by `*alias` included");
    let level = |number: u32| {
        format!("x-{number}: &a{number}\n  <<: [{}]\n  k{number}: 1\n", vec![format!("*a{}", number - 1); 10].join(","))
    };
    let bomb =
        format!("x-0: &a0 {{k: 1}}\n{}services: {{a: {{image: x, labels: *a29}}}}\n", (1..30).map(level).collect::<String>());
    refused(&bomb, "copies by `*alias` included");
    refused("services: &s {a: {image: x, labels: *s}}\n", "an anchor cannot contain itself");
}

#[test]
fn files_that_are_too_deep_too_large_or_no_text() {
    refused(&format!("a: {}", "[".repeat(100_000)), "recursion limit");
    refused(&format!("services: {{a: {{image: '{}x{}'}}}}", "${A:-".repeat(3000), "}".repeat(3000)), "invalid interpolation");
    refused("services:\n\ta:\n\t\timage: x\n", "indent with spaces");
    refused("services: {a: {image: \"x\0y\"}}\n", "unexpected character");
    let place = scratch("services: {a: {image: x}}\n");
    let file = std::fs::OpenOptions::new().append(true).open(place.project().join("compose.yaml")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(bounded(&place, &["config", "-q"]).stderr.contains("larger than"));
    std::fs::write(place.project().join("compose.yaml"), b"services: {a: {image: \xff\xfe}}").unwrap();
    assert!(bounded(&place, &["config", "-q"]).stderr.contains("not valid UTF-8"));
}

#[test]
fn what_is_read_as_a_file_and_is_none() {
    for (name, compose) in [
        ("compose.yaml", None),
        (".env", Some("services: {a: {image: x}}")),
        ("vars", Some("services: {a: {image: x, env_file: vars}}")),
    ] {
        let place = scratch(compose.unwrap_or_default());
        let path = place.project().join(name);
        let _ = std::fs::remove_file(&path);
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let answer = bounded(&place, &["config", "-q"]);
        assert!(answer.code == 1 && answer.stderr.contains("not a regular file"), "{name}: {}", answer.stderr);
    }
    refused("services: {a: {image: x, env_file: /dev/zero}}", "not a regular file");
    let place = scratch("");
    std::fs::remove_file(place.project().join("compose.yaml")).unwrap();
    symlink("compose.yaml", place.project().join("compose.yaml")).unwrap();
    assert!(bounded(&place, &["config", "-q"]).stderr.contains("no configuration file provided"));
}

#[test]
fn numbers_that_are_short_to_write() {
    let ranges: Vec<String> = (1..=50).map(|host| format!("'127.0.0.{host}:1-65535:1-65535'")).collect();
    refused(&format!("services: {{a: {{image: x, ports: [{}]}}}}", ranges.join(",")), "more than 65536 ports");
    let place = scratch("services: {a: {image: 'rootfs:/', scale: 4000000000}}");
    for arguments in [&["--dry-run", "up"][..], &["up", "-d"], &["up", "-d", "--scale", "a=4000000000"]] {
        let answer = place.run(arguments);
        assert_eq!(answer.code, 1, "{}", answer.stderr);
        assert!(answer.stderr.contains("is to have 4000000000 replicas, and cannot have more than 10000"), "{}", answer.stderr);
    }
    assert!(place.supervisor().is_some(), "it has not been hurt");
    place.check_nothing_is_left();
}

#[test]
fn chains_and_rings_of_three_thousand_services() {
    let stack = |last: &str| {
        let link = |number: u32| format!("  s{number}: {{image: 'rootfs:/', depends_on: [s{}]}}\n", number + 1);
        format!("services:\n{}  s3000: {{image: 'rootfs:/'{last}}}\n", (0..3000).map(link).collect::<String>())
    };
    let begin = Instant::now();
    let place = scratch(&stack(""));
    let plan = place.run(&["--dry-run", "up"]);
    assert!(plan.code == 0 && plan.stderr.contains("start container"), "{}", plan.stderr);
    place.write("compose.yaml", &stack(", depends_on: [s0]"));
    let ring = place.run(&["--dry-run", "up"]);
    assert!(ring.code == 1 && ring.stderr.contains("dependency cycle detected: s0 -> s1 -> "), "{}", ring.stderr);
    assert!(ring.stderr.len() < 2000, "the middle of it is left out");
    assert!(begin.elapsed() < 2 * LIMIT, "{:?}", begin.elapsed());
}

#[test]
fn an_image_with_a_table_of_users_that_never_ends() {
    let place = scratch("services: {a: {image: 'rootfs:./image', user: web, command: [/bin/true]}}");
    std::fs::create_dir_all(place.project().join("image/etc")).unwrap();
    for (kind, make) in [("a FIFO", true), ("a device", false)] {
        let passwd = place.project().join("image/etc/passwd");
        let _ = std::fs::remove_file(&passwd);
        if make {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644));
            rustix::fs::mknodat(rustix::fs::CWD, &passwd, kind, mode, 0).unwrap();
        } else {
            symlink("/dev/zero", &passwd).unwrap();
        }
        let begin = Instant::now();
        let answer = place.run(&["up", "-d"]);
        assert!(begin.elapsed() < LIMIT, "{kind}: {:?}", begin.elapsed());
        assert!(answer.code == 1 && answer.stderr.contains("cannot use /etc/passwd of the image"), "{kind}: {}", answer.stderr);
    }
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}

#[test]
fn archives_that_are_none_say_so_without_giving_orders_to_the_terminal() {
    let place = scratch("services: {a: {image: x}}");
    std::fs::write(place.project().join("noise.tar"), [b"\x1b[2J\x07".as_slice(), &[0xf7; 4000]].concat()).unwrap();
    for name in ["noise.tar", "compose.yaml", "/dev/null"] {
        let answer = place.run(&["image", "load", "-i", name]);
        assert_eq!(answer.code, 1, "{name}");
        assert!(answer.stderr.starts_with("error: ") && !answer.stderr.contains('\x1b'), "{name}: {:?}", answer.stderr);
        assert!(answer.stderr.len() < 5000, "{name}");
    }
    assert_eq!(place.run(&["image", "ls", "-q"]).success(), "");
}
