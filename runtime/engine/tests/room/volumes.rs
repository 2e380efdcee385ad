//! Volumes: filled once, kept, handed over, shared.

use std::os::unix::fs::symlink;

use rcompose_engine::container::{Mount, MountSource};
use rcompose_engine::volume::VolumeSpec;
use rcompose_engine::{EngineError, Record};

use crate::host::{Host, volume};

#[test]
fn a_volume_is_filled_from_the_image_once_and_outlives_its_containers() {
    let host = Host::new();
    let mut spec =
        host.shell("one", "stat -c '%u %a' /content; cat /content/file /content/sub/deeper; echo mine > /content/file");
    spec.mounts = vec![volume("data", "/content")];
    assert_eq!(host.run(spec.clone()), (0, "1234 750\nof the imageof the image too".to_owned()));
    let (_, output) = host.run(spec);
    assert!(output.ends_with("mine\nof the image too"), "{output}");
    assert!(host.engine().volumes().get("data").is_ok());
    host.finish();
}

#[test]
fn an_empty_volume_that_a_container_has_open_is_filled_under_its_eyes() {
    let host = Host::new();
    let mut first = host.shell("first", "echo ready; sleep 1000");
    first.mounts = vec![volume("data", "/elsewhere")];
    let first = host.start(first);
    host.wait_for_output(&first, "ready");
    let mut second = host.shell("second", "cat /content/file; echo back > /content/back");
    second.mounts = vec![volume("data", "/content")];
    assert_eq!(host.run(second), (0, "of the image".to_owned()));
    assert_eq!(host.exec(&first, "cat /elsewhere/file /elsewhere/back"), (0, "of the imageback\n".to_owned()));
    host.finish();
}

#[test]
fn anonymous_volumes_are_handed_over_and_go_with_the_last_one() {
    let host = Host::new();
    let spec = |name: &str| {
        let mut spec = host.shell(name, "cat /content/mine; echo kept > /content/mine");
        spec.mounts = vec![volume("", "/content")];
        spec
    };
    let old: Record = host.engine().create(spec("old"), None).unwrap();
    let name = old.anonymous_volumes[0].clone();
    assert!(name.len() == 64 && host.engine().volumes().get(&name).unwrap().spec.anonymous);
    host.engine().start(old.id.as_str()).unwrap();
    host.wait(old.id.as_str());
    let new = host.engine().create(spec("new"), Some(old.id.as_str())).unwrap();
    assert_eq!(new.anonymous_volumes, std::slice::from_ref(&name));
    host.engine().remove(old.id.as_str(), true).unwrap();
    assert!(host.engine().volumes().get(&name).is_ok(), "the new one has it");
    host.engine().start(new.id.as_str()).unwrap();
    host.wait(new.id.as_str());
    assert_eq!(host.output(new.id.as_str()), "kept\n");
    host.engine().remove(new.id.as_str(), true).unwrap();
    assert!(host.engine().volumes().get(&name).is_err());
    host.finish();
}

#[test]
fn a_volume_in_use_is_not_removed() {
    let host = Host::new();
    let mut spec = host.shell("one", "true");
    spec.mounts = vec![volume("data", "/content")];
    host.create(spec);
    assert!(matches!(host.engine().remove_volume("data"), Err(EngineError::VolumeInUse { .. })));
    host.finish();
}

#[test]
fn a_path_within_a_volume_cannot_lead_out_of_it() {
    let host = Host::new();
    let made = host.engine().volumes().ensure(VolumeSpec { name: "data".to_owned(), ..VolumeSpec::default() }).unwrap();
    std::fs::create_dir_all(made.data().join("etc/sub")).unwrap();
    std::fs::write(made.data().join("etc/sub/x"), "inside").unwrap();
    symlink("/etc", made.data().join("link")).unwrap();
    let mut spec = host.shell("one", "cat /mnt/x");
    let source = MountSource::Volume { name: "data".to_owned(), nocopy: true, subpath: Some("link/sub".to_owned()) };
    spec.mounts = vec![Mount { target: "/mnt".to_owned(), read_only: false, source }];
    assert_eq!(host.run(spec), (0, "inside".to_owned()));
    host.finish();
}

#[test]
fn a_volume_can_be_a_directory_of_the_host_or_memory() {
    let host = Host::new();
    std::fs::create_dir(host.path("there")).unwrap();
    let device = host.path("there").to_string_lossy().into_owned();
    let options =
        |entries: &[(&str, &str)]| entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let spec = |name: &str, entries: &[(&str, &str)]| VolumeSpec {
        name: name.to_owned(),
        options: options(entries),
        ..VolumeSpec::default()
    };
    host.engine().volumes().ensure(spec("bound", &[("type", "none"), ("o", "bind"), ("device", &device)])).unwrap();
    host.engine()
        .volumes()
        .ensure(spec("memory", &[("type", "tmpfs"), ("o", "size=1m,mode=0700"), ("device", "tmpfs")]))
        .unwrap();
    let mut first = host.shell("first", "echo x > /bound/x; df -k /memory; echo ready; sleep 1000");
    first.mounts = vec![volume("bound", "/bound"), volume("memory", "/memory")];
    let first = host.start(first);
    host.wait_for_output(&first, "ready");
    assert!(host.output(&first).contains(" 1024 "), "{}", host.output(&first));
    assert_eq!(std::fs::read_to_string(host.path("there/x")).unwrap(), "x\n");
    assert_eq!(host.exec(&first, "echo shared > /memory/y").0, 0);
    let mut second = host.shell("second", "cat /memory/y");
    second.mounts = vec![volume("memory", "/memory")];
    assert_eq!(host.run(second), (0, "shared\n".to_owned()));
    host.stop(&first);
    host.finish();
}
