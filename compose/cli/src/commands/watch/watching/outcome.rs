//! What tasks came to, and what is said of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rcompose_model::Project;
use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{Failure, SyncedContainer};
use rcompose_watch::Put;

use super::Watching;
use crate::commands::watch::service::Due;
use crate::commands::watch::session::Told;
use crate::error::CommandError;

/// What a task came to.
pub(super) enum Done {
    Synced {
        service: String,
        due: Due,
        began: Instant,
        result: Result<(Vec<SyncedContainer>, Client), ClientError>,
    },
    /// What was done to a service, in words.
    Over {
        service: String,
        what: String,
        began: Instant,
        result: Result<(), CommandError>,
    },
    Mounted {
        service: String,
        what: String,
        began: Instant,
        result: Result<(), CommandError>,
    },
    Applied {
        project: Box<Project>,
        result: Result<(), CommandError>,
    },
}

impl Watching<'_> {
    /// The files that changed, as people call them.
    pub(super) fn why(&self, paths: &BTreeSet<PathBuf>) -> String {
        let first = paths.first().map(|path| self.short(path)).unwrap_or_default();
        match paths.len() {
            0 | 1 => format!("{first} changed"),
            2 => format!("{first} and another file changed"),
            more => format!("{first} and {} more files changed", more - 1),
        }
    }

    pub(super) fn short(&self, path: &Path) -> String {
        let folder = &self.scene.project.working_dir;
        let real = folder.canonicalize();
        let below = path.strip_prefix(folder).ok().or_else(|| path.strip_prefix(real.as_ref().ok()?).ok());
        below.unwrap_or(path).display().to_string()
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Synced { service, due, began, result } => self.synced(&service, &due, began, result),
            Done::Over { service, what, began, result } => {
                if let Some(watched) = self.services.get_mut(&service) {
                    watched.busy = false;
                }
                self.over(&service, &what, began, result);
            }
            Done::Mounted { service, what, began, result } => self.over(&service, &what, began, result),
            Done::Applied { project, result } => {
                self.applying = false;
                self.scene.project = *project;
                match result.and_then(|()| self.take_up()) {
                    Ok(()) => self.line("the stack is as its files say".to_owned()),
                    Err(error) => self.failed("the stack", error),
                }
            }
        }
    }

    fn over(&self, service: &str, what: &str, began: Instant, result: Result<(), CommandError>) {
        match result {
            Ok(()) => self.line(format!("{service}: {what} in {}", took(began))),
            Err(error) => self.failed(service, error),
        }
    }

    fn synced(&mut self, service: &str, due: &Due, began: Instant, result: Result<(Vec<SyncedContainer>, Client), ClientError>) {
        let Some(watched) = self.services.get_mut(service) else { return };
        watched.syncing = false;
        let answers = match result {
            Ok((answers, client)) => {
                self.idle = Some(client);
                answers
            }
            Err(error) => {
                watched.refused.extend(due.containers.keys().cloned());
                return self.failed(service, error.into());
            }
        };
        let mut failures = Vec::new();
        let mut reached = 0;
        for (key, id) in &due.containers {
            let Some(answer) = answers.iter().find(|answer| answer.id == *id) else { continue };
            match &answer.refused {
                None => {
                    watched.journal.delivered(key, due.generation);
                    reached += 1;
                }
                // One that is gone is known to be in a moment.
                Some(failure) => {
                    watched.refused.insert(key.clone());
                    let exists = self.containers.iter().any(|it| it.id == *id);
                    failures.extend(exists.then(|| failure.clone()));
                }
            }
            failures.extend(answer.failures.iter().cloned());
        }
        failures.dedup();
        if reached > 0 && failures.is_empty() {
            // A directory is told by what is in it.
            let files: Vec<&Put> = due.puts.iter().filter(|put| !put.source.is_dir()).collect();
            let what = match files.as_slice() {
                [] => return,
                [put] => self.short(&put.source),
                puts => format!("{} files", puts.len()),
            };
            self.line(format!("{service}: synchronised {what} in {}", took(began)));
        }
        for failure in failures {
            self.tell(Told::Trouble(failure));
        }
    }

    pub(super) fn failed(&self, whose: &str, error: CommandError) {
        match error {
            CommandError::Files(problems) => self.tell(Told::Broken(problems)),
            CommandError::Failed(failure) | CommandError::Client(ClientError::Refused(failure)) => {
                self.tell(Told::Trouble(failure))
            }
            other => {
                let failure = Failure::of(&other);
                self.tell(Told::Trouble(Failure { message: format!("{whose}: {}", failure.message), ..failure }));
            }
        }
    }
}

fn took(began: Instant) -> String {
    let took = began.elapsed();
    if took.as_secs() > 0 { format!("{:.1}s", took.as_secs_f64()) } else { format!("{}ms", took.as_millis().max(1)) }
}
