//! Containers that reach each other, the host, and join each other's namespaces.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rcompose_engine::EngineError;
use rcompose_engine::container::{Namespace, Namespaces, Protocol, PublishedPort};

use crate::host::{Host, chain, endpoint};

#[test]
fn two_containers_talk_by_name() {
    let host = Host::new();
    host.network("net");
    let mut server = host.shell("web", "echo ready; echo hello | nc -l -p 80");
    server.networks = vec![endpoint("net", &["alias"])];
    let server = host.start(server);
    host.wait_for_output(&server, "ready");
    let mut client = host.shell(
        "client",
        "nslookup web 127.0.0.11 >/dev/null && until nc alias 80; do sleep 0.01; done; cat /etc/resolv.conf /etc/hosts",
    );
    client.networks = vec![endpoint("net", &[])];
    let (code, output) = host.run(client);
    assert!(code == 0 && output.starts_with("hello\nnameserver 127.0.0.11\n"), "{output}");
    assert!(output.contains("\tlocalhost\n") && output.contains("172.30."), "{output}");
    host.finish();
}

#[test]
fn a_published_port_leads_to_the_container_and_has_one_owner() {
    let host = Host::new();
    host.network("net");
    let port = PublishedPort { target: 80, published: Some((18_080, 18_080)), host_ip: None, protocol: Protocol::Tcp };
    let mut server = host.shell("web", "echo ready; while true; do echo hello | nc -l -p 80; done");
    server.networks = vec![endpoint("net", &[])];
    server.ports = vec![port.clone()];
    let web = host.start(server);
    host.wait_for_output(&web, "ready");
    assert_eq!(ask("127.0.0.1:18080"), "hello\n");
    let mut second = host.shell("second", "sleep 1000");
    second.networks = vec![endpoint("net", &[])];
    second.ports = vec![port];
    let second = host.create(second);
    let error = host.engine().start(&second).unwrap_err();
    assert!(matches!(error, EngineError::Network(_)), "{}", chain(&error));
    assert!(host.engine().networks().attached(&second).is_none(), "nothing is left of a start that failed");
    host.stop(&web);
    host.engine().disconnect(&web);
    host.engine().start(&second).unwrap();
    host.finish();
}

/// What a server says, which may need a moment until it listens.
fn ask(address: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut text = String::new();
        let answer = TcpStream::connect(address).and_then(|mut stream| stream.read_to_string(&mut text));
        if answer.is_ok() && !text.is_empty() {
            return text;
        }
        assert!(Instant::now() < deadline, "{address} does not answer: {answer:?}");
        rcompose_sys::process::rest(Duration::from_millis(5));
    }
}

#[test]
fn namespaces_are_shared_with_another_container_as_its_names_are() {
    let host = Host::new();
    host.network("net");
    let mut first = host.shell("first", "echo in memory >/dev/shm/segment; echo ready; sleep 1000");
    first.networks = vec![endpoint("net", &[])];
    let first = host.start(first);
    host.wait_for_output(&first, "ready");
    let shared = Namespace::Container("first".to_owned());
    let mut second = host.shell(
        "second",
        "hostname; cat /etc/hostname /etc/resolv.conf; ip -o addr; ls -l /proc/self/ns; ps; cat /dev/shm/segment",
    );
    second.namespaces = Namespaces { network: shared.clone(), pid: shared.clone(), ipc: shared.clone(), ..Namespaces::default() };
    let (code, output) = host.run(second);
    let hostname = &first[..12];
    assert!(code == 0 && output.starts_with(&format!("{hostname}\n{hostname}\nnameserver 127.0.0.11\n")), "{output}");
    assert!(output.contains("eth0") && output.contains("sleep 1000") && output.contains("in memory\n"), "{output}");
    host.stop(&first);
    let mut third = host.shell("third", "true");
    third.namespaces.network = shared;
    let third = host.create(third);
    assert!(matches!(host.engine().start(&third), Err(EngineError::NotRunning(_))));
    host.finish();
}

#[test]
fn on_the_hosts_network_it_has_the_hosts_names() {
    let host = Host::new();
    let mut spec = host.shell("one", "hostname; cat /etc/hostname /etc/resolv.conf");
    spec.namespaces.network = Namespace::Host;
    let (_, output) = host.run(spec);
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(output.starts_with(&format!("{name}\n{name}\n")) && !output.contains("127.0.0.11"), "{output}");
    host.finish();
}

#[test]
fn on_no_network_there_is_only_itself() {
    let host = Host::new();
    let (_, output) = host.run(host.shell("one", "ip -o link | wc -l; nc -w1 1.1.1.1 53 || echo alone"));
    assert_eq!(output.lines().filter(|line| ["1", "alone"].contains(line)).count(), 2, "{output}");
    host.finish();
}
