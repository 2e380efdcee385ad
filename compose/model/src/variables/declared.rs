//! Which variables the files ask for, and what they say of them.

use std::collections::BTreeMap;

use crate::Place;
use crate::interpolate::{self, Action, Token};
use crate::node::{Kind, Node};

/// A variable as the files ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Whether it is an error if it is not set.
    pub required: bool,
    /// What stands for it if it is not set, as written.
    pub default: String,
    /// What stands for it if it is set, as written.
    pub alternate: String,
    /// The values that ask for it.
    pub uses: Vec<Place>,
}

/// The variables of a tree in which none is put in yet.
pub fn declared(tree: &Node) -> BTreeMap<String, Declared> {
    let mut all = BTreeMap::new();
    walk(tree, &mut all);
    all
}

fn walk(node: &Node, all: &mut BTreeMap<String, Declared>) {
    match &node.kind {
        Kind::Scalar { text, .. } => of_text(text, node, 0, all),
        Kind::Sequence(items) => items.iter().for_each(|item| walk(item, all)),
        Kind::Mapping(entries) => entries.values().for_each(|value| walk(value, all)),
    }
}

fn of_text(text: &str, node: &Node, depth: usize, all: &mut BTreeMap<String, Declared>) {
    const MAX_DEPTH: usize = 50;
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        rest = &rest[dollar..];
        let length = match interpolate::next(rest) {
            Token::Dollar(length) => length,
            Token::Broken => 1,
            Token::Variable(reference, length) => {
                let known = all.entry(reference.name.to_owned()).or_default();
                let place = node.spot.place();
                if !known.uses.contains(&place) {
                    known.uses.push(place);
                }
                if let Some((operator, argument)) = reference.operator {
                    match operator.action {
                        Action::Required => known.required = true,
                        Action::Default => argument.clone_into(&mut known.default),
                        Action::Alternate => argument.clone_into(&mut known.alternate),
                    }
                    if operator.action != Action::Required && depth < MAX_DEPTH {
                        of_text(argument, node, depth + 1, all);
                    }
                }
                length
            }
        };
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn finds_variables_in_variables() {
        let tree = crate::parse::parse("a: $A ${B:-${C:-x}} $$D\nb: [\"${A:?say it}\", \"${E:+on}\"]\n", Path::new("f")).unwrap();
        let all = declared(&tree[0]);
        let shown: Vec<String> = all
            .iter()
            .map(|(name, it)| format!("{name} {} {:?} {:?} {}", it.required, it.default, it.alternate, it.uses.len()))
            .collect();
        assert_eq!(shown, ["A true \"\" \"\" 2", "B false \"${C:-x}\" \"\" 1", "C false \"x\" \"\" 1", "E false \"\" \"on\" 1"]);
    }
}
