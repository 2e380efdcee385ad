//! What was there when it was last looked at. Comparing with what is there now finds every change, told or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::decide::Change;
use crate::stamp::{Kind, Stamp};

/// What is known of every path that somebody wants to know of.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: BTreeMap<PathBuf, Stamp>,
}

impl Index {
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&PathBuf, &Stamp)> {
        self.entries.iter()
    }

    /// What is known in a directory, and of it.
    pub(crate) fn in_and_below<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.entries.range(directory.to_owned()..).map(|(path, _)| path).take_while(move |path| path.starts_with(directory))
    }

    /// Notes what was found at a path, or that nothing was; adds what that changes.
    pub(crate) fn note(&mut self, path: &Path, found: Option<Stamp>, changes: &mut Vec<Change>) {
        let before = self.entries.get(path).copied();
        if before == found {
            return;
        }
        let was_directory = before.is_some_and(|before| before.kind == Kind::Directory);
        if was_directory && found.is_none_or(|found| found.kind != Kind::Directory) {
            self.forget_below(path, changes);
        }
        match found {
            Some(stamp) => drop(self.entries.insert(path.to_owned(), stamp)),
            None => drop(self.entries.remove(path)),
        }
        changes.push(Change { path: path.to_owned(), before, now: found });
    }

    /// What was in a directory is gone with it: the innermost first.
    fn forget_below(&mut self, directory: &Path, changes: &mut Vec<Change>) {
        let below: Vec<PathBuf> = self.in_and_below(directory).skip(1).cloned().collect();
        for path in below.into_iter().rev() {
            let before = self.entries.remove(&path);
            changes.push(Change { path, before, now: None });
        }
    }

    /// What is different in a later look at everything, the later one being kept.
    pub(crate) fn replace(&mut self, later: Self, counts: impl Fn(&Path) -> bool, changes: &mut Vec<Change>) {
        // Innermost first, as a directory is emptied.
        for (path, before) in self.entries.iter().rev() {
            if !later.entries.contains_key(path) && counts(path) {
                changes.push(Change { path: path.clone(), before: Some(*before), now: None });
            }
        }
        for (path, now) in &later.entries {
            let before = self.entries.get(path).copied();
            if before != Some(*now) && counts(path) {
                changes.push(Change { path: path.clone(), before, now: Some(*now) });
            }
        }
        *self = later;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcompose_sys::atomic::TempDir;

    use super::*;

    fn look(folder: &Path, names: &[&str]) -> Index {
        let mut index = Index::default();
        for name in names {
            let path = folder.join(name);
            index.note(&path, Stamp::look(&path), &mut Vec::new());
        }
        index
    }

    fn told(changes: &[Change], folder: &Path) -> Vec<String> {
        let sign = |change: &Change| match (change.before, change.now) {
            (None, _) => "+",
            (_, None) => "-",
            _ => "~",
        };
        changes.iter().map(|it| format!("{}{}", sign(it), it.path.strip_prefix(folder).unwrap().display())).collect()
    }

    #[test]
    fn a_directory_that_goes_takes_what_is_in_it_along() {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for name in ["a/b/x", "a/y", "az"] {
            std::fs::write(folder.path().join(name), "1").unwrap();
        }
        let mut index = look(folder.path(), &["a", "a/b", "a/b/x", "a/y", "az"]);
        let mut changes = Vec::new();
        index.note(&folder.path().join("a"), None, &mut changes);
        assert_eq!(told(&changes, folder.path()), ["-a/y", "-a/b/x", "-a/b", "-a"]);
        assert_eq!(index.paths().count(), 1);
    }

    #[test]
    fn nothing_is_told_twice_and_nothing_that_did_not_change() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "1").unwrap();
        let mut index = look(folder.path(), &["x"]);
        let mut changes = Vec::new();
        index.note(&path, Stamp::look(&path), &mut changes);
        assert!(changes.is_empty());
        std::fs::write(&path, "22").unwrap();
        index.note(&path, Stamp::look(&path), &mut changes);
        index.note(&path, Stamp::look(&path), &mut changes);
        assert_eq!(told(&changes, folder.path()), ["~x"]);
    }

    proptest! {
        /// However the two looks differ, replaying what is told on the earlier one gives the later one.
        #[test]
        fn a_look_at_everything_finds_every_difference(
            before in proptest::collection::btree_map("[a-c](/[a-c]){0,2}", 0..3_u32, 0..12),
            after in proptest::collection::btree_map("[a-c](/[a-c]){0,2}", 0..3_u32, 0..12),
        ) {
            let file = Stamp::look(Path::new("/dev/null")).unwrap();
            let stamp = |mode: u32| {
                let mut stamp = file;
                stamp.mode = mode;
                stamp
            };
            let index = |of: &BTreeMap<String, u32>| Index {
                entries: of.iter().map(|(path, mode)| (PathBuf::from(path), stamp(*mode))).collect(),
            };
            let (mut one, mut changes) = (index(&before), Vec::new());
            one.replace(index(&after), |_| true, &mut changes);
            let mut replayed = index(&before).entries;
            for change in changes {
                match change.now {
                    Some(stamp) => drop(replayed.insert(change.path, stamp)),
                    None => drop(replayed.remove(&change.path)),
                }
            }
            prop_assert_eq!(replayed, index(&after).entries);
        }
    }
}
