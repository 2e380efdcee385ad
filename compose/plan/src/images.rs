//! Which images must be looked at before anything else can be decided.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_model::Project;
use rcompose_model::project::{PullPolicy, Service};

use crate::builds::{BuildWhen, add_builds, how};
use crate::cause::Reason;
use crate::graph::Dependencies;
use crate::{Cause, Operation, Plan, PlanError, up};

/// Which images are wanted.
#[derive(Debug, Clone, Default)]
pub struct ImageRequest {
    /// Only of these services and their dependencies; empty is all.
    pub services: Vec<String>,
    /// Only of the services named.
    pub no_deps: bool,
    /// Instead of the services' own policies.
    pub policy: Option<PullPolicy>,
    /// When services with a build section are built.
    pub build: BuildWhen,
    /// What can be built is left out.
    pub ignore_buildable: bool,
}

/// Plans to have the images at hand, each reference once and with the strictest policy that a service gives it.
///
/// # Errors
/// A cycle, a dependency or service that is not there.
pub fn images(project: &Project, request: &ImageRequest) -> Result<Plan, PlanError> {
    let graph = Dependencies::of_project(project)?;
    let selected = up::select(project, &graph, &request.services, request.no_deps)?;
    let mut wanted: BTreeMap<(&str, Option<&str>), Vec<&Service>> = BTreeMap::new();
    let mut built = BTreeSet::new();
    for service in selected.iter().map(|name| &project.services[*name]) {
        for image in service.pre_start.iter().filter_map(|start| start.image.as_ref()) {
            if Some(image) != service.image.as_ref() {
                wanted.entry((image, service.platform.as_deref())).or_default().push(service);
            }
        }
        if service.build.is_some() && request.build != BuildWhen::Never {
            built.insert(service.name.as_str());
        } else if let Some(image) = service.image.as_ref().filter(|_| service.build.is_none() || !request.ignore_buildable) {
            wanted.entry((image, service.platform.as_deref())).or_default().push(service);
        }
    }
    let mut plan = Plan::default();
    add_builds(&mut plan, project, built, &|service| how(service, request.build, request.policy.as_ref()))?;
    for ((reference, platform), users) in wanted {
        let policies: Vec<PullPolicy> = users.iter().map(|service| policy(service, request)).collect();
        plan.add(
            Operation::EnsureImage {
                reference: reference.to_owned(),
                policy: strictest(policies),
                platform: platform.map(str::to_owned),
                optional: users.iter().all(|service| service.build.is_some()),
            },
            Cause::at(
                Reason::NeededBy {
                    services: users.iter().map(|service| service.name.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
                },
                project.origins.find(&format!("services.{}.image", users[0].name)),
            ),
        );
    }
    Ok(plan)
}

fn policy(service: &Service, request: &ImageRequest) -> PullPolicy {
    request.policy.clone().or_else(|| service.pull_policy.clone()).unwrap_or(PullPolicy::Missing)
}

fn strictest(policies: Vec<PullPolicy>) -> PullPolicy {
    let rank = |policy: &PullPolicy| match policy {
        PullPolicy::Always => 0,
        PullPolicy::Every(_) => 1,
        PullPolicy::Missing => 2,
        PullPolicy::Build => 3,
        PullPolicy::Never => 4,
    };
    policies.into_iter().min_by_key(rank).unwrap_or(PullPolicy::Missing)
}
