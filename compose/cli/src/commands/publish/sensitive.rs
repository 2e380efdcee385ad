//! What nobody may mean to publish: paths of this machine, and what looks like a secret. A guess, to be asked about.

use rcompose_model::node::Node;
use rcompose_supervisor::messages::ArtifactFile;

use super::services;

/// Parts of names whose values are kept from others.
const NAMES: [&str; 8] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "APIKEY", "PRIVATE_KEY", "CREDENTIAL"];
/// How keys of well-known services begin.
const BEGINNINGS: [&str; 8] = ["AKIA", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "-----BEGIN"];

/// Bind mounts, and files of configs and secrets.
pub(super) fn paths(tree: &Node) -> Vec<String> {
    let mut found = Vec::new();
    for (name, service) in services(tree) {
        let mounts = service.get("volumes").and_then(Node::items).unwrap_or_default();
        for mount in mounts.iter().filter(|mount| mount.get("type").and_then(Node::text) == Some("bind")) {
            found.push(format!("service {name}: {}", mount.get("source").and_then(Node::text).unwrap_or_default()));
        }
    }
    for section in ["configs", "secrets"] {
        for (key, object) in tree.get(section).and_then(Node::mapping).into_iter().flatten() {
            let file = object.get("file").and_then(Node::text);
            found.extend(file.map(|file| format!("{} {}: {file}", section.trim_end_matches('s'), key.name)));
        }
    }
    found
}

/// Values that look like secrets, by where they are; the values themselves are not shown.
pub(super) fn secrets(tree: &Node, files: &[ArtifactFile]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, service) in services(tree) {
        for (key, value) in pairs(service.get("environment")) {
            if is_secret(&key, &value) {
                found.push(format!("service {name}: environment {key}"));
            }
        }
        for (key, value) in pairs(service.get("build").and_then(|build| build.get("args"))) {
            if is_secret(&key, &value) {
                found.push(format!("service {name}: build argument {key}"));
            }
        }
    }
    for (key, config) in tree.get("configs").and_then(Node::mapping).into_iter().flatten() {
        if config.get("content").and_then(Node::text).is_some_and(looks_like_key) {
            found.push(format!("config {}: content", key.name));
        }
    }
    for file in files {
        let lines = file.text.lines().filter_map(|line| line.split_once('='));
        for (key, _) in lines.filter(|(key, value)| is_secret(key.trim_start_matches("export ").trim(), value)) {
            found.push(format!("{}: {}", file.name.as_deref().unwrap_or_default(), key.trim()));
        }
    }
    found
}

/// Of a mapping, or of a list of `NAME=value`.
fn pairs(node: Option<&Node>) -> Vec<(String, String)> {
    let Some(node) = node else { return Vec::new() };
    let of_mapping = node.mapping().into_iter().flatten();
    let of_mapping = of_mapping.filter_map(|(key, value)| Some((key.name.clone(), value.text()?.to_owned())));
    let of_list = node.items().unwrap_or_default().iter().filter_map(Node::text).filter_map(|text| text.split_once('='));
    of_mapping.chain(of_list.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}

/// What only names a variable, or a file, gives nothing away.
fn is_secret(name: &str, value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', ' ']);
    let name = name.to_ascii_uppercase();
    let is_named = !name.ends_with("_FILE") && NAMES.iter().any(|part| name.contains(part));
    !value.is_empty() && !value.contains('$') && (is_named || looks_like_key(value))
}

fn looks_like_key(value: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| value.contains(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_what_names_them() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2", true),
            ("db_password", "\"hunter2\"", true),
            ("DB_PASSWORD", "${DB_PASSWORD}", false),
            ("DB_PASSWORD", "", false),
            ("DB_PASSWORD_FILE", "/run/secrets/db", false),
            ("ANYTHING", "AKIAIOSFODNN7EXAMPLE", true),
            ("PORT", "80", false),
        ] {
            assert_eq!(is_secret(name, value), expected, "{name}={value}");
        }
    }
}
