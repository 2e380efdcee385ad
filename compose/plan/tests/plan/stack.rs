//! Small projects and worlds to plan with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rcompose_model::project::{Condition, Dependency, Mount, MountKind, Network, NetworkAttachment, Project, Service, Volume};
use rcompose_model::{Origins, Place};
use rcompose_plan::observed::{self, Container, Observed, Resource, State};
use rcompose_plan::{Plan, PlanError, fingerprint};

/// A project named `shop` whose services use the network `default`.
pub(crate) fn project(services: impl IntoIterator<Item = Service>) -> Project {
    let services: BTreeMap<String, Service> = services.into_iter().map(|service| (service.name.clone(), service)).collect();
    let mut origins = Origins::default();
    for (line, name) in (2..).zip(services.keys()) {
        origins.insert(format!("services.{name}"), Place { file: PathBuf::from("compose.yaml"), line, column: 3 });
    }
    let network = Network { name: "shop_default".to_owned(), driver: "bridge".to_owned(), ..Network::default() };
    Project {
        name: "shop".to_owned(),
        services,
        networks: BTreeMap::from([("default".to_owned(), network)]),
        origins,
        ..Project::default()
    }
}

/// A service of one replica; its configuration hash is its name and 1.
pub(crate) fn service(name: &str) -> Service {
    Service {
        name: name.to_owned(),
        image: Some("small".to_owned()),
        scale: 1,
        networks: BTreeMap::from([("default".to_owned(), NetworkAttachment::default())]),
        config_hash: format!("{name}-1"),
        ..Service::default()
    }
}

/// A service that waits for others.
pub(crate) fn after(name: &str, dependencies: &[(&str, Condition)]) -> Service {
    let edge = |(name, condition): &(&str, Condition)| {
        ((*name).to_owned(), Dependency { condition: *condition, restart: false, required: true })
    };
    Service { depends_on: dependencies.iter().map(edge).collect(), ..service(name) }
}

/// Mounts the named volume `key`.
pub(crate) fn with_volume(mut project: Project, service: &str, key: &str) -> Project {
    let volume = Volume { name: format!("shop_{key}"), driver: "local".to_owned(), ..Volume::default() };
    project.volumes.insert(key.to_owned(), volume);
    let kind = MountKind::Volume { source: key.to_owned(), nocopy: false, subpath: None };
    let mount = Mount { target: "/data".to_owned(), read_only: false, kind };
    project.services.get_mut(service).expect("the service is part of the project").mounts.push(mount);
    project
}

/// The world as it is after `up` of the project: everything there, everything running.
pub(crate) fn running(project: &Project) -> Observed {
    let mut world = Observed { images: BTreeMap::from([("small".to_owned(), "image-1".to_owned())]), ..Observed::default() };
    for (key, network) in &project.networks {
        world.networks.insert(network.name.clone(), ours(key, fingerprint::network(network)));
    }
    for (key, volume) in &project.volumes {
        world.volumes.insert(volume.name.clone(), ours(key, fingerprint::volume(volume)));
    }
    for service in project.services.values() {
        world.containers.extend((1..=service.scale).map(|number| container(project, service, number)));
    }
    world
}

fn ours(key: &str, config_hash: String) -> Resource {
    Resource { project: Some("shop".to_owned()), key: Some(key.to_owned()), config_hash: Some(config_hash) }
}

/// The running replica `number` of a service.
pub(crate) fn container(project: &Project, service: &Service, number: u32) -> Container {
    let remembered = |(name, how): (&String, &Dependency)| observed::Dependency {
        service: name.clone(),
        condition: how.condition,
        restart: how.restart,
    };
    Container {
        id: format!("{:0<64}", format!("{}{number}", service.name)),
        name: format!("shop-{}-{number}", service.name),
        service: service.name.clone(),
        number,
        config_hash: service.config_hash.clone(),
        image: "image-1".to_owned(),
        state: State::Running { healthy: None },
        networks: project.networks.values().map(|network| network.name.clone()).collect(),
        volumes: project.volumes.values().map(|volume| volume.name.clone()).collect(),
        depends_on: service.depends_on.iter().map(remembered).collect(),
        applied: Some(Arc::new(service.clone())),
        ..Container::default()
    }
}

/// Compares a plan with its text.
#[track_caller]
pub(crate) fn check(plan: Result<Plan, PlanError>, expected: &str) {
    let text = plan.expect("a plan can be made").to_string();
    let expected: String = expected.trim().lines().map(|line| format!("{}\n", line.trim_start())).collect();
    assert_eq!(text.trim_end(), expected.trim_end(), "\n{text}");
}
