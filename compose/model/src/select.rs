//! Which services take part: profiles, names of the command line, what they depend on; and what nobody uses is left out.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Mapping, Node};

/// Takes the services out of the tree that none of `profiles` enables.
pub(crate) fn profiles(tree: &mut Node, profiles: &BTreeSet<String>) -> Mapping {
    let mut disabled = Mapping::new();
    let Some(services) = tree.get_mut("services").and_then(Node::mapping_mut) else { return disabled };
    let mut enabled = Mapping::with_capacity(services.len());
    for (key, service) in std::mem::take(services) {
        let into = if is_enabled(&service, profiles) { &mut enabled } else { &mut disabled };
        into.insert(key, service);
    }
    *services = enabled;
    disabled
}

fn is_enabled(service: &Node, profiles: &BTreeSet<String>) -> bool {
    let own = service.get("profiles").and_then(Node::items).unwrap_or_default();
    own.is_empty() || profiles.contains("*") || own.iter().filter_map(Node::text).any(|profile| profiles.contains(profile))
}

/// Enables the services that were named, and all others of their profiles.
pub(crate) fn enable(tree: &mut Node, disabled: &mut Mapping, named: &[String], active: &BTreeSet<String>) {
    let mut more = active.clone();
    for name in named {
        let own = disabled.get(name.as_str()).and_then(|service| service.get("profiles")).and_then(Node::items);
        more.extend(own.unwrap_or_default().iter().filter_map(Node::text).map(str::to_owned));
    }
    let Some(services) = tree.get_mut("services").and_then(Node::mapping_mut) else { return };
    for (key, service) in std::mem::take(disabled) {
        let into = if is_enabled(&service, &more) { &mut *services } else { &mut *disabled };
        into.insert(key, service);
    }
    services.sort_by(|one, _, other, _| one.name.cmp(&other.name));
}

/// Keeps the named services and what they depend on; the others are disabled.
pub(crate) fn services(tree: &mut Node, disabled: &mut Mapping, named: &[String], problems: &mut Vec<Diagnostic>) {
    let Some(services) = tree.get_mut("services").and_then(Node::mapping_mut) else { return };
    let mut kept: HashSet<String> = HashSet::new();
    let mut waiting: Vec<String> = Vec::new();
    for name in named {
        let matching: Vec<String> = services.keys().filter(|key| matches(name, &key.name)).map(|key| key.name.clone()).collect();
        if matching.is_empty() {
            let problem = Diagnostic::error(Code::Undefined, format!("no such service: {name}"));
            problems.push(problem.with_nearest(name, services.keys().map(|key| key.name.as_str())));
        }
        waiting.extend(matching);
    }
    while let Some(name) = waiting.pop() {
        let Some(service) = services.get(name.as_str()) else { continue };
        if !kept.insert(name) {
            continue;
        }
        let depends = service.get("depends_on").and_then(Node::mapping).into_iter().flat_map(|entries| entries.keys());
        waiting.extend(depends.map(|key| key.name.clone()));
    }
    for (key, service) in std::mem::take(services) {
        let into = if kept.contains(&key.name) { &mut *services } else { &mut *disabled };
        into.insert(key, service);
    }
    for service in services.values_mut() {
        let Some(depends) = service.get_mut("depends_on").and_then(Node::mapping_mut) else { continue };
        depends.retain(|key, _| kept.contains(&key.name));
        if depends.is_empty() {
            service.remove("depends_on");
        }
    }
}

/// `*` and `?` stand for anything, and for any letter.
fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return pattern == name;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut star) = (0, None);
    let mut in_name = 0;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((back, from)) = star else { return false };
                star = Some((back, from + 1));
                at = back + 1;
                in_name = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Leaves out networks, volumes, configs, secrets and models that no service uses.
pub(crate) fn prune(tree: &mut Node) {
    let mut used: HashMap<&'static str, HashSet<String>> = HashMap::new();
    let services = tree.get("services").and_then(Node::mapping);
    for service in services.into_iter().flat_map(|entries| entries.values()) {
        let mut add = |section: &'static str, name: Option<&str>| {
            if let Some(name) = name {
                used.entry(section).or_default().insert(name.to_owned());
            }
        };
        for section in ["networks", "models"] {
            for (key, _) in service.get(section).and_then(Node::mapping).into_iter().flatten() {
                add(section, Some(&key.name));
            }
        }
        let items = |node: &'_ Node, name: &str| node.get(name).and_then(Node::items).unwrap_or_default().to_vec();
        for volume in items(service, "volumes") {
            if volume.get("type").and_then(Node::text) == Some("volume") {
                add("volumes", volume.get("source").and_then(Node::text));
            }
        }
        let of_build = service.get("build").map(|build| items(build, "secrets")).unwrap_or_default();
        for secret in items(service, "secrets").iter().chain(&of_build) {
            add("secrets", secret.get("source").and_then(Node::text));
        }
        for config in items(service, "configs") {
            add("configs", config.get("source").and_then(Node::text));
        }
    }
    for section in ["networks", "volumes", "secrets", "configs", "models"] {
        let Some(entries) = tree.get_mut(section).and_then(Node::mapping_mut) else { continue };
        let used = used.remove(section).unwrap_or_default();
        entries.retain(|key, _| used.contains(&key.name));
        if entries.is_empty() {
            tree.remove(section);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_may_have_holes() {
        for (pattern, name, expected) in [
            ("web", "web", true),
            ("w*", "web", true),
            ("*b", "web", true),
            ("w?b", "web", true),
            ("w*x", "web", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
