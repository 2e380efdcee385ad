//! A busybox container to play with, and the proof that nothing is left of it.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcompose_container::launch::LogTarget;
use rcompose_container::logs::{Reader, Selection};
use rcompose_container::spec::{
    Capabilities, DeviceRule, Linux, Mount, Namespace, NamespaceKind, Process, Resources, Root, Spec, User,
};
use rcompose_container::{Container, ExitRecord, Launch, Launcher, Rootfs};
use rcompose_sys::atomic::{TempDir, random_hex};

/// One container to be.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) launcher: Launcher,
    pub(crate) id: String,
    pub(crate) spec: Spec,
    pub(crate) stdin_open: bool,
}

impl Stage {
    /// A container that runs a shell command.
    pub(crate) fn shell(command: &str) -> Self {
        Self::program(&["/bin/sh", "-c", command])
    }

    /// A container that runs a program.
    pub(crate) fn program(arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        make_image(&folder.path().join("image"));
        for name in ["bundle/rootfs", "upper", "work", "state"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("folders can be made");
        }
        let id = format!("test{}", random_hex(8).expect("there is randomness"));
        let spec = spec(&id, arguments);
        Self { launcher: launcher(), folder, id, spec, stdin_open: false }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().expect("the spec has a process")
    }

    pub(crate) fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().expect("the spec has a linux section")
    }

    /// Creates the container.
    pub(crate) fn create(&self) -> Result<Container, rcompose_container::launch::LaunchError> {
        let json = serde_json::to_vec(&self.spec).expect("a spec has a JSON form");
        std::fs::write(self.path("bundle/config.json"), json).expect("the bundle can be written");
        std::fs::create_dir_all(self.path("state")).expect("the state folder can be made");
        self.launcher.create(Launch {
            id: self.id.parse().expect("the id is valid"),
            bundle: self.path("bundle"),
            rootfs: Rootfs::Overlay {
                lower: vec![self.path("image")],
                upper: self.path("upper"),
                work: self.path("work"),
                throwaway: false,
            },
            state_dir: self.path("state"),
            exit_record: self.path("exit.json"),
            log: Some(LogTarget { path: self.path("x.log"), max_size: None, max_files: 1 }),
            stdin_open: self.stdin_open,
            bound: false,
        })
    }

    /// Creates and starts the container.
    pub(crate) fn start(&self) -> Container {
        let container = self.create().expect("the container can be created");
        container.start().expect("the container can be started");
        container
    }

    /// Waits for the end and gives status and output; nothing may be left.
    pub(crate) fn finish(&self, container: &Container) -> (i32, String) {
        assert!(container.wait(Some(Duration::from_secs(20))).expect("it can be waited for"), "the container does not end");
        container.release().expect("everything can be removed");
        self.check_nothing_is_left();
        let record = ExitRecord::read(&self.path("exit.json")).expect("there is an exit record");
        (record.code, self.output())
    }

    /// Runs the container to its end.
    pub(crate) fn run(&self) -> (i32, String) {
        self.finish(&self.start())
    }

    pub(crate) fn output(&self) -> String {
        let (_, entries) = Reader::open(&self.path("x.log"), Selection::default()).expect("the log can be read");
        entries.into_iter().map(|entry| entry.text).collect()
    }

    /// Waits until the output holds a text.
    pub(crate) fn wait_for_output(&self, text: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !self.path("x.log").exists() || !self.output().contains(text) {
            assert!(std::time::Instant::now() < deadline, "no `{text}` in: {}", self.output());
            rcompose_sys::process::rest(Duration::from_millis(2));
        }
    }

    pub(crate) fn check_nothing_is_left(&self) {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table can be read");
        let folder = self.folder.path().to_string_lossy().into_owned();
        assert!(!mounts.contains(&folder), "a mount is left");
        for hierarchy in rcompose_container::cgroup::hierarchies().expect("there are cgroups").all() {
            let cgroup = hierarchy.mount_point.join(format!("rcompose-test/{}", self.id));
            assert!(!cgroup.exists(), "{} is left", cgroup.display());
        }
        assert!(!self.path("state").exists(), "the state directory is left");
        for entry in std::fs::read_dir("/proc").expect("processes can be listed").flatten() {
            let root = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            assert!(!root.starts_with(self.folder.path()), "a process is left: {:?}", entry.path());
        }
    }
}

fn launcher() -> Launcher {
    let test = std::env::current_exe().expect("the test knows itself");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    Launcher::of(&folder.join("examples/roles")).expect("the example has been built")
}

/// A busybox with links for its applets.
fn make_image(folder: &Path) {
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(folder.join(name)).expect("folders can be made");
    }
    std::fs::copy("/bin/busybox", folder.join("bin/busybox")).expect("busybox-static is installed");
    for applet in [
        "sh", "cat", "echo", "sleep", "true", "id", "ls", "grep", "hostname", "kill", "stat", "head", "mount", "unshare",
        "readlink", "tty", "stty", "mknod", "dd", "touch", "wc", "ps", "env", "pwd",
    ] {
        symlink("busybox", folder.join("bin").join(applet)).expect("links can be made");
    }
    std::fs::write(folder.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")
        .expect("files can be made");
    std::fs::write(folder.join("etc/group"), "root:x:0:\nwww:x:34:\naudio:x:29:web\n").expect("files can be made");
}

pub(crate) fn mount(destination: &str, kind: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: Some(kind.to_owned()),
        source: Some(kind.into()),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
    }
}

fn spec(id: &str, arguments: &[&str]) -> Spec {
    let names = rcompose_container::init::capabilities::names(rcompose_container::init::capabilities::DEFAULT);
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let new = |kind| Namespace { kind, path: None };
    use NamespaceKind::{Ipc, Mount as MountNamespace, Network, Pid, Uts};
    Spec {
        oci_version: "1.2.0".to_owned(),
        process: Some(Process {
            user: User::default(),
            args: owned(arguments),
            env: owned(&["PATH=/bin"]),
            cwd: "/".to_owned(),
            capabilities: Some(Capabilities {
                bounding: names.clone(),
                effective: names.clone(),
                permitted: names,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        hostname: Some("stage".to_owned()),
        mounts: vec![
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]),
        ],
        linux: Some(Linux {
            namespaces: [Pid, Network, MountNamespace, Ipc, Uts].map(new).to_vec(),
            cgroups_path: Some(format!("/rcompose-test/{id}")),
            resources: Some(Resources { devices: device_rules(), ..Resources::default() }),
            masked_paths: owned(&["/proc/kcore", "/proc/keys", "/proc/acpi", "/sys/firmware", "/no/such/path"]),
            readonly_paths: owned(&["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"]),
            seccomp_default: true,
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

fn device_rules() -> Vec<DeviceRule> {
    let rule = |kind: &str, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let mut rules = vec![DeviceRule::default(), rule("c", None, None, "m"), rule("b", None, None, "m")];
    rules.extend([3, 5, 7, 8, 9].map(|minor| rule("c", Some(1), Some(minor), "rwm")));
    rules.extend([0, 1, 2].map(|minor| rule("c", Some(5), Some(minor), "rwm")));
    rules.push(rule("c", Some(136), None, "rwm"));
    rules
}

/// Reads frames until the end, gives output and status.
pub(crate) fn read_frames(mut stream: std::os::unix::net::UnixStream) -> (String, Option<i32>) {
    use rcompose_container::frame::Frame;
    let (mut buffer, mut output, mut code) = (Vec::new(), Vec::new(), None);
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..count]);
        while let Some(frame) = Frame::take(&mut buffer).expect("the monitor sends frames") {
            match frame {
                Frame::Stdout(bytes) | Frame::Stderr(bytes) => output.extend(bytes),
                Frame::Exit(status) => code = Some(status),
                _ => {}
            }
        }
    }
    (String::from_utf8_lossy(&output).into_owned(), code)
}
