//! Services that wait for each other in a circle.

use std::collections::HashMap;

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::{Key, Node};

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// On the way that is being walked.
    Open,
    /// Leads into no circle.
    Done,
}

/// Tells the first circle of dependencies. The walk keeps its own stack: a chain may be as long as the file.
pub(super) fn find(tree: &Node, problems: &mut Vec<Diagnostic>) {
    let Some(services) = tree.get("services").and_then(Node::mapping) else { return };
    let needs = |name: &str| -> Vec<&Key> {
        let depends = services.get(name).and_then(|service| service.get("depends_on")).and_then(Node::mapping);
        depends.into_iter().flat_map(|entries| entries.keys()).filter(|key| services.contains_key(key.name.as_str())).collect()
    };
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    for start in services.keys() {
        if marks.contains_key(start.name.as_str()) {
            continue;
        }
        marks.insert(&start.name, Mark::Open);
        let mut way: Vec<(&str, Vec<&Key>)> = vec![(&start.name, needs(&start.name))];
        while let Some((name, rest)) = way.last_mut() {
            let Some(next) = rest.pop() else {
                marks.insert(name, Mark::Done);
                way.pop();
                continue;
            };
            match marks.get(next.name.as_str()) {
                Some(Mark::Done) => {}
                Some(Mark::Open) => {
                    problems.push(circle(&way, &next.name, services));
                    return;
                }
                None => {
                    marks.insert(&next.name, Mark::Open);
                    way.push((&next.name, needs(&next.name)));
                }
            }
        }
    }
}

fn circle(way: &[(&str, Vec<&Key>)], back_to: &str, services: &crate::node::Mapping) -> Diagnostic {
    const SHOWN: usize = 20;
    let begin = way.iter().position(|(name, _)| *name == back_to).unwrap_or(0);
    let mut names: Vec<&str> = way[begin..].iter().map(|(name, _)| *name).collect();
    let first = names[0];
    let second = names.get(1).copied().unwrap_or(back_to);
    if names.len() > SHOWN {
        names.splice(SHOWN / 2..names.len() - SHOWN / 2, ["..."]);
    }
    names.push(back_to);
    let text = format!("dependency cycle detected: {}", names.join(" -> "));
    let edge = |from: &str, to: &str| {
        let (key, _) = services.get(from)?.get("depends_on")?.mapping()?.get_key_value(to)?;
        Some(key)
    };
    let mut problem = Diagnostic::error(Code::Cycle, text);
    if let Some(key) = edge(first, second) {
        problem = problem.at(&key.spot).on(&key.name);
    }
    let last = way.last().map_or(first, |(name, _)| name);
    if let Some(key) = edge(last, back_to).filter(|_| last != first) {
        problem = problem.with_note("and back by this one", &key.spot);
    }
    problem.with_help("remove one of these dependencies")
}
