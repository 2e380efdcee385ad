//! The dependency graph as a tree: who is needed by nobody stands at the edge, below each what it needs.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Branch {
    /// `│  ├─ `
    pub(super) stem: String,
    pub(super) service: String,
    /// It is shown with what it needs further up.
    pub(super) is_repeated: bool,
}

/// The tree of services and what each needs.
pub(super) fn tree(needs: &BTreeMap<String, Vec<String>>) -> Vec<Branch> {
    let needed: BTreeSet<&String> = needs.values().flatten().collect();
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for service in needs.keys().filter(|service| !needed.contains(service)) {
        grow(service, needs, "", "", &mut seen, &mut rows);
    }
    rows
}

fn grow(
    service: &str,
    needs: &BTreeMap<String, Vec<String>>,
    stem: &str,
    below: &str,
    seen: &mut BTreeSet<String>,
    rows: &mut Vec<Branch>,
) {
    let inner = needs.get(service).map(Vec::as_slice).unwrap_or_default();
    let is_repeated = !seen.insert(service.to_owned()) && !inner.is_empty();
    rows.push(Branch { stem: stem.to_owned(), service: service.to_owned(), is_repeated });
    if is_repeated {
        return;
    }
    for (number, name) in inner.iter().enumerate() {
        let (branch, bar) = if number + 1 == inner.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        grow(name, needs, &format!("{below}{branch}"), &format!("{below}{bar}"), seen, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_need_is_spelt_out_once() {
        let needs = [("web", vec!["api", "cache"]), ("api", vec!["db"]), ("job", vec!["api"]), ("db", vec![]), ("cache", vec![])];
        let needs = needs.map(|(name, needs)| (name.to_owned(), needs.into_iter().map(str::to_owned).collect()));
        let rows = tree(&BTreeMap::from(needs));
        let text: Vec<String> =
            rows.iter().map(|row| format!("{}{}{}", row.stem, row.service, if row.is_repeated { " ..." } else { "" })).collect();
        assert_eq!(text, ["job", "└─ api", "   └─ db", "web", "├─ api ...", "└─ cache"]);
    }
}
