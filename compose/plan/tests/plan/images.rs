//! Plans of the images that a project needs.

use rcompose_model::project::{Build, PullPolicy, Service};
use rcompose_plan::{ImageRequest, images, pushes};

use crate::stack::{check, project, service};

#[test]
fn looks_at_each_image_once_with_the_strictest_policy() {
    let project = project([
        service("web"),
        Service { pull_policy: Some(PullPolicy::Always), ..service("worker") },
        Service { image: Some("other".to_owned()), ..service("db") },
    ]);
    check(
        images(&project, &ImageRequest::default()),
        "1. ensure image `other`: needed by `db` (compose.yaml:2:3)
         2. pull image `small`: needed by `web`, `worker` (compose.yaml:3:3)",
    );
}

#[test]
fn takes_the_policy_of_the_command_line_first() {
    let project = project([Service { pull_policy: Some(PullPolicy::Always), ..service("web") }]);
    let request = ImageRequest { policy: Some(PullPolicy::Never), ..ImageRequest::default() };
    check(images(&project, &request), "1. ensure image `small`: needed by `web` (compose.yaml:2:3)");
}

#[test]
fn pushes_what_was_built_and_has_a_name() {
    let build = || Some(Build { context: "/ctx".to_owned(), attributes: serde_json::Value::Null });
    let project = project([
        Service { build: build(), ..service("web") },
        Service { build: build(), ..service("worker") },
        Service { image: Some("other".to_owned()), ..service("db") },
        Service { image: None, build: build(), ..service("tool") },
    ]);
    check(
        pushes(&project, &ImageRequest::default()),
        "1. push image `small`: asked for (compose.yaml:4:3)
         warning: service tool: it has no `image` that says where to push to",
    );
    let only = ImageRequest { services: vec!["db".to_owned()], no_deps: true, ..ImageRequest::default() };
    check(pushes(&project, &only), "");
}
