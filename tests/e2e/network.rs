//! `network`.

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
