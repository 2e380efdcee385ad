//! What only a whole project can tell: names that nothing has, attributes that exclude each other, dependencies in circles.

mod cycle;
mod extension;
mod service;

use std::collections::HashMap;
use std::net::IpAddr;

use crate::Diagnostic;
use crate::diagnostic::{Code, nearest};
use crate::node::{Key, Mapping, Node, Spot};
use crate::problems::Problems;

/// Checks what holds for every tree, also one whose parts are not put together yet.
pub(crate) fn attributes(tree: &Node, problems: &mut Problems) {
    for (key, volume) in entries(tree, "volumes") {
        external(volume, &format!("volumes.{}", key.name), problems);
    }
    for (section, sources) in [("configs", &["file", "environment", "content"][..]), ("secrets", &["file", "environment"][..])] {
        for (key, object) in entries(tree, section) {
            file_object(key, object, section, sources, problems);
        }
    }
    for (key, service) in entries(tree, "services") {
        if problems.are_enough() {
            return;
        }
        for port in items(service, "ports") {
            if let Some(address) = port.get("host_ip")
                && let Some(text) = address.text().filter(|text| !text.contains('$'))
                && text.parse::<IpAddr>().is_err()
            {
                let message = format!("services.{}.ports: invalid ip address: {}", key.name, text.escape_debug());
                let problem = Diagnostic::error(Code::InvalidValue, message).at(&address.spot).on(text);
                problems.push(problem.with_help("write an address such as 127.0.0.1"));
            }
        }
        let watched = service.get("develop").map(|develop| items(develop, "watch")).unwrap_or_default();
        for rule in watched {
            if let Some(path) = rule.get("path").filter(|path| path.text() == Some("")) {
                let message = format!("services.{}.develop.watch.path: value can't be blank", key.name);
                problems.push(Diagnostic::error(Code::InvalidValue, message).at(&path.spot));
            }
        }
        let reserved = service.get("deploy").and_then(|it| it.get("resources")?.get("reservations"));
        let reserved = reserved.map(|it| items(it, "devices")).unwrap_or_default();
        for device in reserved.iter().chain(items(service, "gpus")) {
            if let (Some(count), Some(_)) = (device.get("count"), device.get("device_ids")) {
                let message = format!("services.{}: \"count\" and \"device_ids\" attributes are exclusive", key.name);
                problems.push(Diagnostic::error(Code::Conflict, message).at(&count.spot).with_help("remove one of the two"));
            }
        }
    }
}

fn external(resource: &Node, path: &str, problems: &mut Problems) {
    let is_external = resource.get("external").and_then(Node::text).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let Some(entries) = resource.mapping().filter(|_| is_external) else { return };
    for (key, _) in entries {
        if !matches!(key.name.as_str(), "name" | "external") && !key.name.starts_with("x-") {
            let message = format!("{path}: conflicting parameters \"external\" and \"{}\" specified", key.name);
            let problem = Diagnostic::error(Code::Conflict, message).at(&key.spot).on(&key.name);
            problems.push(problem.with_help("an external one is made elsewhere: say only `name` beside `external: true`"));
        }
    }
}

fn file_object(key: &Key, object: &Node, section: &str, sources: &[&str], problems: &mut Problems) {
    if object.mapping().is_none() {
        return;
    }
    let given: Vec<&str> = sources.iter().copied().filter(|source| object.get(source).is_some()).collect();
    let path = format!("{section}.{}", key.name);
    if let [_, second, ..] = given.as_slice() {
        let spot = object.get(second).map_or(&object.spot, |node| &node.spot);
        let message = format!("{path}: {} attributes are mutually exclusive", sources.join("|"));
        problems.push(Diagnostic::error(Code::Conflict, message).at(spot).with_help("say where it comes from once"));
    } else if given.is_empty() && object.get("driver").is_none() && object.get("external").is_none() {
        let message = format!("{path}: one of {} must be set", sources.join("|"));
        let problem = Diagnostic::error(Code::MissingKey, message).at(&key.spot).on(&key.name);
        problems.push(problem.with_help("say where its content comes from: `file: ./path`, or `environment: VARIABLE`"));
    }
}

/// The parts of a project.
pub(crate) struct Parts<'a> {
    pub(crate) tree: &'a Node,
    /// Services that a profile switches off.
    pub(crate) disabled: &'a Mapping,
}

/// Checks that the parts of a project fit together.
pub(crate) fn project(parts: &Parts<'_>, problems: &mut Problems) {
    for (key, service) in entries(parts.tree, "services") {
        if problems.are_enough() {
            return;
        }
        service::check(parts, key, service, problems);
    }
    for (key, secret) in entries(parts.tree, "secrets") {
        if problems.are_enough() {
            return;
        }
        let external = secret.get("external").is_some();
        let sourced =
            ["file", "environment"].iter().any(|name| secret.get(name).and_then(Node::text).is_some_and(|it| !it.is_empty()));
        if !external && !sourced && problems.iter().all(|problem| problem.place.as_deref() != Some(&key.spot.place())) {
            let message = format!("secret \"{}\" must declare either `file` or `environment`", key.name);
            problems.push(Diagnostic::error(Code::MissingKey, message).at(&key.spot).on(&key.name));
        }
    }
    container_names(parts.tree, problems);
    cycle::find(parts.tree, problems);
}

/// Two services cannot have containers of one name.
fn container_names(tree: &Node, problems: &mut Problems) {
    let mut known: HashMap<&str, (&Key, &Node)> = HashMap::new();
    for (key, service) in entries(tree, "services") {
        let Some(node) = service.get("container_name") else { continue };
        let Some(name) = node.text() else { continue };
        if let Some((other, first)) = known.get(name) {
            let (key, other, node, first) = if first.spot.line > node.spot.line && first.spot.file == node.spot.file {
                (*other, key, *first, node)
            } else {
                (key, *other, node, *first)
            };
            let message =
                format!("services.{}: container name \"{name}\" is already in use by service `{}`", key.name, other.name);
            problems.push(
                Diagnostic::error(Code::Conflict, message)
                    .at(&node.spot)
                    .on(name)
                    .with_note("the other one", &first.spot)
                    .with_help(format!("give `{}` another name, or none: it would be named after its service", key.name)),
            );
        } else {
            known.insert(name, (key, node));
        }
    }
}

fn entries<'a>(tree: &'a Node, section: &str) -> impl Iterator<Item = (&'a Key, &'a Node)> {
    tree.get(section).and_then(Node::mapping).into_iter().flatten()
}

fn items<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    node.get(name).and_then(Node::items).unwrap_or_default()
}

/// A name that nothing has.
fn undefined<'a>(
    message: String,
    name: &str,
    spot: &Spot,
    known: impl IntoIterator<Item = &'a str>,
    declare: &str,
) -> Diagnostic {
    let problem = Diagnostic::error(Code::Undefined, message).at(spot).on(name);
    match nearest(name, known) {
        Some(near) => problem.with_help(format!("did you mean `{near}`?")),
        None => problem.with_help(declare.to_owned()),
    }
}
