//! What each container of a service has yet to get. Pure.
//!
//! Every path that was to be written gets the next generation; a container has everything up to some generation. One that was
//! stopped is behind, and one that was made anew has nothing: both get what they lack, each path as it is by then.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::Put;

/// How far something is; a later one is larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Generation(u64);

/// The paths that were to be written, and how far each container is.
#[derive(Debug, Default)]
pub struct Journal {
    latest: Generation,
    /// When each was last to be written; targets in the order in which directories are filled.
    puts: BTreeMap<String, (Put, Generation)>,
    containers: BTreeMap<String, Generation>,
}

impl Journal {
    /// Notes paths that are to be written.
    pub fn note(&mut self, puts: impl IntoIterator<Item = Put>) {
        self.latest.0 += 1;
        for put in puts {
            self.puts.insert(put.target.clone(), (put, self.latest));
        }
    }

    /// Containers that are gone need nothing.
    pub fn keep(&mut self, containers: &BTreeSet<String>) {
        self.containers.retain(|id, _| containers.contains(id));
    }

    /// What containers lack: those that are equally far together, and how far they are afterwards.
    pub fn due<'a>(&self, containers: impl IntoIterator<Item = &'a str>) -> Vec<(BTreeSet<String>, Vec<Put>, Generation)> {
        let mut by_generation: BTreeMap<Generation, BTreeSet<String>> = BTreeMap::new();
        for id in containers {
            let has = self.containers.get(id).copied().unwrap_or_default();
            by_generation.entry(has).or_default().insert(id.to_owned());
        }
        let due = by_generation.into_iter().map(|(has, ids)| {
            let puts = self.puts.values().filter(|(_, at)| *at > has).map(|(put, _)| put.clone()).collect();
            (ids, puts, self.latest)
        });
        due.filter(|(_, puts, _): &(_, Vec<Put>, _)| !puts.is_empty()).collect()
    }

    /// A container got everything up to a generation.
    pub fn delivered(&mut self, container: &str, generation: Generation) {
        let has = self.containers.entry(container.to_owned()).or_default();
        *has = generation.max(*has);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(name: &str) -> Put {
        Put { source: format!("/src/{name}").into(), target: format!("/app/{name}") }
    }

    fn targets(journal: &Journal, container: &str) -> Vec<String> {
        journal.due([container]).into_iter().flat_map(|(_, puts, _)| puts).map(|put| put.target).collect()
    }

    #[test]
    fn a_new_container_gets_everything_and_one_that_was_stopped_what_it_missed() {
        let mut journal = Journal::default();
        journal.note([put("a"), put("b")]);
        assert_eq!(targets(&journal, "old"), ["/app/a", "/app/b"]);
        let (_, _, generation) = journal.due(["old"]).remove(0);
        journal.delivered("old", generation);
        assert!(journal.due(["old"]).is_empty());
        journal.note([put("b"), put("c")]);
        assert_eq!(targets(&journal, "old"), ["/app/b", "/app/c"]);
        assert_eq!(targets(&journal, "new"), ["/app/a", "/app/b", "/app/c"]);
        assert_eq!(journal.due(["old", "new"]).len(), 2);
    }

    proptest! {
        /// Whoever gets what is due is up to date, in whatever order things happen, also when more changes during a delivery.
        #[test]
        fn nothing_is_lost(steps in proptest::collection::vec((0..3_u8, 0..4_u8, 0..3_u8), 1..40)) {
            let mut journal = Journal::default();
            let (mut truth, mut version) = (BTreeMap::new(), 0);
            let mut have: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
            for (what, file, container) in steps {
                let id = format!("c{container}");
                if what == 0 {
                    version += 1;
                    truth.insert(format!("/app/{file}"), version);
                    journal.note([put(&file.to_string())]);
                } else {
                    let due = journal.due([id.as_str()]);
                    if what == 2 {
                        version += 1;
                        truth.insert("/app/late".to_owned(), version);
                        journal.note([put("late")]);
                    }
                    for (_, puts, generation) in due {
                        let has = have.entry(id.clone()).or_default();
                        has.extend(puts.iter().map(|put| (put.target.clone(), truth[&put.target])));
                        journal.delivered(&id, generation);
                    }
                }
            }
            for id in ["c0", "c1", "c2"] {
                let has = have.entry(id.to_owned()).or_default();
                for (_, puts, _) in journal.due([id]) {
                    has.extend(puts.iter().map(|put| (put.target.clone(), truth[&put.target])));
                }
                prop_assert_eq!(&*has, &truth);
            }
        }
    }
}
