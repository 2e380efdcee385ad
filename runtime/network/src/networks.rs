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
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use ipnet::Ipv4Net;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use attach::{AttachRequest, Attached, EndpointRequest, PortRequest};
pub use record::{Network, NetworkSpec, PublishedPort};

use crate::dns::Zone;
use crate::firewall::{self, Bridge, Forward};
use crate::port::PortTaken;
use crate::{ipam, link};
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

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No such network.
    #[error("network {0} not found")]
    NotFound(String),
    /// The name is taken.
    #[error("network {0} exists already")]
    Exists(String),
    /// Containers are on it.
    #[error("network {name} is in use by {}", users.join(", "))]
    InUse {
        /// Which.
        name: String,
        /// Names of the containers.
        users: Vec<String>,
    },
    /// Every subnet of the pools overlaps something.
    #[error("no free subnet is left in the address pools for network {0}")]
    PoolsExhausted(String),
    /// An address or subnet that cannot be.
    #[error("network {name}: {text}")]
    Invalid {
        /// Which.
        name: String,
        /// Why.
        text: String,
    },
    /// Something that this program does not do.
    #[error("network {name}: driver `{driver}` is not supported")]
    Driver {
        /// Which.
        name: String,
        /// Asked for.
        driver: String,
    },
    /// Every address is given.
    #[error("no free address left in {subnet} of network {name}")]
    SubnetFull {
        /// Which.
        name: String,
        /// Its subnet.
        subnet: Ipv4Net,
    },
    /// A fixed address that somebody has.
    #[error("address {address} of network {name} is in use")]
    AddressTaken {
        /// Which.
        name: String,
        /// Asked for.
        address: Ipv4Addr,
    },
    /// A published port.
    #[error(transparent)]
    Port(#[from] PortTaken),
    /// The kernel refused.
    #[error("failed to {doing}")]
    Kernel {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: rcompose_sys::Error,
    },
}

pub(crate) fn kernel<T>(result: Result<T, rcompose_sys::Error>, doing: impl FnOnce() -> String) -> Result<T, NetworkError> {
    result.map_err(|source| NetworkError::Kernel { doing: doing(), source })
}

/// Networks and who is on them.
pub struct Networks {
    config: Config,
    state: Mutex<State>,
    zone: Zone,
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
    reserved: BTreeSet<(String, Ipv4Addr)>,
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
        Ok(Self {
            config,
            state: Mutex::new(state),
            zone: Zone::default(),
            runtime,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
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
        self.ensure_bridge(&network)?;
        kernel(network.write(&self.config.data_dir), || format!("record network {}", network.spec.name))?;
        state.networks.insert(network.spec.name.clone(), network.clone());
        self.apply_firewall(&state)?;
        Ok(network)
    }

    fn describe(&self, state: &State, spec: NetworkSpec) -> Result<Network, NetworkError> {
        let invalid = |text: String| NetworkError::Invalid { name: spec.name.clone(), text };
        if spec.driver != "bridge" {
            return Err(NetworkError::Driver { name: spec.name.clone(), driver: spec.driver.clone() });
        }
        let taken: Vec<Ipv4Net> = state.networks.values().map(|network| network.subnet).collect();
        let subnet = match spec.subnet {
            Some(subnet) => {
                if let Some(other) = taken.iter().find(|other| other.contains(&subnet) || subnet.contains(*other)) {
                    return Err(invalid(format!("subnet {subnet} overlaps {other} of another network")));
                }
                subnet.trunc()
            }
            None => {
                let routes = kernel(link::route_destinations(), || "look at the host's routes".to_owned())?;
                let taken = [taken, routes].concat();
                ipam::choose_subnet(&self.config.pools, self.config.prefix, &taken)
                    .ok_or_else(|| NetworkError::PoolsExhausted(spec.name.clone()))?
            }
        };
        let gateway =
            spec.gateway.or_else(|| subnet.hosts().next()).ok_or_else(|| invalid(format!("subnet {subnet} is too small")))?;
        if !subnet.contains(&gateway) {
            return Err(invalid(format!("gateway {gateway} is not in {subnet}")));
        }
        let id = kernel(rcompose_sys::atomic::random_hex(32), || "make an id".to_owned())?;
        let bridge = spec.bridge_name.clone().unwrap_or_else(|| format!("rc{}-{}", self.config.root, &id[..6]));
        Ok(Network { id, subnet, gateway, bridge, created: record::now(), spec })
    }

    /// The bridge may be gone: after a reboot, or by somebody's hand.
    fn ensure_bridge(&self, network: &Network) -> Result<u32, NetworkError> {
        let doing = || format!("make bridge {} of network {}", network.bridge, network.spec.name);
        if let Ok(index) = link::index_of(&network.bridge) {
            return Ok(index);
        }
        let address = Ipv4Net::new(network.gateway, network.subnet.prefix_len()).unwrap_or(network.subnet);
        let index = kernel(link::create_bridge(&network.bridge, address, network.spec.mtu), doing)?;
        let set = |name: &str, value: &str| {
            let path = format!("/proc/sys/net/{}", name.replace('@', &network.bridge));
            // A kernel without IPv6 has no such file; the others exist with every bridge.
            let _ = std::fs::write(path, value);
        };
        set("ipv6/conf/@/disable_ipv6", "1");
        set("ipv4/conf/@/route_localnet", "1");
        set("ipv4/ip_forward", "1");
        Ok(index)
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
        kernel(link::remove(&network.bridge), || format!("remove bridge {}", network.bridge))?;
        kernel(network.delete(&self.config.data_dir), || format!("forget network {name}"))?;
        state.networks.remove(name);
        self.apply_firewall(&state)
    }

    /// A network by name.
    pub fn get(&self, name: &str) -> Option<Network> {
        self.state().networks.get(name).cloned()
    }

    /// All networks, by name.
    pub fn list(&self) -> Vec<Network> {
        self.state().networks.values().cloned().collect()
    }

    /// Containers on a network: name and address.
    pub fn users(&self, name: &str) -> Vec<(String, Ipv4Addr)> {
        let state = self.state();
        let on = |record: &EndpointRecord| {
            let endpoint = record.endpoints.iter().find(|endpoint| endpoint.network == name)?;
            Some((record.name.clone(), endpoint.address))
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
            subnet: network.subnet,
            internal: network.spec.internal,
            masquerade: network.spec.masquerade,
        };
        let bridges: Vec<Bridge> = state.networks.values().map(bridge).collect();
        let forwards: Vec<Forward> = state.endpoints.values().flat_map(EndpointRecord::forwards).collect();
        kernel(firewall::apply(&format!("rcompose-{}", self.config.root), &bridges, &forwards), || {
            "write the firewall".to_owned()
        })
    }

    /// Ends every server; the kernel's part stays, for the next supervisor.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

pub(crate) fn io_error(call: &'static str, path: &std::path::Path, error: &std::io::Error) -> rcompose_sys::Error {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    rcompose_sys::Error::new(call, format!("{path:?}"), errno)
}

/// Where a published port leads.
pub(crate) fn target(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(address), port)
}
