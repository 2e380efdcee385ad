//! A host to be: a network namespace, two roots, a busybox, and the proof that nothing is left of what ran there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcompose_engine::container::{Endpoint, Mount, MountSource};
use rcompose_engine::logs::{Reader, Selection};
use rcompose_engine::network::NetworkSpec;
use rcompose_engine::{Config, ContainerSpec, Engine, ExecRequest, ExitRecord};
use rcompose_sys::atomic::TempDir;
use rcompose_sys::namespace::{self, Kinds};
use rustix::process::Signal;

/// What a test waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// One data root, on a host of its own.
pub(crate) struct Host {
    pub(crate) engine: Option<Engine>,
    pub(crate) folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Host {
    /// Puts this test's thread into a new network namespace and opens an engine there.
    pub(crate) fn new() -> Self {
        namespace::unshare(Kinds::NETWORK).expect("tests run as root");
        let folder = TempDir::new().expect("a temporary folder can be made");
        make_image(&folder.path().join("image"));
        let inside = rustix::fs::open("/proc/thread-self/ns/net", rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
        let inside = Arc::new(inside.expect("the thread has a namespace"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(move || namespace::enter(&*inside, Kinds::NETWORK).expect("threads stay on the host"))
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let mut host = Self { engine: None, folder, runtime };
        host.command("ip link set lo up");
        host.open();
        host
    }

    fn open(&mut self) {
        let config = Config {
            data_root: self.path("data"),
            run_root: self.path("run"),
            pools: vec!["172.30.0.0/16".parse().expect("the pool is valid")],
            program: program(),
        };
        self.engine = Some(Engine::open(config, self.runtime.handle().clone()).expect("the engine can be opened"));
    }

    /// As a supervisor that was killed and started again: what it knew is gone, its files and the kernel stay.
    pub(crate) fn restart(&mut self) {
        self.restart_after(|_| ());
    }

    /// As [`Host::restart`]; something happens while nobody looks.
    pub(crate) fn restart_after(&mut self, meanwhile: impl FnOnce(&Self)) {
        let engine = self.engine.take().expect("an engine is open");
        self.runtime.block_on(engine.close());
        drop(engine);
        meanwhile(self);
        self.open();
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an engine is open")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command on the host.
    pub(crate) fn command(&self, command: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", command]).output().expect("there is a shell");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A container that runs a shell command, on no network.
    pub(crate) fn shell(&self, name: &str, command: &str) -> ContainerSpec {
        ContainerSpec {
            name: name.to_owned(),
            image: format!("rootfs:{}", self.path("image").display()),
            // One stream, so that the order of lines is the order of events.
            command: Some(["/bin/sh", "-c", &format!("exec 2>&1; {command}")].map(str::to_owned).to_vec()),
            ..ContainerSpec::default()
        }
    }

    pub(crate) fn network(&self, name: &str) {
        let spec = NetworkSpec { name: name.to_owned(), driver: "bridge".to_owned(), masquerade: true, ..NetworkSpec::default() };
        self.engine().networks().create(spec).expect("the network can be made");
    }

    /// Creates a container; gives its id.
    pub(crate) fn create(&self, spec: ContainerSpec) -> String {
        self.engine().create(spec, None).expect("the container can be created").id.to_string()
    }

    /// Creates and starts a container; gives its id.
    pub(crate) fn start(&self, spec: ContainerSpec) -> String {
        let id = self.create(spec);
        self.engine().start(&id).unwrap_or_else(|error| panic!("the container can be started: {}", chain(&error)));
        id
    }

    /// Waits for a container's end.
    pub(crate) fn wait(&self, id: &str) -> ExitRecord {
        let ended = self.engine().ended(id).expect("the container runs");
        let waited = rcompose_sys::process::pidfd_wait(&ended, Some(PATIENCE)).expect("it can be waited for");
        assert!(waited, "the container does not end: {}", self.output(id));
        self.engine().settle(id).expect("its end can be noted")
    }

    /// Ends a container that would not end by itself.
    pub(crate) fn stop(&self, id: &str) -> ExitRecord {
        self.engine().signal(id, Signal::KILL).expect("the container can be killed");
        self.wait(id)
    }

    /// Runs a container to its end, and removes it; gives status and output.
    pub(crate) fn run(&self, spec: ContainerSpec) -> (i32, String) {
        let id = self.start(spec);
        let ended = self.wait(&id);
        let output = self.output(&id);
        self.engine().remove(&id, true).expect("the container can be removed");
        (ended.code, output)
    }

    /// Runs a shell command in a running container; gives status and output.
    pub(crate) fn exec(&self, id: &str, command: &str) -> (i32, String) {
        let command = ["/bin/sh", "-c", command].map(str::to_owned).to_vec();
        let request = ExecRequest { command, ..ExecRequest::default() };
        let ran = self.engine().exec_captured(id, &request, 1 << 20, |_| ());
        let (code, output) = ran.unwrap_or_else(|error| panic!("the command can be run: {}", chain(&error)));
        (code, String::from_utf8_lossy(&output).into_owned())
    }

    pub(crate) fn output(&self, id: &str) -> String {
        let record = self.engine().get(id).expect("the container is there").record;
        match Reader::open(&self.engine().log_path(&record), Selection::default()) {
            Ok((_, entries)) => entries.into_iter().map(|entry| entry.text).collect(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the output of a container holds a text.
    pub(crate) fn wait_for_output(&self, id: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.output(id).contains(text) {
            assert!(Instant::now() < deadline, "no `{text}` in: {}", self.output(id));
            rcompose_sys::process::rest(Duration::from_millis(2));
        }
    }

    /// Removes everything, and then nothing may be left on the host.
    pub(crate) fn finish(mut self) {
        for container in self.engine().list() {
            let id = container.record.id.to_string();
            if container.pid.is_some() {
                self.stop(&id);
            }
            self.engine().remove(&id, true).expect("the container can be removed");
        }
        for network in self.engine().networks().list() {
            self.engine().networks().remove(&network.spec.name).expect("the network can be removed");
        }
        for volume in self.engine().volumes().list() {
            self.engine().remove_volume(&volume.spec.name).expect("the volume can be removed");
        }
        let engine = self.engine.take().expect("an engine is open");
        let cgroup = engine.cgroup_parent();
        self.runtime.block_on(engine.close());
        self.check_nothing_is_left(&cgroup);
    }

    fn check_nothing_is_left(&self, cgroup: &str) {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mount table can be read");
        let mounts: Vec<&str> = mounts.lines().filter(|line| line.contains(&folder)).collect();
        assert!(mounts.is_empty(), "mounts are left: {mounts:#?}");
        for hierarchy in rcompose_engine::cgroup::hierarchies().expect("there are cgroups").all() {
            let path = hierarchy.mount_point.join(cgroup.trim_start_matches('/'));
            assert!(!path.exists(), "{} is left", path.display());
        }
        let links = self.command("ip -o link; nft list ruleset; ip -o -4 addr");
        assert!(!links.contains("rcompose") && links.matches("link/").count() <= 1, "{links}");
        for place in ["data/containers", "data/volumes", "run/containers", "run/netns"] {
            let left: Vec<_> = std::fs::read_dir(self.path(place)).into_iter().flatten().flatten().map(|it| it.path()).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        for entry in std::fs::read_dir("/proc").expect("processes can be listed").flatten() {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            assert!(!command.contains(&folder), "a process is left: {command}");
        }
    }
}

impl Drop for Host {
    /// A test that fails leaves nothing that runs.
    fn drop(&mut self) {
        let Some(engine) = &self.engine else { return };
        for container in engine.list() {
            let id = container.record.id.as_str();
            if let Ok(ended) = engine.ended(id) {
                // The test has failed already.
                let _ = engine.kill(id);
                let _ = rcompose_sys::process::pidfd_wait(&ended, Some(PATIENCE));
                let _ = engine.settle(id);
            }
            let _ = engine.remove(id, true);
        }
        for network in engine.networks().list() {
            let _ = engine.networks().remove(&network.spec.name);
        }
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

pub(crate) fn endpoint(network: &str, aliases: &[&str]) -> Endpoint {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    Endpoint { network: network.to_owned(), aliases, ..Endpoint::default() }
}

pub(crate) fn volume(name: &str, target: &str) -> Mount {
    let source = MountSource::Volume { name: name.to_owned(), nocopy: false, subpath: None };
    Mount { target: target.to_owned(), read_only: false, source }
}

pub(crate) fn bind(path: &Path, target: &str) -> Mount {
    let source = MountSource::Bind { path: path.to_owned(), create: true, propagation: String::new(), recursive: true };
    Mount { target: target.to_owned(), read_only: false, source }
}

fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test knows itself");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    folder.join("examples/engine_monitor")
}

/// A busybox with links for its applets, and something to fill volumes with.
fn make_image(folder: &Path) {
    for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "content/sub"] {
        std::fs::create_dir_all(folder.join(name)).expect("folders can be made");
    }
    std::fs::copy("/bin/busybox", folder.join("bin/busybox")).expect("busybox-static is installed");
    for applet in [
        "sh", "cat", "echo", "sleep", "true", "id", "ls", "grep", "hostname", "kill", "stat", "head", "mount", "readlink",
        "touch", "wc", "ps", "env", "pwd", "nc", "nslookup", "ip", "wget", "httpd", "df", "mkdir", "rm", "mv", "ln",
    ] {
        symlink("busybox", folder.join("bin").join(applet)).expect("links can be made");
    }
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("files can be made");
    file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n");
    file("etc/group", "root:x:0:\nwww:x:34:\n");
    file("content/file", "of the image");
    file("content/sub/deeper", "of the image too");
    std::os::unix::fs::chown(folder.join("content"), Some(1234), Some(1234)).expect("the test is root");
    std::fs::set_permissions(folder.join("content"), std::os::unix::fs::PermissionsExt::from_mode(0o750)).expect("as above");
}
