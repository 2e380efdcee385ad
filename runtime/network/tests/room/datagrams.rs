//! Published UDP ports, and ports out of a range.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use rcompose_network::{NetworkError, NetworkSpec, PortRequest, Protocol};

use crate::host::{Host, inside, port, request};

fn udp(host_port: u16) -> PortRequest {
    PortRequest { protocol: Protocol::Udp, ..port(None, host_port, 53) }
}

/// Answers every datagram with a line, until the test is over.
fn answer(namespace: &Path, line: &'static str) {
    let socket = inside(namespace, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 53)).or_else(|_| UdpSocket::bind(("0.0.0.0", 53))));
    let socket = socket.expect("the port is free");
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            // Whoever asked may be gone.
            let _ = socket.send_to(line.as_bytes(), from);
        }
    });
}

fn client(family: &SocketAddr) -> UdpSocket {
    let any: IpAddr = if family.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).expect("a socket can be made");
    socket.set_read_timeout(Some(Duration::from_millis(700))).expect("a time-out can be set");
    socket
}

/// What comes back, if it comes from where the question went.
fn ask_by(socket: &UdpSocket, address: SocketAddr) -> Option<String> {
    socket.send_to(b"?", address).ok()?;
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from, address);
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// As [`ask_by`], again and again: datagrams may be lost, and are while a link is being switched on.
fn reach_by(socket: &UdpSocket, address: SocketAddr) -> Option<String> {
    (0..15).find_map(|_| ask_by(socket, address))
}

fn reach(address: impl Into<SocketAddr>) -> Option<String> {
    let address = address.into();
    reach_by(&client(&address), address)
}

#[test]
fn datagrams_reach_a_published_port_by_every_way() {
    let host = Host::new();
    host.make(NetworkSpec { name: "front".to_owned(), ipv6: true, ..NetworkSpec::default() });
    let names = host.attach("names", &["front"], &[udp(5353)]);
    let other = host.attach("other", &["front"], &[]);
    answer(&names.namespace, "found");
    let pin = host.neighbour();
    let of_host: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(reach((Ipv4Addr::LOCALHOST, 5353)).as_deref(), Some("found"));
    assert_eq!(reach((Ipv6Addr::LOCALHOST, 5353)).as_deref(), Some("found"), "by the proxy");
    for address in of_host {
        assert_eq!(reach((address, 5353)).as_deref(), Some("found"), "{address} from here");
        assert_eq!(inside(&pin, || reach((address, 5353))).as_deref(), Some("found"), "{address} from outside");
        assert_eq!(inside(&other.namespace, || reach((address, 5353))).as_deref(), Some("found"), "{address} from a neighbour");
        assert_eq!(inside(&names.namespace, || reach((address, 5353))).as_deref(), Some("found"), "{address} from itself");
    }
    let error = host.networks.attach(&request("second", &["front"], &[udp(5353)])).unwrap_err().to_string();
    assert!(error.starts_with("Bind for 0.0.0.0:5353 failed: port is already allocated"), "{error}");
}

#[test]
fn a_client_that_goes_on_sending_reaches_the_next_container() {
    let host = Host::new();
    host.network("front", false);
    let pin = host.neighbour();
    let address: SocketAddr = "192.0.2.1:5354".parse().unwrap();
    let [early, late] = [(); 2].map(|()| inside(&pin, || client(&address)));
    // Before there is anybody: the kernel remembers that this goes nowhere.
    assert_eq!(ask_by(&early, address), None);
    let first = host.attach("first", &["front"], &[udp(5354)]);
    answer(&first.namespace, "first");
    for client in [&early, &late] {
        assert_eq!(reach_by(client, address).as_deref(), Some("first"));
    }
    host.networks.detach(&format!("{:0<64}", "first"));
    // Keeps its address, so that the next container gets another one.
    host.attach("between", &["front"], &[]);
    let second = host.attach("second", &["front"], &[udp(5354)]);
    answer(&second.namespace, "second");
    assert_ne!(first.addresses, second.addresses);
    for client in [&early, &late] {
        assert_eq!(reach_by(client, address).as_deref(), Some("second"));
    }
}

#[test]
fn of_a_range_the_first_free_port_is_taken() {
    let host = Host::new();
    host.network("front", false);
    let ranged = |protocol| PortRequest { protocol, range: Some((8100, 8102)), ..port(None, 0, 80) };
    let _stranger = std::net::TcpListener::bind("0.0.0.0:8101").unwrap();
    let taken = |name: &str, protocol| {
        host.networks.attach(&request(name, &["front"], &[ranged(protocol)])).map(|it| it.ports[0].host_port)
    };
    assert_eq!(taken("one", Protocol::Tcp).unwrap(), 8100);
    assert_eq!(taken("two", Protocol::Tcp).unwrap(), 8102);
    assert!(matches!(taken("three", Protocol::Tcp), Err(NetworkError::Port(_))));
    assert_eq!(taken("four", Protocol::Udp).unwrap(), 8100, "ports of UDP are others");
}
