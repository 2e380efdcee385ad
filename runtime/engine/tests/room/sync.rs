//! Files that are written into containers as they come.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rcompose_engine::container::{Mount, MountSource};
use rcompose_engine::{FileIdentity, SyncPiece};

use crate::host::{Host, bind, chain};

fn file(target: &str, text: &str) -> [SyncPiece; 3] {
    let identity = FileIdentity { device: 0, number: 0 };
    let modified = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let begin = SyncPiece::File { target: target.to_owned(), mode: 0o640, modified, identity };
    [begin, SyncPiece::Content(Arc::from(text.as_bytes())), SyncPiece::Finish]
}

fn remove(target: &str) -> SyncPiece {
    SyncPiece::Remove(target.to_owned())
}

/// Writes; gives what could not be done.
fn sync(host: &Host, id: &str, pieces: impl IntoIterator<Item = SyncPiece>) -> Vec<String> {
    let mut pieces = pieces.into_iter();
    let failures = host.engine().sync_files(id, || pieces.next()).expect("the container can be written to");
    failures.iter().map(|failure| format!("{}: {}", failure.target, failure.hint().unwrap_or_default())).collect()
}

#[test]
fn files_belong_to_whom_the_program_needs_and_what_is_the_containers_own_stays() {
    let host = Host::new();
    let mut spec = host.shell("one", "echo ready; sleep 1000");
    spec.user = Some("33:34".to_owned());
    spec.init = true;
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    let new = file("/app/a/x", "one").into_iter().chain(file("/app/a/y", "two"));
    let more = [SyncPiece::Link { target: "/app/link".to_owned(), leads_to: "/etc/passwd".to_owned() }, remove("/gone/for/ever")];
    assert_eq!(sync(&host, &id, new.chain(more)), [""; 0]);
    let (_, seen) = host.exec(&id, "cat /app/a/x; stat -c '%u:%g:%a:%Y' /app/a/x; stat -c '%u:%g:%a' /app/a; readlink /app/link");
    assert_eq!(seen, "one33:34:640:1000000000\n33:34:755\n/etc/passwd\n");
    host.exec(&id, "echo own > /app/a/own");
    assert_eq!(sync(&host, &id, [remove("/app/a/x"), remove("/app/a/y"), remove("/app/a"), remove("/app/link")]), [""; 0]);
    assert_eq!(host.exec(&id, "ls /app /app/a").1, "/app:\na\n\n/app/a:\nown\n");
    // A file where a directory with something in it is, and half a file.
    let clash = file("/app/a", "x").into_iter().chain(file("/app/half", "x").into_iter().take(2));
    let told = sync(&host, &id, clash);
    assert_eq!(told, ["/app/a: a directory with files of the container's own is there"]);
    assert_eq!(host.exec(&id, "ls -A /app").1, "a\n");
    host.stop(&id);
    host.finish();
}

#[test]
fn a_program_of_roots_keeps_the_owners_that_it_gave() {
    let host = Host::new();
    let id = host.start(host.shell("one", "mkdir /app; echo x > /app/x; chown 33:34 /app /app/x; echo ready; sleep 1000"));
    host.wait_for_output(&id, "ready");
    assert_eq!(sync(&host, &id, file("/app/x", "1").into_iter().chain(file("/app/y", "2"))), [""; 0]);
    assert_eq!(host.exec(&id, "stat -c %u:%g /app/x /app/y").1, "33:34\n33:34\n");
    host.stop(&id);
    host.finish();
}

#[test]
fn a_single_file_that_was_replaced_on_the_host_is_mounted_anew() {
    let host = Host::new();
    let source = host.path("conf");
    std::fs::write(&source, "old").unwrap();
    let mut spec = host.shell("one", "exec 3< /etc/conf; echo ready; sleep 1000 & wait");
    spec.mounts = vec![bind(&source, "/etc/conf"), Mount { read_only: true, ..bind(&source, "/etc/fixed") }];
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    for text in ["new", "newer"] {
        std::fs::write(host.path("beside"), text).unwrap();
        std::fs::rename(host.path("beside"), &source).unwrap();
        assert_eq!(host.engine().rebind(&id, &source).unwrap(), ["/etc/conf", "/etc/fixed"]);
        let seen = host.exec(&id, "cat /etc/conf /etc/fixed; grep -c /etc/conf /proc/self/mountinfo").1;
        assert_eq!(seen, format!("{text}{text}1\n"));
    }
    let (_, seen) = host.exec(&id, "(echo x > /etc/fixed) 2> /dev/null || echo fixed; echo x > /etc/conf && cat /proc/1/fd/3");
    assert!(seen.ends_with("fixed\nold"), "{seen}");
    assert_eq!(std::fs::read_to_string(&source).unwrap(), "x\n");
    host.stop(&id);
    assert!(host.engine().rebind(&id, &source).unwrap().is_empty());
    host.finish();
}

#[test]
fn one_that_was_stopped_finds_them_when_it_starts() {
    let host = Host::new();
    let id = host.create(host.shell("one", "cat /app/x"));
    assert_eq!(sync(&host, &id, file("/app/x", "while it did not run")), [""; 0]);
    host.engine().start(&id).unwrap();
    host.wait(&id);
    assert_eq!(host.output(&id), "while it did not run");
    host.finish();
}

#[test]
fn what_is_read_only_says_so_and_links_lead_nowhere_else() {
    let host = Host::new();
    let mut spec = host.shell("one", "echo ready; sleep 1000");
    spec.read_only = true;
    spec.mounts = vec![
        Mount { target: "/memory".to_owned(), read_only: false, source: MountSource::Tmpfs { options: Vec::new() } },
        bind(&host.path("bound"), "/bound"),
    ];
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    let told = sync(&host, &id, file("/x", "1").into_iter().chain(file("/memory/x", "2")));
    assert!(told.len() == 1 && told[0].starts_with("/x: it is on a read-only file system"), "{told:?}");
    assert_eq!(host.exec(&id, "cat /memory/x").1, "2");
    // A link of the container that leads out of it leads to the same place inside.
    host.exec(&id, "ln -s ../../../.. /memory/out");
    let outside = host.path("outside");
    assert_eq!(sync(&host, &id, file(&format!("/memory/out/memory{}", outside.display()), "3")), [""; 0]);
    assert!(!outside.exists());
    // The very file that is copied is not written anew.
    std::fs::write(host.path("bound/same"), "4").unwrap();
    let about = std::fs::metadata(host.path("bound/same")).unwrap();
    let [begin, content, finish] = file("/bound/same", "5");
    let SyncPiece::File { target, mode, modified, .. } = begin else { panic!("it begins") };
    let identity = FileIdentity { device: about.dev(), number: about.ino() };
    assert_eq!(sync(&host, &id, [SyncPiece::File { target, mode, modified, identity }, content, finish]), [""; 0]);
    assert_eq!(std::fs::read_to_string(host.path("bound/same")).unwrap(), "4");
    host.stop(&id);
    let gone = host.engine().sync_files("0", || None).unwrap_err();
    assert!(gone.is_not_found(), "{}", chain(&gone));
    host.finish();
}
