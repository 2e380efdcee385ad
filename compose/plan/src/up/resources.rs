//! Networks and volumes of `up`: which are missing, which changed, who waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use petgraph::stable_graph::NodeIndex;
use rcompose_model::Project;
use rcompose_model::project::{MountKind, Network, Service, Volume};

use super::existing;
use crate::cause::Reason;
use crate::observed::{Container, Observed};
use crate::{Cause, Operation, Plan, PlanError, fingerprint};

/// What is to become of the networks and volumes that the selected services use.
pub(super) struct Resources<'a> {
    project: &'a Project,
    missing_networks: Vec<(&'a str, &'a Network)>,
    changed_networks: Vec<(&'a str, &'a Network, Vec<&'a Container>)>,
    missing_volumes: Vec<(&'a str, &'a Volume)>,
    warnings: Vec<String>,
    /// By key: the operation after which the network or volume is there.
    networks: BTreeMap<&'a str, NodeIndex>,
    volumes: BTreeMap<&'a str, NodeIndex>,
    /// By container id: the stops that a changed network makes necessary.
    stops: BTreeMap<&'a str, Vec<NodeIndex>>,
}

impl<'a> Resources<'a> {
    /// Compares the resources that `selected` uses with those that exist.
    pub(super) fn plan(project: &'a Project, observed: &'a Observed, selected: &BTreeSet<&str>) -> Result<Self, PlanError> {
        let mut resources = Self {
            project,
            missing_networks: Vec::new(),
            changed_networks: Vec::new(),
            missing_volumes: Vec::new(),
            warnings: Vec::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            stops: BTreeMap::new(),
        };
        let services = || selected.iter().map(|name| &project.services[*name]);
        let networks: BTreeSet<&str> = services().flat_map(|service| service.networks.keys().map(String::as_str)).collect();
        for (key, network) in project.networks.iter().filter(|(key, _)| networks.contains(key.as_str())) {
            resources.compare_network(key, network, observed)?;
        }
        let volumes: BTreeSet<&str> = services().flat_map(volume_keys).collect();
        for (key, volume) in project.volumes.iter().filter(|(key, _)| volumes.contains(key.as_str())) {
            resources.compare_volume(key, volume, observed)?;
        }
        Ok(resources)
    }

    fn compare_network(&mut self, key: &'a str, network: &'a Network, observed: &'a Observed) -> Result<(), PlanError> {
        let present = observed.networks.get(&network.name);
        match present {
            None if network.external => return Err(self.external_missing("network", "networks", key, &network.name)),
            None => self.missing_networks.push((key, network)),
            Some(_) if network.external => {}
            Some(found) if found.project.as_ref() != Some(&self.project.name) => self.warnings.push(format!(
                "a network with name {} exists but was not created for project \"{}\". Set `external: true` to use an existing network",
                network.name, self.project.name
            )),
            Some(found) if found.config_hash.as_ref().is_some_and(|hash| *hash != fingerprint::network(network)) => {
                let users = observed.containers.iter().filter(|it| it.networks.contains(&network.name) && it.state.is_alive());
                self.changed_networks.push((key, network, users.collect()));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn compare_volume(&mut self, key: &'a str, volume: &'a Volume, observed: &Observed) -> Result<(), PlanError> {
        match observed.volumes.get(&volume.name) {
            None if volume.external => return Err(self.external_missing("volume", "volumes", key, &volume.name)),
            None => self.missing_volumes.push((key, volume)),
            Some(_) if volume.external => {}
            Some(found) if found.project.as_ref() != Some(&self.project.name) => self.warnings.push(format!(
                "volume \"{}\" already exists but was not created for project \"{}\". Use `external: true` to use an existing volume",
                volume.name, self.project.name
            )),
            Some(found) if found.config_hash.as_ref().is_some_and(|hash| *hash != fingerprint::volume(volume)) => {
                self.warnings.push(format!(
                    "volume \"{}\" exists but doesn't match configuration in compose file; it is kept as it is, with its data",
                    volume.name
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn external_missing(&self, kind: &'static str, section: &str, key: &str, name: &str) -> PlanError {
        let place = self.project.origins.find(&format!("{section}.{key}")).cloned();
        PlanError::ExternalMissing { kind, name: name.to_owned(), place }
    }

    /// Adds the operations that make the resources be there.
    pub(super) fn add_to(&mut self, plan: &mut Plan, timeout: Option<Duration>) {
        for warning in self.warnings.drain(..) {
            plan.warn(warning);
        }
        let origins = &self.project.origins;
        for (key, network) in std::mem::take(&mut self.missing_networks) {
            let cause = Cause::at(Reason::Missing, origins.find(&format!("networks.{key}")));
            self.networks.insert(key, plan.add(create_network(key, network), cause));
        }
        for (key, volume) in std::mem::take(&mut self.missing_volumes) {
            let cause = Cause::at(Reason::Missing, origins.find(&format!("volumes.{key}")));
            let operation = Operation::CreateVolume { key: key.to_owned(), name: volume.name.clone() };
            self.volumes.insert(key, plan.add(operation, cause));
        }
        for (key, network, users) in std::mem::take(&mut self.changed_networks) {
            self.recreate_network(plan, key, network, &users, timeout);
        }
    }

    /// Containers keep their identity: they stop, the network changes under them, they start.
    fn recreate_network(
        &mut self,
        plan: &mut Plan,
        key: &'a str,
        network: &'a Network,
        users: &[&'a Container],
        timeout: Option<Duration>,
    ) {
        let place = self.project.origins.find(&format!("networks.{key}"));
        let cause = Cause::at(Reason::ConfigChanged { attributes: vec![format!("networks.{key}")] }, place);
        let removed = plan.add(Operation::RemoveNetwork { name: network.name.clone() }, cause.clone());
        for user in users {
            let stops = self.stops.entry(&user.id).or_default();
            if stops.is_empty() {
                let operation = Operation::StopContainer { container: existing(user), timeout, hooks: user.pre_stop() };
                stops.push(plan.add(operation, cause.clone()));
            }
            plan.order(stops[0], removed);
        }
        let created = plan.add(create_network(key, network), cause);
        plan.order(removed, created);
        self.networks.insert(key, created);
    }

    /// The operations that a container of `service` waits for before it starts.
    pub(super) fn needed_to_start(&self, service: &Service) -> Vec<NodeIndex> {
        service.networks.keys().filter_map(|key| self.networks.get(key.as_str()).copied()).collect()
    }

    /// The operations that a container of `service` waits for before it is created.
    pub(super) fn needed_to_create(&self, service: &Service) -> Vec<NodeIndex> {
        volume_keys(service).filter_map(|key| self.volumes.get(key).copied()).collect()
    }

    /// The stops of `container` that a changed network makes necessary.
    pub(super) fn stops_of(&self, container: &Container) -> Vec<NodeIndex> {
        self.stops.get(container.id.as_str()).cloned().unwrap_or_default()
    }
}

fn create_network(key: &str, network: &Network) -> Operation {
    Operation::CreateNetwork { key: key.to_owned(), name: network.name.clone() }
}

fn volume_keys(service: &Service) -> impl Iterator<Item = &str> {
    service.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume { source, .. } => Some(source.as_str()),
        _ => None,
    })
}
