//! `generate`: a Compose file that makes containers which are there again.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSpec, ContainerSummary, MountSource, Namespace, PublishedPort};
use serde_json::{Map, Value, json};

use crate::arguments::Generate;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(super) async fn generate(world: &World, arguments: &Generate) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let known: Vec<ContainerSummary> = client.get("/v1/containers").await?;
    let mut file = File::default();
    for wanted in &arguments.containers {
        let fits = |it: &&ContainerSummary| it.name == *wanted || wanted.len() >= 4 && it.id.starts_with(wanted);
        let missing = || CommandError::Usage(format!("no such container: {wanted}"));
        let container = known.iter().find(fits).ok_or_else(missing)?;
        let spec: ContainerSpec = client.get(&format!("/v1/containers/{}/spec", container.id)).await?;
        file.add(container, &spec);
    }
    let folder = arguments.project_dir.as_ref().and_then(|path| path.file_name()?.to_str().map(str::to_owned));
    let file = file.value(arguments.name.clone().or(folder));
    let text = match arguments.format.as_str() {
        "json" => format!("{file:#}\n"),
        _ => serde_yaml::to_string(&file).expect("a tree of JSON is a tree of YAML"),
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// What is put together.
#[derive(Default)]
struct File {
    services: Map<String, Value>,
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
}

impl File {
    /// Replicas of one service are it once.
    fn add(&mut self, container: &ContainerSummary, spec: &ContainerSpec) {
        let name = if container.service.is_empty() { &container.name } else { &container.service };
        if let Some(known) = self.services.get_mut(name) {
            known["scale"] = json!(known.get("scale").and_then(Value::as_u64).unwrap_or(1) + 1);
            return;
        }
        let mut service = described(spec);
        let volumes: Vec<Value> = spec.mounts.iter().filter_map(|mount| self.mount(mount)).collect();
        put(&mut service, "volumes", with_dollars(json!(volumes)));
        match &spec.namespaces.network {
            Namespace::Host => put(&mut service, "network_mode", json!("host")),
            Namespace::Container(other) => put(&mut service, "network_mode", json!(format!("container:{other}"))),
            Namespace::Private if spec.networks.is_empty() => put(&mut service, "network_mode", json!("none")),
            Namespace::Private => {
                let networks: Vec<&String> = spec.networks.iter().map(|endpoint| &endpoint.network).collect();
                put(&mut service, "networks", json!(networks));
                self.networks.extend(networks.into_iter().cloned());
            }
        }
        self.services.insert(name.clone(), Value::Object(service));
    }

    fn mount(&mut self, mount: &rcompose_supervisor::messages::ContainerMount) -> Option<Value> {
        let (kind, source) = match &mount.source {
            MountSource::Bind { path, .. } => ("bind", Some(path.display().to_string())),
            MountSource::Volume { name, .. } if is_made_up(name) => ("volume", None),
            MountSource::Volume { name, .. } => {
                self.volumes.insert(name.clone());
                ("volume", Some(name.clone()))
            }
            MountSource::Tmpfs { .. } => ("tmpfs", None),
            MountSource::Image { reference, .. } => ("image", Some(reference.clone())),
            MountSource::Trees { .. } => return None,
        };
        let mut value = json!({ "type": kind, "target": mount.target });
        if let Some(source) = source {
            value["source"] = json!(source);
        }
        if mount.read_only && kind != "image" {
            value["read_only"] = json!(true);
        }
        Some(value)
    }

    /// Networks and volumes are those that are there.
    fn value(self, name: Option<String>) -> Value {
        let there = |names: BTreeSet<String>| -> BTreeMap<String, Value> {
            names.into_iter().map(|name| (name.clone(), json!({ "name": name, "external": true }))).collect()
        };
        let mut file = Map::new();
        put(&mut file, "name", json!(name));
        put(&mut file, "services", Value::Object(self.services));
        put(&mut file, "networks", json!(there(self.networks)));
        put(&mut file, "volumes", json!(there(self.volumes)));
        Value::Object(file)
    }
}

/// A name of 64 digits was given to a volume that nobody named.
fn is_made_up(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What of a container needs no other object.
fn described(spec: &ContainerSpec) -> Map<String, Value> {
    let labels: BTreeMap<&String, &String> =
        spec.labels.iter().filter(|(name, _)| !name.starts_with("com.docker.compose.")).collect();
    let ports: Vec<String> = spec.ports.iter().map(port).collect();
    let mut service = Map::new();
    for (name, value) in [
        ("image", json!(spec.image)),
        ("command", json!(spec.command)),
        ("entrypoint", json!(spec.entrypoint)),
        ("environment", json!(spec.environment)),
        ("working_dir", json!(spec.working_dir)),
        ("user", json!(spec.user)),
        ("hostname", json!(spec.hostname)),
        ("tty", json!(spec.tty)),
        ("stdin_open", json!(spec.stdin_open)),
        ("init", json!(spec.init)),
        ("read_only", json!(spec.read_only)),
        ("privileged", json!(spec.security.privileged)),
        ("cap_add", json!(spec.security.cap_add)),
        ("cap_drop", json!(spec.security.cap_drop)),
        ("stop_signal", json!(spec.stop_signal)),
        ("labels", json!(labels)),
        ("ports", json!(ports)),
    ] {
        put(&mut service, name, with_dollars(value));
    }
    service
}

fn port(port: &PublishedPort) -> String {
    let host = match port.host_ip {
        Some(address) if address.is_ipv6() => format!("[{address}]:"),
        Some(address) => format!("{address}:"),
        None => String::new(),
    };
    let protocol = json!(port.protocol);
    let end = format!("{}/{}", port.target, protocol.as_str().unwrap_or("tcp"));
    match port.published {
        Some((first, last)) if first == last => format!("{host}{first}:{end}"),
        Some((first, last)) => format!("{host}{first}-{last}:{end}"),
        None => format!("{host}{end}"),
    }
}

/// Leaves out what says nothing.
fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    let says_nothing = match &value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty() && !matches!(name, "command" | "entrypoint"),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if !says_nothing {
        map.insert(name.to_owned(), value);
    }
}

/// A dollar of its own would be taken for a variable.
fn with_dollars(value: Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(entries.into_iter().map(|(key, value)| (key, with_dollars(value))).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(with_dollars).collect()),
        Value::String(text) => Value::String(text.replace('$', "$$")),
        other => other,
    }
}
