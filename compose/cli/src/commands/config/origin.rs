//! `config --origin`: each value with where it was written, and by which roads it came.

use rcompose_model::Model;
use rcompose_model::emit::{self, Dollars};
use rcompose_model::node::{Kind, Node, Road, Spot};
use unicode_width::UnicodeWidthStr;

/// The widest that values are padded to.
const COLUMN: usize = 60;

/// The tree as YAML, with a comment behind each line that holds a value.
pub(super) fn text(model: &Model) -> String {
    let yaml = emit::yaml(&model.tree, Dollars::Escaped);
    let mut spots = Vec::new();
    collect(&model.tree, &mut spots);
    let widest = yaml.lines().map(UnicodeWidthStr::width).filter(|width| *width <= COLUMN).max().unwrap_or(0);
    let mut lines = yaml.lines();
    let mut text = String::new();
    for (spot, height) in spots {
        let Some(line) = lines.next() else { break };
        let padding = " ".repeat(widest.saturating_sub(line.width()));
        text.push_str(&format!("{line}{padding}  # {}\n", shown(spot, model)));
        for line in lines.by_ref().take(height - 1) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.extend(lines.flat_map(|line| [line, "\n"]));
    text
}

/// The spot of each key and item in the order of the text, with the lines that it takes for itself.
fn collect<'a>(node: &'a Node, spots: &mut Vec<(&'a Spot, usize)>) {
    match &node.kind {
        Kind::Mapping(entries) => {
            for (key, value) in entries {
                let spot = if is_filled(value) { &key.spot } else { &value.spot };
                spots.push((spot, emit::lines_of_key(&key.name) - 1 + height(value)));
                if is_filled(value) {
                    collect(value, spots);
                }
            }
        }
        Kind::Sequence(items) => {
            for item in items {
                // The first line of a list in a list, or of a mapping in it, stands beside its dash.
                if is_filled(item) { collect(item, spots) } else { spots.push((&item.spot, height(item))) }
            }
        }
        Kind::Scalar { .. } => {}
    }
}

fn is_filled(node: &Node) -> bool {
    node.mapping().is_some_and(|entries| !entries.is_empty()) || node.items().is_some_and(|items| !items.is_empty())
}

/// A text of several lines is written in as many, where YAML can.
fn height(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => emit::yaml(node, Dollars::AsIs).lines().count().max(1),
        _ => 1,
    }
}

fn shown(spot: &Spot, model: &Model) -> String {
    let file = |spot: &Spot| {
        let path = spot.file.strip_prefix(&model.directory).unwrap_or(&spot.file);
        format!("{}:{}:{}", path.display(), spot.line, spot.column)
    };
    let mut text = file(spot);
    let mut step = spot.via.as_ref();
    while let Some(via) = step {
        let road = match via.road {
            Road::Alias => "alias",
            Road::Extends => "extends",
            Road::Include => "include",
        };
        text.push_str(&format!(", {road} {}", file(&via.spot)));
        step = via.before.as_ref();
    }
    text
}
