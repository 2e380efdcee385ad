//! What is to be done for one watched service, and what is being done. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rcompose_model::project::{Hook, MountKind, Service};
use rcompose_supervisor::messages::ContainerSummary;
use rcompose_watch::{Generation, Journal, Put, Work};

/// What takes longer than a sync waits until nothing has changed for so long: a burst may come in several batches.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Rebuild(BTreeSet<PathBuf>),
    Exec(Vec<Hook>),
    Restart(BTreeSet<PathBuf>),
}

/// Files that containers lack which are equally far.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    /// Ids by the keys of the journal.
    pub(super) containers: BTreeMap<String, String>,
    pub(super) puts: Vec<Put>,
    pub(super) generation: Generation,
}

/// One watched service.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) journal: Journal,
    /// Its memory mounts are empty after each start.
    pub(super) forgets: bool,
    /// Containers that could not be written to; tried again when something changes.
    pub(super) refused: BTreeSet<String>,
    pub(super) syncing: bool,
    /// A build, a restart or a command is under way.
    pub(super) busy: bool,
    rebuild: BTreeSet<PathBuf>,
    restart: BTreeSet<PathBuf>,
    exec: Vec<Hook>,
    quiet_at: Option<Instant>,
}

impl Watched {
    pub(super) fn of(service: &Service) -> Self {
        let forgets = service.mounts.iter().any(|mount| matches!(mount.kind, MountKind::Tmpfs { .. }));
        Self { forgets, ..Self::default() }
    }

    /// What the journal calls a container.
    pub(super) fn key(&self, container: &ContainerSummary) -> String {
        match container.started_at.filter(|_| self.forgets) {
            Some(moment) => format!("{}@{moment}", container.id),
            None => container.id.clone(),
        }
    }

    /// Something changed.
    pub(super) fn note(&mut self, work: Work, now: Instant) {
        if !work.puts.is_empty() {
            self.journal.note(work.puts);
        }
        self.refused.clear();
        self.rebuild.extend(work.rebuild);
        self.restart.extend(work.restart);
        for hook in work.exec {
            if !self.exec.contains(&hook) {
                self.exec.push(hook);
            }
        }
        self.quiet_at = Some(now + QUIET);
    }

    /// Files that containers lack.
    pub(super) fn due(&self, containers: &[&ContainerSummary]) -> Option<Due> {
        let keys: BTreeMap<String, String> = containers.iter().map(|it| (self.key(it), it.id.clone())).collect();
        let wanted = keys.keys().filter(|key| !self.refused.contains(*key)).map(String::as_str);
        let (ready, puts, generation) = self.journal.due(wanted).into_iter().next()?;
        let containers = keys.into_iter().filter(|(key, _)| ready.contains(key)).collect();
        Some(Due { containers, puts, generation })
    }

    /// When there may be something to do that waits for quiet.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let nothing = self.rebuild.is_empty() && self.restart.is_empty() && self.exec.is_empty();
        self.quiet_at.filter(|_| !self.busy && !nothing)
    }

    /// What is to be done now besides writing files, which comes first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next> {
        if self.busy || self.quiet_at.is_none_or(|at| at > now) {
            return None;
        }
        if !self.rebuild.is_empty() {
            // What is made anew starts anyway, with the files of now.
            self.restart.clear();
            self.exec.clear();
            return Some(Next::Rebuild(std::mem::take(&mut self.rebuild)));
        }
        if self.syncing {
            return None;
        }
        if !self.exec.is_empty() {
            return Some(Next::Exec(std::mem::take(&mut self.exec)));
        }
        (!self.restart.is_empty()).then(|| Next::Restart(std::mem::take(&mut self.restart)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(rebuild: &[&str], restart: &[&str]) -> Work {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect();
        Work { rebuild: paths(rebuild), restart: paths(restart), ..Work::default() }
    }

    #[test]
    fn what_changes_during_a_build_is_built_after_it() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        watched.note(work(&["a"], &[]), start);
        assert_eq!(watched.next(start), None, "more may come");
        watched.note(work(&["b"], &["c"]), start);
        assert_eq!(watched.next(start + QUIET), Some(Next::Rebuild(["a", "b"].map(PathBuf::from).into())));
        watched.busy = true;
        watched.note(work(&["a"], &["c"]), start + QUIET);
        assert_eq!((watched.next(start + QUIET * 9), watched.due_at()), (None, None));
        watched.busy = false;
        assert_eq!(watched.next(start + QUIET * 9), Some(Next::Rebuild(["a"].map(PathBuf::from).into())));
        assert_eq!(watched.next(start + QUIET * 9), None, "the restart came with it");
    }

    #[test]
    fn files_are_there_before_what_needs_them() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        watched.note(work(&[], &["c"]), start);
        watched.syncing = true;
        assert_eq!(watched.next(start + QUIET), None);
        watched.syncing = false;
        assert_eq!(watched.next(start + QUIET), Some(Next::Restart(["c"].map(PathBuf::from).into())));
    }
}
