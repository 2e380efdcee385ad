//! Which images are built, and in which order: one that another is built from comes before it.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::stable_graph::NodeIndex;
use rcompose_model::Project;
use rcompose_model::project::{PullPolicy, Service};
use serde::{Deserialize, Serialize};

use crate::cause::Reason;
use crate::graph::Dependencies;
use crate::naming::image_name;
use crate::pushes::add_pushes;
use crate::{Cause, Operation, Plan, PlanError, up};

/// Which images are to be built.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// Only of these services; empty is all.
    pub services: Vec<String>,
    /// Those of their dependencies too.
    pub with_dependencies: bool,
    /// What was built is sent to where its name says.
    pub push: bool,
}

/// When services with a build section are built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildWhen {
    /// As each service says; by default when its image is missing.
    #[default]
    AsAsked,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Plans to build images.
///
/// # Errors
/// A service that is not there; images that are built from each other.
pub fn builds(project: &Project, request: &BuildRequest) -> Result<Plan, PlanError> {
    let graph = Dependencies::of_project(project)?;
    let selected = up::select(project, &graph, &request.services, !request.with_dependencies)?;
    let built: BTreeSet<&str> = selected.into_iter().filter(|name| project.services[*name].build.is_some()).collect();
    let mut plan = Plan::default();
    let planned = add_builds(&mut plan, project, built.clone(), &|_| How { missing: false, pull: false })?;
    if request.push {
        let services = built.into_iter().map(|name| &project.services[name]);
        add_pushes(&mut plan, project, services, |name| planned.get(name).copied());
    }
    Ok(plan)
}

/// How the image of a service comes to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) missing: bool,
    pub(crate) pull: bool,
}

/// What a service and the command line say of its build.
pub(crate) fn how(service: &Service, when: BuildWhen, policy: Option<&PullPolicy>) -> How {
    let policy = policy.or(service.pull_policy.as_ref());
    let always = when == BuildWhen::Always || policy == Some(&PullPolicy::Build);
    let pull = service.image.is_some() && !always && policy != Some(&PullPolicy::Never);
    How { missing: !always, pull }
}

/// Adds a build for each service, and for those that it is built from; gives the builds by service.
pub(crate) fn add_builds<'a>(
    plan: &mut Plan,
    project: &'a Project,
    services: BTreeSet<&'a str>,
    how: &dyn Fn(&Service) -> How,
) -> Result<BTreeMap<&'a str, NodeIndex>, PlanError> {
    let mut planned: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    // Those that are open, each with the contexts that have not been looked at; no recursion, so that a chain costs no stack.
    for name in services {
        let mut open: Vec<(&str, Vec<&str>)> = vec![(name, contexts(project, name))];
        while let Some((current, left)) = open.last_mut() {
            let current = *current;
            if planned.contains_key(current) {
                open.pop();
                continue;
            }
            if let Some(next) = left.pop() {
                if let Some(start) = open.iter().position(|(name, _)| *name == next) {
                    let path = open[start..].iter().map(|(name, _)| (*name).to_owned()).chain([next.to_owned()]).collect();
                    let place = project.origins.find(&format!("services.{current}.build.additional_contexts")).cloned();
                    return Err(PlanError::Cycle { path, place });
                }
                open.push((next, contexts(project, next)));
                continue;
            }
            let service = &project.services[current];
            let reference = image_name(project, service).unwrap_or_default();
            let How { missing, pull } = how(service);
            let cause = Cause::at(
                Reason::NeededBy { services: vec![current.to_owned()] },
                project.origins.find(&format!("services.{current}.build")),
            );
            let node = plan.add(Operation::BuildImage { service: current.to_owned(), reference, missing, pull }, cause);
            for other in contexts(project, current) {
                if let Some(earlier) = planned.get(other) {
                    plan.order(*earlier, node);
                }
            }
            planned.insert(current, node);
        }
    }
    Ok(planned)
}

/// The services whose images a service is built from. One that has no build is left to the builder, which says so.
fn contexts<'a>(project: &'a Project, name: &str) -> Vec<&'a str> {
    let build = project.services.get(name).and_then(|service| service.build.as_ref());
    let section = build.map(|build| &build.attributes["additional_contexts"]);
    let values: Vec<&'a str> = match section {
        Some(serde_json::Value::Object(named)) => named.values().filter_map(serde_json::Value::as_str).collect(),
        Some(serde_json::Value::Array(list)) => {
            list.iter().filter_map(|entry| entry.as_str()?.split_once('=').map(|(_, value)| value)).collect()
        }
        _ => Vec::new(),
    };
    let services = values.into_iter().filter_map(|value| value.strip_prefix("service:"));
    services.filter(|name| project.services.get(*name).is_some_and(|service| service.build.is_some())).collect()
}
