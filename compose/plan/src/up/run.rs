//! One container for one command: what its service depends on comes up first, the service itself is left alone.

use rcompose_model::Project;

use super::{Builder, Up, select};
use crate::cause::Reason;
use crate::graph::Dependencies;
use crate::{Cause, Observed, OneOff, Operation, Plan, PlanError};

/// What `run` asks for.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The service.
    pub service: String,
    /// The container.
    pub one_off: OneOff,
    /// What the service depends on is left as it is.
    pub no_deps: bool,
    /// Containers of services that are gone from the files go.
    pub remove_orphans: bool,
}

/// Plans to make a container for one command; it is started by whoever wants its output.
///
/// # Errors
/// As those of [`up`](super::up).
pub fn run(project: &Project, observed: &Observed, request: &Run) -> Result<Plan, PlanError> {
    let graph = Dependencies::of_project(project)?;
    let wanted = Up {
        services: vec![request.service.clone()],
        no_deps: request.no_deps,
        remove_orphans: request.remove_orphans,
        ..Up::default()
    };
    let selected = select(project, &graph, &wanted.services, wanted.no_deps)?;
    let mut builder = Builder::new(project, observed, &wanted, &graph, &selected)?;
    for name in graph.in_order().into_iter().filter(|name| selected.contains(name) && *name != request.service) {
        builder.add_service(&project.services[name])?;
    }
    builder.add_one_off(request)?;
    builder.order_stops();
    Ok(builder.plan)
}

impl Builder<'_> {
    fn add_one_off(&mut self, request: &Run) -> Result<(), PlanError> {
        super::known_service(self.project, &request.service)?;
        let service = &self.project.services[&request.service];
        let before = [self.gates(service), self.resources.needed_to_create(service)].concat();
        let operation = Operation::CreateOneOff { service: service.name.clone(), one_off: request.one_off.clone() };
        let created = self.plan.add(operation, Cause::new(Reason::Requested));
        for earlier in before {
            self.plan.order(earlier, created);
        }
        Ok(())
    }
}
