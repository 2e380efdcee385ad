//! Plans of `down`.

use rcompose_model::project::{Condition, Service};
use rcompose_plan::observed::{Observed, State};
use rcompose_plan::{Down, ImageRemoval, down};

use crate::stack::{after, check, project, running, service, with_volume};

#[test]
fn stops_dependents_before_dependencies() {
    let project = project([after("web", &[("db", Condition::ServiceStarted)]), service("db")]);
    check(
        down("shop", Some(&project), &running(&project), &Down::default()),
        "1. stop container `shop-web-1`: asked for
         2. stop container `shop-db-1`: asked for [after 1]
         3. remove container `shop-db-1`: asked for [after 2]
         4. remove container `shop-web-1`: asked for [after 1]
         5. remove network `shop_default`: asked for [after 3, 4]",
    );
}

#[test]
fn knows_the_order_without_the_files() {
    let project = project([after("web", &[("db", Condition::ServiceStarted)]), service("db")]);
    let text = down("shop", None, &running(&project), &Down::default()).unwrap().to_string();
    assert!(text.contains("2. stop container `shop-db-1`: asked for [after 1]"), "{text}");
}

#[test]
fn keeps_volumes_unless_asked() {
    let project = with_volume(project([service("db")]), "db", "data");
    let world = running(&project);
    let text = |volumes| down("shop", Some(&project), &world, &Down { volumes, ..Down::default() }).unwrap().to_string();
    assert!(!text(false).contains("volume"));
    assert!(text(true).contains("remove volume `shop_data`: asked for [after 2]"), "{}", text(true));
}

#[test]
fn never_removes_volumes_of_others() {
    let mut project = with_volume(project([service("db")]), "db", "data");
    project.volumes.get_mut("data").unwrap().external = true;
    let text = down("shop", Some(&project), &running(&project), &Down { volumes: true, ..Down::default() }).unwrap().to_string();
    assert!(!text.contains("remove volume"), "{text}");
}

#[test]
fn leaves_orphans_and_says_so() {
    let before = project([service("web"), service("old")]);
    let mut now = before.clone();
    now.services.remove("old");
    let text = down("shop", Some(&now), &running(&before), &Down::default()).unwrap().to_string();
    assert!(!text.contains("remove container `shop-old-1`"), "{text}");
    assert!(text.contains("warning: Found orphan containers ([shop-old-1])"), "{text}");
    let all = down("shop", Some(&now), &running(&before), &Down { remove_orphans: true, ..Down::default() }).unwrap();
    assert!(all.to_string().contains("remove container `shop-old-1`"));
}

#[test]
fn takes_dependents_of_a_named_service_too() {
    let project = project([after("web", &[("db", Condition::ServiceStarted)]), service("db"), service("other")]);
    let request = Down { services: vec!["db".to_owned()], ..Down::default() };
    let text = down("shop", Some(&project), &running(&project), &request).unwrap().to_string();
    assert!(text.contains("remove container `shop-web-1`") && !text.contains("other") && !text.contains("network"), "{text}");
}

#[test]
fn removes_a_container_that_does_not_run_without_stopping_it() {
    let project = project([service("web")]);
    let mut world = running(&project);
    world.containers[0].state = State::Exited { code: 1 };
    check(
        down("shop", Some(&project), &world, &Down::default()),
        "1. remove container `shop-web-1`: asked for
         2. remove network `shop_default`: asked for [after 1]",
    );
}

#[test]
fn does_nothing_when_there_is_nothing() {
    check(down("shop", None, &Observed::default(), &Down::default()), "");
}

#[test]
fn removes_images_of_the_files_when_asked() {
    let host = Service { image: Some("rootfs:/".to_owned()), ..service("host") };
    let project = project([service("web"), host]);
    let text = |images| {
        let request = Down { images: Some(images), ..Down::default() };
        down("shop", Some(&project), &running(&project), &request).unwrap().to_string()
    };
    let all = text(ImageRemoval::All);
    assert!(all.contains("remove image `small`") && !all.contains("remove image `rootfs"), "{all}");
    assert!(!text(ImageRemoval::Local).contains("remove image"));
}
