//! A tree as text: what `config` prints, and what loads again to the same tree.

mod yaml;

use serde_json::{Map, Value};

use crate::node::{Kind, Node};
use crate::schema::{self, Field, Json, Mapping, Shape, TOP};

/// How `$` is written, so that the text loads again to the same tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dollars {
    /// `$$`: variables have their values already.
    Escaped,
    /// `$`: they are still to be put in.
    AsIs,
}

/// As YAML. COMPAT: docker compose doubles the `$` of keys too, where reading it again does not make them one.
pub fn yaml(tree: &Node, dollars: Dollars) -> String {
    yaml::text(tree, dollars)
}

/// How many lines the name of an entry takes: a long one says in a line of its own that it is a name.
pub fn lines_of_key(name: &str) -> usize {
    yaml::lines_of_key(name)
}

/// As JSON, indented. A settled tree shows also what is not there, where scripts rely on it.
pub fn json(tree: &Node, dollars: Dollars) -> String {
    let value = match dollars {
        Dollars::Escaped => settled(tree, &TOP, true),
        Dollars::AsIs => unsettled(tree, Some(&TOP)),
    };
    escaped(format!("{value:#}\n"), dollars)
}

fn escaped(text: String, dollars: Dollars) -> String {
    match dollars {
        Dollars::Escaped if text.contains('$') => text.replace('$', "$$"),
        _ => text,
    }
}

fn settled(node: &Node, shape: &'static Shape, top: bool) -> Value {
    match (&node.kind, shape.mapping) {
        (Kind::Mapping(entries), Some(Mapping::Fields(fields) | Mapping::Closed(fields))) => {
            let mut object = Map::new();
            for (key, value) in entries {
                match schema::find(fields, &key.name) {
                    Some((_, field)) if field.json == Json::Hidden => {}
                    Some((_, field)) if field.json == Json::IfAny && value.items().is_some_and(<[Node]>::is_empty) => {}
                    Some((_, field)) => drop(object.insert(shown_name(field).to_owned(), settled(value, field.shape, false))),
                    // COMPAT: as docker compose, JSON has no extensions but those at the top.
                    None if top => drop(object.insert(key.name.clone(), unsettled(value, None))),
                    None => {}
                }
            }
            add_absent(&mut object, fields);
            Value::Object(object)
        }
        (Kind::Mapping(entries), Some(Mapping::Named(below) | Mapping::Keys(below))) => {
            Value::Object(entries.iter().map(|(key, value)| (key.name.clone(), settled(value, below, false))).collect())
        }
        (Kind::Sequence(items), _) => match shape.list {
            Some(below) => Value::Array(items.iter().map(|item| settled(item, below, false)).collect()),
            None => node.to_json(),
        },
        _ => node.to_json(),
    }
}

/// COMPAT: an empty list is `null`, as docker compose has it, unless its items are told apart.
fn unsettled(node: &Node, shape: Option<&'static Shape>) -> Value {
    match &node.kind {
        Kind::Sequence(items) if items.is_empty() && shape.is_none_or(|shape| shape.unique.is_none()) => Value::Null,
        Kind::Sequence(items) => {
            let below = shape.and_then(|shape| shape.list);
            Value::Array(items.iter().map(|item| unsettled(item, below)).collect())
        }
        Kind::Mapping(entries) => {
            let below = |name: &str| shape.and_then(|shape| shape.below(name));
            Value::Object(entries.iter().map(|(key, value)| (key.name.clone(), unsettled(value, below(&key.name)))).collect())
        }
        Kind::Scalar { .. } => node.to_json(),
    }
}

fn shown_name(field: &'static Field) -> &'static str {
    match field.json {
        Json::Renamed(name) => name,
        _ => field.name,
    }
}

fn add_absent(object: &mut Map<String, Value>, fields: &'static [Field]) {
    for field in fields.iter().filter(|field| !object.contains_key(shown_name(field))).collect::<Vec<_>>() {
        match field.json {
            Json::Null => drop(object.insert(field.name.to_owned(), Value::Null)),
            Json::Empty => {
                let mut empty = Map::new();
                if let Some(Mapping::Fields(below)) = field.shape.mapping {
                    add_absent(&mut empty, below);
                }
                object.insert(field.name.to_owned(), Value::Object(empty));
            }
            Json::AsIs | Json::IfAny | Json::Renamed(_) | Json::Hidden => {}
        }
    }
}
