//! Plans of the images that a project needs.

use rcompose_model::project::{PullPolicy, Service};
use rcompose_plan::{ImageRequest, images};

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
