//! Who reaches whom.

use std::net::{Ipv4Addr, Ipv6Addr};

use rcompose_network::NetworkError;

use crate::host::{Host, ask, inside, port, request, resolve, serve};

#[test]
fn containers_of_a_network_find_each_other_by_name() {
    let host = Host::new();
    host.network("front", false);
    let web = host.attach("web", &["front"], &[]);
    let db = host.attach("db", &["front"], &[]);
    serve(&db.namespace, 5432, "database");
    let address = db.addresses[0].1;
    assert_eq!(inside(&web.namespace, || resolve("db")), (0, vec![address]));
    assert_eq!(inside(&web.namespace, || resolve("db-alias.front")), (0, vec![address]));
    assert_eq!(inside(&web.namespace, || resolve("nobody")).0, 3);
    assert_eq!(inside(&web.namespace, || ask((address, 5432))).as_deref(), Some("database"));
    // A name server of the container's own can have the port.
    inside(&web.namespace, || std::net::UdpSocket::bind("0.0.0.0:53").unwrap());
    for name in ["web", "db"] {
        host.networks.detach(&format!("{name:0<64}"));
    }
    host.networks.remove("front").unwrap();
    host.check_nothing_is_left();
}

#[test]
fn a_published_port_is_reached_from_the_host_from_outside_and_from_within() {
    let host = Host::new();
    host.network("front", false);
    let open = host.attach("open", &["front"], &[port(None, 8080, 80)]);
    let closed = host.attach("closed", &["front"], &[port(Some("127.0.0.1"), 9090, 80)]);
    serve(&open.namespace, 80, "open");
    serve(&closed.namespace, 80, "closed");
    let pin = host.neighbour();

    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8080)).as_deref(), Some("open"));
    assert_eq!(ask((Ipv6Addr::LOCALHOST, 8080)).as_deref(), Some("open"));
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 9090)).as_deref(), Some("closed"));
    assert_eq!(ask((Ipv4Addr::new(192, 0, 2, 1), 8080)).as_deref(), Some("open"));
    assert_eq!(inside(&pin, || ask((Ipv4Addr::new(192, 0, 2, 1), 8080))).as_deref(), Some("open"));
    assert_eq!(inside(&pin, || ask((Ipv4Addr::new(192, 0, 2, 1), 9090))), None, "loopback only");
    assert_eq!(inside(&pin, || ask((open.addresses[0].1, 80))), None, "only what is published");
    // A container reaches itself, and its neighbour, by the host's address.
    assert_eq!(inside(&open.namespace, || ask((Ipv4Addr::new(192, 0, 2, 1), 8080))).as_deref(), Some("open"));
    assert_eq!(inside(&closed.namespace, || ask((Ipv4Addr::new(192, 0, 2, 1), 8080))).as_deref(), Some("open"));

    let error = host.networks.attach(&request("third", &["front"], &[port(None, 8080, 80)])).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, NetworkError::Port(_)), "{text}");
    assert!(text.starts_with("Bind for 0.0.0.0:8080 failed: port is already allocated by process"), "{text}");
    for name in ["open", "closed"] {
        host.networks.detach(&format!("{name:0<64}"));
    }
    host.networks.remove("front").unwrap();
    rcompose_sys::netns::unpin(&pin).unwrap();
    host.check_nothing_is_left();
}

#[test]
fn networks_are_apart_and_internal_ones_have_no_way_out() {
    let host = Host::new();
    host.command("nft add table inet foreign; nft add chain inet foreign keep");
    host.network("one", false);
    host.network("two", false);
    host.network("closed", true);
    let a = host.attach("a", &["one"], &[]);
    let b = host.attach("b", &["two"], &[]);
    let c = host.attach("c", &["closed"], &[]);
    let both = host.attach("both", &["one", "two"], &[]);
    for it in [&a, &b, &c] {
        serve(&it.namespace, 80, "reached");
    }
    assert_eq!(inside(&a.namespace, || ask((b.addresses[0].1, 80))), None);
    assert_eq!(inside(&c.namespace, || ask((b.addresses[0].1, 80))), None);
    assert_eq!(inside(&both.namespace, || ask((a.addresses[0].1, 80))).as_deref(), Some("reached"));
    assert_eq!(inside(&both.namespace, || ask((b.addresses[0].1, 80))).as_deref(), Some("reached"));
    assert_eq!(inside(&a.namespace, || resolve("b")).0, 3);
    assert!(matches!(host.networks.remove("one"), Err(NetworkError::InUse { .. })));
    for name in ["a", "b", "c", "both"] {
        host.networks.detach(&format!("{name:0<64}"));
    }
    for name in ["one", "two", "closed"] {
        host.networks.remove(name).unwrap();
    }
    assert!(host.command("nft list ruleset").contains("table inet foreign"), "what others made stays");
    host.check_nothing_is_left();
}

#[test]
fn goes_on_after_a_restart_and_clears_away_what_died() {
    let mut host = Host::new();
    host.network("front", false);
    let web = host.attach("web", &["front"], &[port(None, 8081, 80)]);
    host.attach("dead", &["front"], &[]);
    serve(&web.namespace, 80, "web");
    host.restart();
    host.networks.restore(&std::collections::BTreeSet::from([format!("{:0<64}", "web")])).unwrap();
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8081)).as_deref(), Some("web"));
    assert_eq!(ask((Ipv6Addr::LOCALHOST, 8081)).as_deref(), Some("web"));
    assert_eq!(inside(&web.namespace, || resolve("web")), (0, vec![web.addresses[0].1]));
    assert_eq!(inside(&web.namespace, || resolve("dead")).0, 3);
    host.networks.detach(&format!("{:0<64}", "web"));
    host.networks.remove("front").unwrap();
    host.check_nothing_is_left();
}

#[test]
fn names_are_served_again_also_where_somebody_took_the_port() {
    let mut host = Host::new();
    host.network("front", false);
    let web = host.attach("web", &["front"], &[port(None, 8082, 80), port(None, 8083, 80)]);
    serve(&web.namespace, 80, "web");
    host.restart();
    let _stranger = std::net::TcpListener::bind("0.0.0.0:8082").unwrap();
    host.networks.restore(&std::collections::BTreeSet::from([format!("{:0<64}", "web")])).unwrap();
    assert_eq!(inside(&web.namespace, || resolve("web")), (0, vec![web.addresses[0].1]));
    assert_eq!(ask((Ipv4Addr::LOCALHOST, 8083)).as_deref(), Some("web"));
    assert_eq!(ask((Ipv6Addr::LOCALHOST, 8083)).as_deref(), Some("web"), "the proxy leads to the right port");
}
