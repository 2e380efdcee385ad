//! What plans come to for each thing.

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_plan::observed::{Observed, State};
use rcompose_plan::{ImageRequest, Up, changes, images, replacement_name, up};

use crate::stack::{container, project, running, service, with_volume};

#[track_caller]
fn check(project: &Project, world: &Observed, request: &Up, expected: &[&str]) {
    let images = images(project, &ImageRequest::default()).expect("a plan can be made");
    let plan = up(project, world, request).expect("a plan can be made");
    let line = |it: rcompose_plan::Change| {
        let cause = it.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{:?} {:?} {}{cause}", it.fate, it.kind, it.name)
    };
    let lines: Vec<String> = changes(&[&images, &plan], project, world).into_iter().map(line).collect();
    assert_eq!(lines, expected);
}

#[test]
fn nothing_there_is_made_and_everything_there_is_kept() {
    let project = with_volume(project([service("web")]), "web", "data");
    check(
        &project,
        &Observed::default(),
        &Up::default(),
        &[
            "Pull Image small: needed by `web` (compose.yaml:2:3)",
            "Create Network shop_default: not there yet",
            "Create Volume shop_data: not there yet",
            "Create Container shop-web-1: not there yet (compose.yaml:2:3)",
        ],
    );
    check(
        &project,
        &running(&project),
        &Up::default(),
        &["Keep Network shop_default", "Keep Volume shop_data", "Keep Container shop-web-1"],
    );
}

#[test]
fn a_replacement_is_one_change_also_where_it_is_only_finished() {
    let before = project([service("db"), service("web")]);
    let mut now = before.clone();
    now.services.get_mut("web").unwrap().config_hash = "web-2".to_owned();
    let mut world = running(&before);
    let kept = "Keep Container shop-db-1";
    check(
        &now,
        &world,
        &Up::default(),
        &["Keep Network shop_default", kept, "Recreate Container shop-web-1: configuration changed (compose.yaml:3:3)"],
    );
    let mut new = container(&now, &now.services["web"], 1);
    new.name = replacement_name(&new.id, "shop-web-1");
    (new.id, new.state) = ("9".repeat(64), State::Created);
    world.containers.push(new);
    let finished = "Recreate Container shop-web-1: an earlier replacement was interrupted";
    check(&now, &world, &Up::default(), &["Keep Network shop_default", kept, finished]);
}

#[test]
fn what_stops_and_starts_is_restarted_and_what_is_gone_from_the_files_goes() {
    let mut before = project([service("db"), service("old"), service("web")]);
    let mut world = running(&before);
    world.containers[0].state = State::Exited { code: 1 };
    before.services.remove("old");
    before.networks.get_mut("default").unwrap().internal = true;
    let changed = "`networks.default` changed";
    let request = Up { remove_orphans: true, scale: BTreeMap::from([("db".to_owned(), 2)]), ..Up::default() };
    check(
        &before,
        &world,
        &request,
        &[
            &format!("Recreate Network shop_default: {changed}"),
            "Start Container shop-db-1: not running",
            "Create Container shop-db-2: scaled up to 2 (compose.yaml:2:3)",
            "Remove Container shop-old-1: its service is no longer in the files",
            &format!("Restart Container shop-web-1: {changed}"),
        ],
    );
}
