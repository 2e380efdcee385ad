//! The same containers by bare system calls: what the kernel itself costs.
//!
//! One process, one thread, no decisions: cgroups, namespaces, a veth pair into one bridge, an overlay, the usual mounts,
//! pivot_root, execve. No names, no firewall, no log, no policy, nothing that could be taken up again after a crash.

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netlink_sys::Socket;
use rcompose_container::cgroup::hierarchies;
use rcompose_sys::clone::{Forked, NewNamespaces, fork};
use rcompose_sys::exec;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::{Pid, Signal};

const BRIDGE: &str = "bare0";

struct Container {
    pid: Pid,
    pidfd: OwnedFd,
    folder: PathBuf,
    cgroups: Vec<PathBuf>,
}

/// Makes `count` containers and takes them away again; gives both times.
pub(crate) fn run(folder: &Path, image: &Path, count: u32) -> (Duration, Duration) {
    let begin = Instant::now();
    let mut route = Route::open();
    route.create_bridge();
    let containers: Vec<Container> = (0..count).map(|number| create(folder, image, number, &mut route)).collect();
    let up = begin.elapsed();
    let begin = Instant::now();
    for container in &containers {
        rcompose_sys::process::pidfd_signal(&container.pidfd, Signal::KILL).expect("it runs");
    }
    for container in containers {
        rustix::process::waitpid(Some(container.pid), rustix::process::WaitOptions::empty()).expect("it is a child");
        container.cgroups.iter().for_each(|cgroup| remove_cgroup(cgroup));
        std::fs::remove_dir_all(&container.folder).expect("its folder can be removed");
    }
    route.delete_bridge();
    (up, begin.elapsed())
}

fn create_cgroup(cgroup: &Path) {
    std::fs::create_dir(cgroup).expect("a cgroup can be made");
    // On v1 these are empty at first, and nothing can be put there.
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(usual) = std::fs::read(cgroup.with_file_name(name)) {
            std::fs::write(cgroup.join(name), usual).expect("it takes what its parent has");
        }
    }
}

/// The kernel may still be at the last of its processes.
fn remove_cgroup(cgroup: &Path) {
    while let Err(error) = std::fs::remove_dir(cgroup) {
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy, "{error}");
        std::thread::yield_now();
    }
}

fn create(folder: &Path, image: &Path, number: u32, route: &mut Route) -> Container {
    let folder = folder.join(number.to_string());
    for name in ["upper", "work", "root"] {
        std::fs::create_dir_all(folder.join(name)).expect("folders can be made");
    }
    let cgroups: Vec<PathBuf> = hierarchies()
        .expect("there are cgroups")
        .all()
        .iter()
        .map(|hierarchy| hierarchy.mount_point.join(format!("rcompose-bare-{}-{number}", std::process::id())))
        .collect();
    cgroups.iter().for_each(|cgroup| create_cgroup(cgroup));
    let (mut go, word) = std::io::pipe().map(|(reader, writer)| (writer, reader)).expect("pipes can be made");
    let (mut running, done) = std::io::pipe().expect("pipes can be made");
    let namespaces = NewNamespaces { mount: true, pid: true, ipc: true, uts: true, network: true, ..NewNamespaces::default() };
    match fork(namespaces).expect("a process can be forked") {
        Forked::Child => {
            drop((go, running));
            become_sleep(&folder, image, number, word, done)
        }
        Forked::Parent { pid, pidfd } => {
            drop((word, done));
            let text = pid.as_raw_nonzero().to_string();
            for cgroup in &cgroups {
                std::fs::write(cgroup.join("cgroup.procs"), &text).expect("it can be put into its cgroup");
            }
            route.create_pair(number, pid);
            go.write_all(b"g").expect("it waits for the word");
            // Closed by execve.
            let ended = running.read(&mut [0; 1]).expect("it says that it runs");
            assert_eq!(ended, 0, "container {number} did not start");
            Container { pid, pidfd, folder, cgroups }
        }
    }
}

/// In the child: nothing comes back but a failure, which the parent sees by a byte.
fn become_sleep(folder: &Path, image: &Path, number: u32, mut word: std::io::PipeReader, mut done: std::io::PipeWriter) -> ! {
    let built = (|| -> std::io::Result<()> {
        word.read_exact(&mut [0; 1])?;
        rcompose_sys::namespace::unshare(rcompose_sys::namespace::Kinds::CGROUP).map_err(std::io::Error::other)?;
        Route::open().configure(number);
        let root = folder.join("root");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            image.display(),
            folder.join("upper").display(),
            folder.join("work").display()
        );
        let text = |text: &str| CString::new(text).expect("no zero byte");
        mount("overlay", &root, "overlay", MountFlags::empty(), text(&options).as_c_str())?;
        let usual = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
        for (kind, target, flags, options) in [
            ("proc", "proc", usual, ""),
            ("tmpfs", "dev", MountFlags::NOSUID, "mode=755,size=64k"),
            ("sysfs", "sys", usual | MountFlags::RDONLY, ""),
        ] {
            mount(kind, root.join(target), kind, flags, text(options).as_c_str())?;
        }
        for name in ["pts", "shm", "mqueue"] {
            std::fs::create_dir(root.join("dev").join(name))?;
        }
        for (kind, target, options) in
            [("devpts", "dev/pts", "newinstance,ptmxmode=0666"), ("tmpfs", "dev/shm", "size=64m"), ("mqueue", "dev/mqueue", "")]
        {
            mount(kind, root.join(target), kind, usual, text(options).as_c_str())?;
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let about = std::fs::metadata(Path::new("/dev").join(name))?;
            let mode = rustix::fs::Mode::from_raw_mode(0o666);
            let device = std::os::unix::fs::MetadataExt::rdev(&about);
            let kind = rustix::fs::FileType::CharacterDevice;
            rustix::fs::mknodat(rustix::fs::CWD, root.join("dev").join(name), kind, mode, device)?;
        }
        rustix::system::sethostname(format!("bare{number}").as_bytes())?;
        rustix::process::chdir(&root)?;
        rustix::process::pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        rustix::process::setsid()?;
        exec::close_on_exec_from(3).map_err(std::io::Error::other)?;
        Err(std::io::Error::other(exec::execve(c"/bin/busybox", &[c"sleep", c"1000"], &[c"PATH=/bin"])))
    })();
    let _ = writeln!(std::io::stderr(), "bare container {number}: {built:?}");
    let _ = done.write_all(b"x");
    exec::exit_now(1)
}

/// Links and addresses over netlink.
struct Route {
    socket: Socket,
}

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

impl Route {
    fn open() -> Self {
        let mut socket = Socket::new(0).expect("a netlink socket can be made");
        socket.bind_auto().expect("it can be bound");
        Self { socket }
    }

    fn create_bridge(&mut self) {
        let info = attribute(18, &attribute(1, b"bridge"));
        self.ask(NEW_LINK, &[link(0, true), name(3, BRIDGE), info].concat());
        self.ask(NEW_ADDRESS, &address(index_of(BRIDGE), [10, 250, 0, 1]));
    }

    fn delete_bridge(&mut self) {
        self.ask(DELETE_LINK, &[link(0, false), name(3, BRIDGE)].concat());
    }

    /// One end at the bridge, the other in the namespace of `pid`.
    fn create_pair(&mut self, number: u32, pid: Pid) {
        let peer = [link(0, false), name(3, "eth0"), attribute(19, &pid.as_raw_nonzero().get().to_ne_bytes())].concat();
        let info = attribute(18, &[attribute(1, b"veth"), attribute(2, &attribute(1, &peer))].concat());
        let own = [link(0, true), name(3, &format!("bare{number}v")), attribute(10, &index_of(BRIDGE).to_ne_bytes()), info];
        self.ask(NEW_LINK, &own.concat());
    }

    /// Inside.
    fn configure(&mut self, number: u32) {
        let (high, low) = (u8::try_from((number + 2) / 256).unwrap_or(0), u8::try_from((number + 2) % 256).unwrap_or(0));
        self.ask(NEW_LINK, &link(index_of("lo"), true));
        self.ask(NEW_ADDRESS, &address(index_of("eth0"), [10, 250, high, low]));
        self.ask(NEW_LINK, &link(index_of("eth0"), true));
        let fixed = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        self.ask(NEW_ROUTE, &[fixed.to_vec(), attribute(5, &[10, 250, 0, 1])].concat());
    }

    fn ask(&mut self, kind: u16, payload: &[u8]) {
        // REQUEST, ACK, CREATE, EXCL.
        let flags: u16 = 1 | 4 | if kind == DELETE_LINK { 0 } else { 0x400 | 0x200 };
        let flags = if kind == NEW_LINK && payload[4..8] != [0; 4] { 1 | 4 } else { flags };
        let length = u32::try_from(payload.len() + 16).expect("messages are small");
        let header = [length.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
        self.socket.send(&[header.as_slice(), payload].concat(), 0).expect("the kernel listens");
        let (answer, _) = self.socket.recv_from_full().expect("the kernel answers");
        let code = i32::from_ne_bytes(answer[16..20].try_into().expect("an acknowledgement has a code"));
        assert_eq!(code, 0, "netlink message {kind}");
    }
}

fn index_of(name: &str) -> u32 {
    use rustix::net::{AddressFamily, SocketType, netdevice, socket};
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket can be made");
    netdevice::name_to_index(&socket, name).expect("the link is there")
}

fn link(index: u32, up: bool) -> Vec<u8> {
    let flags = u32::from(up).to_ne_bytes();
    [&[0; 4], index.to_ne_bytes().as_slice(), &flags, &flags].concat()
}

fn address(index: u32, octets: [u8; 4]) -> Vec<u8> {
    [&[2, 16, 0, 0], index.to_ne_bytes().as_slice(), &attribute(2, &octets), &attribute(1, &octets)].concat()
}

fn name(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("attributes are small");
    let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
