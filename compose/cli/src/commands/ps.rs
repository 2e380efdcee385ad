//! `ps`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, PortSummary};
use serde_json::json;

use crate::arguments::Ps;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Table};
use crate::settings::World;

/// The containers of a project.
pub(crate) async fn containers(client: &mut Client, project: &str) -> Result<Vec<ContainerSummary>, CommandError> {
    Ok(client.get(&format!("/v1/containers?project={project}")).await?)
}

pub(crate) async fn ps(world: &World, arguments: &Ps) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut all = containers(&mut client, &name).await?;
    let known = |service: &String| {
        project.as_ref().is_some_and(|project| project.services.contains_key(service))
            || all.iter().any(|it| it.service == *service)
    };
    if let Some(unknown) = arguments.services.iter().find(|service| !known(service)) {
        return Err(CommandError::Usage(format!("no such service: {unknown}")));
    }
    all.retain(|it| {
        let named = arguments.services.is_empty() || arguments.services.contains(&it.service);
        let in_state = match arguments.status.as_slice() {
            [] => arguments.all || matches!(it.state.as_str(), "running" | "paused" | "restarting"),
            states => states.contains(&it.state),
        };
        named && in_state
    });
    let text = if arguments.quiet {
        all.iter().map(|it| format!("{}\n", it.id)).collect()
    } else if arguments.names {
        let names: std::collections::BTreeSet<&str> = all.iter().map(|it| it.service.as_str()).collect();
        names.into_iter().map(|name| format!("{name}\n")).collect()
    } else if arguments.format == "json" {
        all.iter().map(|it| format!("{}\n", object(it))).collect()
    } else {
        table(&all, arguments.no_trunc)
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

fn table(containers: &[ContainerSummary], whole: bool) -> String {
    let mut table = Table::new(&["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"]);
    for it in containers {
        table.row(vec![
            it.name.clone(),
            it.image.clone(),
            command(it, whole),
            it.service.clone(),
            format!("{} ago", age(now() - it.created)),
            status(it),
            ports(it),
        ]);
    }
    table.render()
}

fn command(container: &ContainerSummary, whole: bool) -> String {
    let text = container.command.join(" ");
    if whole || text.chars().count() <= 20 {
        return format!("\"{text}\"");
    }
    let cut: String = text.chars().take(19).collect();
    format!("\"{cut}…\"")
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// `5 minutes`, as Docker says it.
pub(crate) fn age(seconds: i64) -> String {
    let plural = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1..60 => plural(seconds, "second"),
        60..120 => "About a minute".to_owned(),
        120..3600 => plural(seconds / 60, "minute"),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => plural(seconds / 3600, "hour"),
        172_800..1_209_600 => plural(seconds / 86_400, "day"),
        _ => plural(seconds / 604_800, "week"),
    }
}

pub(crate) fn status(container: &ContainerSummary) -> String {
    let since = |nanoseconds: Option<i64>| age(now() - nanoseconds.unwrap_or(0) / 1_000_000_000);
    match container.state.as_str() {
        "running" | "paused" => {
            let note = match (container.state.as_str(), container.health.as_str()) {
                ("paused", _) => " (Paused)".to_owned(),
                (_, "") => String::new(),
                (_, "starting") => " (health: starting)".to_owned(),
                (_, health) => format!(" ({health})"),
            };
            format!("Up {}{note}", since(container.started_at))
        }
        "restarting" => format!("Restarting ({}) {} ago", container.exit_code, since(container.started_at)),
        "exited" => {
            let note = if container.oom_killed { ", out of memory" } else { "" };
            format!("Exited ({}{note}) {} ago", container.exit_code, since(container.finished_at))
        }
        "created" => "Created".to_owned(),
        other => other.to_owned(),
    }
}

fn ports(container: &ContainerSummary) -> String {
    let shown = |port: &PortSummary| {
        let url = if port.url.contains(':') { format!("[{}]", port.url) } else { port.url.clone() };
        format!("{url}:{}->{}/{}", port.published_port, port.target_port, port.protocol)
    };
    let published: Vec<String> = container.ports.iter().map(shown).collect();
    let open = container.exposed.iter().map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    published.into_iter().chain(open).collect::<Vec<_>>().join(", ")
}

/// In docker compose's shape.
fn object(it: &ContainerSummary) -> serde_json::Value {
    let labels: Vec<String> = it.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "Command": command(it, false),
        "CreatedAt": jiff::Timestamp::from_second(it.created).map(|time| time.to_string()).unwrap_or_default(),
        "ExitCode": it.exit_code,
        "Health": it.health,
        "ID": it.id[..12],
        "Image": it.image,
        "Labels": labels.join(","),
        "LocalVolumes": it.volumes.len().to_string(),
        "Mounts": it.volumes.join(","),
        "Name": it.name,
        "Names": it.name,
        "Networks": it.networks.join(","),
        "Ports": ports(it),
        "Project": it.project,
        "Publishers": it.ports,
        "RunningFor": format!("{} ago", age(now() - it.created)),
        "Service": it.service,
        "Size": "0B",
        "State": it.state,
        "Status": status(it),
    })
}
