//! Attributes that are known and change nothing here: each is named once.

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Kind, Node};
use crate::schema::{Effect, Mapping, Shape, TOP};
use crate::trail::Trail;

/// Warns of what has no effect.
pub(crate) fn warn(tree: &Node, problems: &mut Vec<Diagnostic>) {
    walk(tree, &TOP, &Trail::TOP, problems);
}

fn walk(node: &Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    match (&node.kind, shape.mapping) {
        (Kind::Mapping(entries), Some(Mapping::Fields(fields) | Mapping::Closed(fields))) => {
            for (key, value) in entries {
                let Some(field) = fields.iter().find(|field| field.name == key.name) else { continue };
                let why = match field.effect {
                    Effect::Full => {
                        walk(value, field.shape, &trail.key(field.name), problems);
                        continue;
                    }
                    Effect::NotYet => "has no effect yet",
                    Effect::Cluster => "has no effect on one host",
                    Effect::Windows => "has an effect on Windows only",
                };
                let text = format!("{} {why}", trail.key(field.name));
                problems.push(Diagnostic::warning(Code::NoEffect, text).at(&key.spot).on(field.name));
            }
        }
        (Kind::Mapping(entries), Some(Mapping::Named(below) | Mapping::Keys(below))) => {
            for (key, value) in entries {
                walk(value, below, &trail.key(&key.name), problems);
            }
        }
        (Kind::Sequence(items), _) => {
            let Some(below) = shape.list else { return };
            for (index, item) in items.iter().enumerate() {
                walk(item, below, &trail.item(index), problems);
            }
        }
        _ => {}
    }
}
