//! What makes two items of a list the same: the later one takes the place of the earlier one.

use crate::node::{Kind, Node};
use crate::schema::Shape;

/// Items that are the same become one, in every list of a tree.
pub(crate) fn enforce(node: &mut Node, shape: &'static Shape) {
    match &mut node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                if let Some(below) = shape.below(&key.name) {
                    enforce(value, below);
                }
            }
        }
        Kind::Sequence(items) => {
            if let Some(key_of) = shape.unique {
                deduplicate(items, key_of);
            }
        }
        Kind::Scalar { .. } => {}
    }
}

fn deduplicate(items: &mut Vec<Node>, key_of: fn(&Node) -> Option<String>) {
    let mut places = std::collections::HashMap::new();
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match key_of(&item) {
            None => kept.push(item),
            Some(key) => match places.entry(key) {
                std::collections::hash_map::Entry::Occupied(place) => {
                    let place: &usize = place.get();
                    kept[*place] = item;
                }
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(kept.len());
                    kept.push(item);
                }
            },
        }
    }
    *items = kept;
}

fn own_text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}

/// What stands before `=`.
pub(crate) fn key(item: &Node) -> Option<String> {
    let text = own_text(item)?;
    Some(text.split_once('=').map_or(text, |(key, _)| key).to_owned())
}

/// All of it.
pub(crate) fn whole(item: &Node) -> Option<String> {
    item.scalar().map(|scalar| scalar.to_string())
}

/// Where a volume is in the container.
pub(crate) fn target(item: &Node) -> Option<String> {
    match own_text(item) {
        Some(text) => crate::canonical::volume_target(text),
        None => item.get("target")?.text().map(str::to_owned),
    }
}

/// Where a device is in the container.
pub(crate) fn device(item: &Node) -> Option<String> {
    match own_text(item) {
        Some(text) => {
            let mut parts = text.split(':');
            let source = parts.next()?;
            Some(parts.next().unwrap_or(source).to_owned())
        }
        None => item.get("target")?.text().map(str::to_owned),
    }
}

/// A file of variables.
pub(crate) fn path(item: &Node) -> Option<String> {
    match own_text(item) {
        Some(text) => Some(text.to_owned()),
        None => item.get("path")?.text().map(str::to_owned),
    }
}

/// Host address, host port, container port and protocol.
pub(crate) fn port(item: &Node) -> Option<String> {
    if let Some(text) = own_text(item) {
        return Some(text.to_owned());
    }
    let part = |name: &str| item.get(name).and_then(Node::scalar).map(|scalar| scalar.to_string());
    let (target, published) = (part("target")?, part("published").unwrap_or_default());
    let host = part("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned());
    let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
    Some(format!("{host}:{published}:{target}/{protocol}"))
}

/// Where a config or secret is in the container, below the folder of its kind.
fn mounted_below(folder: &str, item: &Node) -> Option<String> {
    match own_text(item) {
        Some(text) => Some(format!("{folder}/{text}")),
        None => match item.get("target") {
            Some(target) => target.text().map(str::to_owned),
            None => Some(format!("{folder}/{}", item.get("source")?.text()?)),
        },
    }
}

/// Where a config is in the container.
pub(crate) fn config(item: &Node) -> Option<String> {
    mounted_below("", item)
}

/// Where a secret is in the container.
pub(crate) fn secret(item: &Node) -> Option<String> {
    mounted_below("/run/secrets", item)
}
