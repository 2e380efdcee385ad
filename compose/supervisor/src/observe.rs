//! What exists, in the planner's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use rcompose_engine::container::MountSource;
use rcompose_engine::{Container, Engine, State as EngineState};
use rcompose_model::Project;
use rcompose_model::project::{Condition, Service};
use rcompose_plan::labels;
use rcompose_plan::observed::{self, Dependency, Observed, Resource, State};

use crate::keep::{Keeper, Phase};

/// Observes a project: its containers, and every network, volume and image that its files name.
pub(crate) fn observe(
    engine: &Engine,
    keeper: &Keeper,
    name: &str,
    project: Option<&Project>,
    applied: &BTreeMap<String, Arc<Service>>,
) -> Observed {
    let containers = engine.list().into_iter().filter(|it| label(it, labels::PROJECT) == Some(name));
    let containers = containers.map(|container| describe(keeper, &container, applied)).collect();
    let networks = engine.networks().list().into_iter().map(|network| {
        let resource = resource(&network.spec.labels, labels::NETWORK);
        (network.spec.name, resource)
    });
    let volumes = engine.volumes().list().into_iter().map(|volume| {
        let resource = resource(&volume.spec.labels, labels::VOLUME);
        (volume.spec.name, resource)
    });
    let services = project.into_iter().flat_map(|project| project.services.values().map(move |service| (project, service)));
    let references = services.filter_map(|(project, service)| rcompose_plan::image_name(project, service));
    let images = references.filter_map(|reference| Some((reference.clone(), engine.images().id_of(&reference)?))).collect();
    Observed { containers, networks: networks.collect(), volumes: volumes.collect(), images }
}

fn label<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container.record.spec.labels.get(name).map(String::as_str)
}

fn resource(labels_of: &BTreeMap<String, String>, key: &str) -> Resource {
    Resource {
        project: labels_of.get(labels::PROJECT).cloned(),
        key: labels_of.get(key).cloned(),
        config_hash: labels_of.get(labels::CONFIG_HASH).cloned(),
    }
}

fn describe(keeper: &Keeper, container: &Container, applied: &BTreeMap<String, Arc<Service>>) -> observed::Container {
    let spec = &container.record.spec;
    let service = label(container, labels::SERVICE).unwrap_or_default().to_owned();
    let config_hash = label(container, labels::CONFIG_HASH).unwrap_or_default().to_owned();
    let known = applied.get(&service).filter(|service| service.config_hash == config_hash).cloned();
    let volume = |mount: &rcompose_engine::container::Mount| match &mount.source {
        MountSource::Volume { name, .. } => Some(name.clone()),
        _ => None,
    };
    observed::Container {
        id: container.record.id.to_string(),
        name: spec.name.clone(),
        number: label(container, labels::CONTAINER_NUMBER).and_then(|text| text.parse().ok()).unwrap_or(0),
        one_off: label(container, labels::ONE_OFF) == Some("True"),
        hook: label(container, labels::HOOK).is_some(),
        config_hash,
        image: container.record.image_id.clone(),
        state: state(keeper, container),
        networks: spec.networks.iter().map(|endpoint| endpoint.network.clone()).collect(),
        volumes: spec.mounts.iter().filter_map(volume).collect(),
        depends_on: label(container, labels::DEPENDS_ON).map(dependencies).unwrap_or_default(),
        applied: known,
        service,
    }
}

fn state(keeper: &Keeper, container: &Container) -> State {
    match (&container.state, keeper.status(container.record.id.as_str()).map(|status| (status.phase, status.health))) {
        (EngineState::Removing, _) => State::Removing,
        (_, Some((Phase::Restarting, _))) => State::Restarting,
        (EngineState::Running, Some((Phase::Paused, _))) => State::Paused,
        (EngineState::Running, status) | (EngineState::Exited(_), status @ Some((Phase::Running, _))) => {
            let health = status.and_then(|(_, health)| health);
            State::Running { healthy: health.map(|health| health == crate::health::Health::Healthy) }
        }
        (EngineState::Created, _) => State::Created,
        (EngineState::Exited(record), _) => State::Exited { code: record.code },
    }
}

/// Reads `db:service_healthy:false,cache:service_started:true`.
fn dependencies(text: &str) -> Vec<Dependency> {
    let dependency = |part: &str| {
        let mut words = part.split(':');
        let service = words.next().filter(|name| !name.is_empty())?.to_owned();
        let condition = match words.next() {
            Some("service_healthy") => Condition::ServiceHealthy,
            Some("service_completed_successfully") => Condition::ServiceCompletedSuccessfully,
            _ => Condition::ServiceStarted,
        };
        Some(Dependency { service, condition, restart: words.next() == Some("true") })
    };
    text.split(',').filter_map(dependency).collect()
}
