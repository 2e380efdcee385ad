//! `volume`.

use rcompose_harness::wait_for;

use crate::scratch;

const STACK: &str = "
name: shop
services: {db: {image: 'rootfs:/', init: true, command: [sleep, infinity], volumes: ['data:/data', /anonymous]}}
volumes: {data: {labels: {kind: precious}}}
";

#[test]
fn a_service_takes_over_the_mounts_of_another() {
    let file = |note: &str| {
        format!(
            "services:
  db:
    image: rootfs:/
    command: [sh, -c, 'echo {note} > /data/note; echo {note} > /own/note; exec sleep 1000']
    volumes: ['named:/data', /own, './folder:/folder']
    tmpfs: [/memory]
  reader:
    image: rootfs:/
    command: [sleep, '1000']
    volumes: ['other:/folder']
    volumes_from: ['db:ro']
  writer:
    image: rootfs:/
    command: [sleep, '1000']
    volumes_from: ['container:x-db-1']
    depends_on: [db]
volumes: {{named: , other: }}
"
        )
    };
    let place = scratch(&file("one"));
    place.run(&["-p", "x", "up", "-d"]).success();
    let said = |service: &str, command: &str| place.run(&["-p", "x", "exec", "-T", service, "sh", "-c", command]);
    wait_for("the notes", || (said("reader", "cat /data/note /own/note").stdout == "one\none\n").then_some(()));
    assert!(said("reader", "echo x > /data/note").stderr.contains("Read-only"));
    said("writer", "echo x > /folder/file").success();
    assert!(place.project().join("folder/file").exists());
    assert_eq!(said("reader", "ls /folder").success(), "", "its own mount goes first");
    assert_ne!(said("reader", "test -d /memory").code, 0, "what is in memory is nobody else's");
    // The containers that share with it are made anew with it, and keep its anonymous volume.
    place.write("compose.yaml", &file("two"));
    place.run(&["-p", "x", "up", "-d"]).success();
    wait_for("the new notes", || (said("reader", "cat /data/note /own/note").stdout == "two\ntwo\n").then_some(()));
    place.run(&["-p", "x", "down", "-v"]).success();
    let answer = place.run(&["-p", "x", "up", "-d", "--no-deps", "reader"]);
    assert!(answer.stderr.contains("takes its volumes from `x-db-1`, which does not exist"), "{}", answer.stderr);
    place.run(&["-p", "x", "down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn lists_describes_and_removes_volumes() {
    let place = scratch(STACK);
    assert_eq!(place.run(&["volume", "ls"]).success(), "DRIVER   VOLUME NAME\n");
    place.run(&["up", "-d"]).success();
    let names = place.run(&["volume", "ls", "-q"]).success();
    assert_eq!(names.lines().map(str::len).collect::<Vec<_>>(), [64, "shop_data".len()]);
    let named = place.run(&["volume", "ls", "--filter", "label=kind=precious"]).success();
    assert_eq!(named, "DRIVER   VOLUME NAME\nlocal    shop_data\n");
    assert_eq!(place.run(&["volume", "ls", "--filter", "dangling=true", "-q"]).success(), "");
    let labelled = place.run(&["volume", "ls", "-f", "name=shop", "--format", "{{.Name}} {{.Label \"kind\"}}"]).success();
    assert_eq!(labelled, "shop_data precious\n");
    let place_of = place.run(&["volume", "inspect", "-f", "{{.Mountpoint}}", "shop_data"]).success();
    assert!(std::path::Path::new(place_of.trim()).is_dir(), "{place_of}");
    let answer = place.run(&["volume", "rm", "shop_data"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "error: volume shop_data is in use by shop-db-1\nhint: remove those containers before: `rcompose down` in their project\n"
    );
    assert_eq!(place.run(&["volume", "rm", "nothing"]).stderr, "error: volume nothing not found\n");
    assert_eq!(place.run(&["volume", "rm", "-f", "nothing"]).success(), "");
    place.run(&["down"]).success();
    assert_eq!(place.run(&["volume", "rm", "shop_data"]).success(), "shop_data\n");
    place.run(&["volume", "prune", "-f"]).success();
    place.check_nothing_is_left();
}

#[test]
fn prunes_anonymous_volumes_and_named_ones_only_when_told_to() {
    let place = scratch(STACK);
    place.run(&["up", "-d"]).success();
    place.run(&["exec", "-T", "db", "sh", "-c", "head -c 8192 /dev/zero >/anonymous/file"]).success();
    assert_eq!(place.run(&["volume", "prune", "-af"]).success(), "Total reclaimed space: 0B\n", "a container mounts them");
    place.run(&["rm", "-fs"]).success();
    assert_eq!(place.run(&["volume", "prune"]).code, 1, "nobody is asked");
    let pruned = place.run(&["volume", "prune", "-f"]).success();
    assert!(pruned.starts_with("Deleted Volumes:\n") && pruned.ends_with("\n\nTotal reclaimed space: 8.19kB\n"), "{pruned}");
    assert_eq!(place.run(&["volume", "ls", "-q"]).success(), "shop_data\n");
    let pruned = place.run(&["volume", "prune", "-af"]).success();
    assert_eq!(pruned, "Deleted Volumes:\nshop_data\n\nTotal reclaimed space: 0B\n");
    place.run(&["down"]).success();
    place.check_nothing_is_left();
}
