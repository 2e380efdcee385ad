//! What cannot be done with networks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::port::PortTaken;

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
        subnet: IpNet,
    },
    /// A fixed address that somebody has.
    #[error("address {address} of network {name} is in use")]
    AddressTaken {
        /// Which.
        name: String,
        /// Asked for.
        address: IpAddr,
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

pub(crate) fn io_error(call: &'static str, path: &std::path::Path, error: &std::io::Error) -> rcompose_sys::Error {
    let errno = rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO);
    rcompose_sys::Error::new(call, format!("{path:?}"), errno)
}
