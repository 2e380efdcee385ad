//! What is shown: services by name, how they are, and what each of them waits for.

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_model::project::Condition;
use rcompose_supervisor::messages::ContainerSummary;

/// A stack, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) services: Vec<Node>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) mood: Mood,
    /// `running (healthy)`, `2 of 3 running`, `exited (1)`.
    pub(super) state: String,
    pub(super) waits_for: Vec<Edge>,
}

/// What a service waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    /// Place of the service in [`Picture::services`].
    pub(super) to: usize,
    /// `healthy`, `completed`; nothing if it is enough that it was started.
    pub(super) until: Option<&'static str>,
    pub(super) required: bool,
}

/// How a service is, for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should be.
    Good,
    /// On its way, or standing still.
    Waiting,
    /// Something went wrong.
    Bad,
    /// There is nothing to say.
    Absent,
}

impl Picture {
    pub(super) fn of(project: &Project, containers: &[ContainerSummary]) -> Self {
        let places: BTreeMap<&str, usize> =
            project.services.keys().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        let services = project.services.values().map(|service| {
            let own: Vec<&ContainerSummary> =
                containers.iter().filter(|it| it.service == service.name && it.number > 0).collect();
            let (mood, state) = state(&own, service.scale);
            let edge = |(name, dependency): (&String, &rcompose_model::project::Dependency)| {
                let until = match dependency.condition {
                    Condition::ServiceStarted => None,
                    Condition::ServiceHealthy => Some("healthy"),
                    Condition::ServiceCompletedSuccessfully => Some("completed"),
                };
                Some(Edge { to: *places.get(name.as_str())?, until, required: dependency.required })
            };
            Node { name: service.name.clone(), mood, state, waits_for: service.depends_on.iter().filter_map(edge).collect() }
        });
        Self { name: project.name.clone(), services: services.collect() }
    }

    /// Those that nobody waits for.
    pub(super) fn roots(&self) -> Vec<usize> {
        let awaited = |place: &usize| self.services.iter().any(|service| service.waits_for.iter().any(|edge| edge.to == *place));
        (0..self.services.len()).filter(|place| !awaited(place)).collect()
    }
}

/// Of all containers of a service together.
fn state(containers: &[&ContainerSummary], scale: u32) -> (Mood, String) {
    let of = |name: &str| containers.iter().filter(|it| it.state == name).count();
    let running = of("running");
    let wanted = containers.len().max(scale as usize);
    let Some(first) = containers.first() else { return (Mood::Absent, "not created".to_owned()) };
    if let Some(failed) = containers.iter().find(|it| it.state == "exited" && it.exit_code != 0) {
        return (Mood::Bad, format!("exited ({})", failed.exit_code));
    }
    if containers.iter().any(|it| it.state == "running" && it.health == "unhealthy") {
        return (Mood::Bad, "running (unhealthy)".to_owned());
    }
    if running < wanted && running > 0 {
        return (Mood::Waiting, format!("{running} of {wanted} running"));
    }
    let state = match (first.state.as_str(), first.health.as_str()) {
        ("running", "") => "running".to_owned(),
        ("running", health) => format!("running ({health})"),
        ("exited", _) => "exited (0)".to_owned(),
        (state, _) => state.to_owned(),
    };
    let replicas = if wanted > 1 && running == wanted { format!(", {wanted} replicas") } else { String::new() };
    let mood = match first.state.as_str() {
        "running" if containers.iter().any(|it| it.health == "starting") => Mood::Waiting,
        "running" | "exited" => Mood::Good,
        _ => Mood::Waiting,
    };
    (mood, format!("{state}{replicas}"))
}
