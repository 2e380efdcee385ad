//! Plans of `up`.

use std::collections::BTreeMap;

use rcompose_model::project::{Condition, Dependency, Hook, Network, NetworkMode, Service, StartHook};
use rcompose_plan::observed::{Observed, State};
use rcompose_plan::{OneOff, PlanError, Recreate, Run, Up, replacement_name, run, up};

use crate::stack::{after, check, container, project, running, service, with_volume};

#[test]
fn creates_everything_in_order_when_nothing_is_there() {
    let project = with_volume(project([after("web", &[("db", Condition::ServiceHealthy)]), service("db")]), "db", "data");
    check(
        up(&project, &Observed::default(), &Up::default()),
        "1. create network `shop_default`: not there yet
         2. create volume `shop_data`: not there yet
         3. create container `shop-db-1`: not there yet (compose.yaml:2:3) [after 2]
         4. start container `shop-db-1`: not there yet (compose.yaml:2:3) [after 1, 3]
         5. wait until service `db` is healthy: needed by `web` (compose.yaml:3:3) [after 4]
         6. create container `shop-web-1`: not there yet (compose.yaml:3:3)
         7. start container `shop-web-1`: not there yet (compose.yaml:3:3) [after 1, 5, 6]",
    );
}

#[test]
fn plans_nothing_when_everything_is_there() {
    let project = with_volume(project([after("web", &[("db", Condition::ServiceStarted)]), service("db")]), "db", "data");
    check(up(&project, &running(&project), &Up::default()), "");
}

#[test]
fn recreates_only_what_changed_and_says_which_attribute() {
    let before = project([service("web"), service("db")]);
    let mut now = before.clone();
    let web = now.services.get_mut("web").unwrap();
    web.labels.insert("tier".to_owned(), "front".to_owned());
    web.config_hash = "web-2".to_owned();
    check(
        up(&now, &running(&before), &Up::default()),
        "1. create container `web100000000_shop-web-1` in place of `shop-web-1`: `labels` changed (compose.yaml:3:3)
         2. stop container `shop-web-1`: replaced [after 1]
         3. remove container `shop-web-1`: replaced [after 2]
         4. rename container `web100000000_shop-web-1` to `shop-web-1`: takes the place of `shop-web-1` [after 3]
         5. start container `shop-web-1`: `labels` changed (compose.yaml:3:3) [after 4]",
    );
}

#[test]
fn recreates_when_the_reference_stands_for_another_image() {
    let project = project([service("web")]);
    let mut world = running(&project);
    world.images.insert("small".to_owned(), "image-2".to_owned());
    let plan = up(&project, &world, &Up::default()).unwrap();
    assert!(
        plan.to_string().starts_with("1. create container `web100000000_shop-web-1` in place of `shop-web-1`: image changed")
    );
}

#[test]
fn keeps_changed_containers_when_told_to() {
    let project = project([service("web")]);
    let mut world = running(&project);
    world.containers[0].config_hash = "other".to_owned();
    check(up(&project, &world, &Up { recreate: Recreate::Never, ..Up::default() }), "");
}

#[test]
fn forces_only_the_services_named() {
    let project = project([after("web", &[("db", Condition::ServiceStarted)]), service("db")]);
    let request = Up { services: vec!["web".to_owned()], recreate: Recreate::Always, ..Up::default() };
    let text = up(&project, &running(&project), &request).unwrap().to_string();
    assert!(text.contains("in place of `shop-web-1`: recreation asked for"), "{text}");
    assert!(!text.contains("shop-db-1"), "{text}");
}

#[test]
fn starts_what_has_ended() {
    let project = project([service("job")]);
    let mut world = running(&project);
    world.containers[0].state = State::Exited { code: 0 };
    check(up(&project, &world, &Up::default()), "1. start container `shop-job-1`: not running");
}

#[test]
fn scales_up_after_the_highest_number() {
    let project = project([service("web")]);
    let mut world = running(&project);
    world.containers[0] = container(&project, &project.services["web"], 4);
    let request = Up { scale: BTreeMap::from([("web".to_owned(), 2)]), ..Up::default() };
    check(
        up(&project, &world, &request),
        "1. create container `shop-web-5`: scaled up to 2 (compose.yaml:2:3)
         2. start container `shop-web-5`: scaled up to 2 (compose.yaml:2:3) [after 1]",
    );
}

#[test]
fn scales_down_outdated_replicas_first() {
    let project = project([Service { scale: 3, ..service("web") }]);
    let mut world = running(&project);
    world.containers[0].config_hash = "old".to_owned();
    let request = Up { scale: BTreeMap::from([("web".to_owned(), 1)]), ..Up::default() };
    check(
        up(&project, &world, &request),
        "1. stop container `shop-web-3`: scaled down to 1 (compose.yaml:2:3)
         2. remove container `shop-web-3` and its anonymous volumes: scaled down to 1 (compose.yaml:2:3) [after 1]
         3. stop container `shop-web-1`: scaled down to 1 (compose.yaml:2:3)
         4. remove container `shop-web-1` and its anonymous volumes: scaled down to 1 (compose.yaml:2:3) [after 3]",
    );
}

#[test]
fn warns_of_orphans_and_removes_them_when_asked() {
    let before = project([service("web"), service("old")]);
    let mut now = before.clone();
    now.services.remove("old");
    let plan = up(&now, &running(&before), &Up::default()).unwrap();
    assert!(plan.is_empty());
    assert!(plan.warnings()[0].starts_with("Found orphan containers ([shop-old-1]) for this project."));
    check(
        up(&now, &running(&before), &Up { remove_orphans: true, ..Up::default() }),
        "1. stop container `shop-old-1`: its service is no longer in the files
         2. remove container `shop-old-1` and its anonymous volumes: its service is no longer in the files [after 1]",
    );
}

#[test]
fn leaves_services_that_a_profile_disables_alone() {
    let before = project([service("web"), service("debug")]);
    let mut now = before.clone();
    now.services.remove("debug");
    now.disabled_services.push("debug".to_owned());
    check(up(&now, &running(&before), &Up { remove_orphans: true, ..Up::default() }), "");
}

#[test]
fn goes_on_with_an_interrupted_replacement() {
    let project = project([service("web")]);
    let mut world = running(&project);
    let mut new = container(&project, &project.services["web"], 1);
    world.containers[0].config_hash = "old".to_owned();
    new.name = replacement_name(&world.containers[0].id, "shop-web-1");
    new.id = "f".repeat(64);
    new.state = State::Created;
    world.containers.push(new);
    check(
        up(&project, &world, &Up::default()),
        "1. stop container `shop-web-1`: replaced
         2. remove container `shop-web-1`: replaced [after 1]
         3. rename container `web100000000_shop-web-1` to `shop-web-1`: takes the place of `shop-web-1` [after 2]
         4. start container `shop-web-1`: an earlier replacement was interrupted [after 3]",
    );
}

#[test]
fn restarts_dependents_that_asked_for_it() {
    let mut web = after("web", &[]);
    web.depends_on.insert("db".to_owned(), Dependency { condition: Condition::ServiceStarted, restart: true, required: true });
    let project = project([web, service("db")]);
    let mut world = running(&project);
    world.containers.iter_mut().find(|it| it.service == "db").unwrap().config_hash = "old".to_owned();
    check(
        up(&project, &world, &Up::default()),
        "1. create container `db1000000000_shop-db-1` in place of `shop-db-1`: configuration changed (compose.yaml:2:3)
         2. stop container `shop-web-1`: its dependency `db` restarts
         3. stop container `shop-db-1`: replaced [after 1, 2]
         4. remove container `shop-db-1`: replaced [after 3]
         5. rename container `db1000000000_shop-db-1` to `shop-db-1`: takes the place of `shop-db-1` [after 4]
         6. start container `shop-db-1`: configuration changed (compose.yaml:2:3) [after 5]
         7. start container `shop-web-1`: its dependency `db` restarts [after 2, 6]",
    );
}

#[test]
fn recreates_what_shares_a_namespace_with_something_recreated() {
    let mut sidecar = after("sidecar", &[("web", Condition::ServiceStarted)]);
    sidecar.network_mode = Some(NetworkMode::Service("web".to_owned()));
    let project = project([sidecar, service("web")]);
    let request = Up { services: vec!["web".to_owned(), "sidecar".to_owned()], recreate: Recreate::Changed, ..Up::default() };
    let mut world = running(&project);
    world.containers.iter_mut().find(|it| it.service == "web").unwrap().config_hash = "old".to_owned();
    let text = up(&project, &world, &request).unwrap().to_string();
    assert!(text.contains("in place of `shop-sidecar-1`: `web`, which it shares with, is recreated"), "{text}");
}

#[test]
fn creates_what_takes_volumes_over_after_their_owner() {
    let mut reader = after("reader", &[("db", Condition::ServiceStarted)]);
    reader.volumes_from = vec!["db:ro".to_owned()];
    let project = project([reader, service("db")]);
    let order =
        |text: &str| (text.find("container `shop-db-1`").unwrap(), text.find("create container `shop-reader-1`").unwrap());
    let text = up(&project, &Observed::default(), &Up::default()).unwrap().to_string();
    let reader = text.lines().find(|line| line.contains("create container `shop-reader-1`")).unwrap();
    let db = text.lines().find(|line| line.contains("create container `shop-db-1`")).unwrap();
    let number = db.trim_start().split('.').next().unwrap();
    assert!(order(&text).0 < order(&text).1 && reader.contains("[after") && reader.contains(number), "{text}");
}

#[test]
fn changes_a_network_under_its_containers() {
    let before = project([service("web")]);
    let mut now = before.clone();
    now.networks.insert(
        "default".to_owned(),
        Network { name: "shop_default".to_owned(), driver: "bridge".to_owned(), internal: true, ..Network::default() },
    );
    check(
        up(&now, &running(&before), &Up::default()),
        "1. stop container `shop-web-1`: `networks.default` changed
         2. remove network `shop_default`: `networks.default` changed [after 1]
         3. create network `shop_default`: `networks.default` changed [after 2]
         4. start container `shop-web-1`: asked for [after 1, 3]",
    );
}

#[test]
fn does_not_wait_for_a_dependency_that_is_healthy_already() {
    let project = project([after("web", &[("db", Condition::ServiceHealthy)]), service("db")]);
    let mut world = running(&project);
    world.containers.retain(|container| container.service == "db");
    world.containers[0].state = State::Running { healthy: Some(true) };
    let text = up(&project, &world, &Up::default()).unwrap().to_string();
    assert!(!text.contains("wait until"), "{text}");
}

#[test]
fn creates_without_starting() {
    let project = project([service("web")]);
    check(
        up(&project, &Observed::default(), &Up { no_start: true, ..Up::default() }),
        "1. create network `shop_default`: not there yet
         2. create container `shop-web-1`: not there yet (compose.yaml:2:3)",
    );
}

#[test]
fn shows_a_cycle_with_its_path() {
    let project = project([
        after("a", &[("b", Condition::ServiceStarted)]),
        after("b", &[("c", Condition::ServiceStarted)]),
        after("c", &[("a", Condition::ServiceStarted)]),
    ]);
    let error = up(&project, &Observed::default(), &Up::default()).unwrap_err();
    assert_eq!(error.to_string(), "dependency cycle detected: a -> b -> c -> a");
    assert_eq!(error.place().unwrap().line, 2);
}

#[test]
fn refuses_what_it_cannot_do() {
    let named = project([Service { container_name: Some("one".to_owned()), scale: 2, ..service("web") }]);
    let none = project([]);
    let mut external = project([service("web")]);
    external.networks.get_mut("default").unwrap().external = true;
    let typo = Up { services: vec!["wbe".to_owned()], ..Up::default() };
    let text = |result: Result<_, PlanError>| result.map(|_: rcompose_plan::Plan| ()).unwrap_err().to_string();
    let world = Observed::default();
    assert_eq!(text(up(&none, &world, &Up::default())), "no service selected");
    assert_eq!(text(up(&named, &world, &Up::default())), "service `web` has the container name `one` and cannot have 2 replicas");
    assert_eq!(text(up(&external, &world, &Up::default())), "network shop_default declared as external, but could not be found");
    let error = up(&project([service("web")]), &world, &typo).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean `web`?"));
}

#[test]
fn makes_one_container_for_one_command_after_what_its_service_depends_on() {
    let project = with_volume(project([after("web", &[("db", Condition::ServiceHealthy)]), service("db")]), "web", "data");
    let one_off = OneOff { name: "shop-web-run-abc".to_owned(), ..OneOff::default() };
    let request = Run { service: "web".to_owned(), one_off, ..Run::default() };
    check(
        run(&project, &Observed::default(), &request),
        "1. create network `shop_default`: not there yet
         2. create volume `shop_data`: not there yet
         3. create container `shop-db-1`: not there yet (compose.yaml:2:3)
         4. start container `shop-db-1`: not there yet (compose.yaml:2:3) [after 1, 3]
         5. wait until service `db` is healthy: needed by `web` (compose.yaml:3:3) [after 4]
         6. create container `shop-web-run-abc` for one command of `web`: asked for [after 1, 2, 5]",
    );
    let alone = Run { no_deps: true, ..request };
    check(
        run(&project, &running(&project), &alone),
        "1. create container `shop-web-run-abc` for one command of `web`: asked for",
    );
}

fn hook(word: &str) -> Hook {
    Hook { command: vec![word.to_owned()], user: None, privileged: false, working_dir: None, environment: BTreeMap::new() }
}

#[test]
fn commands_of_a_service_run_before_its_first_container_after_each_start_and_before_each_stop() {
    let mut web = Service { scale: 2, ..after("web", &[("db", Condition::ServiceStarted)]) };
    web.pre_start = vec![StartHook { hook: hook("migrate"), image: None }];
    let db = Service { post_start: vec![hook("seed"), hook("check")], pre_stop: vec![hook("flush")], ..service("db") };
    let project = project([web, db]);
    check(
        up(&project, &Observed::default(), &Up::default()),
        "1. create network `shop_default`: not there yet
         2. create container `shop-db-1`: not there yet (compose.yaml:2:3)
         3. start container `shop-db-1` and run 2 commands in it: not there yet (compose.yaml:2:3) [after 1, 2]
         4. create container `shop-web-1`: not there yet (compose.yaml:3:3)
         5. create container `shop-web-2`: not there yet (compose.yaml:3:3)
         6. run 1 command before container `shop-web-1`: needed by `web` (compose.yaml:3:3) [after 1, 3, 4, 5]
         7. start container `shop-web-1`: not there yet (compose.yaml:3:3) [after 1, 3, 4, 6]
         8. start container `shop-web-2`: not there yet (compose.yaml:3:3) [after 1, 3, 5, 6]",
    );
    let mut world = running(&project);
    let more = Up { scale: BTreeMap::from([("web".to_owned(), 3)]), ..Up::default() };
    let plan = up(&project, &world, &more).unwrap().to_string();
    assert!(!plan.contains("before container"), "another replica runs already: {plan}");
    let all = Up { recreate: Recreate::Always, services: vec!["db".to_owned()], ..Up::default() };
    let plan = up(&project, &world, &all).unwrap().to_string();
    assert!(plan.contains("run 1 command in container `shop-db-1` and stop it: replaced"), "{plan}");
    world.containers.iter_mut().for_each(|container| container.state = State::Exited { code: 0 });
    let plan = up(&project, &world, &Up::default()).unwrap().to_string();
    assert!(plan.contains("run 1 command before container `shop-web-1`"), "{plan}");
}
