//! Stacks in registries, and images by digest.

use serde_json::json;

use super::registry::{ADDRESS, Registry, stack_manifest};
use super::{SLEEPER, place};

const COMPOSE: &str = "application/vnd.docker.compose.file+yaml";
const VARIABLES: &str = "application/vnd.docker.compose.envfile";

#[test]
fn a_stack_of_a_registry_comes_up_and_goes() {
    let place = place();
    let registry = Registry::start(&place);
    let compose = SLEEPER.replace("}}}", "}, env_file: web.env, extends: {service: base, file: base.yaml}}}");
    let over = "services: {web: {labels: {over: 'yes'}}}\n";
    let files = [
        (compose.as_str(), COMPOSE, json!({ "com.docker.compose.file": "compose.yaml" })),
        (over, COMPOSE, json!({ "com.docker.compose.file": "over.yaml" })),
        (
            "services: {base: {hostname: based}}\n",
            COMPOSE,
            json!({ "com.docker.compose.extends": "true", "com.docker.compose.file": "base.yaml" }),
        ),
        ("MORE=here\n", VARIABLES, json!({ "com.docker.compose.envfile": "web.env" })),
    ];
    let (digest, _) = registry.push_stack("team/shop", "1", &files);
    let reference = format!("oci://{ADDRESS}/team/shop:1");
    let config = place.run(&["-f", &reference, "config"]).success();
    for words in ["name: shop\n", "MORE: here", "hostname: based", "over: \"yes\"", "SAYS: nothing"] {
        assert!(config.contains(words), "{words}: {config}");
    }
    place.run(&["-f", &reference, "up", "-d", "-y"]).success();
    assert!(place.run(&["-f", &reference, "ps"]).success().contains("shop-web-1"));
    place.run(&["-f", &reference, "down"]).success();
    place.write("compose.yaml", &format!("name: mine\ninclude: ['{reference}']\n"));
    assert!(place.run(&["config"]).success().contains("hostname: based"));
    drop(registry);
    // What is named by its digest is asked for once.
    assert_eq!(place.run(&["-f", &reference, "config"]).code, 1);
    place.run(&["-f", &format!("oci://{ADDRESS}/team/shop@{digest}"), "config", "-q"]).success();
    place.check_nothing_is_left();
}

#[test]
fn artifacts_that_are_no_stacks_or_reach_out_are_refused() {
    let place = place();
    let registry = Registry::start(&place);
    let stack = (SLEEPER, COMPOSE, json!({}));
    let env = |name: &str| ("A=1\n", VARIABLES, json!({ "com.docker.compose.envfile": name }));
    let outside = place.project().join("cache/rcompose/remote/trap");
    registry.push_stack("team/env", "1", &[stack.clone(), env("../../../trap")]);
    registry.push_stack("team/absolute", "1", &[stack.clone(), env(&outside.to_string_lossy())]);
    registry.push_stack("team/twice", "1", &[stack.clone(), env("compose.yaml")]);
    registry.push_stack("team/none", "1", &[env("a.env")]);
    let extended = json!({ "com.docker.compose.extends": "true", "com.docker.compose.file": "../trap" });
    registry.push_stack("team/extended", "1", &[stack.clone(), (SLEEPER, COMPOSE, extended)]);
    let bind = "services: {web: {image: x, volumes: ['../../trap:/x']}}\n";
    registry.push_stack("team/bind", "1", &[(bind, COMPOSE, json!({}))]);
    registry.push_image("team/image", "1");
    for (name, size) in [("short", SLEEPER.len() - 1), ("long", SLEEPER.len() + 1)] {
        let mut manifest = stack_manifest(std::slice::from_ref(&stack));
        manifest["layers"][0]["size"] = size.into();
        registry.push(&format!("team/{name}"), "1", &[SLEEPER, "{}"], &manifest);
    }
    for (name, why) in [
        ("env", "it has to be a single word"),
        ("absolute", "it has to be a single word"),
        ("twice", "more than one file `compose.yaml`"),
        ("none", "the artifact has no Compose file"),
        ("extended", "it has to be a single word"),
        ("bind", "is outside of oci://"),
        ("image", "it is no application/vnd.docker.compose.project"),
        ("missing", "404"),
        ("short", "it is larger than"),
        ("long", "its content has another size or digest"),
    ] {
        let answer = place.run(&["-f", &format!("oci://{ADDRESS}/team/{name}:1"), "config"]);
        assert!(answer.code == 1 && answer.stderr.contains(why), "{name}: {}", answer.stderr);
    }
    assert!(!outside.exists() && !place.project().join("cache/rcompose/remote/new").exists());
}

#[test]
fn a_list_of_manifests_is_searched_for_the_stack() {
    let place = place();
    let registry = Registry::start(&place);
    let (digest, size) = registry.push_stack("team/shop", "part", &[(SLEEPER, COMPOSE, json!({}))]);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let list = |artifact_type: &str| {
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{ "mediaType": kind, "artifactType": artifact_type, "digest": digest, "size": size }],
        })
    };
    registry.push("team/shop", "list", &[], &list("application/vnd.docker.compose.project"));
    registry.push("team/shop", "other", &[], &list("application/x"));
    assert!(place.run(&["-f", &format!("oci://{ADDRESS}/team/shop:list"), "config"]).success().contains("SAYS: nothing"));
    let other = place.run(&["-f", &format!("oci://{ADDRESS}/team/shop:other"), "config"]);
    assert!(other.code == 1 && other.stderr.contains("it is a list without"), "{}", other.stderr);
}

#[test]
fn images_are_pinned_to_what_the_registry_has() {
    let place = place();
    let registry = Registry::start(&place);
    let (app, tool, data) =
        (registry.push_image("team/app", "1"), registry.push_image("team/tool", "latest"), registry.push_image("team/data", "2"));
    let compose = format!(
        "services:\n  web:\n    image: ${{REGISTRY:-{ADDRESS}}}/team/app:1\n    pre_start: [{{image: {ADDRESS}/team/tool, command: ['true']}}]\n    \
         volumes:\n      - {{type: image, source: {ADDRESS}/team/data:2, target: /data}}\n      \
         - {{type: image, source: db, target: /db}}\n  db:\n    image: rootfs:/\n"
    );
    place.write("compose.yaml", &compose);
    let pinned = place.run(&["config", "--resolve-image-digests"]).success();
    for words in [
        format!("image: {ADDRESS}/team/app:1@{app}\n"),
        format!("image: {ADDRESS}/team/tool:latest@{tool}\n"),
        format!("source: {ADDRESS}/team/data:2@{data}\n"),
        "source: db\n".to_owned(),
        "image: rootfs:/\n".to_owned(),
    ] {
        assert!(pinned.contains(&words), "{words}: {pinned}");
    }
    let answer = place.run(&["config", "--lock-image-digests"]);
    assert!(answer.stderr.contains("pre_start hooks with images of their own"), "{}", answer.stderr);
    let lock = answer.success();
    assert!(!lock.contains("command") && !lock.contains("name:") && lock.contains(&app), "{lock}");
    place.write("lock.yaml", &lock);
    let merged = place.run(&["-f", "compose.yaml", "-f", "lock.yaml", "config"]).success();
    assert!(merged.contains(&format!("image: {ADDRESS}/team/app:1@{app}\n")), "{merged}");
    assert!(merged.contains(&data) && merged.matches("type: image").count() == 2, "{merged}");

    let unread = place.run(&["config", "--resolve-image-digests", "--no-interpolate"]);
    assert!(unread.code == 1 && unread.stderr.contains("compose.yaml:3:12: error: `${REGISTRY"), "{}", unread.stderr);
    place.write("compose.yaml", &format!("services: {{web: {{image: '{ADDRESS}/team/app:1', command: [\"$X\"]}}}}\n"));
    let raw = place.run(&["config", "--resolve-image-digests", "--no-interpolate"]).success();
    assert!(raw.contains(&app) && raw.contains("$X"), "{raw}");
    place.write("compose.yaml", &format!("services: {{web: {{image: '{ADDRESS}/team/none:1'}}}}\n"));
    let missing = place.run(&["config", "--resolve-image-digests"]);
    assert!(missing.code == 1 && missing.stderr.contains("compose.yaml:1:"), "{}", missing.stderr);
    assert!(missing.stderr.contains("failed to ask for the digest of"), "{}", missing.stderr);
    assert_eq!(place.run(&["config", "--images"]).success(), format!("{ADDRESS}/team/none:1\n"), "names are listed as they are");
}
