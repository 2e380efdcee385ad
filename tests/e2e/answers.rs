//! What the program says, and how it ends.

use crate::{SHOP, scratch};

#[test]
fn points_at_the_line_that_is_wrong() {
    let place = scratch("services:\n  web:\n    imagee: x\n    ports: ['70000:80']\n");
    let answer = place.run(&["config"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
    let file = place.project().join("compose.yaml");
    let text = answer.stderr.replace(&file.display().to_string(), "FILE");
    assert!(text.contains("FILE:3:5: error: services.web additional properties 'imagee' not allowed"), "{text}");
    assert!(text.contains("hint: did you mean `image`?"), "{text}");
    assert!(text.contains("FILE:4:13: error: services.web.ports[0]: invalid port `70000`"), "{text}");
    assert!(text.contains("    imagee: x\n"), "{text}");
}

#[test]
fn says_what_is_missing() {
    let place = scratch("services: {a: {image: '127.0.0.1:1/nowhere:1'}}");
    let answer = place.run(&["up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("error: failed to pull image `127.0.0.1:1/nowhere:1`"), "{}", answer.stderr);
    let empty = rcompose_harness::Scratch::new(env!("CARGO_BIN_EXE_rcompose"));
    let answer = empty.run(&["up"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("no configuration file provided: not found"), "{}", answer.stderr);
}

#[test]
fn shows_a_cycle_as_a_path() {
    let place = scratch("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}");
    let answer = place.run(&["up", "-d"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("dependency cycle detected: a -> b -> a"), "{}", answer.stderr);
}

#[test]
fn a_process_that_cannot_be_started_has_the_known_status() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    let answer = place.run(&["exec", "-T", "web", "nothere"]);
    assert_eq!(answer.code, 127);
    assert!(answer.stderr.contains("exec: \"nothere\": executable file not found in $PATH"), "{}", answer.stderr);
    let answer = place.run(&["exec", "-T", "nobody", "true"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("service \"nobody\" is not running"), "{}", answer.stderr);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn gives_versions_and_shapes_that_scripts_read() {
    let place = scratch(SHOP);
    assert_eq!(place.run(&["version", "--short"]).success(), format!("{}\n", env!("CARGO_PKG_VERSION")));
    place.run(&["up", "-d"]).success();
    let line = place.run(&["ps", "--format", "json", "web"]).success();
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((object["Name"].as_str(), object["State"].as_str()), (Some("shop-web-1"), Some("running")));
    let projects: serde_json::Value = serde_json::from_str(&place.run(&["ls", "--format", "json"]).success()).unwrap();
    assert_eq!(projects[0]["Status"], "running(2)");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
