//! What a container can see and do, and what it cannot.

use std::os::unix::fs::symlink;

use rcompose_container::spec::{Capabilities, Mount, Rlimit};

use crate::stage::{Stage, mount};

fn output(command: &str) -> String {
    Stage::shell(command).run().1
}

#[test]
fn has_the_default_capabilities_and_a_filter() {
    let text = output("grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status");
    for line in ["CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "Seccomp:\t2", "NoNewPrivs:\t0"] {
        assert!(text.contains(line), "{text}");
    }
    let bounding = text.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    assert_eq!(u64::from_str_radix(bounding, 16).unwrap() & !0xa804_25fb, 0, "{text}");
}

#[test]
fn another_user_holds_no_capability() {
    let mut stage = Stage::shell("id; grep -E 'CapPrm|CapEff' /proc/self/status; pwd; env");
    stage.process().user.name = Some("web".to_owned());
    let (_, text) = stage.run();
    assert!(text.contains("uid=33(web) gid=34(www) groups=29(audio),34(www)"), "{text}");
    assert!(text.contains("CapPrm:\t0000000000000000") && text.contains("CapEff:\t0000000000000000"), "{text}");
    assert!(text.contains("HOME=/srv"), "{text}");
}

#[test]
fn makes_no_namespaces_and_no_mounts() {
    let text = output("unshare -U true; mount -t tmpfs none /tmp");
    assert!(text.contains("Operation not permitted") || text.contains("permission denied"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn sees_only_itself() {
    let text = output("ls /proc | grep -c '^[0-9]'; hostname; readlink /proc/self/cwd; ls /proc/self/fd | wc -l");
    let mut lines = text.lines();
    assert!(lines.next().unwrap().parse::<u32>().unwrap() <= 4, "{text}");
    assert_eq!(lines.next(), Some("stage"));
    assert_eq!(lines.next(), Some("/"));
    // 0, 1, 2 and the one with which `ls` reads the folder.
    assert_eq!(lines.next(), Some("4"));
}

#[test]
fn hides_and_protects_what_it_should() {
    let text = output(
        "wc -c </proc/keys; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/hostname; touch /sys/x; touch /sys/fs/cgroup/x",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 3, "{text}");
}

#[test]
fn has_its_devices_and_no_others() {
    let text = output(
        "for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' /dev/$d; done; \
         mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk; ls -l /dev/ptmx /dev/fd",
    );
    for line in ["/dev/null 1:3 666", "/dev/zero 1:5 666", "/dev/full 1:7 666", "/dev/tty 5:0 666"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("Operation not permitted"), "a block device could be read: {text}");
    assert!(text.contains("pts/ptmx") && text.contains("/proc/self/fd"), "{text}");
}

#[test]
fn a_read_only_root_takes_no_writes_but_its_mounts_do() {
    let mut stage = Stage::shell("exec 2>&1; touch /x; echo y >/tmp/y && cat /tmp/y; touch /dev/shm/z && echo shm");
    stage.spec.root.as_mut().unwrap().readonly = true;
    stage.spec.mounts.push(mount("/tmp", "tmpfs", &["mode=1777"]));
    let (_, text) = stage.run();
    assert_eq!(text, "touch: /x: Read-only file system\ny\nshm\n");
}

#[test]
fn binds_files_and_folders_read_only_when_asked() {
    let mut stage = Stage::shell("exec 2>&1; cat /data/file /one; touch /data/new; ls /made/deep");
    std::fs::create_dir(stage.path("host")).unwrap();
    std::fs::write(stage.path("host/file"), "content\n").unwrap();
    let bind = |source: &str, destination: &str, options: &[&str]| Mount {
        destination: destination.to_owned(),
        kind: Some("bind".to_owned()),
        source: Some(stage.path(source)),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    };
    let mounts = [
        bind("host", "/data", &["rbind", "ro"]),
        bind("host/file", "/one", &["rbind", "ro"]),
        bind("host", "/made/deep", &["rbind"]),
    ];
    stage.spec.mounts.extend(mounts);
    let (_, text) = stage.run();
    assert_eq!(text, "content\ncontent\ntouch: /data/new: Read-only file system\nfile\n");
}

#[test]
fn refuses_to_mount_a_folder_over_a_file() {
    let mut stage = Stage::shell("true");
    stage.spec.mounts.push(mount("/etc/passwd", "tmpfs", &[]));
    let error = stage.create().unwrap_err();
    assert!(error.to_string().contains("cannot mount a directory over a file at /etc/passwd"), "{error}");
    stage.folder_is_clean();
}

#[test]
fn a_hostile_image_cannot_lead_mounts_out() {
    for (name, link) in [("dev", "/etc"), ("proc", "/etc"), ("sys", "../../etc")] {
        let stage = Stage::shell("true");
        std::fs::remove_dir(stage.path("image").join(name)).unwrap();
        symlink(link, stage.path("image").join(name)).unwrap();
        let error = stage.create().unwrap_err();
        assert!(error.to_string().contains(&format!("/{name} of the image is not a directory")), "{name}: {error}");
        stage.folder_is_clean();
    }
}

#[test]
fn a_user_table_that_never_ends_is_refused() {
    let mut stage = Stage::shell("true");
    std::fs::remove_file(stage.path("image/etc/passwd")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, stage.path("image/etc/passwd"), fifo, mode, 0).unwrap();
    stage.process().user.name = Some("web".to_owned());
    let error = stage.create().unwrap_err();
    assert!(error.to_string().contains("cannot use /etc/passwd of the image"), "{error}");
    stage.folder_is_clean();
}

#[test]
fn limits_are_those_asked_for() {
    let mut stage = Stage::shell("ulimit -n; ulimit -c");
    stage.process().rlimits = vec![Rlimit { kind: "RLIMIT_NOFILE".to_owned(), soft: 123, hard: 456 }];
    let (_, text) = stage.run();
    assert!(text.starts_with("123\n"), "{text}");
}

#[test]
fn kernel_parameters_of_its_own_namespaces_are_set() {
    let mut stage = Stage::shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
    stage.linux().sysctl.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "77".to_owned());
    assert_eq!(stage.run().1, "77\n");
    let mut stage = Stage::shell("true");
    stage.linux().sysctl.insert("kernel.core_pattern".to_owned(), "|/bin/x".to_owned());
    assert!(stage.create().is_err());
    stage.folder_is_clean();
}

impl Stage {
    /// After a refused creation only the state directory, which the caller made, is there.
    fn folder_is_clean(&self) {
        std::fs::remove_dir_all(self.path("state")).expect("the caller made it");
        self.check_nothing_is_left();
    }
}

#[test]
fn a_link_to_nothing_in_the_image_does_not_stop_a_mount() {
    let mut stage = Stage::shell("cat /etc/resolv.conf; ls /data");
    std::fs::write(stage.path("names"), "nameserver\n").unwrap();
    symlink("../run/stub.conf", stage.path("image/etc/resolv.conf")).unwrap();
    symlink("/srv/nowhere", stage.path("image/data")).unwrap();
    stage.spec.mounts.push(Mount { source: Some(stage.path("names")), ..mount("/etc/resolv.conf", "bind", &["bind"]) });
    stage.spec.mounts.push(mount("/data", "tmpfs", &[]));
    assert_eq!(stage.run(), (0, "nameserver\n".to_owned()));
}

#[test]
fn a_link_of_the_image_does_not_lead_a_mount_into_proc() {
    for target in ["/x", "/x/sys"] {
        let mut stage = Stage::shell("true");
        symlink("/proc", stage.path("image/x")).unwrap();
        stage.spec.mounts.push(mount(target, "tmpfs", &[]));
        let error = stage.create().unwrap_err();
        assert!(error.to_string().contains("it leads into /proc"), "{target}: {error}");
        stage.folder_is_clean();
    }
}

#[test]
fn a_working_directory_that_the_image_lacks_is_made() {
    let mut stage = Stage::shell("pwd");
    stage.process().cwd = "/made/here".to_owned();
    assert_eq!(stage.run(), (0, "/made/here\n".to_owned()));
}

#[test]
fn what_the_kernel_would_cut_off_is_refused() {
    let mut stage = Stage::shell("true");
    stage.process().env.push("A=b\0c".to_owned());
    let error = stage.create().unwrap_err();
    assert!(error.to_string().contains("holds a zero byte"), "{error}");
    stage.folder_is_clean();
}

#[test]
fn options_of_a_bind_mount_are_known_ones() {
    let mut stage = Stage::shell("grep ' /data ' /proc/self/mountinfo");
    stage.spec.mounts.push(Mount { source: Some(stage.path("image")), ..mount("/data", "bind", &["bind", "noatime"]) });
    let (_, text) = stage.run();
    assert!(text.contains("noatime"), "{text}");
    let mut stage = Stage::shell("true");
    stage.spec.mounts.push(Mount { source: Some(stage.path("image")), ..mount("/data", "bind", &["bind", "sized"]) });
    let error = stage.create().unwrap_err();
    assert!(error.to_string().contains("unknown option `sized`"), "{error}");
    stage.folder_is_clean();
}

#[test]
fn a_shared_mount_shows_the_host_what_the_container_mounts_there() {
    let mut stage = Stage::shell("mount -t tmpfs inner /data/inner && echo content >/data/inner/file; cat");
    let host = stage.path("host");
    std::fs::create_dir_all(host.join("inner")).unwrap();
    rustix::mount::mount_bind(&host, &host).unwrap();
    rustix::mount::mount_change(&host, rustix::mount::MountPropagationFlags::SHARED).unwrap();
    let names = rcompose_container::init::capabilities::names(u64::MAX >> 23);
    let all = Capabilities { bounding: names.clone(), effective: names.clone(), permitted: names, ..Capabilities::default() };
    stage.process().capabilities = Some(all);
    stage.linux().seccomp_default = false;
    stage.stdin_open = true;
    stage.spec.mounts.push(Mount { source: Some(host.clone()), ..mount("/data", "bind", &["rbind", "rshared"]) });
    let container = stage.start();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::fs::read_to_string(host.join("inner/file")).unwrap_or_default() != "content\n" {
        assert!(std::time::Instant::now() < deadline, "nothing came: {}", stage.output());
        rcompose_sys::process::rest(std::time::Duration::from_millis(2));
    }
    container.kill_all().unwrap();
    rustix::mount::unmount(host.join("inner"), rustix::mount::UnmountFlags::DETACH).unwrap();
    rustix::mount::unmount(&host, rustix::mount::UnmountFlags::DETACH).unwrap();
    stage.finish(&container);
}

#[test]
fn standard_input_is_not_the_null_device_of_the_host() {
    let mut stage =
        Stage::shell("[ $(stat -c %d /dev/null) = $(stat -L -c %d /proc/self/fd/0) ] && chmod 600 /proc/self/fd/0; cat");
    symlink("busybox", stage.path("image/bin/chmod")).unwrap();
    stage.process().user.name = Some("root".to_owned());
    assert_eq!(stage.run(), (0, String::new()));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata("/dev/null").unwrap());
    assert_eq!(mode & 0o777, 0o666);
}
