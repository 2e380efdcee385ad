//! What makes two items of a list the same: the later one takes the place of the earlier one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
    /// Up to here, comparing all with all is cheaper than a table.
    const FEW: usize = 16;
    match items.len() {
        0 | 1 => {}
        2..=FEW => {
            let mut keys: Vec<Option<String>> = Vec::with_capacity(items.len());
            keep_last(items, |item| {
                let key = key_of(item);
                let known = key.as_ref().and_then(|_| keys.iter().position(|known| *known == key));
                if known.is_none() {
                    keys.push(key);
                }
                known
            });
        }
        _ => {
            let (mut places, mut kept) = (HashMap::with_capacity(items.len()), 0);
            keep_last(items, |item| {
                let known = key_of(item).and_then(|key| match places.entry(key) {
                    Entry::Occupied(place) => Some(*place.get()),
                    Entry::Vacant(free) => {
                        free.insert(kept);
                        None
                    }
                });
                kept += usize::from(known.is_none());
                known
            });
        }
    }
}

/// Puts each item into the place of the one that it is the same as, by the place that `known` gives, or keeps it behind the others.
fn keep_last(items: &mut Vec<Node>, mut known: impl FnMut(&Node) -> Option<usize>) {
    let mut kept: Vec<Node> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match known(&item) {
            Some(place) => kept[place] = item,
            None => kept.push(item),
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
