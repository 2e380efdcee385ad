//! Plans of start, stop, restart, kill, pause, unpause, remove.

use rcompose_model::project::{Condition, Dependency};
use rcompose_plan::observed::State;
use rcompose_plan::{Lifecycle, PlanError, lifecycle};

use crate::stack::{after, check, project, running, service};

#[test]
fn starts_dependencies_first_and_waits_for_their_conditions() {
    let project = project([after("web", &[("db", Condition::ServiceHealthy)]), service("db")]);
    let mut world = running(&project);
    world.containers.iter_mut().for_each(|container| container.state = State::Exited { code: 0 });
    check(
        lifecycle(&world, &[], &Lifecycle::Start),
        "1. start container `shop-db-1`: asked for
         2. wait until service `db` is healthy: asked for [after 1]
         3. start container `shop-web-1`: asked for [after 2]",
    );
}

#[test]
fn stops_dependents_first() {
    let project = project([after("web", &[("db", Condition::ServiceStarted)]), service("db")]);
    check(
        lifecycle(&running(&project), &[], &Lifecycle::Stop { timeout: None }),
        "1. stop container `shop-web-1`: asked for
         2. stop container `shop-db-1`: asked for [after 1]",
    );
}

#[test]
fn restarts_with_dependents_that_asked_for_it() {
    let mut web = after("web", &[]);
    web.depends_on.insert("db".to_owned(), Dependency { condition: Condition::ServiceStarted, restart: true, required: true });
    let world = running(&project([web, service("db"), service("other")]));
    let named = ["db".to_owned()];
    check(
        lifecycle(&world, &named, &Lifecycle::Restart { timeout: None, no_deps: false }),
        "1. stop container `shop-web-1`: asked for
         2. stop container `shop-db-1`: asked for [after 1]
         3. start container `shop-db-1`: asked for [after 2]
         4. start container `shop-web-1`: asked for [after 1, 3]",
    );
    check(
        lifecycle(&world, &named, &Lifecycle::Restart { timeout: None, no_deps: true }),
        "1. stop container `shop-db-1`: asked for
         2. start container `shop-db-1`: asked for [after 1]",
    );
}

#[test]
fn kills_one_off_containers_too_but_does_not_start_them() {
    let mut world = running(&project([service("web")]));
    world.containers[0].one_off = true;
    check(
        lifecycle(&world, &[], &Lifecycle::Kill { signal: "HUP".to_owned() }),
        "1. send HUP to container `shop-web-1`: asked for",
    );
    check(lifecycle(&world, &[], &Lifecycle::Stop { timeout: None }), "");
}

#[test]
fn pauses_only_what_runs_and_thaws_only_what_is_frozen() {
    let mut world = running(&project([service("a"), service("b")]));
    world.containers[1].state = State::Paused;
    check(lifecycle(&world, &[], &Lifecycle::Pause), "1. pause container `shop-a-1`: asked for");
    check(lifecycle(&world, &[], &Lifecycle::Unpause), "1. unpause container `shop-b-1`: asked for");
}

#[test]
fn removes_only_what_has_stopped_unless_told_to_stop_it() {
    let mut world = running(&project([service("a"), service("b")]));
    world.containers[0].state = State::Exited { code: 0 };
    check(
        lifecycle(&world, &[], &Lifecycle::Remove { stop: false, volumes: false }),
        "1. remove container `shop-a-1`: asked for",
    );
    let all = lifecycle(&world, &[], &Lifecycle::Remove { stop: true, volumes: true }).unwrap().to_string();
    assert!(all.contains("stop container `shop-b-1`"), "{all}");
}

#[test]
fn refuses_to_start_what_was_never_created() {
    let world = running(&project([service("web")]));
    let error = lifecycle(&world, &["db".to_owned()], &Lifecycle::Start).unwrap_err();
    assert_eq!(error, PlanError::NoContainer { service: "db".to_owned(), verb: "start" });
}
