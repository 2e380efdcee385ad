//! `port`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, PortSummary};

use super::ps;
use crate::arguments::Port;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn port(world: &World, arguments: &Port) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut containers = ps::containers(&mut client, &name).await?;
    containers.retain(|it| it.service == arguments.service && it.number > 0);
    containers.sort_by_key(|it| it.number);
    let container = match arguments.index {
        0 => containers.first(),
        index => containers.iter().find(|it| it.number == index),
    };
    let container = container.ok_or_else(|| CommandError::Usage(missing(arguments)))?;
    let wanted = |port: &&PortSummary| port.target_port == arguments.port && port.protocol == arguments.protocol;
    let found = container.ports.iter().find(wanted).ok_or_else(|| CommandError::Usage(unpublished(arguments, container)))?;
    let address = if found.url.contains(':') { format!("[{}]", found.url) } else { found.url.clone() };
    output::print(&format!("{address}:{}\n", found.published_port))?;
    Ok(Exit::Success)
}

fn missing(arguments: &Port) -> String {
    match arguments.index {
        0 => format!("no container found for service \"{}\"", arguments.service),
        index => format!("no container #{index} found for service \"{}\"", arguments.service),
    }
}

/// Names what is published instead.
fn unpublished(arguments: &Port, container: &ContainerSummary) -> String {
    let mut others: Vec<String> = container.ports.iter().map(|it| format!("{}/{}", it.target_port, it.protocol)).collect();
    others.dedup();
    let others = match (container.state.as_str(), others.is_empty()) {
        ("running", true) => String::new(),
        ("running", false) => format!(": {}", others.join(", ")),
        (state, _) => format!(": it is {state}"),
    };
    format!("no port {}/{} for container {}{others}", arguments.port, arguments.protocol, container.name)
}
