//! From what changed to what it means for each service. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rcompose_model::project::{Hook, WatchAction};

use crate::rule::Rule;
use crate::stamp::{Kind, Stamp};

/// A path of this machine is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: PathBuf,
    /// What it was; `None` if it was not there.
    pub before: Option<Stamp>,
    /// What it is; `None` if it is gone.
    pub now: Option<Stamp>,
}

impl Change {
    /// Tells whether a file is there under a name that another one had.
    pub fn is_another_file(&self) -> bool {
        let both = self.before.zip(self.now).filter(|(before, now)| before.kind == Kind::File && now.kind == Kind::File);
        both.is_some_and(|(before, now)| before.number() != now.number())
    }

    fn is_directory(&self) -> bool {
        self.now.or(self.before).is_some_and(|stamp| stamp.kind == Kind::Directory)
    }

    fn is_synced(&self) -> bool {
        self.now.or(self.before).is_some_and(|stamp| stamp.kind != Kind::Other)
    }
}

/// What a path of a container is to become: what the path of this machine is, or nothing if that is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Put {
    /// Here.
    pub source: PathBuf,
    /// In the container.
    pub target: String,
}

/// What a batch of changes means for one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// What is written into its containers, in order: what goes, innermost first, and what comes, outermost first.
    pub puts: Vec<Put>,
    /// Why its image is built anew.
    pub rebuild: BTreeSet<PathBuf>,
    /// Why its containers start again, after they got the files.
    pub restart: BTreeSet<PathBuf>,
    /// What runs in its containers, after they got the files: once a rule.
    pub exec: Vec<Hook>,
}

impl Work {
    /// Tells whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.rebuild.is_empty() && self.restart.is_empty() && self.exec.is_empty()
    }
}

/// What changes mean, by service. Services for which they mean nothing are not in it.
pub fn decide(rules: &[Rule], changes: &[Change]) -> BTreeMap<String, Work> {
    let mut works: BTreeMap<String, Work> = BTreeMap::new();
    for rule in rules {
        let concerned = changes.iter().filter(|change| rule.concerns(&change.path, change.is_directory()));
        let work = works.entry(rule.service.clone()).or_default();
        follow(rule, concerned, work);
    }
    works.retain(|_, work| !work.is_empty());
    works
}

fn follow<'a>(rule: &Rule, changes: impl Iterator<Item = &'a Change>, work: &mut Work) {
    let (mut files, mut count) = (BTreeSet::new(), 0);
    for change in changes {
        count += 1;
        if rule.action.syncs() && change.is_synced() {
            work.puts.extend(put(rule, &change.path));
        }
        // A directory without files is nothing to restart for.
        if !change.is_directory() {
            files.insert(change.path.clone());
        }
    }
    match rule.action {
        WatchAction::Rebuild => work.rebuild.append(&mut files),
        WatchAction::Restart | WatchAction::SyncRestart => work.restart.append(&mut files),
        WatchAction::SyncExec if count > 0 => work.exec.extend(rule.exec.clone()),
        WatchAction::Sync | WatchAction::SyncExec => {}
    }
}

fn put(rule: &Rule, path: &Path) -> Option<Put> {
    Some(Put { source: path.to_owned(), target: rule.target_of(path)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::tests::rule;

    fn change(path: &str, before: bool, now: bool) -> Change {
        let stamp = Stamp::look(Path::new("/etc/passwd"));
        Change { path: path.into(), before: stamp.filter(|_| before), now: stamp.filter(|_| now) }
    }

    fn with(action: WatchAction) -> Rule {
        let mut rule = rule(&["*.log"], &[], None);
        (rule.action, rule.exec) = (action, Some(Hook { command: vec!["make".to_owned()], ..hook() }));
        rule
    }

    fn hook() -> Hook {
        Hook { command: Vec::new(), user: None, privileged: false, working_dir: None, environment: BTreeMap::new() }
    }

    #[test]
    fn each_action_means_something_else() {
        let changes = [change("/src/a", true, true), change("/src/b", true, false), change("/src/x.log", true, true)];
        let of = |action| decide(&[with(action)], &changes).remove("web").unwrap();
        let targets = |work: &Work| work.puts.iter().map(|put| put.target.clone()).collect::<Vec<_>>();
        let both: BTreeSet<PathBuf> = ["/src/a", "/src/b"].map(PathBuf::from).into();
        let work = of(WatchAction::Sync);
        assert_eq!((targets(&work), work.restart.len(), work.exec.len()), (vec!["/app/a".into(), "/app/b".into()], 0, 0));
        let work = of(WatchAction::SyncRestart);
        assert_eq!((targets(&work).len(), &work.restart), (2, &both));
        let work = of(WatchAction::SyncExec);
        assert_eq!((targets(&work).len(), work.exec.len()), (2, 1), "once, whatever the number of files");
        assert_eq!(of(WatchAction::Restart), Work { restart: both.clone(), ..Work::default() });
        assert_eq!(of(WatchAction::Rebuild), Work { rebuild: both, ..Work::default() });
    }

    #[test]
    fn nothing_follows_from_what_is_ignored() {
        assert!(decide(&[with(WatchAction::Rebuild)], &[change("/src/x.log", true, true), change("/y", true, true)]).is_empty());
    }

    #[test]
    fn an_empty_directory_restarts_nothing() {
        let folder = Stamp::look(Path::new("/"));
        let change = Change { path: "/src/new".into(), before: None, now: folder };
        let work = decide(&[with(WatchAction::SyncRestart)], &[change]).remove("web").unwrap();
        assert!(work.restart.is_empty() && work.puts.len() == 1);
    }
}
