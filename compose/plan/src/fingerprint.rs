//! Fingerprints of networks and volumes, by which a changed configuration is noticed.
//!
//! Those of services are made with the model (`Service::config_hash`), since they are part of what `config --hash` prints.

use rcompose_model::project::{Network, Volume};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Fingerprints a network: SHA-256 over its canonical JSON, hex.
pub fn network(network: &Network) -> String {
    of(network)
}

/// Fingerprints a volume: SHA-256 over its canonical JSON, hex.
pub fn volume(volume: &Volume) -> String {
    of(volume)
}

fn of(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("the model's types have string keys and no failing serializers");
    Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
}
