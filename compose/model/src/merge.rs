//! Two trees to one: the later file laid on the earlier one, a service on what it extends. What comes of two values of an
//! attribute is said by its [`Shape`].

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Key, Kind, Mapping, Node, Spot, Tag};
use crate::schema::{Merge, Names, Shape};
use crate::trail::Trail;

/// Lays `over` on `base`, both of one shape. Values that do not go together are told, and the later one is kept.
pub(crate) fn merge(
    base: Node,
    over: Node,
    shape: Option<&'static Shape>,
    trail: &Trail<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Node {
    if over.tag == Some(Tag::Override) || base.is_null() {
        return over;
    }
    let rule = shape.map_or(Merge::Usual, |shape| shape.merge);
    if over.is_null() && rule != Merge::Replace {
        return base;
    }
    let (mut base, mut over) = (base, over);
    take_away(&mut base, &mut over);
    match rule {
        Merge::Replace => over,
        Merge::List => Node { tag: base.tag, ..appended(listed(base), listed(over)) },
        Merge::Hosts => appended_once(listed(base), listed(over)),
        Merge::Build => mappings(as_build(base), as_build(over), shape, trail, problems),
        Merge::Names(names) => mappings(as_mapping(base, names), as_mapping(over, names), shape, trail, problems),
        Merge::Logging if drivers_differ(&base, &over) => over,
        Merge::Subnets => subnets(base, over, trail, problems),
        Merge::Logging | Merge::Usual => match (&base.kind, &over.kind) {
            (Kind::Mapping(_), Kind::Mapping(_)) => mappings(base, over, shape, trail, problems),
            (Kind::Sequence(_), Kind::Sequence(_)) => appended(base, over),
            (Kind::Scalar { .. }, _) => over,
            _ => {
                problems.push(clash(&base, &over, trail));
                base
            }
        },
    }
}

/// Takes the keys away that `over` says are to go, from both.
fn take_away(base: &mut Node, over: &mut Node) {
    let Some(entries) = over.mapping_mut() else { return };
    if entries.values().all(|value| value.tag != Some(Tag::Reset)) {
        return;
    }
    entries.retain(|key, value| {
        let goes = value.tag == Some(Tag::Reset);
        if goes {
            base.remove(&key.name);
        }
        !goes
    });
}

fn clash(base: &Node, over: &Node, trail: &Trail<'_>) -> Diagnostic {
    let text = format!("cannot override {trail}: it is {}, and this is {}", base.describe(), over.describe());
    let name = trail.to_string();
    let name = name.rsplit('.').next().unwrap_or_default().to_owned();
    Diagnostic::error(Code::WrongType, text)
        .at(&over.spot)
        .on(name.clone())
        .with_note("what it would override", &base.spot)
        .with_help(format!("write {} here too, or replace it whole: `{name}: !override ...`", base.describe()))
}

fn mappings(base: Node, over: Node, shape: Option<&'static Shape>, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Node {
    let (mut base, over) = (base, over);
    let more = match (&mut base.kind, over.kind) {
        (Kind::Mapping(_), Kind::Mapping(more)) => more,
        (_, kind) => {
            let over = Node { kind, spot: over.spot, tag: over.tag };
            problems.push(clash(&base, &over, trail));
            return base;
        }
    };
    let Kind::Mapping(entries) = &mut base.kind else { return base };
    for (key, value) in more {
        match entries.get_mut(key.name.as_str()) {
            Some(known) => {
                let spot = known.spot.clone();
                let below = std::mem::replace(known, Node::null_at(&spot));
                let shape = shape.and_then(|shape| shape.below(&key.name));
                *known = merge(below, value, shape, &trail.key(&key.name), problems);
            }
            None => drop(entries.insert(key, value)),
        }
    }
    base
}

fn items(node: Node) -> Vec<Node> {
    match node.kind {
        Kind::Sequence(items) => items,
        _ => Vec::new(),
    }
}

fn appended(base: Node, over: Node) -> Node {
    let (spot, tag) = (base.spot.clone(), base.tag);
    let mut all = items(base);
    all.extend(items(over));
    Node { kind: Kind::Sequence(all), spot, tag }
}

fn appended_once(base: Node, over: Node) -> Node {
    let (spot, tag) = (base.spot.clone(), base.tag);
    let mut all = items(base);
    for item in items(over) {
        if !all.iter().any(|known| known.text().is_some() && known.text() == item.text()) {
            all.push(item);
        }
    }
    Node { kind: Kind::Sequence(all), spot, tag }
}

/// A list: a mapping becomes `KEY=value` by key, a single value an item.
fn listed(node: Node) -> Node {
    let (spot, tag) = (node.spot.clone(), node.tag);
    let items = match node.kind {
        Kind::Sequence(items) => items,
        Kind::Scalar { .. } => vec![node],
        Kind::Mapping(entries) => {
            let mut items: Vec<Node> = entries.into_iter().flat_map(|(key, value)| pairs(&key, value)).collect();
            items.sort_by(|one, other| one.text().cmp(&other.text()));
            items
        }
    };
    Node { kind: Kind::Sequence(items), spot, tag }
}

fn pairs(key: &Key, value: Node) -> Vec<Node> {
    let pair = |value: &Node, spot: &Spot| match value.scalar() {
        Some(scalar) if !value.is_null() => Node::text_at(format!("{}={scalar}", key.name), spot),
        _ => Node::text_at(key.name.clone(), spot),
    };
    match &value.kind {
        Kind::Sequence(items) => items.iter().map(|item| pair(item, &item.spot)).collect(),
        // A mapping where a text belongs is kept, for the check to tell.
        Kind::Mapping(_) => {
            let mapping = Mapping::from_iter([(key.clone(), value.clone())]);
            vec![Node::mapping_at(mapping, &key.spot)]
        }
        Kind::Scalar { .. } => vec![pair(&value, if value.is_null() { &key.spot } else { &value.spot })],
    }
}

fn as_build(node: Node) -> Node {
    match node.kind {
        Kind::Scalar { .. } => {
            let spot = node.spot.clone();
            let key = Key { name: "context".to_owned(), spot: spot.clone() };
            Node::mapping_at(Mapping::from_iter([(key, Node { tag: None, ..node })]), &spot)
        }
        _ => node,
    }
}

/// A mapping: of a list, each item with the same value.
pub(crate) fn as_mapping(node: Node, names: Names) -> Node {
    let Kind::Sequence(items) = node.kind else { return node };
    let entry = |item: Node| {
        let key = Key { name: item.text()?.to_owned(), spot: item.spot.clone() };
        let value = match names {
            Names::Nothing => Node::null_at(&item.spot),
            Names::Dependency => dependency(&item.spot),
        };
        Some((key, value))
    };
    Node { kind: Kind::Mapping(items.into_iter().filter_map(entry).collect()), spot: node.spot, tag: node.tag }
}

/// What a dependency is if only its name is given.
pub(crate) fn dependency(spot: &Spot) -> Node {
    let key = |name: &str| Key { name: name.to_owned(), spot: spot.clone() };
    let entries = [(key("condition"), Node::text_at("service_started", spot)), (key("required"), Node::plain_at("true", spot))];
    Node::mapping_at(Mapping::from_iter(entries), spot)
}

fn drivers_differ(base: &Node, over: &Node) -> bool {
    match (base.get("driver"), over.get("driver")) {
        (Some(one), Some(other)) => one.text() != other.text(),
        _ => false,
    }
}

fn subnets(base: Node, over: Node, trail: &Trail<'_>, problems: &mut Vec<Diagnostic>) -> Node {
    let (spot, tag) = (base.spot.clone(), base.tag);
    let subnet = |node: &Node| node.get("subnet").and_then(Node::text).map(str::to_owned);
    let mut all = items(base);
    for item in items(over) {
        match all.iter_mut().find(|known| subnet(known) == subnet(&item)) {
            Some(known) => {
                let spot = known.spot.clone();
                let below = std::mem::replace(known, Node::null_at(&spot));
                *known = mappings(below, item, None, trail, problems);
            }
            None => all.push(item),
        }
    }
    Node { kind: Kind::Sequence(all), spot, tag }
}

/// Takes away what `!reset` says, and the tags: what is left is a tree as if it had been written so.
pub(crate) fn settle_tags(node: &mut Node) {
    node.tag = None;
    match &mut node.kind {
        Kind::Mapping(entries) => {
            entries.retain(|_, value| value.tag != Some(Tag::Reset));
            entries.values_mut().for_each(settle_tags);
        }
        Kind::Sequence(items) => {
            items.retain(|item| item.tag != Some(Tag::Reset));
            items.iter_mut().for_each(settle_tags);
        }
        Kind::Scalar { .. } => {}
    }
}
