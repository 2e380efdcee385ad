//! What of a connected container is answered by this process: its names, and ports that NAT cannot carry.

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

use super::Networks;
use super::record::{EndpointAddress, EndpointRecord};
use crate::dns::{self, Client, Entry};
use crate::port::Held;

impl Networks {
    pub(super) fn announce(&self, record: &EndpointRecord) {
        let client = Client {
            networks: record.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect(),
            links: record.links.clone(),
            upstreams: record.upstreams.clone(),
        };
        let entry = |endpoint: &EndpointAddress| Entry {
            container: record.name.clone(),
            network: endpoint.network.clone(),
            addresses: endpoint.addresses.clone(),
            names: endpoint.names.clone(),
        };
        let entries: Vec<Entry> = record.endpoints.iter().map(entry).collect();
        self.zone.add(&record.name, client, &entries);
    }

    /// `held` are sockets of published ports, and the container's port of each.
    pub(super) fn serve(
        &self,
        record: &EndpointRecord,
        sockets: Option<dns::Sockets>,
        held: Vec<(Held, u16)>,
        stop: &CancellationToken,
    ) {
        if let Some(sockets) = sockets {
            let server = dns::serve(record.name.clone(), sockets, self.zone.clone(), stop.clone());
            self.tasks.spawn_on(
                async move {
                    if let Err(error) = server.await {
                        tracing::warn!(%error, "the name server of a container ended");
                    }
                },
                &self.runtime,
            );
        }
        let Some(target) = record.targets.first() else { return };
        for (held, container_port) in held {
            let target = SocketAddr::new(*target, container_port);
            self.tasks.spawn_on(held.serve(target, stop.clone()), &self.runtime);
        }
    }
}
