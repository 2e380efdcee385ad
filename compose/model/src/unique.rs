//! What makes two items of a list the same: the later one takes the place of the earlier one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::node::{Kind, Node};
use crate::scalar::Scalar;
use crate::schema::{Shape, Unique};

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

fn deduplicate(items: &mut Vec<Node>, key_of: Unique) {
    /// Up to here, comparing all with all is cheaper than a table.
    const FEW: usize = 16;
    match items.len() {
        0 | 1 => {}
        2..=FEW => {
            let keys: Vec<Option<Cow<'_, str>>> = items.iter().map(key_of).collect();
            let repeats = |place: usize| keys[place].is_some() && keys[..place].contains(&keys[place]);
            if (1..keys.len()).any(repeats) {
                let mut kept: Vec<Option<String>> = Vec::with_capacity(items.len());
                keep_last(items, |item| {
                    let key = key_of(item).map(Cow::into_owned);
                    let known = key.as_ref().and_then(|_| kept.iter().position(|known| *known == key));
                    if known.is_none() {
                        kept.push(key);
                    }
                    known
                });
            }
        }
        _ => {
            let (mut places, mut kept) = (HashMap::with_capacity(items.len()), 0);
            keep_last(items, |item| {
                let known = key_of(item).and_then(|key| match places.entry(key.into_owned()) {
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
pub(crate) fn key(item: &Node) -> Option<Cow<'_, str>> {
    let text = own_text(item)?;
    Some(text.split_once('=').map_or(text, |(key, _)| key).into())
}

/// All of it.
pub(crate) fn whole(item: &Node) -> Option<Cow<'_, str>> {
    Some(match item.scalar()? {
        Scalar::Text(text) => text.into(),
        scalar => scalar.to_string().into(),
    })
}

/// Where a volume is in the container.
pub(crate) fn target(item: &Node) -> Option<Cow<'_, str>> {
    match own_text(item) {
        Some(text) => crate::canonical::volume_target(text).map(Cow::Owned),
        None => item.get("target")?.text().map(Cow::Borrowed),
    }
}

/// Where a device is in the container.
pub(crate) fn device(item: &Node) -> Option<Cow<'_, str>> {
    match own_text(item) {
        Some(text) => {
            let mut parts = text.split(':');
            let source = parts.next()?;
            Some(parts.next().unwrap_or(source).into())
        }
        None => item.get("target")?.text().map(Cow::Borrowed),
    }
}

/// A file of variables.
pub(crate) fn path(item: &Node) -> Option<Cow<'_, str>> {
    match own_text(item) {
        Some(text) => Some(text.into()),
        None => item.get("path")?.text().map(Cow::Borrowed),
    }
}

/// Host address, host port, container port and protocol.
pub(crate) fn port(item: &Node) -> Option<Cow<'_, str>> {
    if let Some(text) = own_text(item) {
        return Some(text.into());
    }
    let part = |name: &str| item.get(name).and_then(Node::scalar).map(|scalar| scalar.to_string());
    let (target, published) = (part("target")?, part("published").unwrap_or_default());
    let host = part("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned());
    let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
    Some(format!("{host}:{published}:{target}/{protocol}").into())
}

/// Where a config or secret is in the container, below the folder of its kind.
fn mounted_below<'item>(folder: &str, item: &'item Node) -> Option<Cow<'item, str>> {
    match own_text(item) {
        Some(text) => Some(format!("{folder}/{text}").into()),
        None => match item.get("target") {
            Some(target) => target.text().map(Cow::Borrowed),
            None => Some(format!("{folder}/{}", item.get("source")?.text()?).into()),
        },
    }
}

/// Where a config is in the container.
pub(crate) fn config(item: &Node) -> Option<Cow<'_, str>> {
    mounted_below("", item)
}

/// Where a secret is in the container.
pub(crate) fn secret(item: &Node) -> Option<Cow<'_, str>> {
    mounted_below("/run/secrets", item)
}
