//! `compose.lock`: written by `lock`, kept to by whoever runs the stack.

use rcompose_harness::Scratch;
use serde_json::Value;

use crate::archive::archive;
use crate::registry::Registry;
use crate::scratch;

const APP: &str = "127.0.0.1:5000/team/app:1";
const BASE: &str = "127.0.0.1:5000/team/base:1";

/// Has the registry have some content under a name, and the store nothing of it; gives the digest.
fn publish(place: &Scratch, name: &str, content: &str) -> String {
    let made = archive(place, &["made:1"], content);
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["image", "tag", "made:1", name]).success();
    let pushed = place.run(&["image", "push", "-q", name]).success();
    place.run(&["image", "rm", "made:1", name]).success();
    pushed.trim().rsplit(' ').next().expect("a digest").to_owned()
}

/// The image of a service's container, as the store describes it.
fn image_of(place: &Scratch, service: &str) -> Value {
    let text = place.run(&["ps", "-a", "--format", "json", service]).success();
    let container: Value = serde_json::from_str(&text).expect("a line of JSON");
    let text = place.run(&["image", "inspect", container["Image"].as_str().expect("it has an image")]).success();
    serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
}

#[test]
fn a_locked_stack_is_what_it_was_until_it_is_locked_again() {
    let file = format!(
        "name: shop\nservices:\n  a: {{image: '{APP}', command: [none]}}\n  b:\n    command: [none]\n    build:\n      dockerfile_inline: |\n        FROM {BASE}\n        LABEL own=1\n"
    );
    let place = scratch(&file);
    let registry = Registry::start(&place, false);
    let (app, base) = (publish(&place, APP, "app one"), publish(&place, BASE, "base one"));
    let refused = place.run(&["create", "--locked"]);
    assert!(refused.stderr.starts_with("error: `--locked` uses "), "{}", refused.stderr);
    assert!(refused.stderr.contains("compose.lock, which is not there\nhint: write it with `rcompose lock`"));
    let told = place.run(&["lock"]);
    let expected = format!("+ {APP} {app}\n+ {BASE} {base}\ncompose.lock: 2 images: 2 new, 0 changed, 0 gone\n");
    assert_eq!((told.stderr, told.code), (expected, 0));
    let lock = std::fs::read_to_string(place.project().join("compose.lock")).unwrap();
    let expected = format!("version = 1\n\n[images]\n\"{APP}\" = \"{app}\"\n\"{BASE}\" = \"{base}\"\n");
    assert!(lock.ends_with(&expected), "{lock}");
    place.run(&["lock", "--check"]).success();
    // The tags move on; the stack does not, with the flag or without.
    publish(&place, APP, "app two");
    let moved = publish(&place, BASE, "base two");
    place.run(&["create", "--locked"]).success();
    assert_eq!(image_of(&place, "a")["RepoDigests"][0], format!("127.0.0.1:5000/team/app@{app}"));
    let layer = |service: &str| image_of(&place, service)["RootFS"]["Layers"][0].as_str().unwrap().to_owned();
    let (own, built) = (layer("a"), layer("b"));
    let before = place.run(&["ps", "-aq"]).success();
    place.run(&["create", "--build"]).success();
    assert_eq!(place.run(&["ps", "-aq"]).success(), before, "nothing is another");
    // What is locked is here: nobody is asked.
    place.run(&["--offline", "create", "--locked", "--build"]).success();
    // One service again; the other keeps its digest.
    let told = place.run(&["lock", "b"]).stderr;
    assert_eq!(told, format!("~ {BASE} {moved}, was {base}\ncompose.lock: 2 images: 0 new, 1 changed, 0 gone\n"));
    place.run(&["create", "--locked", "--build"]).success();
    assert_eq!(layer("a"), own);
    assert_ne!(layer("b"), built);
    drop(registry);
    place.run(&["down", "--rmi", "all"]).success();
    assert_eq!(place.run(&["image", "ls", "-q", "127.0.0.1:5000/team/app"]).success(), "");
    place.check_nothing_is_left();
}

#[test]
fn what_is_not_in_the_lock_is_refused_all_at_once() {
    let file = |tag: &str| {
        format!(
            "name: shop\nservices:\n  a: {{image: '{APP}', command: [none]}}\n  b: {{image: 'other:{tag}', command: [none]}}\n  c: {{build: {{dockerfile_inline: FROM {BASE}}}}}\n"
        )
    };
    let place = scratch(&file("2"));
    let digest = format!("sha256:{}", "1".repeat(64));
    place.write("compose.lock", &format!("version = 1\n[images]\n'{APP}' = '{digest}'\n'old:1' = '{digest}'\n"));
    let refused = place.run(&["up", "--locked", "-d"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.starts_with("error: `compose.lock` is not what the stack asks for\n"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("compose.yaml:4:7: image `other:2` has no digest in the lock\nhint: lock the stack's"),
        "{}",
        refused.stderr
    );
    // By the variable, too; a base is told with the line of the Dockerfile.
    place.write("built.yaml", &format!("services: {{c: {{build: {{dockerfile_inline: FROM {BASE}}}}}}}"));
    let base = place.run_with(&[("RCOMPOSE_LOCKED", "1")], &["-f", "built.yaml", "build"]);
    assert!(base.code == 1 && base.stderr.contains(&format!("image `{BASE}` has no digest in the lock")), "{}", base.stderr);
    let another = place.project().join("another.yaml");
    std::fs::write(&another, format!("services: {{b: {{image: '{APP}@sha256:{}'}}}}", "2".repeat(64))).unwrap();
    let differs = place.run(&["-f", "compose.yaml", "-f", "another.yaml", "pull", "--locked"]).stderr;
    assert!(differs.contains(&format!("image `{APP}` is to be sha256:22")), "{differs}");
    assert!(differs.contains(&format!("and the lock has {digest}")), "{differs}");
    let check = place.run(&["lock", "--check"]);
    let causes: Vec<&str> = check.stderr.lines().filter(|line| line.starts_with("  caused by: ")).collect();
    let expected = [
        format!("  caused by: image `{BASE}` of c is not in it"),
        "  caused by: image `docker.io/library/other:2` of b is not in it".to_owned(),
        "  caused by: image `old:1` is in it, and of no service".to_owned(),
    ];
    assert_eq!(causes, expected);
    assert!(place.run(&["--offline", "lock"]).stderr.contains("`--offline` forbids it"));
    place.write("compose.lock", "version = 9\n");
    let newer = place.run(&["create"]).stderr;
    assert!(newer.contains("compose.lock: it is of version 9, and this program reads version 1"), "{newer}");
    // It keeps nobody from taking a stack away.
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
