//! Networks.

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use rcompose_engine::EngineError;
use rcompose_engine::network::Network;
use rcompose_model::project::Network as Asked;
use serde_json::{Map, Value, json};

use super::{Refusal, Shared, rfc3339};
use crate::keep::blocking;
use crate::messages::{Created, Named, Removed, ResourceSummary};
use crate::resource;
use crate::supervisor::Supervisor;

pub(super) async fn list(State(supervisor): State<Shared>) -> Json<Vec<ResourceSummary>> {
    let networks = supervisor.engine.networks().list();
    Json(networks.into_iter().map(|network| summary(&supervisor, network)).collect())
}

fn summary(supervisor: &Supervisor, network: Network) -> ResourceSummary {
    let on_it = supervisor.engine.networks().users(&network.spec.name);
    let users = on_it.iter().map(|(name, _)| name.clone()).collect();
    let container = |(name, addresses): (String, Vec<IpAddr>)| {
        let id = supervisor.engine.find(&name).map_or_else(|| name.clone(), |it| it.record.id.to_string());
        let of_family = |v4: bool| {
            let mut nets = addresses.iter().zip(&network.subnets).filter(|(address, _)| address.is_ipv4() == v4);
            nets.next().map(|(address, subnet)| format!("{address}/{}", subnet.net.prefix_len())).unwrap_or_default()
        };
        (id, json!({ "Name": name, "IPv4Address": of_family(true), "IPv6Address": of_family(false) }))
    };
    let containers: Map<String, Value> = on_it.into_iter().map(container).collect();
    let subnets = network.subnets.iter();
    let config: Vec<Value> = subnets.map(|it| json!({ "Subnet": it.net, "Gateway": it.gateway })).collect();
    let inspect = json!({
        "Name": network.spec.name,
        "Id": network.id,
        "Created": rfc3339(network.created),
        "Scope": "local",
        "Driver": network.spec.driver,
        "EnableIPv4": network.spec.ipv4,
        "EnableIPv6": network.spec.ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": config,
        },
        "Internal": network.spec.internal,
        "Attachable": false,
        "Ingress": false,
        "Containers": containers,
        "Options": { "com.docker.network.bridge.name": network.bridge },
        "Labels": network.spec.labels,
    });
    ResourceSummary { name: network.spec.name, driver: network.spec.driver, users, inspect }
}

/// Makes a network that belongs to no project; gives its id.
pub(super) async fn create(State(supervisor): State<Shared>, Json(asked): Json<Asked>) -> Result<Json<Created>, Refusal> {
    let spec = resource::network(&asked, asked.labels.clone())?;
    let warnings = resource::network_without_effect(&spec, &asked);
    let network = blocking(move || supervisor.engine.networks().create(spec).map_err(EngineError::from)).await?;
    Ok(Json(Created { id: network.id, warnings }))
}

pub(super) async fn remove(State(supervisor): State<Shared>, Json(named): Json<Named>) -> Result<Json<Removed>, Refusal> {
    blocking(move || {
        let networks = supervisor.engine.networks();
        // By its id too, or the beginning of it.
        let by_id = |network: &Network| named.name.len() >= 4 && network.id.starts_with(&named.name);
        let name = match networks.get(&named.name) {
            Some(network) => network.spec.name,
            None => networks.list().into_iter().find(by_id).map_or(named.name, |network| network.spec.name),
        };
        networks.remove(&name).map_err(EngineError::from)?;
        Ok(Json(Removed { deleted: vec![name], ..Removed::default() }))
    })
    .await
    .map_err(Refusal::from)
}

pub(super) async fn prune(State(supervisor): State<Shared>) -> Result<Json<Removed>, Refusal> {
    let deleted = blocking(move || supervisor.engine.prune_networks()).await?;
    Ok(Json(Removed { deleted, ..Removed::default() }))
}
