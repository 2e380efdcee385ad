//! What a plan comes to for each thing that it is about: the operations of one container are one change.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_model::Project;
use serde::{Deserialize, Serialize};

use crate::cause::Reason;
use crate::observed::Container;
use crate::{Cause, Observed, Operation, Plan, Planned};

/// What becomes of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name when the plan is carried out.
    pub name: String,
    /// Of a container.
    pub service: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why; nothing has a reason to stay as it is.
    pub cause: Option<Cause>,
}

/// What a change is about, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Kind {
    Image,
    Network,
    Volume,
    Container,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is fetched.
    Pull,
    /// It is built.
    Build,
    /// It is made.
    Create,
    /// Something new takes its place.
    Recreate,
    /// It stops and starts.
    Restart,
    /// It starts.
    Start,
    /// It stops.
    Stop,
    /// It goes.
    Remove,
    /// It stays as it is.
    Keep,
}

/// Sums plans up that are carried out one after the other, for the services of `project`; what they leave alone is kept.
pub fn changes(plans: &[&Plan], project: &Project, observed: &Observed) -> Vec<Change> {
    let mut found = Changes { observed, changes: BTreeMap::new(), replaced: BTreeSet::new() };
    for plan in plans {
        let planned: Vec<&Planned> = plan.in_order().into_iter().map(|index| &plan.graph()[index]).collect();
        found.replaced.extend(planned.iter().filter_map(|it| replaced(it)));
        planned.into_iter().for_each(|it| found.add(it));
    }
    found.keep_the_rest(project);
    found.changes.into_values().collect()
}

struct Changes<'a> {
    observed: &'a Observed,
    changes: BTreeMap<(Kind, String), Change>,
    /// Ids of the two sides of replacements, which are told under the one name.
    replaced: BTreeSet<String>,
}

/// The container that goes because another one takes its place, or that takes it.
fn replaced(planned: &Planned) -> Option<String> {
    match &planned.operation {
        Operation::RemoveContainer { container, .. } if planned.cause.reason == Reason::Replaced => container.id.clone(),
        Operation::RenameContainer { container, .. } => container.id.clone(),
        _ => None,
    }
}

impl Changes<'_> {
    fn add(&mut self, planned: &Planned) {
        let cause = &planned.cause;
        match &planned.operation {
            Operation::EnsureImage { reference, .. } if !self.observed.images.contains_key(reference) => {
                self.set(Kind::Image, reference, Fate::Pull, None, cause);
            }
            Operation::BuildImage { reference, missing, .. } if !missing || !self.observed.images.contains_key(reference) => {
                self.set(Kind::Image, reference, Fate::Build, None, cause);
            }
            Operation::RemoveImage { reference } => self.set(Kind::Image, reference, Fate::Remove, None, cause),
            Operation::CreateNetwork { name, .. } => self.made(Kind::Network, name, cause),
            Operation::RemoveNetwork { name } => self.set(Kind::Network, name, Fate::Remove, None, cause),
            Operation::CreateVolume { name, .. } => self.made(Kind::Volume, name, cause),
            Operation::RemoveVolume { name } => self.set(Kind::Volume, name, Fate::Remove, None, cause),
            Operation::CreateContainer { service, name, replaces, .. } => match replaces {
                Some(old) => self.set(Kind::Container, &old.name, Fate::Recreate, Some(service), cause),
                None => self.set(Kind::Container, name, Fate::Create, Some(service), cause),
            },
            Operation::CreateOneOff { service, one_off } => {
                self.set(Kind::Container, &one_off.name, Fate::Create, Some(service), cause);
            }
            Operation::RenameContainer { container, name } if !self.changes.contains_key(&(Kind::Container, name.clone())) => {
                // The new container is there already: an earlier replacement is finished.
                let cause = Cause::new(Reason::Interrupted);
                self.set(Kind::Container, name, Fate::Recreate, Some(&container.service), &cause);
            }
            Operation::StartContainer { container, .. } => match self.changes.get(&(Kind::Container, container.name.clone())) {
                Some(Change { fate: Fate::Stop, .. }) => self.fate(&container.name, Fate::Restart),
                Some(_) => {}
                None => self.set(Kind::Container, &container.name, Fate::Start, Some(&container.service), cause),
            },
            Operation::StopContainer { container, .. } if !self.is_replaced(container.id.as_ref()) => {
                self.set(Kind::Container, &container.name, Fate::Stop, Some(&container.service), cause);
            }
            Operation::RemoveContainer { container, .. } if !self.is_replaced(container.id.as_ref()) => {
                self.set(Kind::Container, &container.name, Fate::Remove, Some(&container.service), cause);
            }
            _ => {}
        }
    }

    fn is_replaced(&self, id: Option<&String>) -> bool {
        id.is_some_and(|id| self.replaced.contains(id))
    }

    fn set(&mut self, kind: Kind, name: &str, fate: Fate, service: Option<&String>, cause: &Cause) {
        let change = Change { kind, name: name.to_owned(), service: service.cloned(), fate, cause: Some(cause.clone()) };
        self.changes.insert((kind, name.to_owned()), change);
    }

    fn fate(&mut self, container: &str, fate: Fate) {
        if let Some(found) = self.changes.get_mut(&(Kind::Container, container.to_owned())) {
            found.fate = fate;
        }
    }

    /// What goes and comes again under one name is recreated.
    fn made(&mut self, kind: Kind, name: &str, cause: &Cause) {
        let again = self.changes.get(&(kind, name.to_owned())).is_some_and(|found| found.fate == Fate::Remove);
        self.set(kind, name, if again { Fate::Recreate } else { Fate::Create }, None, cause);
    }

    fn keep_the_rest(&mut self, project: &Project) {
        let observed = self.observed;
        let networks = project.networks.values().filter(|it| !it.external && observed.networks.contains_key(&it.name));
        let volumes = project.volumes.values().filter(|it| !it.external && observed.volumes.contains_key(&it.name));
        let is_kept =
            |it: &&Container| !it.one_off && project.services.contains_key(&it.service) && !self.replaced.contains(&it.id);
        let containers: Vec<&Container> = observed.containers.iter().filter(is_kept).collect();
        let kept = networks.map(|it| (Kind::Network, &it.name, None));
        let kept = kept.chain(volumes.map(|it| (Kind::Volume, &it.name, None)));
        for (kind, name, service) in
            kept.chain(containers.into_iter().map(|it| (Kind::Container, &it.name, Some(it.service.clone()))))
        {
            let kept = || Change { kind, name: name.clone(), service, fate: Fate::Keep, cause: None };
            self.changes.entry((kind, name.clone())).or_insert_with(kept);
        }
    }
}
