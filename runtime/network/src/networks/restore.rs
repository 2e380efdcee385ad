//! What a supervisor finds when it starts: containers that go on, and what is left of those that do not.

use std::collections::BTreeSet;

use rcompose_sys::netns;

use super::record::EndpointRecord;
use super::{NetworkError, Networks, PublishedPort, kernel};
use crate::port::{self, Held};
use crate::{dns, link};

impl Networks {
    /// After a restart of the supervisor: serves the containers of `alive` again, and clears away what is left of others.
    pub fn restore(&self, alive: &BTreeSet<String>) -> Result<(), NetworkError> {
        let known: Vec<EndpointRecord> = self.state().endpoints.values().cloned().collect();
        let (kept, gone): (Vec<_>, Vec<_>) = known.into_iter().partition(|record| alive.contains(&record.container));
        for record in &gone {
            self.detach(&record.container);
        }
        self.sweep(&kept)?;
        for record in kept {
            if let Err(error) = self.serve_again(&record) {
                tracing::warn!(%error, container = record.name, "names or ports of a container could not be served again");
            }
        }
        let state = self.state();
        for network in state.networks.values() {
            self.ensure_bridge(&state, network)?;
        }
        self.apply_firewall(&state)
    }

    fn serve_again(&self, record: &EndpointRecord) -> Result<(), NetworkError> {
        let doing = || format!("serve {} again", record.name);
        let namespace = kernel(netns::open(&self.namespace_path(&record.container)), doing)?;
        let sockets = match record.endpoints.as_slice() {
            [] => None,
            _ => Some(kernel(netns::run_in(&namespace, dns::Sockets::open).and_then(|made| made), doing)?),
        };
        let held = record.ports.iter().filter_map(|port| hold_again(record, port)).collect();
        let stop = self.stop.child_token();
        self.announce(record);
        self.serve(record, sockets, held, &stop);
        self.state().servers.insert(record.container.clone(), stop);
        Ok(())
    }

    /// Removes namespaces, links and bridges of ours that no record knows.
    fn sweep(&self, kept: &[EndpointRecord]) -> Result<(), NetworkError> {
        let known: BTreeSet<&str> = kept.iter().map(|record| record.container.as_str()).collect();
        for pin in std::fs::read_dir(&self.config.run_dir).into_iter().flatten().flatten() {
            if pin.file_name().to_str().is_some_and(|name| !known.contains(name)) {
                kernel(netns::unpin(&pin.path()), || format!("let go of {}", pin.path().display()))?;
            }
        }
        let mut links: BTreeSet<String> = kept.iter().flat_map(|record| &record.endpoints).map(|it| it.link.clone()).collect();
        links.extend(self.state().networks.values().map(|network| network.bridge.clone()));
        let prefixes = [format!("rv{}-", self.config.root), format!("rc{}-", self.config.root)];
        for name in kernel(link::names(), || "look at the host's links".to_owned())? {
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) && !links.contains(&name) {
                kernel(link::remove(&name), || format!("remove link {name}"))?;
            }
        }
        Ok(())
    }
}

/// A port that somebody took while no supervisor held it: NAT leads to the container all the same, and its names are served.
fn hold_again(record: &EndpointRecord, port: &PublishedPort) -> Option<(Held, u16)> {
    match port::hold(port.protocol, port.host, Some((port.host_port, port.host_port))) {
        Ok(held) => Some((held, port.container_port)),
        Err(error) => {
            tracing::warn!(%error, container = record.name, "a published port was taken by somebody else");
            None
        }
    }
}
