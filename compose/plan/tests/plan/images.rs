//! Plans of the images that a project needs.

use rcompose_model::project::{Build, PullPolicy, Service};
use rcompose_plan::{BuildRequest, BuildWhen, ImageRequest, builds, images, pushes};

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
    let request = BuildRequest { services: vec!["web".to_owned()], with_dependencies: false, push: true };
    check(
        builds(&project, &request),
        "1. build image `small` of service `web`: needed by `web` (compose.yaml:4:3)
         2. push image `small`: asked for (compose.yaml:4:3) [after 1]",
    );
    let only = ImageRequest { services: vec!["db".to_owned()], no_deps: true, ..ImageRequest::default() };
    check(pushes(&project, &only), "");
    // They may be pulled instead of being built, or left alone.
    let pull = |ignore_buildable| ImageRequest { build: BuildWhen::Never, ignore_buildable, ..ImageRequest::default() };
    assert!(images(&project, &pull(false)).unwrap().to_string().contains("ensure image `small`"));
    assert!(!images(&project, &pull(true)).unwrap().to_string().contains("ensure image `small`"));
}

#[test]
fn further_tags_go_along() {
    let attributes = serde_json::json!({ "tags": ["small:2", "elsewhere/small:1"] });
    let project = project([Service { build: Some(Build { context: "/ctx".to_owned(), attributes }), ..service("web") }]);
    check(
        pushes(&project, &ImageRequest::default()),
        "1. push image `elsewhere/small:1`: asked for (compose.yaml:2:3)
         2. push image `small`: asked for (compose.yaml:2:3)
         3. push image `small:2`: asked for (compose.yaml:2:3)",
    );
}
fn built(name: &str, contexts: serde_json::Value) -> Service {
    let attributes = serde_json::json!({ "context": ".", "additional_contexts": contexts });
    Service { image: None, build: Some(Build { context: ".".to_owned(), attributes }), ..service(name) }
}

#[test]
fn an_image_that_is_built_comes_after_those_that_it_is_built_from() {
    let named = |service: &str| serde_json::json!({ "base": format!("service:{service}") });
    let project = project([
        built("app", named("middle")),
        built("base", serde_json::json!({})),
        built("middle", named("base")),
        service("db"),
    ]);
    check(
        images(&project, &ImageRequest { services: vec!["app".to_owned(), "db".to_owned()], ..ImageRequest::default() }),
        "1. build image `shop-base` of service `base` unless it is there: needed by `base` (compose.yaml:3:3)
         2. build image `shop-middle` of service `middle` unless it is there: needed by `middle` (compose.yaml:5:3) [after 1]
         3. build image `shop-app` of service `app` unless it is there: needed by `app` (compose.yaml:2:3) [after 2]
         4. ensure image `small`: needed by `db` (compose.yaml:4:3)",
    );
    let request = BuildRequest { services: vec!["middle".to_owned()], with_dependencies: false, push: false };
    check(
        builds(&project, &request),
        "1. build image `shop-base` of service `base`: needed by `base` (compose.yaml:3:3)
         2. build image `shop-middle` of service `middle`: needed by `middle` (compose.yaml:5:3) [after 1]",
    );
}

#[test]
fn images_that_are_built_from_each_other_are_no_plan() {
    let named = |service: &str| serde_json::json!({ "base": format!("service:{service}") });
    let project = project([built("one", named("two")), built("two", named("one"))]);
    let error = images(&project, &ImageRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "dependency cycle detected: one -> two -> one");
}

#[test]
fn flags_and_policies_say_when_an_image_is_built() {
    let with = |policy: Option<PullPolicy>| project([Service { pull_policy: policy, ..built("web", serde_json::json!({})) }]);
    let plan = |policy, build| images(&with(policy), &ImageRequest { build, ..ImageRequest::default() }).unwrap().to_string();
    assert!(plan(None, BuildWhen::AsAsked).contains("unless it is there"));
    assert!(!plan(None, BuildWhen::Always).contains("unless it is there"));
    assert!(!plan(Some(PullPolicy::Build), BuildWhen::AsAsked).contains("unless it is there"));
    assert_eq!(plan(Some(PullPolicy::Build), BuildWhen::Never), "");
}
