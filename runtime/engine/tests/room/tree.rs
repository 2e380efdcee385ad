//! A container's files, read and written from outside.

use std::io::Write;
use std::os::unix::fs::symlink;

use rcompose_engine::beneath::{Attributes, Root};
use rcompose_engine::container::{Mount, MountSource};
use rustix::io::Errno;

use crate::host::{Host, bind, volume};

const OWNED: Attributes = Attributes { mode: 0o640, uid: 33, gid: 34, modified: None };

fn put(root: &Root, path: &str, text: &str) {
    let mut file = root.new_file(path).unwrap_or_else(|error| panic!("{path} can be made: {error}"));
    file.file().write_all(text.as_bytes()).expect("it can be written");
    file.finish(&OWNED).expect("it can take its place");
}

fn text(root: &Root, path: &str) -> String {
    let bytes = root.read_regular(path, 1 << 16).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8(bytes).expect("tests write text")
}

fn memory(target: &str) -> Mount {
    Mount { target: target.to_owned(), read_only: false, source: MountSource::Tmpfs { options: Vec::new() } }
}

#[test]
fn a_container_that_runs_is_seen_as_its_processes_see_it() {
    let host = Host::new();
    let mut spec = host.shell("one", "echo v > /data/v; echo m > /memory/m; echo o > /own; echo ready; sleep 1000");
    spec.mounts = vec![volume("data", "/data"), memory("/memory"), bind(&host.path("bound"), "/bound")];
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    symlink("/", host.path("bound/way")).unwrap();
    let tree = host.engine().read_tree(&id).unwrap();
    assert_eq!(["/data/v", "/memory/m", "/own"].map(|path| text(tree.root(), path)), ["v\n", "m\n", "o\n"]);
    assert_eq!(text(tree.root(), "/bound/way/own"), "o\n", "a link of the host leads to the container's root");
    host.engine()
        .change_tree(&id, |root| {
            ["/data/new", "/memory/new", "/new", "/bound/new"].iter().for_each(|path| put(root, path, "from outside"));
            put(root, "/etc/hosts", "127.0.0.1 written\n");
            Ok(())
        })
        .unwrap();
    let (_, seen) = host.exec(&id, "cat /data/new /memory/new /new /bound/new /etc/hosts; stat -c '%u:%g:%a' /new");
    assert_eq!(seen, format!("{}127.0.0.1 written\n33:34:640\n", "from outside".repeat(4)));
    assert_eq!(std::fs::read_to_string(host.path("bound/new")).unwrap(), "from outside");
    let layers = host.engine().read_layers(&id).unwrap();
    assert_eq!(text(layers.root(), "/new"), "from outside");
    assert_eq!(layers.root().open_path("/data/v").unwrap_err().errno(), Errno::NOENT);
    drop((tree, layers));
    host.stop(&id);
    host.finish();
}

#[test]
fn one_that_does_not_run_is_put_together_apart() {
    let host = Host::new();
    let mut spec = host.shell("one", "cat /data/new /new /bound/new; echo v > /data/v; rm /content/file");
    spec.mounts = vec![volume("data", "/data"), bind(&host.path("bound"), "/bound"), memory("/memory")];
    let id = host.create(spec);
    let table = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = table();
    host.engine()
        .change_tree(&id, |root| {
            assert_eq!(table(), before);
            ["/data/new", "/new", "/bound/new"].iter().for_each(|path| put(root, path, "before\n"));
            Ok(())
        })
        .unwrap();
    host.engine().start(&id).unwrap();
    host.wait(&id);
    assert_eq!(host.output(&id), "before\n".repeat(3));
    let tree = host.engine().read_tree(&id).unwrap();
    assert_eq!((text(tree.root(), "/data/v"), text(tree.root(), "/bound/new")), ("v\n".to_owned(), "before\n".to_owned()));
    assert_eq!(tree.root().open_path("/content/file").unwrap_err().errno(), Errno::NOENT);
    assert_eq!(tree.root().new_file("/own").unwrap_err().errno(), Errno::ROFS);
    // It is of no hindrance to a start.
    host.engine().start(&id).unwrap();
    host.wait(&id);
    drop(tree);
    host.finish();
}

#[test]
fn a_volume_is_read_before_the_first_start_and_a_read_only_root_stays_as_it_is() {
    let host = Host::new();
    let mut spec = host.shell("one", "true");
    spec.read_only = true;
    spec.mounts = vec![volume("data", "/data/deep")];
    let id = host.create(spec);
    host.engine()
        .change_tree(&id, |root| {
            put(root, "/data/deep/file", "in the volume");
            assert_eq!(root.new_file("/file").unwrap_err().errno(), Errno::ROFS);
            Ok(())
        })
        .unwrap();
    assert_eq!(text(host.engine().read_tree(&id).unwrap().root(), "/data/deep/file"), "in the volume");
    host.finish();
}

#[test]
fn what_ends_meanwhile_keeps_its_mounts_in_their_places() {
    let host = Host::new();
    let mut spec = host.shell("one", "echo ready; sleep 1000");
    spec.mounts = vec![volume("data", "/data")];
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    host.engine()
        .change_tree(&id, |root| {
            host.stop(&id);
            put(root, "/data/late", "in the volume");
            Ok(())
        })
        .unwrap();
    assert_eq!(text(host.engine().read_tree(&id).unwrap().root(), "/data/late"), "in the volume");
    assert_eq!(host.engine().read_layers(&id).unwrap().root().open_path("/data/late").unwrap_err().errno(), Errno::NOENT);
    host.finish();
}
