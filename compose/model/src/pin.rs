//! What a stack names that is not in its files, to be named otherwise: images, and files of variables.

use crate::node::{Key, Mapping, Node};

/// Every value that names an image of a registry: of services, of their `pre_start` hooks, of mounts that show an image.
///
/// A mount may name a service instead, and `rootfs:` is a folder: neither has a digest.
pub fn images(tree: &mut Node) -> Vec<&mut Node> {
    let Some(services) = tree.get_mut("services").and_then(Node::mapping_mut) else { return Vec::new() };
    let names: Vec<String> = services.keys().map(|key| key.name.clone()).collect();
    let mut found = Vec::new();
    for service in services.values_mut().filter_map(Node::mapping_mut) {
        for (key, value) in service.iter_mut() {
            match key.name.as_str() {
                "image" => found.push(value),
                "pre_start" => found.extend(items(value).filter_map(|hook| hook.get_mut("image"))),
                "volumes" => {
                    let shown = items(value).filter(|it| is_image_mount(it)).filter_map(|mount| mount.get_mut("source"));
                    found.extend(shown.filter(|source| source.text().is_none_or(|text| !names.iter().any(|name| name == text))));
                }
                _ => {}
            }
        }
    }
    found.retain(|image| image.text().is_some_and(|text| !text.is_empty() && !text.starts_with("rootfs:")));
    found
}

/// Every path of a file of variables that services name.
pub fn env_files(tree: &mut Node) -> Vec<&mut Node> {
    let services = tree.get_mut("services").and_then(Node::mapping_mut).into_iter().flat_map(|services| services.values_mut());
    let mut found = Vec::new();
    for listed in services.filter_map(|service| service.get_mut("env_file")) {
        if listed.text().is_some() {
            found.push(listed);
        } else {
            for entry in items(listed) {
                if entry.mapping().is_some() { found.extend(entry.get_mut("path")) } else { found.push(entry) }
            }
        }
    }
    found
}

/// A file that says of each service which image it runs and shows, and nothing else: laid on the others, it pins them.
pub fn images_only(tree: &Node) -> Node {
    let mut only = Node::mapping_at(Mapping::default(), &tree.spot);
    let mut services = Mapping::default();
    for (key, service) in tree.get("services").and_then(Node::mapping).into_iter().flatten() {
        let mut kept = Node::mapping_at(Mapping::default(), &service.spot);
        if let Some(image) = service.get("image").filter(|image| !image.is_null()) {
            kept.set("image", image.clone());
        }
        let mounts = service.get("volumes").and_then(Node::items).unwrap_or_default();
        let mounts: Vec<Node> = mounts.iter().filter(|mount| is_image_mount(mount)).cloned().collect();
        if !mounts.is_empty() {
            kept.set("volumes", Node::sequence_at(mounts, &service.spot));
        }
        services.insert(Key { name: key.name.clone(), spot: key.spot.clone() }, kept);
    }
    only.set("services", Node::mapping_at(services, &tree.spot));
    only
}

/// The services with `pre_start` hooks that run another image than the service: lists of hooks add up when files are merged, so a
/// file laid on the others cannot pin those.
pub fn with_other_hooks(tree: &Node) -> Vec<String> {
    let other = |service: &Node| {
        let hooks = service.get("pre_start").and_then(Node::items).unwrap_or_default();
        let own = service.get("image").and_then(Node::text);
        hooks.iter().any(|hook| hook.get("image").and_then(Node::text).is_some_and(|image| Some(image) != own))
    };
    let services = tree.get("services").and_then(Node::mapping).into_iter().flatten();
    services.filter(|(_, service)| other(service)).map(|(key, _)| key.name.clone()).collect()
}

fn items(node: &mut Node) -> impl Iterator<Item = &mut Node> {
    node.items_mut().into_iter().flatten()
}

fn is_image_mount(mount: &Node) -> bool {
    mount.get("type").and_then(Node::text) == Some("image")
}
