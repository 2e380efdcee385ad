//! Networks with IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcompose_network::{NetworkError, NetworkSpec, Pool};

use crate::host::{Host, ask, inside, port, request, serve};

fn dual(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), ipv6: true, ..NetworkSpec::default() }
}

#[test]
fn a_published_port_is_reached_by_both_families() {
    let host = Host::new();
    host.make(dual("front"));
    let web = host.attach("web", &["front"], &[port(None, 8080, 80)]);
    let (v4, v6) = (web.addresses[0].1, web.addresses[1].1);
    assert!(v4.is_ipv4() && v6.is_ipv6(), "{web:?}");
    let neighbour = host.attach("neighbour", &["front"], &[]);
    serve(&web.namespace, 80, "web");
    let pin = host.neighbour();
    let outside = |address: IpAddr, port| inside(&pin, || ask((address, port)));
    let of_host: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8080)).as_deref(), Some("web"));
    assert_eq!(ask((Ipv6Addr::LOCALHOST, 8080)).as_deref(), Some("web"), "by the proxy");
    assert_eq!(ask((of_host, 8080)).as_deref(), Some("web"));
    assert_eq!(outside(of_host, 8080).as_deref(), Some("web"));
    assert_eq!(outside(v6, 80), None, "only what is published");
    assert_eq!(inside(&neighbour.namespace, || ask((v6, 80))).as_deref(), Some("web"));
    assert_eq!(inside(&web.namespace, || ask((of_host, 8080))).as_deref(), Some("web"), "hairpin");
    for name in ["web", "neighbour"] {
        host.networks.detach(&format!("{name:0<64}"));
    }
    host.networks.remove("front").unwrap();
    rcompose_sys::netns::unpin(&pin).unwrap();
    host.check_nothing_is_left();
}

#[test]
fn containers_do_not_listen_to_routers_and_have_no_ipv6_unasked() {
    let host = Host::new();
    host.make(dual("dual"));
    host.network("plain", false);
    let both = host.attach("both", &["dual", "plain"], &[]);
    let switch = |link: &str, name: &str| {
        let path = format!("/proc/sys/net/ipv6/conf/{link}/{name}");
        inside(&both.namespace, || std::fs::read_to_string(&path).unwrap().trim().to_owned())
    };
    assert_eq!((switch("eth0", "disable_ipv6"), switch("eth0", "accept_ra")), ("0".to_owned(), "0".to_owned()));
    assert_eq!(switch("eth1", "disable_ipv6"), "1");
    let bridge = host.networks.get("dual").unwrap().bridge;
    assert_eq!(std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{bridge}/accept_ra")).unwrap(), "0\n");
    let routes = inside(&both.namespace, || host.command("ip -6 route show default"));
    assert!(routes.contains("via fd") && routes.contains("eth0"), "{routes}");
}

#[test]
fn addresses_are_as_asked_for() {
    let host = Host::new();
    let pool = |subnet: &str, range: Option<&str>| Pool {
        subnet: subnet.parse().unwrap(),
        range: range.map(|range| range.parse().unwrap()),
        gateway: None,
        reserved: Vec::new(),
    };
    let pools = vec![pool("172.30.9.0/24", Some("172.30.9.64/26")), pool("fd12:3456::/64", None)];
    host.make(NetworkSpec { pools: pools.clone(), ..dual("front") });
    let mut wanted = request("fixed", &["front"], &[]);
    wanted.endpoints[0].addresses = vec!["fd12:3456::42".parse().unwrap()];
    wanted.endpoints[0].link_local = vec!["169.254.7.7".parse().unwrap()];
    let fixed = host.networks.attach(&wanted).unwrap();
    let addresses: Vec<String> = fixed.addresses.iter().map(|(_, address)| address.to_string()).collect();
    assert_eq!(addresses, ["172.30.9.64", "fd12:3456::42"]);
    assert!(inside(&fixed.namespace, || host.command("ip -o addr")).contains("169.254.7.7/16"));
    let mut second = request("second", &["front"], &[]);
    second.endpoints[0].addresses = wanted.endpoints[0].addresses.clone();
    assert!(matches!(host.networks.attach(&second), Err(NetworkError::AddressTaken { .. })));
    second.endpoints[0].addresses = vec!["fd99::1".parse().unwrap()];
    let error = host.networks.attach(&second).unwrap_err().to_string();
    assert_eq!(error, "network front: address fd99::1 is not in 172.30.9.0/24 or fd12:3456::/64");
    let error = host.networks.create(NetworkSpec { pools, ..dual("again") }).unwrap_err().to_string();
    assert!(error.contains("overlaps 172.30.9.0/24 of another network"), "{error}");
}
