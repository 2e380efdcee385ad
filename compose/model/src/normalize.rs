//! What goes without saying: defaults, names, the default network, dependencies that follow from other attributes.

use crate::canonical::clean;
use crate::merge::dependency;
use crate::node::{Key, Kind, Mapping, Node, Spot};
use crate::variables::Variables;

/// Fills in defaults that every file gets, whatever becomes of it.
pub(crate) fn defaults(tree: &mut Node) {
    for service in services(tree) {
        if let Some(build) = service.get_mut("build").filter(|build| build.mapping().is_some()) {
            put_if_missing(build, "context", |spot| Node::text_at(".", spot));
        }
        for secret in items(service.get_mut("secrets")) {
            let source = secret.get("source").and_then(Node::text).unwrap_or_default().to_owned();
            put_if_missing(secret, "target", |spot| Node::text_at(format!("/run/secrets/{source}"), spot));
        }
        for port in items(service.get_mut("ports")) {
            put_if_missing(port, "protocol", |spot| Node::text_at("tcp", spot));
            put_if_missing(port, "mode", |spot| Node::text_at("ingress", spot));
        }
        items(service.get_mut("gpus")).for_each(device_count);
        let reservations = service.get_mut("deploy").and_then(|it| it.get_mut("resources")?.get_mut("reservations"));
        items(reservations.and_then(|it| it.get_mut("devices"))).for_each(device_count);
    }
}

fn device_count(device: &mut Node) {
    if device.get("device_ids").is_none() {
        put_if_missing(device, "count", |spot| Node::text_at("all", spot));
    }
}

/// Gives names that stand alone in lists of variables the values that they have.
pub(crate) fn resolve_environment(tree: &mut Node, variables: &Variables) {
    for service in services(tree) {
        for item in items(service.get_mut("environment")) {
            give_value(item, variables);
        }
    }
}

/// `NAME` becomes `NAME=value`, if it is set.
fn give_value(item: &mut Node, variables: &Variables) -> bool {
    let Kind::Scalar { text, .. } = &mut item.kind else { return true };
    if text.contains('=') {
        return true;
    }
    let value = variables.get(text);
    if let Some(value) = value {
        *text = format!("{text}={value}");
    }
    value.is_some()
}

/// Says the name of the project, whatever the files say.
pub(crate) fn name(tree: &mut Node, project: &str) {
    let spot = tree.get("name").map_or(&tree.spot, |name| &name.spot).clone();
    tree.remove("name");
    if let Some(entries) = tree.mapping_mut() {
        entries.shift_insert(0, Key { name: "name".to_owned(), spot: spot.clone() }, Node::text_at(project, &spot));
    }
}

/// Fills in what follows from the rest.
pub(crate) fn normalize(tree: &mut Node, project: &str, variables: &Variables) {
    name(tree, project);
    default_network(tree);
    for service in services(tree) {
        if let Some(policy) = service.get_mut("pull_policy").filter(|policy| policy.text() == Some("if_not_present")) {
            *policy = Node::text_at("missing", &policy.spot.clone());
        }
        build(service, variables);
        resolve_names(service, "environment", variables, true);
        implied_dependencies(service);
        for volume in items(service.get_mut("volumes")) {
            if let Some(Node { kind: Kind::Scalar { text, .. }, .. }) = volume.get_mut("target") {
                *text = clean(text);
            }
        }
        if let Some(image) = service.get("image").cloned().filter(|image| image.text().is_some_and(|text| !text.is_empty())) {
            for hook in items(service.get_mut("pre_start")) {
                put_if_missing(hook, "image", |_| image.clone());
            }
        }
    }
    names(tree, project);
}

/// Services that name no network share one, which is there if one of them needs it.
fn default_network(tree: &mut Node) {
    let mut used = false;
    for service in services(tree) {
        if service.get("provider").is_some() || service.get("network_mode").is_some() || service.mapping().is_none() {
            continue;
        }
        let named = service.get("networks").and_then(Node::mapping).filter(|networks| !networks.is_empty());
        match named {
            Some(networks) => used |= networks.contains_key("default"),
            None => {
                let spot = service.spot.clone();
                service.set("networks", single("default", Node::null_at(&spot), &spot));
                used = true;
            }
        }
    }
    if !used {
        return;
    }
    let spot = tree.spot.clone();
    match tree.get_mut("networks") {
        Some(networks) if networks.mapping().is_some() => put_if_missing(networks, "default", Node::null_at),
        _ => tree.set("networks", single("default", Node::null_at(&spot), &spot)),
    }
}

fn single(name: &str, value: Node, spot: &Spot) -> Node {
    Node::mapping_at(Mapping::from_iter([(Key { name: name.to_owned(), spot: spot.clone() }, value)]), spot)
}

fn build(service: &mut Node, variables: &Variables) {
    let Some(build) = service.get_mut("build").filter(|build| build.mapping().is_some()) else { return };
    put_if_missing(build, "context", |spot| Node::text_at(".", spot));
    if build.get("dockerfile_inline").is_none() {
        put_if_missing(build, "dockerfile", |spot| Node::text_at("Dockerfile", spot));
    }
    resolve_names(build, "args", variables, false);
}

/// Gives names without value the values that they have; the others stay, or go.
fn resolve_names(node: &mut Node, attribute: &str, variables: &Variables, keep: bool) {
    match node.get_mut(attribute).map(|node| &mut node.kind) {
        Some(Kind::Sequence(items)) => items.retain_mut(|item| give_value(item, variables) || keep),
        Some(Kind::Mapping(entries)) => entries.retain(|key, value| {
            if value.is_null()
                && let Some(found) = variables.get(&key.name)
            {
                *value = Node::text_at(found, &key.spot);
            }
            keep || !value.is_null()
        }),
        _ => {}
    }
}

/// Sharing something with a service, or being linked to it, is depending on it.
fn implied_dependencies(service: &mut Node) {
    let mut implied: Vec<(String, bool, Spot)> = Vec::new();
    for link in service.get("links").and_then(Node::items).into_iter().flatten() {
        let Some(text) = link.text() else { continue };
        let name = text.split_once(':').filter(|(_, alias)| !alias.contains(':')).map_or(text, |(name, _)| name);
        implied.push((name.to_owned(), true, link.spot.clone()));
    }
    for namespace in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        if let Some(node) = service.get(namespace)
            && let Some(name) = node.text().and_then(|text| text.strip_prefix("service:"))
        {
            implied.push((name.to_owned(), true, node.spot.clone()));
        }
    }
    for source in service.get("volumes_from").and_then(Node::items).into_iter().flatten() {
        if let Some(text) = source.text().filter(|text| !text.starts_with("container:")) {
            let name = text.split_once(':').map_or(text, |(name, _)| name);
            implied.push((name.to_owned(), false, source.spot.clone()));
        }
    }
    if implied.is_empty() {
        return;
    }
    let spot = service.spot.clone();
    put_if_missing(service, "depends_on", |_| Node::mapping_at(Mapping::default(), &spot));
    let Some(known) = service.get_mut("depends_on") else { return };
    for (name, restart, spot) in implied {
        put_if_missing(known, &name, |_| {
            let mut node = dependency(&spot);
            node.set("restart", Node::plain_at(if restart { "true" } else { "false" }, &spot));
            node
        });
    }
}

/// What has no name of its own is named by its key, and by the project unless it is another's.
fn names(tree: &mut Node, project: &str) {
    for section in ["networks", "volumes", "configs", "secrets"] {
        let Some(entries) = tree.get_mut(section).and_then(Node::mapping_mut) else { continue };
        for (key, resource) in entries.iter_mut() {
            if resource.is_null() {
                *resource = Node::mapping_at(Mapping::default(), &key.spot);
            }
            let external = resource.get("external").and_then(Node::text).is_some_and(|text| text.eq_ignore_ascii_case("true"));
            let name = if external { key.name.clone() } else { format!("{project}_{}", key.name) };
            // COMPAT: docker compose keeps an empty name, which nothing can have.
            if resource.get("name").and_then(Node::text).is_none_or(str::is_empty) {
                resource.set("name", Node::text_at(name, &key.spot));
            }
        }
    }
}

fn services(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    tree.get_mut("services").and_then(Node::mapping_mut).into_iter().flat_map(|entries| entries.values_mut())
}

fn items(node: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    node.and_then(Node::items_mut).into_iter().flatten()
}

fn put_if_missing(node: &mut Node, name: &str, value: impl FnOnce(&Spot) -> Node) {
    if node.mapping().is_some() && node.get(name).is_none() {
        let value = value(&node.spot.clone());
        node.set(name, value);
    }
}
