//! `cache_from` and `cache_to`: what steps came to, in a folder, a registry, an image.

use rcompose_harness::Scratch;

use super::{dockerfile, place, said, steps};
use crate::registry::Registry;

/// Two stages, the first of which never comes to the same twice.
const LINES: &str = "FROM base AS made\nRUN head -c 12 /dev/urandom | base64 > /made\nFROM base\nCOPY --from=made /made /copy\nRUN cat /copy > /seen\n";
/// All steps of both stages, with those of the base.
const ALL: usize = 5;

/// The stack, with entries of its build section.
fn stack(place: &Scratch, entries: &str) {
    place.write(
        "compose.yaml",
        &format!("name: shop\nservices:\n  web:\n    init: true\n    build:\n      context: .\n{entries}"),
    );
}

/// Builds, and gives what was said.
#[track_caller]
fn build(place: &Scratch) -> String {
    let answer = place.run(&["build"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    answer.stderr
}

/// Forgets everything of builds.
fn forget(place: &Scratch) {
    place.run(&["down"]).success();
    place.run(&["image", "prune", "-a", "-f"]).success();
    place.run(&["builder", "prune", "-a", "-f"]).success();
    assert_eq!(place.run(&["image", "ls", "-q"]).success(), "");
}

/// Steps that ran, without the ways to caches.
fn ran(told: &str) -> usize {
    let ways = told.lines().filter(|line| line.starts_with('#') && line.contains("ing the build cache ")).count();
    steps(told).0 - ways
}

#[test]
fn a_folder_keeps_all_steps_or_those_of_the_image() {
    let place = place(LINES);
    for (mode, runs) in [("max", 0), ("min", 1)] {
        stack(&place, &format!("      cache_to: ['type=local,dest=./{mode},mode={mode}']\n"));
        let told = build(&place);
        assert!(told.contains(" writing the build cache "), "{told}");
        let made = said(&place, "cat /seen");
        forget(&place);
        stack(&place, &format!("      cache_from: ['type=local,src=./{mode}']\n"));
        let told = build(&place);
        assert!(told.contains(" reading the build cache "), "{told}");
        // Without the layers of the first stage nobody knows what is copied from it: it runs, and what follows from it.
        assert_eq!(ran(&told), if runs == 0 { 0 } else { 3 }, "{told}");
        assert_eq!(said(&place, "cat /seen") == made, runs == 0);
        // What is known here asks nobody.
        let told = build(&place);
        assert!(!told.contains("reading") && ran(&told) == 0, "{told}");
        // Who does not name the cache does not trust what came from it.
        stack(&place, "");
        assert_eq!(ran(&build(&place)), ALL);
        forget(&place);
    }
    // What is not there, not one of ours, or damaged is a warning.
    std::fs::create_dir_all(place.project().join("empty/blobs/sha256")).unwrap();
    place.write("empty/index.json", "{\"manifests\": []}");
    for (folder, why) in [("none", "it is not there yet"), ("empty", "nothing in it is called `latest`"), ("max", "")] {
        stack(&place, &format!("      cache_from: ['type=local,src=./{folder}']\n"));
        if folder == "max" {
            let blobs = std::fs::read_dir(place.project().join("max/blobs/sha256")).unwrap().map(|it| it.unwrap().path());
            for blob in blobs.filter(|path| std::fs::read(path).unwrap().starts_with(b"\x1f\x8b")) {
                let mut bytes = std::fs::read(&blob).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(&blob, bytes).unwrap();
            }
        }
        let told = build(&place);
        assert!(told.contains(why) && told.contains("the build cache "), "{told}");
        assert_eq!(ran(&told), ALL, "{told}");
        forget(&place);
    }
    place.check_nothing_is_left();
}

#[test]
fn a_registry_keeps_steps_and_an_image_may_hold_its_own() {
    let place = place(LINES);
    let registry = Registry::start(&place, false);
    let cache = "type=registry,ref=127.0.0.1:5000/cache:1,mode=max";
    stack(&place, &format!("      cache_to: ['{cache}']\n      cache_from: ['127.0.0.1:5000/cache:1']\n"));
    let told = build(&place);
    assert!(told.contains("the build cache 127.0.0.1:5000/cache:1 is not used: it is not there yet"), "{told}");
    let made = said(&place, "cat /seen");
    forget(&place);
    assert_eq!(ran(&build(&place)), 0);
    assert_eq!(said(&place, "cat /seen"), made);
    // Only what a step needs is fetched: a change at the end needs what is before it.
    forget(&place);
    dockerfile(&place, &format!("{LINES}RUN echo more > /more\n"));
    assert_eq!(ran(&build(&place)), 1);
    // An image is no cache, unless it was made to be one.
    place.run(&["image", "tag", "shop-web", "127.0.0.1:5000/image:1"]).success();
    place.run(&["image", "push", "-q", "127.0.0.1:5000/image:1"]).success();
    place.run(&["image", "rm", "127.0.0.1:5000/image:1"]).success();
    forget(&place);
    stack(&place, "      cache_from: ['127.0.0.1:5000/image:1']\n      cache_to: ['type=inline', 'type=gha']\n");
    let told = build(&place);
    assert!(told.contains("what is there is no build cache of rcompose"), "{told}");
    assert!(told.contains("the build cache `type=gha` has no effect here"), "{told}");
    assert_eq!(ran(&told), ALL + 1);
    place.run(&["image", "tag", "shop-web", "127.0.0.1:5000/image:1"]).success();
    place.run(&["image", "push", "-q", "127.0.0.1:5000/image:1"]).success();
    place.run(&["image", "rm", "127.0.0.1:5000/image:1"]).success();
    forget(&place);
    dockerfile(&place, "FROM base\nRUN echo other > /other\n");
    assert_eq!(ran(&build(&place)), 1, "its base is that of the image");
    // One that cannot be reached is a warning.
    drop(registry);
    forget(&place);
    let told = build(&place);
    assert!(told.contains("the build cache 127.0.0.1:5000/image:1 is not used: failed to reach registry"), "{told}");
    let offline = place.run(&["--offline", "build", "--no-cache"]);
    assert_eq!(offline.code, 0, "{}", offline.stderr);
    place.check_nothing_is_left();
}

#[test]
fn what_was_not_used_for_long_goes_when_the_cache_takes_too_much() {
    let mut place =
        place("FROM base\nRUN --mount=type=cache,target=/kept head -c 100000 /dev/zero > /kept/f && echo one > /one\n");
    place.write("config.toml", "[disk]\nbuild-cache = \"1k\"\n");
    place.set("RCOMPOSE_CONFIG", &place.project().join("config.toml").display().to_string());
    build(&place);
    place.run(&["image", "prune", "-af"]).success();
    // It was used a moment ago: it stays, whatever it takes.
    let taken = |kind: &str| {
        let table = place.run(&["builder", "df"]).success();
        let line = table.lines().find(|line| line.starts_with(kind)).expect("it is listed").to_owned();
        line.split_whitespace().last().expect("a size").to_owned()
    };
    restart(&place);
    assert_ne!(taken("Layers of 3 steps"), "0B");
    assert_eq!(taken("Caches of mounts"), "100kB");
    let parts = place.run(&["system", "df", "-v"]).success();
    assert!(parts.contains("Build cache space usage:") && parts.contains("Caches of mounts"), "{parts}");
    let data = place.project().join("../data/build");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    for folder in ["steps", "mounts"] {
        for entry in std::fs::read_dir(data.join(folder)).unwrap() {
            let times = std::fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago);
            std::fs::File::open(entry.unwrap().path()).unwrap().set_times(times).unwrap();
        }
    }
    restart(&place);
    rcompose_harness::wait_for("the collection", || (taken("Layers of ") == "0B").then_some(()));
    rcompose_harness::wait_for("the collection", || (taken("Caches of mounts") == "0B").then_some(()));
    // Nothing that is gone is missed.
    assert_eq!(ran(&build(&place)), 3);
    place.write("config.toml", "[disk]\nbuild-cache = \"much\"\n");
    let wrong = place.run(&["builder", "df"]).stderr;
    assert!(wrong.contains("the configuration's `build-cache = \"much\"` is no size"), "{wrong}");
}

/// The next command starts a supervisor that looks at everything anew.
fn restart(place: &Scratch) {
    if let Some(pid) = place.supervisor() {
        place.kill(pid, rustix::process::Signal::TERM);
    }
    rcompose_harness::wait_for("the supervisor's end", || place.supervisor().is_none().then_some(()));
}
