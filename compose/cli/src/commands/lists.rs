//! Questions that are answered by a list or a description.

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{ImageSummary, ProjectSummary, ResourceSummary};
use serde_json::json;

use super::ps::{self, age};
use crate::arguments::{Image, Images, Ls, Port, Resource, Version};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Table};
use crate::settings::World;

pub(crate) fn version(arguments: &Version) -> Result<Exit, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    let text = match (arguments.short, arguments.format.as_str()) {
        (true, _) => format!("{version}\n"),
        (false, "json") => format!("{}\n", json!({ "version": version })),
        (false, _) => format!("rcompose version {version}\n"),
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

pub(crate) async fn projects(world: &World, arguments: &Ls) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    let mut projects: Vec<ProjectSummary> = client.get("/v1/projects").await?;
    projects.retain(|project| {
        arguments.all || ["running", "paused", "restarting"].iter().any(|state| project.status.contains(state))
    });
    let text = if arguments.quiet {
        projects.iter().map(|project| format!("{}\n", project.name)).collect()
    } else if arguments.format == "json" {
        let list: Vec<_> =
            projects.iter().map(|it| json!({ "Name": it.name, "Status": it.status, "ConfigFiles": it.config_files })).collect();
        format!("{}\n", serde_json::Value::Array(list))
    } else {
        let mut table = Table::new(&["NAME", "STATUS", "CONFIG FILES"]);
        projects.iter().for_each(|it| table.row(vec![it.name.clone(), it.status.clone(), it.config_files.clone()]));
        table.render()
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

pub(crate) async fn images(world: &World, arguments: &Images) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut containers = ps::containers(&mut client, &name).await?;
    containers.retain(|it| arguments.services.is_empty() || arguments.services.contains(&it.service));
    let split = |image: &str| match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        _ => (image.to_owned(), "latest".to_owned()),
    };
    let id = |it: &str| it.strip_prefix("sha256:").unwrap_or(it).to_owned();
    let text = if arguments.quiet {
        let ids: std::collections::BTreeSet<String> = containers.iter().map(|it| id(&it.image_id)).collect();
        ids.into_iter().map(|id| format!("{id}\n")).collect()
    } else if arguments.format == "json" {
        let list: Vec<_> = containers
            .iter()
            .map(|it| {
                let (repository, tag) = split(&it.image);
                json!({ "ID": it.image_id, "ContainerName": it.name, "Repository": repository, "Tag": tag })
            })
            .collect();
        format!("{}\n", serde_json::Value::Array(list))
    } else {
        let mut table = Table::new(&["CONTAINER", "REPOSITORY", "TAG", "IMAGE ID"]);
        for it in &containers {
            let (repository, tag) = split(&it.image);
            table.row(vec![it.name.clone(), repository, tag, id(&it.image_id).chars().take(12).collect()]);
        }
        table.render()
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

pub(crate) async fn port(world: &World, arguments: &Port) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let containers = ps::containers(&mut client, &name).await?;
    let container = containers
        .iter()
        .find(|it| it.service == arguments.service && (arguments.index == 0 || it.number == arguments.index))
        .ok_or_else(|| CommandError::Usage(format!("no container found for service \"{}\"", arguments.service)))?;
    let found = container.ports.iter().find(|port| port.target_port == arguments.port && port.protocol == arguments.protocol);
    let found = found.ok_or_else(|| {
        CommandError::Usage(format!("no port {}/{} for container {}", arguments.port, arguments.protocol, container.name))
    })?;
    output::print(&format!("{}:{}\n", found.url, found.published_port))?;
    Ok(Exit::Success)
}

pub(crate) async fn top(world: &World, services: &[String]) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let containers = ps::containers(&mut client, &name).await?;
    let mut table = Table::new(&["SERVICE", "#", "UID", "PID", "PPID", "CMD"]);
    let mut rows = 0;
    for it in containers.iter().filter(|it| services.is_empty() || services.contains(&it.service)) {
        if it.state != "running" {
            continue;
        }
        let processes: Vec<i32> = client.get(&format!("/v1/containers/{}/processes", it.id)).await?;
        for pid in processes {
            let Some((uid, parent, command)) = process(pid) else { continue };
            table.row(vec![it.service.clone(), it.number.to_string(), uid, pid.to_string(), parent, command]);
            rows += 1;
        }
    }
    if rows > 0 {
        output::print(&table.render())?;
    }
    Ok(Exit::Success)
}

/// User, parent and command of a process that may end at any moment.
fn process(pid: i32) -> Option<(String, String, String)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or_default().to_owned()
    };
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
    Some((field("Uid:"), field("PPid:"), command))
}

pub(crate) async fn image(world: &World, command: Image) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    match command {
        Image::Load { input } => {
            let open = |path: &std::path::Path| {
                std::fs::File::open(path)
                    .map_err(|source| CommandError::System { doing: format!("open {}", path.display()), source })
            };
            let source = match &input {
                Some(path) => open(path)?,
                None => open(std::path::Path::new("/dev/stdin"))?,
            };
            let loaded: Vec<ImageSummary> = client.upload("/v1/images/load", Blocking(source)).await?;
            for image in loaded {
                match image.tags.first() {
                    Some(tag) => output::print(&format!("Loaded image: {tag}\n"))?,
                    None => output::print(&format!("Loaded image ID: {}\n", image.id))?,
                }
            }
        }
        Image::Pull { images } => {
            for name in images {
                let _: serde_json::Value = client.post(&format!("/v1/images/pull?name={name}"), &()).await?;
                output::print(&format!("{name}\n"))?;
            }
        }
        Image::Ls { quiet } => {
            let images: Vec<ImageSummary> = client.get("/v1/images").await?;
            let mut table = Table::new(&["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
            for image in &images {
                let short: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
                if quiet {
                    output::print(&format!("{short}\n"))?;
                    continue;
                }
                let created = image.created.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                let created = created.map(|time| format!("{} ago", age(jiff::Timestamp::now().as_second() - time.as_second())));
                let untagged = [String::from("<none>:<none>")];
                let tags = if image.tags.is_empty() { &untagged[..] } else { &image.tags };
                for tag in tags {
                    let (name, tag) = tag.rsplit_once(':').unwrap_or((tag, ""));
                    let cells = [name, tag, &short, created.as_deref().unwrap_or_default(), &bytes(image.size)];
                    table.row(cells.map(str::to_owned).to_vec());
                }
            }
            if !quiet {
                output::print(&table.render())?;
            }
        }
        Image::Rm { images, force } => {
            for name in images {
                client.delete(&format!("/v1/images/remove?name={name}&force={force}")).await?;
                output::print(&format!("Untagged: {name}\n"))?;
            }
        }
        Image::Inspect { images } => {
            let mut all = Vec::new();
            for name in images {
                all.push(client.get::<serde_json::Value>(&format!("/v1/images/inspect?name={name}")).await?);
            }
            output::print(&format!("{:#}\n", serde_json::Value::Array(all)))?;
        }
        Image::Prune => {
            let gone: Vec<String> = client.post("/v1/images/prune", &()).await?;
            gone.iter().try_for_each(|id| output::print(&format!("deleted: {id}\n")))?;
        }
    }
    Ok(Exit::Success)
}

/// A file read where tokio expects a stream; files never make it wait.
struct Blocking(std::fs::File);

impl tokio::io::AsyncRead for Blocking {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let count = std::io::Read::read(&mut self.0, buffer.initialize_unfilled())?;
        buffer.advance(count);
        std::task::Poll::Ready(Ok(()))
    }
}

/// `1.5MB`, in powers of 1000.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count}B") } else { format!("{value:.1}{}", UNITS[unit]) }
}

pub(crate) async fn resource(world: &World, path: &str, kind: &str, command: Resource) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    match command {
        Resource::Ls { quiet } => {
            let all: Vec<ResourceSummary> = client.get(&format!("/v1/{path}")).await?;
            let mut table = Table::new(&["DRIVER", "NAME"]);
            for it in &all {
                table.row(vec![it.driver.clone(), it.name.clone()]);
            }
            let names = || all.iter().map(|it| format!("{}\n", it.name)).collect();
            output::print(&if quiet { names() } else { table.render() })?;
        }
        Resource::Rm { names } => {
            for name in names {
                client.delete(&format!("/v1/{path}?name={name}")).await?;
                output::print(&format!("{name}\n"))?;
            }
        }
        Resource::Inspect { names } => {
            let all: Vec<ResourceSummary> = client.get(&format!("/v1/{path}")).await?;
            let mut found = Vec::new();
            for name in names {
                let one = all.iter().find(|it| it.name == name);
                let missing = || rcompose_supervisor::messages::Failure::text(format!("no such {kind}: {name}"));
                found.push(one.map(|it| it.inspect.clone()).ok_or_else(|| ClientError::Refused(missing()))?);
            }
            output::print(&format!("{:#}\n", serde_json::Value::Array(found)))?;
        }
    }
    Ok(Exit::Success)
}
