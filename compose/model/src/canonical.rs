//! Short forms to long ones, in place: afterwards every attribute is written in one way only.

mod ports;
mod volumes;

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::merge::{as_mapping, dependency};
use crate::node::{Key, Kind, Mapping, Node, Spot};
use crate::schema::{Names, Shape};
use crate::trail::Trail;

pub(crate) use ports::{MAX_PORTS, ports};
pub(crate) use volumes::{clean, target as volume_target, volume};

/// Makes the long form of everything in a tree.
pub(crate) fn apply(node: &mut Node, shape: &'static Shape, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    if let Some(long) = shape.long {
        long(node, trail, problems);
    }
    match &mut node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries.iter_mut() {
                if let Some(below) = shape.below(&key.name) {
                    apply(value, below, &trail.key(&key.name), problems);
                }
            }
        }
        Kind::Sequence(items) => {
            let Some(below) = shape.list else { return };
            for (index, item) in items.iter_mut().enumerate() {
                apply(item, below, &trail.item(index), problems);
            }
        }
        Kind::Scalar { .. } => {}
    }
}

/// Makes a mapping of one key around a single value.
fn wrap(node: &mut Node, name: &str) {
    let spot = node.spot.clone();
    let value = Node { tag: None, ..std::mem::replace(node, Node::null_at(&spot)) };
    *node = Node::mapping_at(Mapping::from_iter([(Key { name: name.to_owned(), spot: spot.clone() }, value)]), &spot);
}

fn is_single(node: &Node) -> bool {
    matches!(node.kind, Kind::Scalar { .. }) && !node.is_null()
}

fn put_if_missing(node: &mut Node, name: &str, value: impl FnOnce(&Spot) -> Node) {
    if node.mapping().is_some() && node.get(name).is_none() {
        let value = value(&node.spot.clone());
        node.set(name, value);
    }
}

/// `build: .`
pub(crate) fn build(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    if is_single(node) {
        wrap(node, "context");
    }
}

/// `extends: base`
pub(crate) fn extends(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    if is_single(node) {
        wrap(node, "service");
    }
}

/// `- name`, of a config or secret.
pub(crate) fn file_reference(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    if is_single(node) {
        wrap(node, "source");
    }
}

/// One thing where a list of it may stand.
pub(crate) fn list(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    if is_single(node) {
        let spot = node.spot.clone();
        let item = std::mem::replace(node, Node::null_at(&spot));
        *node = Node::sequence_at(vec![item], &spot);
    }
}

/// One server, or several; an empty one is none.
pub(crate) fn servers(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    list(node, trail, problems);
    if let Some(items) = node.items_mut() {
        items.retain(|item| item.text().is_some_and(|text| !text.is_empty()));
    }
}

/// A list of names.
pub(crate) fn names(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    if node.items().is_some() {
        let spot = node.spot.clone();
        let names = std::mem::replace(node, Node::null_at(&spot));
        *node = as_mapping(names, Names::Nothing);
    }
}

/// A list of services, or a mapping without what goes without saying.
pub(crate) fn depends_on(node: &mut Node, _: &Trail<'_>, _: &mut Vec<Diagnostic>) {
    let spot = node.spot.clone();
    if node.items().is_some() {
        let names = std::mem::replace(node, Node::null_at(&spot));
        *node = as_mapping(names, Names::Dependency);
    }
    let Some(entries) = node.mapping_mut() else { return };
    for (key, value) in entries.iter_mut() {
        if value.is_null() {
            *value = dependency(&key.spot);
        }
        put_if_missing(value, "condition", |spot| Node::text_at("service_started", spot));
        put_if_missing(value, "required", |spot| Node::plain_at("true", spot));
    }
}

/// One file of variables, several, or mappings without what goes without saying.
pub(crate) fn env_files(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    list(node, trail, problems);
    for item in node.items_mut().into_iter().flatten() {
        if is_single(item) {
            wrap(item, "path");
        }
        put_if_missing(item, "required", |spot| Node::plain_at("true", spot));
    }
}

/// `all`, of GPUs.
pub(crate) fn gpus(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    if is_single(node) {
        wrap(node, "count");
        let spot = node.spot.clone();
        let item = std::mem::replace(node, Node::null_at(&spot));
        *node = Node::sequence_at(vec![item], &spot);
    }
    list(node, trail, problems);
}

/// `KEY=value` lists, of build contexts.
pub(crate) fn contexts(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    let spot = node.spot.clone();
    let Some(items) = node.items() else { return };
    let mut entries = Mapping::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        match text.split_once('=') {
            Some((name, value)) => {
                entries.insert(Key { name: name.to_owned(), spot: item.spot.clone() }, Node::text_at(value, &item.spot));
            }
            // A variable may stand for both halves.
            None if text.contains('$') => return,
            None => {
                let text = format!("{trail}: `{}` has no `=`", text.escape_debug());
                let problem = Diagnostic::error(Code::InvalidValue, text).at(&item.spot);
                problems.push(problem.with_help("write `name=context`"));
            }
        }
    }
    *node = Node::mapping_at(entries, &spot);
}

/// `default` and `id=path`, of SSH agents and keys.
pub(crate) fn ssh(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    let spot = node.spot.clone();
    let Some(items) = node.items() else { return };
    let mut entries = Mapping::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Node::text_at(value, &item.spot)),
            None if text == "default" || text.contains('$') => (text, Node::null_at(&item.spot)),
            None => {
                let problem = format!("{trail}: `{}` is no SSH key", text.escape_debug());
                let problem = Diagnostic::error(Code::InvalidValue, problem).at(&item.spot).on(text);
                problems.push(problem.with_help("write `default`, or `id=path`"));
                continue;
            }
        };
        entries.insert(Key { name: name.to_owned(), spot: item.spot.clone() }, value);
    }
    *node = Node::mapping_at(entries, &spot);
}

/// `source[:target[:permissions]]`, of a device.
pub(crate) fn device(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    if !is_single(node) {
        return;
    }
    let Some(text) = node.text().map(str::to_owned) else { return };
    let parts: Vec<&str> = text.split(':').collect();
    let spot = node.spot.clone();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ if text.contains('$') => return,
        _ => {
            let message = format!("{trail}: `{}` has more than three parts", text.escape_debug());
            let problem = Diagnostic::error(Code::InvalidValue, message).at(&spot).on(&text);
            problems.push(problem.with_help("use the long form: `source`, `target`, `permissions`"));
            return;
        }
    };
    let target = if target.is_empty() { source } else { target };
    *node = mapping(&spot, [("source", source), ("target", target), ("permissions", permissions)]);
}

fn mapping<const N: usize>(spot: &Spot, entries: [(&str, &str); N]) -> Node {
    let entry = |(name, value): (&str, &str)| (Key { name: name.to_owned(), spot: spot.clone() }, Node::text_at(value, spot));
    Node::mapping_at(entries.into_iter().map(entry).collect(), spot)
}

/// `external: {name: x}`, the old way.
pub(crate) fn external(node: &mut Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) {
    let Some(external) = node.get("external").filter(|external| external.mapping().is_some()) else { return };
    let (spot, old) = (external.spot.clone(), external.get("name").cloned());
    node.set("external", Node::plain_at("true", &spot));
    let Some(old) = old else { return };
    problems.push(
        Diagnostic::warning(
            Code::Deprecated,
            format!("{trail}: external.name is deprecated. Please set name and external: true"),
        )
        .at(&spot),
    );
    match node.get("name") {
        Some(name) if name.text() != old.text() => problems.push(
            Diagnostic::error(Code::Conflict, format!("{trail}: name and external.name conflict; only use name"))
                .at(&old.spot)
                .with_note("the other name", &name.spot),
        ),
        Some(_) => {}
        None => node.set("name", old),
    }
}
