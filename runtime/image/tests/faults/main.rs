//! `kill -9` at named points of load, pull, remove and collect: the store that is left verifies, and the same command then works.

#[path = "../registry/place.rs"]
#[expect(dead_code, reason = "another suite uses the rest")]
mod place;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use place::{Packing, Registry, layer, noise};
use rcompose_image::{Digest, Store};
use rcompose_sys::atomic::TempDir;
use serde_json::json;

/// The program that is killed.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let folder = own.parent().and_then(Path::parent).expect("tests lie two folders below");
    folder.join("examples/image_store")
}

fn run(store: &Path, point: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.arg(store).args(arguments).env("RCOMPOSE_FAILPOINTS", point);
    command.output().expect("the example has been built")
}

/// An image of three layers, in an archive.
fn archive(folder: &Path) -> PathBuf {
    let layers: Vec<Vec<u8>> = (1..=3).map(|seed| layer(&format!("file{seed}"), &noise(100_000, seed))).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config = json!({ "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
    let manifest = json!([{ "Config": "c", "RepoTags": ["made:1"], "Layers": ["1", "2", "3"] }]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    let documents = [("c", config.into_bytes()), ("manifest.json", manifest.into_bytes())];
    for (name, bytes) in ["1", "2", "3"].into_iter().zip(layers).chain(documents) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice()).expect("an archive can be made");
    }
    let path = folder.join("archive.tar");
    std::fs::write(&path, archive.into_inner().expect("an archive can be made")).expect("it can be written");
    path
}

/// What is there is whole, and nothing is half made or half removed.
fn verify(path: &Path, at: &str) -> Store {
    let store = Store::open(path).expect("the store can be opened");
    for checked in store.check(|_| {}) {
        assert_eq!(checked.problems, [], "{at}");
    }
    for image in store.list() {
        store.open_image(&image.id.to_string()).expect("an image that is listed can be used");
    }
    for folder in ["tmp", "trash"] {
        assert_eq!(std::fs::read_dir(path.join(folder)).expect("the store has it").count(), 0, "{at}: {folder}");
    }
    store
}

/// Kills a command at a point, and has it go well afterwards. `ready` makes the store that it begins with.
fn killed_at(point: &str, arguments: &[&str], ready: &dyn Fn(&Path)) -> (TempDir, Store) {
    let folder = TempDir::new().expect("a folder can be made");
    let path = folder.path().join("store");
    drop(Store::open(&path).expect("a store can be made"));
    ready(&path);
    let killed = run(&path, point, arguments);
    let said = String::from_utf8_lossy(&killed.stderr);
    assert_eq!(killed.status.signal(), Some(9), "{arguments:?} does not pass {point}: {said}");
    drop(verify(&path, point));
    let again = run(&path, "", arguments);
    // What was to go may be gone already.
    let gone = String::from_utf8_lossy(&again.stderr).contains("No such image");
    assert!(again.status.success() || (arguments[0] == "remove" && gone), "{point}: {}", String::from_utf8_lossy(&again.stderr));
    let store = verify(&path, point);
    (folder, store)
}

fn assert_empty(path: &Path) {
    run(path, "", &["collect"]);
    assert_eq!(std::fs::read_dir(path.join("layers")).expect("the store has it").count(), 0);
}

#[test]
fn a_load_that_is_killed_leaves_all_or_nothing() {
    let folder = TempDir::new().expect("a folder can be made");
    let archive = archive(folder.path());
    let archive = archive.to_str().expect("the path is text");
    for point in [
        "image.layer.entry",
        "image.layer.unpacked",
        "image.layer.unpacked:3",
        "image.layer.recipe",
        "image.layer.published",
        "image.layer.published:2",
        "image.layer.published:3",
        "image.recorded",
        "image.tagging",
    ] {
        let (folder, store) = killed_at(point, &["load", archive], &|_| {});
        assert!(store.resolve("made:1").is_ok(), "{point}");
        store.remove("made:1").expect("it can be removed");
        assert_empty(&folder.path().join("store"));
    }
}

#[test]
fn a_pull_that_is_killed_goes_on_with_what_it_had() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let registry = Registry::start();
    let layers: Vec<_> = (1..=3).map(|seed| (layer(&format!("file{seed}"), &noise(100_000, seed)), Packing::Gzip)).collect();
    runtime.block_on(registry.push_layers("team/app", "1", &layers));
    let name = format!("{}/team/app:1", registry.address);
    for point in [
        "image.pull.chunk",
        "image.layer.entry",
        "image.layer.unpacked",
        "image.layer.recipe",
        "image.layer.published",
        "image.layer.published:3",
        "image.pull.recorded",
        "image.tagging",
    ] {
        let (folder, store) = killed_at(point, &["pull", &name], &|_| {});
        assert!(store.resolve(&name).is_ok(), "{point}");
        store.remove(&name).expect("it can be removed");
        assert_empty(&folder.path().join("store"));
    }
}

#[test]
fn what_is_removed_when_it_is_killed_is_there_or_gone() {
    let folder = TempDir::new().expect("a folder can be made");
    let archive = archive(folder.path());
    let load = |path: &Path| {
        let loaded = run(path, "", &["load", archive.to_str().expect("the path is text")]);
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    };
    for point in ["image.tagging", "image.untagged", "image.forgotten", "image.layer.trashed", "image.layer.trashed:2"] {
        let (folder, store) = killed_at(point, &["remove", "made:1"], &load);
        // An image that has lost its name is still one.
        for image in store.list() {
            store.remove(&image.id.to_string()).expect("it can be removed");
        }
        assert_empty(&folder.path().join("store"));
        load(&folder.path().join("store"));
    }
    // Layers whose image went first.
    let orphans = |path: &Path| {
        load(path);
        let removed = run(path, "image.forgotten", &["remove", "made:1"]);
        assert_eq!(removed.status.signal(), Some(9));
    };
    for point in ["image.layer.trashed", "image.layer.trashed:3"] {
        let (folder, _) = killed_at(point, &["collect"], &orphans);
        assert_empty(&folder.path().join("store"));
    }
}
