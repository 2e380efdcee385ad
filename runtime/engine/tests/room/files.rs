//! What is put into a container's file system.

use rcompose_engine::container::{FileContent, InjectedFile, Mount, MountSource};
use rcompose_engine::{EngineError, State};

use crate::host::{Host, bind, chain};

#[test]
fn injected_files_have_the_owner_and_mode_that_were_asked_for() {
    let host = Host::new();
    let source = host.path("secret.txt");
    std::fs::write(&source, "from the host").unwrap();
    let file = |target: &str, content, uid, mode| InjectedFile { target: target.to_owned(), content, uid, gid: 34, mode };
    let mut spec = host.shell(
        "one",
        "cat /run/secrets/a /etc/conf; stat -c '%u %g %a' /run/secrets/a /etc/conf; echo x > /etc/conf || echo read-only; ls /run/secrets",
    );
    spec.read_only = true;
    spec.user = Some("web".to_owned());
    spec.files = vec![
        file("/run/secrets/a", FileContent::HostFile(source), 33, 0o400),
        file("/etc/conf", FileContent::Inline("inline\n".to_owned()), 0, 0o444),
    ];
    let (_, output) = host.run(spec);
    assert!(output.starts_with("from the hostinline\n33 34 400\n0 34 444\n"), "{output}");
    assert!(output.ends_with("read-only\na\n"), "{output}");
    host.finish();
}

#[test]
fn a_missing_bind_source_is_made_or_refused() {
    let host = Host::new();
    let source = host.path("made/below");
    let mut spec = host.shell("one", "stat -c %a /mnt; echo x > /mnt/x");
    spec.mounts = vec![bind(&source, "/mnt")];
    assert_eq!(host.run(spec), (0, "755\n".to_owned()));
    assert_eq!(std::fs::read_to_string(source.join("x")).unwrap(), "x\n");
    let mut spec = host.shell("two", "true");
    spec.mounts = vec![Mount {
        source: MountSource::Bind { path: host.path("absent"), create: false, propagation: String::new(), recursive: true },
        ..bind(&host.path("absent"), "/mnt")
    }];
    let refused = host.engine().create(spec, None);
    assert!(matches!(refused, Err(EngineError::MissingSource { .. })));
    assert!(host.engine().find("two").is_none() && !host.path("absent").exists());
    host.finish();
}

#[test]
fn a_directory_is_not_mounted_onto_a_file() {
    let host = Host::new();
    let mut spec = host.shell("one", "true");
    spec.mounts = vec![bind(&host.path("image/content"), "/etc/passwd")];
    let id = host.create(spec);
    let error = host.engine().start(&id).unwrap_err();
    assert!(error.exit_code() == 127 && chain(&error).contains("onto a file"), "{}", chain(&error));
    assert!(host.engine().get(&id).unwrap().state != State::Running);
    host.finish();
}

#[test]
fn inner_mounts_are_seen_whatever_their_order() {
    let host = Host::new();
    for name in ["outer", "inner", "etc"] {
        std::fs::create_dir(host.path(name)).unwrap();
    }
    std::fs::write(host.path("inner/x"), "inner").unwrap();
    std::fs::write(host.path("hosts"), "mine").unwrap();
    let read_only = |mount: Mount| Mount { read_only: true, ..mount };
    let mut spec = host.shell(
        "one",
        "cat /mnt/a/b/x /etc/hosts; test -s /etc/resolv.conf -a -s /etc/hostname && echo there; echo > /mnt/y || echo no",
    );
    spec.mounts = vec![
        bind(&host.path("inner"), "/mnt/a/b"),
        read_only(bind(&host.path("outer"), "/mnt")),
        bind(&host.path("etc"), "/etc"),
        bind(&host.path("hosts"), "/etc/hosts"),
    ];
    spec.dns = vec!["192.0.2.1".parse().unwrap()];
    std::fs::create_dir_all(host.path("outer/a/b")).unwrap();
    let (_, output) = host.run(spec);
    assert!(output.starts_with("innerminethere\n") && output.ends_with("no\n"), "{output}");
    host.finish();
}

#[test]
fn an_image_that_is_mounted_cannot_be_written_to() {
    let host = Host::new();
    let reference = format!("rootfs:{}", host.path("image").display());
    let mount = |subpath: Option<&str>, target: &str| Mount {
        target: target.to_owned(),
        read_only: false,
        source: MountSource::Image { reference: reference.clone(), subpath: subpath.map(str::to_owned) },
    };
    let mut spec = host.shell("one", "cat /whole/content/file /part/file; echo x > /part/file; echo x > /whole/x; echo $?");
    spec.mounts = vec![mount(None, "/whole"), mount(Some("content"), "/part")];
    let (_, output) = host.run(spec);
    assert!(output.starts_with("of the imageof the image") && output.ends_with("1\n"), "{output}");
    assert_eq!(std::fs::read_to_string(host.path("image/content/file")).unwrap(), "of the image");
    host.finish();
}

#[test]
fn tmpfs_and_shared_memory_have_their_sizes() {
    let host = Host::new();
    let mut spec = host.shell("one", "df -k /dev/shm /fast | grep -v File; stat -c %a /fast; grep ' /fast ' /proc/mounts");
    spec.shm_size = Some(1 << 20);
    spec.mounts = vec![Mount {
        target: "/fast".to_owned(),
        read_only: false,
        source: MountSource::Tmpfs { options: vec!["size=2m".to_owned(), "mode=1770".to_owned()] },
    }];
    let (_, output) = host.run(spec);
    assert!(output.contains(" 1024 ") && output.contains(" 2048 ") && output.contains("1770\n"), "{output}");
    assert!(output.contains("nosuid,nodev,noexec"), "{output}");
    host.finish();
}

#[test]
fn the_host_itself_can_be_the_image() {
    let host = Host::new();
    let mut spec = host.shell("one", "");
    spec.image = "rootfs:/".to_owned();
    spec.command = Some(
        ["/bin/sh", "-c", "echo hello; ls /etc/shadow /root/* 2>/dev/null; touch /usr/x || echo safe"]
            .map(str::to_owned)
            .to_vec(),
    );
    let (_, output) = host.run(spec);
    assert!(output.contains("hello\n") && output.contains("safe\n") && !output.contains("shadow\n"), "{output}");
    host.finish();
}
