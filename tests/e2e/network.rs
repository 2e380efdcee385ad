//! `network`.

use rcompose_harness::wait_for;

use crate::{SHOP, scratch};

#[test]
fn lists_describes_and_removes_networks() {
    let place = scratch(SHOP);
    assert_eq!(place.run(&["network", "ls"]).success(), "NETWORK ID   NAME   DRIVER   SCOPE\n");
    place.run(&["up", "-d"]).success();
    let id = place.run(&["network", "ls", "-q"]).success().trim().to_owned();
    assert_eq!(id.len(), 12);
    let table = place.run(&["network", "ls"]).success();
    assert_eq!(table, format!("NETWORK ID     NAME           DRIVER   SCOPE\n{id}   shop_default   bridge   local\n"));
    assert_eq!(place.run(&["network", "ls", "--filter", "name=nothing", "--format", "{{.Name}}"]).success(), "");
    let described = place.run(&["network", "inspect", &id]).success();
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    let containers = described[0]["Containers"].as_object().unwrap();
    assert!(containers.keys().all(|id| id.len() == 64), "{containers:?}");
    assert!(containers.values().any(|it| it["Name"] == "shop-web-1" && it["IPv4Address"].as_str().unwrap().ends_with("/24")));
    let answer = place.run(&["network", "rm", "shop_default", "nothing"]);
    assert_eq!(answer.code, 1);
    assert_eq!(
        answer.stderr,
        "error: network shop_default is in use by shop-db-1, shop-web-1\n\
         hint: stop those containers before: `rcompose down` in their project\n\
         error: network nothing not found\n"
    );
    assert_eq!(place.run(&["network", "inspect", "nothing"]).stderr, "error: no such network: nothing\n");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn prunes_networks_that_no_container_uses() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    assert_eq!(place.run(&["network", "prune", "-f"]).success(), "", "containers use it");
    place.run(&["rm", "-fsv"]).success();
    assert_eq!(place.run(&["network", "prune"]).code, 1, "nobody is asked");
    assert_eq!(place.run(&["network", "prune", "-f"]).success(), "Deleted Networks:\nshop_default\n\n");
    assert_eq!(place.run(&["network", "ls", "-q"]).success(), "");
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn external_networks_and_volumes_are_made_by_hand() {
    let place = scratch(
        "name: guest\n\
         services: {a: {image: 'rootfs:/', init: true, command: [sleep, infinity], networks: [own], volumes: ['data:/data']}}\n\
         networks: {own: {name: shared, external: true}}\n\
         volumes: {data: {name: kept, external: true}}",
    );
    let answer = place.run(&["up", "-d"]);
    assert!(answer.code == 1 && answer.stderr.contains("network create shared"), "{}", answer.stderr);
    let options = ["--label", "of=many", "-o", "com.docker.network.driver.mtu=1400", "--internal", "--ipv6"];
    let subnets = [
        "--subnet",
        "172.31.250.0/24",
        "--gateway",
        "172.31.250.9",
        "--subnet",
        "fd00:77::/64",
        "--ip-range",
        "172.31.250.64/26",
    ];
    let id = place.run(&[["network", "create", "shared"].as_slice(), &options, &subnets].concat()).success();
    assert_eq!(id.trim().len(), 64);
    let described = place.run(&["network", "inspect", "shared"]).success();
    for text in ["172.31.250.9", "fd00:77::/64", "\"Internal\": true", "\"of\": \"many\""] {
        assert!(described.contains(text), "{text}: {described}");
    }
    assert_eq!(place.run(&["network", "create", "shared"]).stderr, "error: network shared exists already\n");
    let answer = place.run(&["network", "create", "x", "--subnet", "172.31.251.0/24", "--gateway", "10.0.0.1"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (1, "error: 10.0.0.1 lies in no `--subnet`\n"));
    let answer = place.run(&["network", "create", "x", "-o", "com.docker.network.driver.mtu=large"]);
    assert!(answer.code == 1 && answer.stderr.contains("`large` is no number"), "{}", answer.stderr);
    assert_eq!(place.run(&["volume", "create", "kept", "--label", "kind=precious"]).success(), "kept\n");
    assert_eq!(place.run(&["volume", "create", "kept"]).success(), "kept\n", "it is there");
    let answer = place.run(&["volume", "create", "kept", "-o", "type=tmpfs", "-o", "device=tmpfs"]);
    assert!(answer.code == 1 && answer.stderr.contains("volume kept exists already, with other options"), "{}", answer.stderr);
    assert_eq!(place.run(&["volume", "create"]).success().trim().len(), 64);
    place.run(&["up", "-d"]).success();
    assert!(place.run(&["exec", "-T", "a", "ip", "-o", "addr"]).success().contains("172.31.250.64/24"));
    place.run(&["down", "-v"]).success();
    assert_eq!(place.run(&["network", "ls", "-q"]).success().lines().count(), 1, "it is nobody's to remove");
    assert!(place.run(&["volume", "ls", "-q"]).success().contains("kept"));
    place.run(&["network", "rm", "shared"]).success();
    place.run(&["volume", "prune", "-af"]).success();
    place.check_nothing_is_left();
}

#[test]
fn a_service_on_anothers_network_stays_there_whatever_happens_to_either() {
    let place = scratch(
        "name: pair\n\
         services:\n\
         \x20 a: {image: 'rootfs:/', init: true, command: [sleep, infinity], restart: always, ports: ['7779:80']}\n\
         \x20 b: {image: 'rootfs:/', init: true, command: [sleep, infinity], restart: always, network_mode: 'service:a'}\n\
         \x20 c: {image: 'rootfs:/', init: true, command: [sleep, infinity], network_mode: 'container:pair-a-1', depends_on: [a]}",
    );
    let network = |service: &str| place.run(&["exec", "-T", service, "readlink", "/proc/self/ns/net"]).success();
    let process = |service: &str| place.run(&["top", service]).success().lines().last().unwrap_or_default().to_owned();
    let crash = |service: &str| {
        let before = process(service);
        place.run(&["exec", "-T", service, "sh", "-c", "kill -9 $(pgrep -x sleep)"]);
        wait_for("the next run", || {
            (place.run(&["ps", "-q", "--status", "running", service]).stdout.lines().count() == 1).then_some(())
        });
        wait_for("another process", || (process(service) != before).then_some(()));
    };
    place.run(&["up", "-d"]).success();
    let first = network("a");
    assert_eq!([network("b"), network("c")], [first.clone(), first.clone()]);
    crash("a");
    assert_eq!([network("a"), network("b")], [first.clone(), first.clone()], "a crash of the owner");
    crash("b");
    assert_eq!(network("b"), first, "a crash of its guest");
    place.run(&["restart", "-t", "0", "a"]).success();
    assert_eq!(network("b"), network("a"), "the owner was restarted, and its guest with it");
    place.run(&["up", "-d", "--force-recreate", "-t", "0"]).success();
    assert_eq!([network("b"), network("c")], [network("a"), network("a")]);
    place.kill(place.supervisor().unwrap(), rustix::process::Signal::KILL);
    crash("b");
    assert_eq!(network("b"), network("a"), "found again by another supervisor");
    place.run(&["down", "-t", "0"]).success();
    place.check_nothing_is_left();
}
