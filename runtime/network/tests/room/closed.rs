//! What stays closed, whatever somebody tries.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use rcompose_network::NetworkSpec;

use crate::host::{Host, ask, inside, port, serve};

#[test]
fn a_container_does_not_reach_the_hosts_loopback() {
    let host = Host::new();
    host.network("front", false);
    let web = host.attach("web", &["front"], &[]);
    let listener = TcpListener::bind("127.0.0.5:7000").unwrap();
    listener.set_nonblocking(true).unwrap();
    let gateway = host.networks.get("front").unwrap().subnets[0].gateway;
    inside(&web.namespace, || {
        // What root of a container can do about the way to 127.0.0.5.
        host.command(&format!(
            "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip rule del pref 0; ip rule add pref 10 lookup local; \
             ip route add 127.0.0.5 via {gateway} dev eth0 table 7; ip rule add pref 5 to 127.0.0.5 lookup 7"
        ));
        assert_eq!(ask((Ipv4Addr::new(127, 0, 0, 5), 7000)), None);
    });
    assert!(listener.accept().is_err(), "nobody came");
    let rules = host.command("nft list ruleset");
    assert!(rules.contains("ip daddr 127.0.0.0/8 drop") && rules.contains("ip saddr 127.0.0.0/8 drop"), "{rules}");
}

#[test]
fn an_internal_network_publishes_nothing_and_sees_nothing_of_the_host() {
    let host = Host::new();
    host.network("closed", true);
    host.network("open", false);
    let alone = host.attach("alone", &["closed"], &[port(None, 8085, 80)]);
    assert!(alone.ports.is_empty(), "there is no way in");
    serve(&alone.namespace, 80, "reached");
    let both = host.attach("both", &["closed", "open"], &[port(None, 8086, 80)]);
    serve(&both.namespace, 80, "both");
    let _pin = host.neighbour();
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8085)), None);
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8086)).as_deref(), Some("both"), "by the network that is open");
    let gateway = host.networks.get("closed").unwrap().subnets[0].gateway;
    inside(&alone.namespace, || {
        host.command(&format!("ip route add default via {gateway}"));
        assert_eq!(ask((IpAddr::from([192, 0, 2, 1]), 8086)), None, "the host's address");
        assert_eq!(ask((both.addresses[1].1, 80)), None, "another network");
        assert_eq!(ask((both.addresses[0].1, 80)).as_deref(), Some("both"), "its own");
    });
}

#[test]
fn containers_that_may_not_talk_reach_published_ports_alone() {
    let host = Host::new();
    host.make(NetworkSpec { name: "apart".to_owned(), connected: false, ..NetworkSpec::default() });
    let web = host.attach("web", &["apart"], &[port(None, 8087, 80)]);
    let other = host.attach("other", &["apart"], &[]);
    serve(&web.namespace, 80, "web");
    serve(&web.namespace, 81, "web");
    let _pin = host.neighbour();
    assert_eq!(inside(&other.namespace, || ask((web.addresses[0].1, 81))), None);
    assert_eq!(inside(&other.namespace, || ask((IpAddr::from([192, 0, 2, 1]), 8087))).as_deref(), Some("web"));
}

#[test]
fn a_link_of_somebody_else_never_becomes_a_bridge() {
    let host = Host::new();
    host.command("ip link add theirs type veth peer name peer");
    let spec = NetworkSpec { name: "x".to_owned(), bridge_name: Some("theirs".to_owned()), ..NetworkSpec::default() };
    let error = host.networks.create(spec).unwrap_err().to_string();
    assert_eq!(error, "network x: the link `theirs` exists already, and would become its bridge");
    assert!(host.command("ip link").contains("theirs"));
    host.network("ours", false);
    let bridge = host.networks.get("ours").unwrap().bridge;
    let web = host.attach("web", &["ours"], &[]);
    serve(&web.namespace, 80, "web");
    host.command(&format!("ip link del {bridge}"));
    let other = host.attach("other", &["ours"], &[]);
    assert_eq!(inside(&other.namespace, || ask((web.addresses[0].1, 80))).as_deref(), Some("web"), "the bridge is made again");
}

#[test]
fn a_name_is_not_a_path() {
    let host = Host::new();
    for name in ["../outside", "a/b", "", ".hidden", "-flag"] {
        let error =
            host.networks.create(NetworkSpec { name: name.to_owned(), ..NetworkSpec::default() }).unwrap_err().to_string();
        assert!(error.contains("expected a name"), "{name}: {error}");
    }
    assert!(!host.folder.path().join("outside.json").exists());
}
