//! Several files to one tree. What an override does depends on the attribute: the rules are one table.

use crate::node::{Key, Kind, Node, Tag};

/// How values of one attribute come together.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    /// Mappings by key, lists appended, single values replaced.
    Usual,
    /// The later one replaces the earlier one.
    Replace,
    /// `KEY=VAL` lists and mappings, by key.
    Pairs,
    /// Lists without repetition.
    Unique,
    /// Lists of things that have a target; the later one replaces the one with the same target.
    ByTarget,
    /// A list of names is a mapping to nothing.
    Names,
}

fn rule(path: &[&str]) -> Rule {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] | ["services", _, "ulimits", _] => {
            Rule::Replace
        }
        ["services", _, "environment" | "labels" | "annotations" | "sysctls"]
        | ["services", _, "build", "args" | "labels" | "additional_contexts"]
        | ["services", _, "deploy", "labels"]
        | ["networks" | "volumes" | "configs" | "secrets", _, "labels"] => Rule::Pairs,
        [
            "services",
            _,
            "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "expose" | "links" | "profiles" | "tmpfs" | "ports"
            | "extra_hosts",
        ]
        | ["services", _, "networks", _, "aliases" | "link_local_ips"] => Rule::Unique,
        ["services", _, "volumes" | "devices" | "configs" | "secrets" | "env_file"] => Rule::ByTarget,
        ["services", _, "depends_on" | "networks" | "models"] => Rule::Names,
        _ => Rule::Usual,
    }
}

/// Lays `over` on `base`.
pub(crate) fn merge(base: Node, over: Node) -> Node {
    at(&mut Vec::new(), base, over)
}

fn at(path: &mut Vec<String>, base: Node, over: Node) -> Node {
    if over.tag == Some(Tag::Override) {
        return over;
    }
    if over.is_null() && over.tag.is_none() {
        return base;
    }
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match rule(&words) {
        Rule::Replace => over,
        Rule::Pairs => mappings(path, pairs(base), pairs(over)),
        Rule::Names => mappings(path, names(base), names(over)),
        Rule::Unique => lists(base, over, |one, other| one.to_json() == other.to_json()),
        Rule::ByTarget => lists(base, over, |one, other| target(one) == target(other)),
        Rule::Usual => match (&base.kind, &over.kind) {
            (Kind::Mapping(_), Kind::Mapping(_)) => mappings(path, base, over),
            (Kind::Sequence(_), Kind::Sequence(_)) => lists(base, over, |_, _| false),
            // `build: .` is `build: {context: .}`.
            (Kind::Scalar { .. }, Kind::Mapping(_)) if words.last() == Some(&"build") => mappings(path, build(base), over),
            (Kind::Mapping(_), Kind::Scalar { .. }) if words.last() == Some(&"build") => mappings(path, base, build(over)),
            _ => over,
        },
    }
}

fn mappings(path: &mut Vec<String>, base: Node, over: Node) -> Node {
    let (Kind::Mapping(mut entries), Kind::Mapping(more)) = (base.kind, over.kind.clone()) else { return over };
    for (key, value) in more {
        let position = entries.iter().position(|(known, _)| known.name == key.name);
        match (position, value.tag) {
            (Some(position), Some(Tag::Reset)) => drop(entries.remove(position)),
            (None, Some(Tag::Reset)) => {}
            (Some(position), _) => {
                path.push(key.name);
                let below = entries[position].1.clone();
                entries[position].1 = at(path, below, value);
                path.pop();
            }
            (None, _) => entries.push((key, value)),
        }
    }
    Node { kind: Kind::Mapping(entries), place: base.place, tag: base.tag }
}

/// Appends; an item that is the same as an earlier one takes its place.
fn lists(base: Node, over: Node, same: impl Fn(&Node, &Node) -> bool) -> Node {
    let into_items = |node: Node| match node.kind {
        Kind::Sequence(items) => items,
        _ => vec![node],
    };
    let (place, tag) = (base.place.clone(), base.tag);
    let mut items = into_items(base);
    for item in into_items(over) {
        match items.iter().position(|known| same(known, &item)) {
            Some(position) => items[position] = item,
            None => items.push(item),
        }
    }
    Node { kind: Kind::Sequence(items), place, tag }
}

/// A list of `KEY=VAL` as a mapping; a key alone has no value.
fn pairs(node: Node) -> Node {
    let Kind::Sequence(items) = node.kind else { return node };
    let entry = |item: Node| {
        let text = match &item.kind {
            Kind::Scalar { text, .. } => text.clone(),
            _ => return None,
        };
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Kind::Scalar { text: value.to_owned(), plain: false }),
            None => (text, Kind::Scalar { text: String::new(), plain: true }),
        };
        Some((Key { name, place: item.place.clone() }, Node { kind: value, place: item.place, tag: None }))
    };
    Node { kind: Kind::Mapping(items.into_iter().filter_map(entry).collect()), place: node.place, tag: node.tag }
}

fn names(node: Node) -> Node {
    let Kind::Sequence(items) = node.kind else { return node };
    let entry = |item: Node| {
        let name = item.text()?.to_owned();
        let nothing = Kind::Scalar { text: String::new(), plain: true };
        Some((Key { name, place: item.place.clone() }, Node { kind: nothing, place: item.place, tag: None }))
    };
    Node { kind: Kind::Mapping(items.into_iter().filter_map(entry).collect()), place: node.place, tag: node.tag }
}

fn build(node: Node) -> Node {
    let key = Key { name: "context".to_owned(), place: node.place.clone() };
    let place = node.place.clone();
    Node { kind: Kind::Mapping(vec![(key, Node { tag: None, ..node })]), place, tag: None }
}

/// Where something is in the container.
fn target(node: &Node) -> Option<String> {
    if let Some(text) = node.text() {
        let parts: Vec<&str> = text.split(':').collect();
        return Some(parts.get(usize::from(parts.len() > 1)).map_or_else(String::new, |part| (*part).to_owned()));
    }
    let value = node.get("target").or_else(|| node.get("path")).or_else(|| node.get("source"))?;
    value.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::parse::parse;

    fn service(base: &str, over: &str) -> serde_json::Value {
        let node = |text: &str| parse(&format!("services: {{a: {text}}}"), Path::new("x")).unwrap().remove(0);
        merge(node(base), node(over)).to_json()["services"]["a"].clone()
    }

    #[test]
    fn follows_the_rule_of_each_attribute() {
        for (base, over, expected) in [
            ("{image: a}", "{image: b}", json!({"image": "b"})),
            ("{command: [a, b]}", "{command: [c]}", json!({"command": ["c"]})),
            ("{environment: [A=1, B=2]}", "{environment: {B: 3}}", json!({"environment": {"A": "1", "B": 3}})),
            ("{ports: ['80:80']}", "{ports: ['80:80', '81:81']}", json!({"ports": ["80:80", "81:81"]})),
            ("{volumes: ['a:/x', 'b:/y']}", "{volumes: ['c:/x']}", json!({"volumes": ["c:/x", "b:/y"]})),
            ("{depends_on: [a]}", "{depends_on: {a: {condition: x}}}", json!({"depends_on": {"a": {"condition": "x"}}})),
            ("{build: .}", "{build: {target: t}}", json!({"build": {"context": ".", "target": "t"}})),
            ("{ports: ['1:1'], image: a}", "{ports: !reset [], image: !override b}", json!({"image": "b"})),
            ("{ports: ['1:1']}", "{ports: !override ['2:2']}", json!({"ports": ["2:2"]})),
            ("{image: a}", "{image: }", json!({"image": "a"})),
        ] {
            assert_eq!(service(base, over), expected, "{base} {over}");
        }
    }
}
