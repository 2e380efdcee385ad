//! `image`: load, save, list, describe, remove, prune.

use std::process::Stdio;

use crate::archive::{archive, members};
use crate::{SHOP, scratch};

#[test]
fn what_is_saved_loads_again_as_the_same_image() {
    let (place, other) = (scratch(SHOP), scratch(SHOP));
    let made = archive(&place, &["small:1", "team/small:2"], "some content");
    let loaded = place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    assert_eq!(loaded, "Loaded image: small:1\nLoaded image: team/small:2\n");
    for form in ["docker-archive", "oci-archive"] {
        let saved = place.project().join(form);
        let target = saved.display().to_string();
        place.run(&["image", "save", "--format", form, "-o", &target, "small:1", "team/small:2"]).success();
        assert_eq!(members(&saved).contains(&"manifest.json".to_owned()), form == "docker-archive");
        assert!(members(&saved).contains(&"index.json".to_owned()));
        other.run(&["image", "load", "-q", "-i", &target]).success();
        let ids = |place: &rcompose_harness::Scratch| place.run(&["image", "ls", "-q", "--no-trunc"]).success();
        assert_eq!(ids(&other), ids(&place));
        let again = other.project().join(form);
        other.run(&["image", "save", "--format", form, "-o", &again.display().to_string(), "small:1", "team/small:2"]).success();
        assert!(std::fs::read(&saved).unwrap() == std::fs::read(&again).unwrap(), "{form}: saved twice, it is the same");
        other.run(&["image", "rm", "small:1", "team/small:2"]).success();
    }
}

#[test]
fn archives_go_through_pipes_and_not_to_terminals() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], "x");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    let mut save = place.command_of(&["image", "save", "small:1"]).stdout(Stdio::piped()).spawn().unwrap();
    let load = place.command_of(&["image", "load"]).stdin(save.stdout.take().unwrap()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&load.stdout), "Loaded image: small:1\n");
    assert!(save.wait().unwrap().success());
    let refused = place.run_on_terminal(80, &["image", "save", "small:1"], "");
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.starts_with("error: an archive is not written to a terminal"), "{}", refused.stdout);
    let refused = place.run_on_terminal(80, &["image", "load"], "");
    assert!(refused.stdout.starts_with("error: nothing to load"), "{}", refused.stdout);
}

#[test]
fn an_archive_that_could_not_be_completed_is_not_there() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    let target = place.project().join("saved.tar");
    let save = |name: &str| place.run(&["image", "save", "-o", &target.display().to_string(), name]);
    assert_eq!(save("nothing:1").stderr, "error: No such image: nothing:1\n");
    assert!(save("rootfs:/").stderr.contains("is a directory"));
    let layers = place.project().join("../data/images/layers");
    let layer = std::fs::read_dir(layers).unwrap().map(|it| it.unwrap().path()).find(|it| it.is_dir()).unwrap();
    std::fs::write(layer.join("content"), "other content").unwrap();
    let answer = save("small:1");
    assert_eq!(answer.code, 1);
    assert!(
        answer.stderr.starts_with("error: failed to save small:1: the archive is not complete\n  caused by: "),
        "{}",
        answer.stderr
    );
    let left: Vec<_> = std::fs::read_dir(place.project()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("saved")), "{left:?}");
}

#[test]
fn lists_and_describes_in_the_shapes_that_scripts_read() {
    let place = scratch(SHOP);
    assert_eq!(place.run(&["image", "ls"]).success(), "REPOSITORY   TAG   IMAGE ID   CREATED   SIZE\n");
    let made = archive(&place, &["small:1", "team/small:2"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    let id = place.run(&["image", "ls", "-q"]).success();
    let table = place.run(&["image", "ls"]).success().replace(id.trim(), "ID");
    let table = without_years(&table);
    assert_eq!(
        table,
        "REPOSITORY   TAG   IMAGE ID       CREATED       SIZE\n\
         small        1     ID   N years ago   12B\n\
         team/small   2     ID   N years ago   12B\n"
    );
    let rows =
        |arguments: &[&str]| place.run(&[&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], arguments].concat()).success();
    assert_eq!(rows(&["small"]), "small:1\n");
    assert_eq!(rows(&["--filter", "reference=team/*"]), "team/small:2\n");
    assert_eq!(rows(&["--filter", "dangling=true"]), "");
    assert_eq!(rows(&["--filter", "label=made=here"]), "small:1\nteam/small:2\n");
    let described = place.run(&["image", "inspect", "small:1"]).success();
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let keys: Vec<&String> = described[0].as_object().unwrap().keys().collect();
    for key in ["Architecture", "Config", "Created", "Id", "Os", "RepoDigests", "RepoTags", "RootFS", "Size"] {
        assert!(keys.contains(&&key.to_owned()), "{key} is not in {keys:?}");
    }
    assert_eq!(described[0]["RepoTags"], serde_json::json!(["small:1", "team/small:2"]));
    let filled = place.run(&["image", "inspect", "-f", "{{.Os}} {{.Config.Env}} {{json .Config.Cmd}}", "small:1"]).success();
    assert_eq!(filled, "linux [A=1] [\"/bin/none\"]\n");
    let answer = place.run(&["image", "ls", "--format", "{{.Nothing}}"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("no field `Nothing`: there are Containers, CreatedAt"), "{}", answer.stderr);
    assert!(
        place.run(&["image", "ls", "--filter", "size=1"]).stderr.contains("invalid filter `size=1`: expected dangling=VALUE")
    );
}

/// Years go by.
fn without_years(table: &str) -> String {
    let rest = |line: &str| match line.split_once(" years ago") {
        Some((before, after)) => {
            let number = before.trim_end_matches(|it: char| it.is_ascii_digit());
            format!("{number}N years ago{after}\n")
        }
        None => format!("{line}\n"),
    };
    table.lines().map(rest).collect()
}

#[test]
fn removes_what_nobody_uses_and_says_what_went() {
    let place = scratch("services: {a: {image: 'small:1', command: [nothere]}}");
    let made = archive(&place, &["small:1", "other:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["-p", "x", "create"]).success();
    let id = place.run(&["image", "ls", "-q", "--no-trunc"]).success().trim().to_owned();
    let answer = place.run(&["image", "rm", &id]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains(" is in use by container x-a-1\nhint: remove those containers before"), "{}", answer.stderr);
    assert_eq!(place.run(&["image", "rm", "other:1"]).success(), "Untagged: other:1\n", "the image has another name");
    assert_eq!(place.run(&["image", "prune", "-af"]).success(), "Total reclaimed space: 0B\n");
    place.run(&["-p", "x", "down"]).success();
    let pruned = place.run(&["image", "prune", "-af"]).success();
    assert_eq!(pruned, format!("Deleted Images:\nuntagged: small:1\ndeleted: {id}\n\nTotal reclaimed space: 12B\n"));
    let answer = place.run(&["image", "rm", "small:1", "nothing:2"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (1, "error: No such image: small:1\nerror: No such image: nothing:2\n"));
    assert_eq!(std::fs::read_dir(place.project().join("../data/images/layers")).unwrap().count(), 0);
    place.check_nothing_is_left();
}

#[test]
fn asks_before_it_prunes() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], "x");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    let answer = place.run(&["image", "prune", "-a"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "error: this needs an answer, and standard input is no terminal\n  \
         caused by: This will remove all images that no container was made from.\n\
         hint: `--force` does it without asking\n"
    );
    place.run_on_terminal(80, &["image", "prune", "-a"], "n\n");
    assert_eq!(place.run(&["image", "ls", "-q"]).success().lines().count(), 1);
    let answer = place.run_on_terminal(80, &["image", "prune", "-a"], "y\n");
    assert!(answer.stdout.contains("Are you sure you want to continue? [y/N]"), "{}", answer.stdout);
    assert!(answer.stdout.contains("Total reclaimed space: 1B"), "{}", answer.stdout);
    assert_eq!(place.run(&["image", "ls", "-q"]).success(), "");
    assert!(place.run(&["--dry-run", "image", "prune", "-f"]).stderr.contains("`--dry-run` shows plans"));
}
