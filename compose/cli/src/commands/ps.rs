//! `ps`.

use std::collections::BTreeSet;

use rcompose_model::Project;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, PortSummary};
use serde_json::json;

use super::filter::Filters;
use crate::arguments::Ps;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{age, ago};
use crate::output::{self, Format, Listing, Row};
use crate::settings::World;

/// What `State` can be.
const STATES: [&str; 7] = ["created", "dead", "exited", "paused", "removing", "restarting", "running"];

/// The containers of a project.
pub(crate) async fn containers(client: &mut Client, project: &str) -> Result<Vec<ContainerSummary>, CommandError> {
    Ok(client.get(&format!("/v1/containers?project={project}")).await?)
}

/// Tells whether a container runs, stands still, or is about to run again.
pub(crate) fn is_alive(container: &ContainerSummary) -> bool {
    matches!(container.state.as_str(), "running" | "paused" | "restarting")
}

pub(crate) async fn ps(world: &World, arguments: &Ps) -> Result<Exit, CommandError> {
    let usual = || world.docker_setting("psFormat").unwrap_or_else(|| "table".to_owned());
    let format = Format::parse(&arguments.format.clone().unwrap_or_else(usual))?;
    let states = states(arguments)?;
    let (name, project) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut all = containers(&mut client, &name).await?;
    check_services(project.as_ref(), &all, &arguments.services)?;
    all.retain(|it| {
        let named = arguments.services.is_empty() || arguments.services.contains(&it.service);
        let in_state = if states.is_empty() { arguments.all || is_alive(it) } else { states.contains(&it.state) };
        named && in_state && (arguments.orphans || !is_orphan(project.as_ref(), it))
    });
    if arguments.quiet {
        output::print(&all.iter().map(|it| format!("{}\n", it.id)).collect::<String>())?;
    } else if arguments.names {
        let names: BTreeSet<&str> = all.iter().map(|it| it.service.as_str()).collect();
        output::print(&names.into_iter().map(|name| format!("{name}\n")).collect::<String>())?;
    } else {
        Listing::new(&COLUMNS, all.iter().map(|it| row(it, arguments.no_trunc)).collect()).print(&format)?;
    }
    Ok(Exit::Success)
}

/// The states that `--status` and `--filter status=` ask for.
fn states(arguments: &Ps) -> Result<Vec<String>, CommandError> {
    let filters = Filters::parse(&arguments.filter, &["status"])?;
    let states = [arguments.status.as_slice(), filters.values("status")].concat();
    match states.iter().find(|state| !STATES.contains(&state.as_str())) {
        Some(unknown) => Err(CommandError::Usage(format!("unknown status `{unknown}`: expected {}", STATES.join(", ")))),
        None => Ok(states),
    }
}

fn check_services(project: Option<&Project>, all: &[ContainerSummary], services: &[String]) -> Result<(), CommandError> {
    let in_files =
        |service: &String| project.is_some_and(|it| it.services.contains_key(service) || it.disabled_services.contains(service));
    match services.iter().find(|service| !in_files(service) && all.iter().all(|it| it.service != **service)) {
        Some(unknown) => Err(CommandError::Usage(format!("no such service: {unknown}"))),
        None => Ok(()),
    }
}

fn is_orphan(project: Option<&Project>, container: &ContainerSummary) -> bool {
    let service = &container.service;
    project.is_some_and(|it| !it.services.contains_key(service) && !it.disabled_services.contains(service))
}

const COLUMNS: [(&str, &str); 7] = [
    ("NAME", "Name"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("SERVICE", "Service"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
];

/// In docker compose's shape.
fn row(it: &ContainerSummary, whole: bool) -> Row {
    let labels: Vec<String> = it.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let fields = json!({
        "Command": command(it, whole),
        "CreatedAt": jiff::Timestamp::from_second(it.created).map(|time| time.to_string()).unwrap_or_default(),
        "ExitCode": it.exit_code,
        "Health": it.health,
        "ID": if whole { &it.id } else { &it.id[..12] },
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
        "RunningFor": ago(it.created),
        "Service": it.service,
        "Size": "0B",
        "State": it.state,
        "Status": status(it),
    });
    Row { fields, labels: json!(it.labels) }
}

pub(crate) fn command(container: &ContainerSummary, whole: bool) -> String {
    let text = container.command.join(" ");
    if whole || text.chars().count() <= 20 {
        return format!("\"{text}\"");
    }
    let cut: String = text.chars().take(19).collect();
    format!("\"{cut}…\"")
}

pub(crate) fn status(container: &ContainerSummary) -> String {
    const SECOND: i64 = 1_000_000_000;
    let since = |nanoseconds: Option<i64>| age(jiff::Timestamp::now().as_second() - nanoseconds.unwrap_or(0) / SECOND);
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
        "restarting" => {
            format!("Restarting ({}) {} ago", container.exit_code, since(container.finished_at.or(container.started_at)))
        }
        "exited" => {
            let note = if container.oom_killed { ", out of memory" } else { "" };
            format!("Exited ({}{note}) {} ago", container.exit_code, since(container.finished_at))
        }
        "created" => "Created".to_owned(),
        other => other.to_owned(),
    }
}

/// Published and exposed ports, runs of them joined: `0.0.0.0:8000-8003->80-83/tcp, 443/tcp`. Only what runs has ports.
fn ports(container: &ContainerSummary) -> String {
    if !is_alive(container) {
        return String::new();
    }
    let mut published: Vec<&PortSummary> = container.ports.iter().collect();
    published.sort_by_key(|it| (&it.protocol, it.url.contains(':'), &it.url, it.target_port, it.published_port));
    let mut runs: Vec<Run> = Vec::new();
    for port in published {
        let url = if port.url.contains(':') { format!("[{}]:", port.url) } else { format!("{}:", port.url) };
        extend(&mut runs, Run::new(Some((url, port.published_port)), port.target_port, &port.protocol));
    }
    let open = |text: &String| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = port.split_once('-').unwrap_or((port, port));
        Some((protocol.to_owned(), first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
    };
    let mut exposed: Vec<(String, u16, u16)> = container.exposed.iter().filter_map(open).collect();
    exposed.sort();
    for (protocol, first, last) in exposed {
        (first..=last).for_each(|port| extend(&mut runs, Run::new(None, port, &protocol)));
    }
    runs.sort_by_key(|run| (run.host.is_none(), run.target.0));
    runs.iter().map(Run::shown).collect::<Vec<_>>().join(", ")
}

/// Ports in a row that lead to ports in a row.
struct Run {
    /// Address with its colon, first and last port; `None` where nothing is published.
    host: Option<(String, u16, u16)>,
    target: (u16, u16),
    protocol: String,
}

impl Run {
    fn new(host: Option<(String, u16)>, target: u16, protocol: &str) -> Self {
        let host = host.map(|(url, port)| (url, port, port));
        Self { host, target: (target, target), protocol: protocol.to_owned() }
    }

    fn shown(&self) -> String {
        let range = |first: u16, last: u16| if first == last { first.to_string() } else { format!("{first}-{last}") };
        let host = self.host.as_ref().map(|(url, first, last)| format!("{url}{}->", range(*first, *last)));
        format!("{}{}/{}", host.unwrap_or_default(), range(self.target.0, self.target.1), self.protocol)
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        let hosts = match (&self.host, &next.host) {
            (None, None) => true,
            (Some((url, _, last)), Some((next, first, _))) => url == next && last.checked_add(1) == Some(*first),
            _ => false,
        };
        hosts && self.protocol == next.protocol && self.target.1.checked_add(1) == Some(next.target.0)
    }
}

fn extend(runs: &mut Vec<Run>, next: Run) {
    match runs.last_mut().filter(|run| run.is_followed_by(&next)) {
        Some(run) => {
            run.target.1 = next.target.1;
            if let (Some(host), Some(more)) = (&mut run.host, next.host) {
                host.2 = more.2;
            }
        }
        None => runs.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> ContainerSummary {
        serde_json::from_value(json!({
            "id": "0".repeat(64), "name": "x-a-1", "project": "x", "service": "a", "number": 1, "image": "i", "image_id": "i",
            "command": ["sh", "-c", "sleep infinity && true"], "created": 0, "started_at": null, "finished_at": null,
            "state": "running", "health": "", "exit_code": 0, "oom_killed": false, "restarts": 0, "ports": [], "exposed": [],
            "networks": [], "volumes": [], "labels": {}, "failure": null,
        }))
        .unwrap()
    }

    #[test]
    fn joins_ports_that_follow_each_other() {
        let mut it = container();
        let port = |url: &str, published, target, protocol: &str| PortSummary {
            url: url.to_owned(),
            target_port: target,
            published_port: published,
            protocol: protocol.to_owned(),
        };
        for (published, target) in [(8000, 80), (8001, 81), (9000, 82)] {
            it.ports.push(port("0.0.0.0", published, target, "tcp"));
            it.ports.push(port("::", published, target, "tcp"));
        }
        it.ports.push(port("127.0.0.1", 53, 53, "udp"));
        it.exposed = vec!["443".to_owned(), "444/tcp".to_owned(), "90-91/udp".to_owned()];
        assert_eq!(
            ports(&it),
            "127.0.0.1:53->53/udp, 0.0.0.0:8000-8001->80-81/tcp, [::]:8000-8001->80-81/tcp, 0.0.0.0:9000->82/tcp, \
             [::]:9000->82/tcp, 90-91/udp, 443-444/tcp"
        );
        it.state = "exited".to_owned();
        assert_eq!(ports(&it), "");
    }

    #[test]
    fn long_commands_are_cut() {
        assert_eq!(command(&container(), false), "\"sh -c sleep infinit…\"");
        assert_eq!(command(&container(), true), "\"sh -c sleep infinity && true\"");
    }
}
