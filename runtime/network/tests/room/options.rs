//! What a network may be asked to be.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};

use rcompose_network::{NetworkSpec, Pool};

use crate::host::{Host, ask, inside, port, serve};

const OF_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn named(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), ..NetworkSpec::default() }
}

#[test]
fn ports_are_published_where_the_network_says() {
    let host = Host::new();
    host.make(NetworkSpec { host_binding: Some(Ipv4Addr::LOCALHOST.into()), ..named("here") });
    let web = host.attach("web", &["here"], &[port(None, 8091, 80)]);
    let open = host.attach("open", &["here"], &[port(Some("0.0.0.0"), 8092, 80)]);
    serve(&web.namespace, 80, "web");
    serve(&open.namespace, 80, "open");
    let _pin = host.neighbour();
    assert_eq!(web.ports[0].host, Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8091)).as_deref(), Some("web"));
    assert_eq!(ask((OF_HOST, 8091)), None);
    assert_eq!(ask((OF_HOST, 8092)).as_deref(), Some("open"), "whoever names an address has the last word");
}

#[test]
fn packets_are_as_large_as_the_network_allows() {
    let host = Host::new();
    host.make(NetworkSpec { mtu: Some(1280), ..named("narrow") });
    let one = host.attach("one", &["narrow"], &[]);
    let bridge = host.networks.get("narrow").unwrap().bridge;
    assert!(host.command(&format!("ip link show {bridge}")).contains("mtu 1280"));
    assert!(inside(&one.namespace, || host.command("ip link show eth0")).contains("mtu 1280"));
}

#[test]
fn those_outside_see_the_hosts_address_unless_the_network_says_otherwise() {
    let host = Host::new();
    host.network("hidden", false);
    host.make(NetworkSpec { masquerade: false, ..named("seen") });
    let pin = host.neighbour();
    let listener = inside(&pin, || TcpListener::bind("0.0.0.0:7").unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            // Whoever asked may be gone.
            let _ = write!(stream, "{}", from.ip());
        }
    });
    let seen_as = |network: &str| {
        let container = host.attach(network, &[network], &[]);
        let seen = inside(&container.namespace, || {
            let mut text = String::new();
            TcpStream::connect("192.0.2.2:7").unwrap().read_to_string(&mut text).unwrap();
            text.parse::<IpAddr>().unwrap()
        });
        (seen, container.addresses[0].1)
    };
    assert_eq!(seen_as("hidden").0, OF_HOST);
    let (seen, own) = seen_as("seen");
    assert_eq!(seen, own);
}

#[test]
fn addresses_that_are_reserved_are_given_to_nobody_by_chance() {
    let host = Host::new();
    let reserved: Vec<IpAddr> = ["172.30.7.2", "172.30.7.4"].map(|address| address.parse().unwrap()).to_vec();
    let pool = Pool { subnet: "172.30.7.0/24".parse().unwrap(), range: None, gateway: None, reserved };
    host.make(NetworkSpec { pools: vec![pool], ..named("front") });
    let addresses = ["one", "two"].map(|name| host.attach(name, &["front"], &[]).addresses[0].1.to_string());
    assert_eq!(addresses, ["172.30.7.3", "172.30.7.5"]);
}

#[test]
fn what_somebody_flushed_is_written_again() {
    let host = Host::new();
    host.network("front", false);
    let web = host.attach("web", &["front"], &[port(None, 8093, 80)]);
    serve(&web.namespace, 80, "web");
    host.command("nft add table inet foreign");
    let written = host.command("nft list table inet rcompose-7777");
    host.command("nft flush ruleset");
    let begin = std::time::Instant::now();
    while !host.command("nft list ruleset").contains("table inet rcompose-7777") {
        assert!(begin.elapsed() < std::time::Duration::from_secs(10), "nobody noticed");
        rcompose_sys::process::rest(std::time::Duration::from_millis(2));
    }
    assert_eq!(host.command("nft list table inet rcompose-7777"), written);
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8093)).as_deref(), Some("web"));
    assert!(!host.command("nft list ruleset").contains("foreign"), "what others flushed of theirs stays away");
}
