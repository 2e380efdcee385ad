//! The facade: networks and who is on them.
//!
//! ```text
//! <data>/networks/<name>.json              a network
//! <data>/networks/endpoints/<id>.json      a container's addresses and ports, written before they are used
//! <run>/netns/<id>                         a container's network namespace
//! ```
//! Everything in the kernel is named after the data root: the table `rcompose-<root>`, bridges `rc<root>-<network>`, links
//! `rv<root>-<link>`. Two roots never meet.

mod attach;
mod describe;
mod error;
mod place;
mod record;
mod request;
mod restore;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use ipnet::Ipv4Net;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::NetworkError;
pub(crate) use error::io_error;
pub use record::{Network, NetworkSpec, Pool, PublishedPort, Subnet};
pub use request::{AttachRequest, Attached, EndpointRequest, PortRequest};

use crate::dns::Zone;
use crate::firewall::{Bridge, Firewall, Forward};
use crate::link;
use error::kernel;
use record::EndpointRecord;

/// Where state is, and which addresses may be given.
#[derive(Debug, Clone)]
pub struct Config {
    /// Below it: records.
    pub data_dir: PathBuf,
    /// Below it: network namespaces.
    pub run_dir: PathBuf,
    /// Subnets are cut from these.
    pub pools: Vec<Ipv4Net>,
    /// Bits of the subnets that are cut.
    pub prefix: u8,
    /// Four hex digits that tell this data root from others.
    pub root: String,
}

impl Config {
    /// Wide private pools, cut into networks of 254 addresses.
    pub fn default_pools() -> Vec<Ipv4Net> {
        let pool = |octets, prefix| Ipv4Net::new_assert(Ipv4Addr::from(octets), prefix);
        vec![pool([172, 18, 0, 0], 15), pool([172, 20, 0, 0], 14), pool([172, 24, 0, 0], 13), pool([10, 192, 0, 0], 10)]
    }
}

/// Networks and who is on them.
pub struct Networks {
    config: Config,
    state: Mutex<State>,
    zone: Zone,
    firewall: Firewall,
    runtime: tokio::runtime::Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Default)]
struct State {
    networks: BTreeMap<String, Network>,
    endpoints: BTreeMap<String, EndpointRecord>,
    /// Servers of running containers, by id.
    servers: BTreeMap<String, CancellationToken>,
    /// Addresses of containers that are being attached, by network.
    reserved: BTreeSet<(String, IpAddr)>,
}

impl Networks {
    /// Reads the records. The kernel is looked at when something is done.
    pub fn open(config: Config, runtime: tokio::runtime::Handle) -> Result<Self, NetworkError> {
        for folder in [config.data_dir.join("endpoints"), config.run_dir.clone()] {
            let made = std::fs::create_dir_all(&folder);
            kernel(made.map_err(|error| io_error("mkdir", &folder, &error)), || format!("make {}", folder.display()))?;
        }
        let state = State {
            networks: record::networks(&config.data_dir),
            endpoints: record::endpoints(&config.data_dir),
            ..State::default()
        };
        let (firewall, stop, tasks) =
            (Firewall::new(format!("rcompose-{}", config.root)), CancellationToken::new(), TaskTracker::new());
        match firewall.watch(stop.child_token()) {
            Ok(watching) => drop(tasks.spawn_on(watching, &runtime)),
            // Without nftables there is no network either, and whoever wants one is told so.
            Err(error) => tracing::debug!(%error, "changes of the firewall by others are not noticed"),
        }
        Ok(Self { config, state: Mutex::new(state), zone: Zone::default(), firewall, runtime, tasks, stop })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes a network.
    pub fn create(&self, spec: NetworkSpec) -> Result<Network, NetworkError> {
        let mut state = self.state();
        if state.networks.contains_key(&spec.name) {
            return Err(NetworkError::Exists(spec.name));
        }
        let network = self.describe(&state, spec)?;
        // Written before it is made: what a crash leaves is found by its record.
        kernel(network.write(&self.config.data_dir), || format!("record network {}", network.spec.name))?;
        state.networks.insert(network.spec.name.clone(), network.clone());
        let made = self.ensure_bridge(&state, &network).and_then(|_| self.apply_firewall(&state));
        if let Err(error) = made {
            if let Err(left) = self.forget(&mut state, &network) {
                tracing::warn!(error = %left, network = network.spec.name, "a network that could not be made is left half-made");
            }
            return Err(error);
        }
        Ok(network)
    }

    /// Takes a network away.
    pub fn remove(&self, name: &str) -> Result<(), NetworkError> {
        let mut state = self.state();
        let network = state.networks.get(name).ok_or_else(|| NetworkError::NotFound(name.to_owned()))?.clone();
        let on = |record: &&EndpointRecord| record.endpoints.iter().any(|endpoint| endpoint.network == name);
        let mut users: Vec<String> = state.endpoints.values().filter(on).map(|record| record.name.clone()).collect();
        users.sort();
        if !users.is_empty() {
            return Err(NetworkError::InUse { name: name.to_owned(), users });
        }
        self.forget(&mut state, &network)
    }

    fn forget(&self, state: &mut State, network: &Network) -> Result<(), NetworkError> {
        let name = &network.spec.name;
        kernel(link::remove(&network.bridge), || format!("remove bridge {}", network.bridge))?;
        kernel(network.delete(&self.config.data_dir), || format!("forget network {name}"))?;
        state.networks.remove(name);
        self.apply_firewall(state)
    }

    /// A network by name.
    pub fn get(&self, name: &str) -> Option<Network> {
        self.state().networks.get(name).cloned()
    }

    /// All networks, by name.
    pub fn list(&self) -> Vec<Network> {
        self.state().networks.values().cloned().collect()
    }

    /// Containers on a network: names, and addresses in the order of the network's subnets.
    pub fn users(&self, name: &str) -> Vec<(String, Vec<IpAddr>)> {
        let state = self.state();
        let on = |record: &EndpointRecord| {
            let is_on = record.endpoints.iter().any(|endpoint| endpoint.network == name);
            is_on.then(|| (record.name.clone(), record.addresses_on(name).collect()))
        };
        state.endpoints.values().filter_map(on).collect()
    }

    /// Addresses of a container, by network, and its published ports.
    pub fn attached(&self, id: &str) -> Option<Attached> {
        self.state().endpoints.get(id).map(|record| self.attached_of(record))
    }

    fn apply_firewall(&self, state: &State) -> Result<(), NetworkError> {
        let bridge = |network: &Network| Bridge {
            name: network.bridge.clone(),
            subnets: network.subnets.iter().map(|subnet| subnet.net).collect(),
            internal: network.spec.internal,
            masquerade: network.spec.masquerade,
            connected: network.spec.connected,
        };
        let bridges = state.networks.values().map(bridge).collect();
        let forwards: Vec<Forward> = state.endpoints.values().flat_map(EndpointRecord::forwards).collect();
        kernel(self.firewall.apply(bridges, forwards), || "write the firewall".to_owned())
    }

    /// Ends every server; the kernel's part stays, for the next supervisor.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
