//! A host to be: a network namespace, a folder, and the networks of one data root.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use rcompose_network::{AttachRequest, Attached, Config, EndpointRequest, NetworkSpec, Networks, PortRequest, Protocol};
use rcompose_sys::atomic::TempDir;
use rcompose_sys::namespace::{self, Kinds};
use rcompose_sys::netns;

/// The networks of one data root, on a host of their own.
pub(crate) struct Host {
    pub(crate) networks: Networks,
    pub(crate) folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Host {
    /// Puts this test's thread into a new network namespace and opens the networks there.
    pub(crate) fn new() -> Self {
        namespace::unshare(Kinds::NETWORK).expect("tests run as root");
        let folder = TempDir::new().expect("a temporary folder can be made");
        let inside = rustix::fs::open("/proc/thread-self/ns/net", rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
        let inside = std::sync::Arc::new(inside.expect("the thread has a namespace"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(move || namespace::enter(&*inside, Kinds::NETWORK).expect("threads stay on the host"))
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let networks = Networks::open(config(&folder), runtime.handle().clone()).expect("the records can be read");
        let host = Self { networks, folder, runtime };
        host.command("ip link set lo up");
        host
    }

    /// As a supervisor that was killed and started again.
    pub(crate) fn restart(&mut self) {
        self.runtime.block_on(self.networks.close());
        let handle = self.runtime.handle().clone();
        self.networks = Networks::open(config(&self.folder), handle).expect("the records can be read");
    }

    /// Runs a command on the host.
    pub(crate) fn command(&self, command: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", command]).output().expect("there is a shell");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn network(&self, name: &str, internal: bool) {
        self.make(NetworkSpec { name: name.to_owned(), internal, ..NetworkSpec::default() });
    }

    pub(crate) fn make(&self, spec: NetworkSpec) {
        self.networks.create(spec).expect("the network can be made");
    }

    /// Makes a second machine: a namespace with an address of its own on a link to the host; gives its pin.
    pub(crate) fn neighbour(&self) -> std::path::PathBuf {
        let pin = self.folder.path().join("outside");
        let outside = netns::create_pinned(&pin).expect("a namespace can be made");
        let number = std::os::fd::AsRawFd::as_raw_fd(&outside);
        self.command(&format!(
            "ip link add out type veth peer name in netns /proc/{}/fd/{number}; ip addr add 192.0.2.1/24 dev out; \
             ip addr add 2001:db8::1/64 dev out nodad; ip link set out up",
            std::process::id()
        ));
        inside(&pin, || {
            self.command(
                "ip link set lo up; ip addr add 192.0.2.2/24 dev in; ip addr add 2001:db8::2/64 dev in nodad; ip link set in up; \
                 ip route add 172.30.0.0/16 via 192.0.2.1; ip route add fd00::/8 via 2001:db8::1",
            )
        });
        pin
    }

    pub(crate) fn attach(&self, name: &str, networks: &[&str], ports: &[PortRequest]) -> Attached {
        self.networks.attach(&request(name, networks, ports)).expect("the container can be attached")
    }

    /// Nothing of ours may be left on the host.
    pub(crate) fn check_nothing_is_left(&self) {
        let left = self.command("ip -o link; nft list ruleset; ip -o -4 addr");
        assert!(!left.contains("rc77") && !left.contains("rv77") && !left.contains("rcompose"), "{left}");
        let pins = std::fs::read_dir(self.folder.path().join("run")).expect("the folder is there").count();
        assert_eq!(pins, 0, "a namespace is left");
    }
}

impl Drop for Host {
    /// Pins are mounts: they would outlive the test, and its namespace.
    fn drop(&mut self) {
        for network in self.networks.list() {
            for (name, _) in self.networks.users(&network.spec.name) {
                self.networks.detach(&format!("{name:0<64}"));
            }
            // A test that ends well has removed its own.
            let _ = self.networks.remove(&network.spec.name);
        }
        let _ = netns::unpin(&self.folder.path().join("outside"));
    }
}

fn config(folder: &TempDir) -> Config {
    Config {
        data_dir: folder.path().join("data"),
        run_dir: folder.path().join("run"),
        pools: vec!["172.30.0.0/16".parse().expect("the pool is valid")],
        prefix: 24,
        root: "7777".to_owned(),
    }
}

pub(crate) fn request(name: &str, networks: &[&str], ports: &[PortRequest]) -> AttachRequest {
    let endpoint = |network: &&str| EndpointRequest {
        network: (*network).to_owned(),
        names: vec![name.to_owned(), format!("{name}-alias")],
        ..EndpointRequest::default()
    };
    AttachRequest {
        container: format!("{name:0<64}"),
        name: name.to_owned(),
        endpoints: networks.iter().map(endpoint).collect(),
        ports: ports.to_vec(),
        upstreams: Vec::new(),
        links: BTreeMap::new(),
    }
}

pub(crate) fn port(host: Option<&str>, host_port: u16, container_port: u16) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        host: host.map(|host| host.parse().expect("the address is valid")),
        range: Some((host_port, host_port)),
        container_port,
        substitute: None,
    }
}

/// Runs something inside a namespace.
pub(crate) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let opened = netns::open(namespace).expect("the namespace is pinned");
    netns::run_in(&opened, work).expect("the namespace can be entered")
}

/// Serves one line to everybody who connects, until the listener is dropped with its thread.
pub(crate) fn serve(namespace: &Path, port: u16, line: &'static str) {
    let listener = inside(namespace, || {
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))).expect("the port is free")
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Whoever asked may be gone.
            let _ = stream.write_all(line.as_bytes());
        }
    });
}

/// What a server says, if it can be reached.
pub(crate) fn ask(address: impl Into<SocketAddr>) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address.into(), Duration::from_millis(700)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Asks 127.0.0.11 for a name; gives the code and the addresses.
pub(crate) fn resolve(name: &str) -> (u8, Vec<IpAddr>) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket can be made");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out can be set");
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("labels are short"));
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&question, (IpAddr::from([127, 0, 0, 11]), 53)).expect("the question can be sent");
    let mut reply = [0; 512];
    let (length, from) = socket.recv_from(&mut reply).expect("there is an answer");
    assert_eq!(from.port(), 53, "the answer comes from where the question went");
    let count = usize::from(reply[7]);
    let addresses = (0..count).map(|index| {
        let end = length - (count - 1 - index) * ((length - question.len()) / count);
        IpAddr::from([reply[end - 4], reply[end - 3], reply[end - 2], reply[end - 1]])
    });
    (reply[3] & 0xf, addresses.collect())
}
