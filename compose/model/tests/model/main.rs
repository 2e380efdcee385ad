//! The model as its users see it: files in memory in, a tree, a project or problems out.

mod attributes;
mod consistency;
mod diagnostics;
mod environment;
mod extends;
mod include;
mod interpolation;
mod limits;
mod memory;
mod merge;
mod properties;
mod syntax;

use memory::{Memory, load_checked, request};
use rcompose_model::{Model, Node};

/// The value at a path such as `services.a.ports[0].target`, as JSON.
fn at(tree: &Node, path: &str) -> Option<serde_json::Value> {
    let mut node = tree;
    for step in path.split('.') {
        let (name, indices) = step.split_once('[').map_or((step, ""), |(name, rest)| (name, rest));
        node = node.get(name)?;
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            node = node.items()?.get(index.trim_end_matches(']').parse::<usize>().ok()?)?;
        }
    }
    Some(node.to_json())
}

/// What a path is after a load, or what is wrong with the files: `LINE:COLUMN MESSAGE`, one after the other.
fn loaded(files: &Memory, path: &str) -> String {
    shown(load_checked(&request(), files), path)
}

fn shown((model, problems): (Option<Model>, Vec<rcompose_model::Diagnostic>), path: &str) -> String {
    match model {
        Some(model) => at(&model.tree, path).map_or_else(|| "(none)".to_owned(), |value| value.to_string()),
        None => {
            let shown = problems.iter().map(|problem| match &problem.place {
                Some(place) => format!("{}:{} {}", place.line, place.column, problem.message),
                None => problem.message.clone(),
            });
            shown.collect::<Vec<_>>().join("; ")
        }
    }
}

/// Every row is what it should be; all that are not are told at once.
#[track_caller]
fn check<T: std::fmt::Debug + ?Sized>(rows: &[(&T, &str)], got: impl Fn(&T) -> String) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(given, expected)| {
            let got = got(given);
            // JSON is the same whatever the order of its keys.
            let json = |text: &str| serde_json::from_str::<serde_json::Value>(text);
            let same = got == *expected || json(&got).is_ok_and(|got| json(expected).is_ok_and(|expected| got == expected));
            (!same).then(|| format!("{given:?}\n  expected {expected}\n  got      {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
