//! `cp`, `export`, `commit`: the files of containers, from outside.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use rcompose_harness::Scratch;

use crate::archive::{archive, members};
use crate::{SHOP, scratch};

const WEB: &str = r#"
name: shop
services:
  web:
    image: rootfs:/
    init: true
    scale: 2
    command: [sh, -c, "mkdir -p /srv/tree/sub; echo inside > /srv/tree/sub/file; ln -s /etc/passwd /srv/link; exec sleep infinity"]
    volumes: ["data:/data"]
    tmpfs: ["/memory"]
volumes:
  data:
"#;

fn up(place: &Scratch) {
    place.run(&["up", "-d"]).success();
    rcompose_harness::wait_for("the files", || (place.run(&["exec", "web", "ls", "/srv/link"]).code == 0).then_some(()));
}

fn inside(place: &Scratch, index: &str, command: &str) -> String {
    place.run(&["exec", "--index", index, "web", "sh", "-c", command]).success()
}

fn text(place: &Scratch, name: &str) -> String {
    std::fs::read_to_string(place.project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn files_go_in_to_every_replica_and_come_out_of_the_first() {
    let place = scratch(WEB);
    up(&place);
    std::fs::create_dir_all(place.project().join("tree/sub")).unwrap();
    place.write("tree/sub/file", "of the host");
    std::fs::set_permissions(place.project().join("tree/sub/file"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(place.project().join("tree/sub/file"), Some(1000), Some(1001)).unwrap();
    let answer = place.run(&["cp", "tree", "web:/data"]);
    assert_eq!(answer.stdout, "");
    assert!(answer.stderr.contains("Container shop-web-1 Copied") && answer.stderr.contains("Container shop-web-2 Copied"));
    place.run(&["cp", "--index", "2", "tree/.", "web:/memory"]).success();
    place.run(&["cp", "tree/sub/file", "web:/memory/new"]).success();
    let about = "stat -c '%u:%g:%a' /data/tree/sub/file; cat /data/tree/sub/file";
    assert_eq!(inside(&place, "2", about), "1000:1001:640\nof the host");
    assert_eq!(inside(&place, "1", "ls -A /memory"), "new\n");
    assert_eq!(inside(&place, "2", "ls -A /memory"), "new\nsub\n");
    place.run(&["cp", "web:/srv/tree", "out"]).success();
    place.run(&["cp", "web:/srv/tree", "out"]).success();
    assert_eq!((text(&place, "out/sub/file"), text(&place, "out/tree/sub/file")), ("inside\n".into(), "inside\n".into()));
    place.run(&["cp", "web:/data/tree/sub/file", "."]).success();
    let about = std::fs::metadata(place.project().join("file")).unwrap();
    assert_eq!((about.uid(), about.mode() & 0o7777), (0, 0o640));
    place.run(&["cp", "-a", "web:/data/tree/sub/file", "kept"]).success();
    assert_eq!(std::fs::metadata(place.project().join("kept")).unwrap().uid(), 1000);
    place.run(&["cp", "web:/srv/link", "link"]).success();
    assert!(std::fs::symlink_metadata(place.project().join("link")).unwrap().is_symlink());
    place.run(&["cp", "-L", "web:/srv/link", "users"]).success();
    assert!(text(&place, "users").contains("root:"));
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn links_of_either_side_lead_nowhere_else() {
    let place = scratch(WEB);
    up(&place);
    let secret = place.project().join("../secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("file"), "of the host").unwrap();
    let target = std::fs::canonicalize(&secret).unwrap();
    inside(&place, "1", &format!("ln -s {0} /srv/way; ln -s {0}/file /srv/file", target.display()));
    let refused = place.run(&["cp", "-L", "web:/srv/file", "stolen"]);
    assert_eq!(refused.stderr, "error: could not find the file /srv/file in container shop-web-1\n");
    place.write("new", "new");
    assert_eq!(place.run(&["cp", "--index", "1", "new", "web:/srv/way/file"]).code, 1);
    assert_eq!(std::fs::read_to_string(secret.join("file")).unwrap(), "of the host");
    // A link that the container plants in what is copied out is not followed when it is copied out again.
    symlink(&target, place.project().join("out")).unwrap();
    std::fs::create_dir(place.project().join("into")).unwrap();
    symlink(&target, place.project().join("into/tree")).unwrap();
    let refused = place.run(&["cp", "web:/srv/tree", "into"]);
    assert!(refused.stderr.contains("cannot replace the link `./tree` by a directory"), "{}", refused.stderr);
    assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 1);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn archives_go_through_pipes_and_what_is_wrong_is_said() {
    let place = scratch(WEB);
    up(&place);
    let mut out = place.command_of(&["cp", "web:/srv/tree", "-"]).stdout(Stdio::piped()).spawn().unwrap();
    let into = place.command_of(&["cp", "--index", "2", "-", "web:/memory"]).stdin(out.stdout.take().unwrap()).output().unwrap();
    assert!(out.wait().unwrap().success() && into.status.success(), "{}", String::from_utf8_lossy(&into.stderr));
    assert_eq!(inside(&place, "2", "cat /memory/tree/sub/file"), "inside\n");
    let wrong = |arguments: &[&str]| {
        let answer = place.run(&[&["cp"], arguments].concat());
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""), "{}", answer.stderr);
        answer.stderr
    };
    let first = |text: String| text.lines().find(|line| line.starts_with("error")).unwrap_or_default().to_owned();
    let said = [
        wrong(&["web:/a", "web:/b"]),
        wrong(&["a", "b"]),
        wrong(&["web:/nothing", "x"]),
        wrong(&["nothing", "web:/x"]),
        wrong(&["compose.yaml", "web:/nothing/x"]),
        wrong(&["compose.yaml", "web:/nothing/"]),
        wrong(&["web:/srv/tree", "compose.yaml"]),
        wrong(&["compose.yaml", "other:/x"]),
        wrong(&["-", "web:/srv"]),
        wrong(&["compose.yaml", "web:/proc/x"]),
    ]
    .map(first)
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    error: copying between services is not supported: copy to the host, then from it
    error: neither of the two is in a container: write SERVICE:PATH for the one that is
    error: could not find the file /nothing in container shop-web-1
    error: failed to read `nothing`
    error: `/nothing` does not exist in container shop-web-1
    error: the directory `/nothing/` does not exist
    error: cannot copy a directory to the file `compose.yaml`
    error: no container found for service "other"
    error: standard input can be copied to one container, not to 2: choose with `--index`
    error: failed to copy to `/proc`
    "#);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_container_that_does_not_run_is_copied_to_and_from() {
    let place = scratch(WEB);
    place.run(&["create"]).success();
    place.write("new", "before the start");
    place.run(&["cp", "new", "web:/data/new"]).success();
    place.run(&["cp", "new", "web:/srv/"]).success();
    place.run(&["cp", "web:/data/new", "again"]).success();
    assert_eq!(text(&place, "again"), "before the start");
    up(&place);
    assert_eq!(inside(&place, "2", "cat /data/new"), "before the start");
    place.run(&["stop", "-t", "0"]).success();
    place.run(&["cp", "web:/srv/tree/sub/file", "after"]).success();
    assert_eq!(text(&place, "after"), "inside\n");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn export_is_the_root_without_volumes() {
    let place = scratch(
        "name: shop\nservices:\n  web: {image: 'rootfs:./image', command: [/app], volumes: ['data:/data']}\nvolumes: {data: {}}\n",
    );
    std::fs::create_dir_all(place.project().join("image/etc")).unwrap();
    place.write("image/etc/passwd", "");
    place.run(&["create"]).success();
    place.write("new", "new");
    place.run(&["cp", "new", "web:/data/hidden"]).success();
    place.run(&["cp", "new", "web:/etc/new"]).success();
    let target = place.project().join("root.tar");
    place.run(&["export", "-o", &target.display().to_string(), "web"]).success();
    assert_eq!(members(&target), [".dockerenv", "data", "etc", "etc/new", "etc/passwd"]);
    assert_eq!(place.run(&["export", "--index", "3", "web"]).code, 1);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn commit_makes_an_image_of_what_a_container_has_come_to() {
    let place = scratch("name: shop\nservices:\n  web: {image: 'small:1', command: [/app], environment: {A: b}}\n");
    let made = archive(&place, &["small:1"], "some content");
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["create"]).success();
    place.write("new", "new");
    place.run(&["cp", "new", "web:/new"]).success();
    let change = ["-c", "CMD [\"/other\"]", "-c", "EXPOSE 80", "-a", "me", "-m", "why"];
    let answer = place.run(&[&["commit"], change.as_slice(), &["web", "committed:1"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let field = |of: &str| place.run(&["image", "inspect", "-f", of, "committed:1"]).success();
    assert_eq!(field("{{.Config.Cmd}} {{.Config.Env}} {{.Author}}"), "[/other] [A=b] me\n");
    let target = place.project().join("image.tar");
    place.run(&["image", "export", "-o", &target.display().to_string(), "committed:1"]).success();
    assert_eq!(members(&target), ["content", "new"]);
    let refused = place.run(&["commit", "-c", "RUN true", "web"]);
    assert!(refused.stderr.contains("error: `RUN true` cannot change an image without building it\n"), "{}", refused.stderr);
    place.run(&["down"]).success();
    let host = scratch(SHOP);
    host.run(&["create"]).success();
    let refused = host.run(&["commit", "db"]);
    assert!(refused.stderr.contains("is a directory of the host"), "{}", refused.stderr);
    host.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
