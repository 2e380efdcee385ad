//! Top-level resources that services refer to: networks, volumes, configs and secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A network of the project.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Network {
    /// The name by which the runtime knows it: `<project>_<key>` unless `name:` says otherwise.
    pub name: String,
    /// `bridge` unless given.
    pub driver: String,
    /// Options of the driver, verbatim.
    pub driver_opts: BTreeMap<String, String>,
    /// Not ours to create or remove.
    pub external: bool,
    /// No way out of the host.
    pub internal: bool,
    /// Whether the network has IPv4; true unless switched off.
    pub enable_ipv4: bool,
    /// Whether the network has IPv6; false unless switched on.
    pub enable_ipv6: bool,
    /// Address pools asked for; empty means one is chosen.
    pub ipam: Vec<IpamPool>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// One pool of `ipam.config`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IpamPool {
    /// CIDR.
    pub subnet: Option<String>,
    /// CIDR inside the subnet from which addresses are given.
    pub ip_range: Option<String>,
    /// The bridge's own address.
    pub gateway: Option<IpAddr>,
    /// Addresses that are never given, by name of their host.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// A named volume of the project.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Volume {
    /// The name by which the runtime knows it: `<project>_<key>` unless `name:` says otherwise.
    pub name: String,
    /// `local` unless given.
    pub driver: String,
    /// `type`, `o`, `device` of the local driver, verbatim.
    pub driver_opts: BTreeMap<String, String>,
    /// Not ours to create or remove.
    pub external: bool,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// A config or a secret: a file which services see at a path of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileObject {
    /// `<project>_<key>` unless `name:` says otherwise.
    pub name: String,
    /// Where the content comes from.
    pub source: FileSource,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
}

/// Where the content of a config or secret comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// A file of the host, absolute.
    File(PathBuf),
    /// Written in the Compose file (configs only), interpolated.
    Content(String),
    /// The value of an environment variable, resolved when the model was loaded; `None` if it was not set.
    Environment {
        /// The variable.
        variable: String,
        /// Its value.
        value: Option<String>,
    },
    /// Kept by a platform that we do not have; using it is an error.
    External,
}
