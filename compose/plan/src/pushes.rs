//! Which images go to their registries.

use std::collections::BTreeMap;

use petgraph::stable_graph::NodeIndex;
use rcompose_model::Project;
use rcompose_model::project::Service;

use crate::cause::Reason;
use crate::graph::Dependencies;
use crate::{Cause, ImageRequest, Operation, Plan, PlanError, up};

/// Plans to send the images of services that say how they are built to their registries, each reference once. An image that is
/// only used here belongs to somebody else, and one without a name has no place to go: such a service is warned of.
///
/// # Errors
/// A cycle, a dependency or service that is not there.
pub fn pushes(project: &Project, request: &ImageRequest) -> Result<Plan, PlanError> {
    let graph = Dependencies::of_project(project)?;
    let selected = up::select(project, &graph, &request.services, request.no_deps)?;
    let mut plan = Plan::default();
    let built = selected.iter().map(|name| &project.services[*name]).filter(|service| service.build.is_some());
    add_pushes(&mut plan, project, built, |_| None);
    Ok(plan)
}

/// Adds a push for each name of each service's image, after what makes it.
pub(crate) fn add_pushes<'a>(
    plan: &mut Plan,
    project: &Project,
    services: impl Iterator<Item = &'a Service>,
    made_by: impl Fn(&str) -> Option<NodeIndex>,
) {
    let mut wanted: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
    for service in services {
        let names = names(service);
        if names.is_empty() {
            plan.warn(format!("service {}: it has no `image` that says where to push to", service.name));
        }
        names.into_iter().for_each(|name| wanted.entry(name).or_default().push(service));
    }
    for (reference, users) in wanted {
        let place = project.origins.find(&format!("services.{}.image", users[0].name));
        let node = plan.add(Operation::PushImage { reference: reference.to_owned() }, Cause::at(Reason::Requested, place));
        for earlier in users.iter().filter_map(|service| made_by(&service.name)) {
            plan.order(earlier, node);
        }
    }
}

/// Where the image of a service goes: what it is called, and the further tags of its build.
fn names(service: &Service) -> Vec<&str> {
    let tags = service.build.as_ref().and_then(|build| build.attributes["tags"].as_array()).into_iter().flatten();
    service.image.as_deref().into_iter().chain(tags.filter_map(serde_json::Value::as_str)).collect()
}
