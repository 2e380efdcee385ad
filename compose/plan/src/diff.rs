//! What is to become of each replica of one service: kept, recreated, added, removed.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_model::Project;
use rcompose_model::project::{MountKind, Service};

use crate::cause::Reason;
use crate::observed::{Container, Observed, State};
use crate::{Cause, Recreate, naming};

/// What is to become of a replica.
#[derive(Debug)]
pub(crate) enum Replica<'a> {
    /// Stays as it is.
    Keep(&'a Container),
    /// Something new takes its place.
    Recreate { old: &'a Container, cause: Cause },
    /// The new container is already there, under its temporary name; an earlier run was interrupted.
    Finish { old: &'a Container, new: &'a Container },
    /// Is added.
    Create { number: u32, cause: Cause },
    /// Goes.
    Remove { old: &'a Container, cause: Cause },
}

/// What is asked for one service.
pub(crate) struct Wanted<'a> {
    pub(crate) project: &'a Project,
    pub(crate) service: &'a Service,
    pub(crate) replicas: u32,
    pub(crate) recreate: Recreate,
    /// A service with which it shares namespaces or volumes, and which is recreated.
    pub(crate) parent_recreated: Option<&'a str>,
}

/// Decides for each replica of a service, existing and wanted.
pub(crate) fn replicas<'a>(wanted: &Wanted<'_>, observed: &'a Observed) -> Vec<Replica<'a>> {
    let mut decisions = Vec::new();
    let mut present: Vec<(&Container, Option<Cause>)> = Vec::new();
    for (old, new) in by_number(wanted, observed) {
        match new {
            Some(new) if new.config_hash == wanted.service.config_hash => decisions.push(Replica::Finish { old, new }),
            Some(stale) => {
                decisions.push(Replica::Remove { old: stale, cause: Cause::new(Reason::Interrupted) });
                present.push((old, why_recreate(wanted, observed, old)));
            }
            None if old.state == State::Removing => {
                decisions.push(Replica::Remove { old, cause: Cause::new(Reason::Interrupted) });
            }
            None => present.push((old, why_recreate(wanted, observed, old))),
        }
    }
    let finishing = decisions.iter().filter(|decision| matches!(decision, Replica::Finish { .. })).count();
    let have = u32::try_from(present.len() + finishing).unwrap_or(u32::MAX);
    for (old, _) in surplus(&mut present, have.saturating_sub(wanted.replicas)) {
        decisions.push(Replica::Remove { old, cause: scale_cause(wanted, Reason::ScaledDown { to: wanted.replicas }) });
    }
    decisions.extend(present.into_iter().map(|(old, cause)| match cause {
        Some(cause) => Replica::Recreate { old, cause },
        None => Replica::Keep(old),
    }));
    decisions.extend(additions(wanted, observed, have));
    decisions
}

/// Pairs each replica with the container that was to take its place when an earlier run was interrupted.
fn by_number<'a>(wanted: &Wanted<'_>, observed: &'a Observed) -> Vec<(&'a Container, Option<&'a Container>)> {
    let mut numbers: BTreeMap<u32, Vec<&Container>> = BTreeMap::new();
    for container in observed.replicas(&wanted.service.name) {
        numbers.entry(container.number).or_default().push(container);
    }
    let mut pairs = Vec::with_capacity(numbers.len());
    for (number, mut same) in numbers {
        let name = naming::container_name(wanted.project, wanted.service, number);
        same.sort_by_key(|container| container.name != name);
        let old = same[0];
        let temporary = naming::replacement_name(&old.id, &name);
        pairs.push((old, same.into_iter().skip(1).find(|other| other.name == temporary)));
    }
    pairs
}

/// Takes `count` replicas out: outdated ones first, then those with the highest numbers.
fn surplus<'a>(present: &mut Vec<(&'a Container, Option<Cause>)>, count: u32) -> Vec<(&'a Container, Option<Cause>)> {
    present.sort_by_key(|(container, outdated)| (outdated.is_some(), container.number));
    let keep = present.len().saturating_sub(count as usize);
    let surplus = present.split_off(keep);
    present.sort_by_key(|(container, _)| container.number);
    surplus
}

fn additions<'a>(wanted: &Wanted<'_>, observed: &Observed, have: u32) -> Vec<Replica<'a>> {
    let highest = observed
        .replicas(&wanted.service.name)
        .filter(|container| container.state != State::Removing)
        .map(|container| container.number)
        .max()
        .unwrap_or(0);
    let missing = wanted.replicas.saturating_sub(have);
    let reason = if have == 0 { Reason::Missing } else { Reason::ScaledUp { to: wanted.replicas } };
    let add = |offset| Replica::Create { number: highest.saturating_add(offset), cause: scale_cause(wanted, reason.clone()) };
    (1..=missing).map(add).collect()
}

fn scale_cause(wanted: &Wanted<'_>, reason: Reason) -> Cause {
    let name = &wanted.service.name;
    Cause::at(reason, wanted.project.origins.find(&format!("services.{name}")))
}

fn why_recreate(wanted: &Wanted<'_>, observed: &Observed, old: &Container) -> Option<Cause> {
    let service = wanted.service;
    let origins = &wanted.project.origins;
    match wanted.recreate {
        Recreate::Never => return None,
        Recreate::Always => return Some(Cause::new(Reason::Forced)),
        Recreate::Changed => {}
    }
    if let Some(parent) = wanted.parent_recreated {
        return Some(Cause::new(Reason::ParentRecreated { service: parent.to_owned() }));
    }
    if old.config_hash != service.config_hash {
        let attributes = old.applied.as_deref().map(|applied| changed_attributes(applied, service)).unwrap_or_default();
        let place = match attributes.first() {
            Some(attribute) => origins.find(&format!("services.{}.{attribute}", service.name)),
            None => origins.find(&format!("services.{}", service.name)),
        };
        return Some(Cause::at(Reason::ConfigChanged { attributes }, place));
    }
    let image = naming::image_name(wanted.project, service).and_then(|reference| observed.images.get(&reference));
    if image.is_some_and(|image| *image != old.image) {
        return Some(Cause::at(Reason::ImageChanged, origins.find(&format!("services.{}.image", service.name))));
    }
    volumes_differ(wanted, old).then(|| {
        let place = origins.find(&format!("services.{}.volumes", service.name));
        Cause::at(Reason::ConfigChanged { attributes: vec!["volumes".to_owned()] }, place)
    })
}

/// A volume was renamed: the service's own configuration, which refers to it by key, is still the same.
fn volumes_differ(wanted: &Wanted<'_>, old: &Container) -> bool {
    let keys = wanted.service.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume { source, .. } => wanted.project.volumes.get(source),
        _ => None,
    });
    let have: BTreeSet<&str> = old.volumes.iter().map(String::as_str).collect();
    keys.into_iter().any(|volume| !have.contains(volume.name.as_str()))
}

/// Names the attributes in which two versions of a service differ, as far as a container can tell.
fn changed_attributes(old: &Service, new: &Service) -> Vec<String> {
    let fields = |service: &Service| match serde_json::to_value(service) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    const NOT_OF_THE_CONTAINER: [&str; 8] =
        ["config_hash", "build", "pull_policy", "scale", "depends_on", "profiles", "env_files", "watch"];
    let (old, new) = (fields(old), fields(new));
    new.iter()
        .filter(|(name, value)| old.get(*name) != Some(value) && !NOT_OF_THE_CONTAINER.contains(&name.as_str()))
        .map(|(name, _)| if name == "mounts" { "volumes".to_owned() } else { name.clone() })
        .collect()
}
