//! `system`: the supervisor, its machine, and the room that everything takes.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, DiskUsage, SystemInfo};
use serde_json::{Value, json};

use super::{image, ps};
use crate::arguments::System;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago, ago_text, binary_bytes, bytes, short_id};
use crate::output::{self, Format, Listing, Row, Template, wrong_template};
use crate::settings::World;

pub(crate) async fn system(world: &World, command: System) -> Result<Exit, CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    match command {
        System::Info { format } => info(&mut client, format.as_deref()).await,
        System::Df { verbose, format } => usage(&mut client, verbose, &format).await,
    }
}

async fn info(client: &mut Client, format: Option<&str>) -> Result<Exit, CommandError> {
    let info: SystemInfo = client.get("/v1/info").await?;
    let text = match format {
        None => described(&info),
        Some("json") => format!("{}\n", json!(info)),
        Some(text) => {
            let template = Template::parse(text).map_err(|error| wrong_template(&error))?;
            template.fill(&json!(info), &Value::Null).map_err(|error| wrong_template(&error))? + "\n"
        }
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

fn described(info: &SystemInfo) -> String {
    let cgroups = if info.cgroup_version.is_empty() { "none visible" } else { &info.cgroup_version };
    format!(
        "Containers: {}\n Running: {}\n Paused: {}\n Stopped: {}\nImages: {}\nNetworks: {}\nVolumes: {}\n\
         Server Version: {}\nSupervisor: process {}\nData Root: {}\nRun Root: {}\nStorage Driver: {}\nCgroup Version: {cgroups}\n\
         Security Options: {}\nKernel Version: {}\nOperating System: {}\nArchitecture: {}\nCPUs: {}\nTotal Memory: {}\nName: {}\n",
        info.containers,
        info.containers_running,
        info.containers_paused,
        info.containers_stopped,
        info.images,
        info.networks,
        info.volumes,
        info.server_version,
        info.supervisor_pid,
        info.docker_root_dir,
        info.run_root,
        info.driver,
        info.security_options.join(" "),
        info.kernel_version,
        info.operating_system,
        info.architecture,
        info.cpus,
        binary_bytes(info.mem_total),
        info.name,
    )
}

const COLUMNS: [(&str, &str); 5] =
    [("TYPE", "Type"), ("TOTAL", "TotalCount"), ("ACTIVE", "Active"), ("SIZE", "Size"), ("RECLAIMABLE", "Reclaimable")];

async fn usage(client: &mut Client, verbose: bool, format: &str) -> Result<Exit, CommandError> {
    let format = Format::parse(format)?;
    let usage: DiskUsage = client.get("/v1/disk-usage").await?;
    let containers: Vec<ContainerSummary> = client.get("/v1/containers").await?;
    if verbose {
        return details(&usage, &containers);
    }
    let rows = [of_images(&usage), of_containers(&usage, &containers), of_volumes(&usage)].map(Row::from);
    Listing::new(&COLUMNS, rows.to_vec()).print(&format)?;
    Ok(Exit::Success)
}

fn line(kind: &str, total: usize, active: usize, size: u64, reclaimable: u64) -> Value {
    let share = (reclaimable * 100).checked_div(size).map(|percent| format!(" ({percent}%)")).unwrap_or_default();
    json!({
        "Type": kind,
        "TotalCount": total.to_string(),
        "Active": active.to_string(),
        "Size": bytes(size),
        "Reclaimable": format!("{}{share}", bytes(reclaimable)),
    })
}

fn of_images(usage: &DiskUsage) -> Value {
    let active = usage.images.iter().filter(|image| image.containers > 0);
    let unused = usage.layers_size.saturating_sub(usage.layers_in_use);
    line("Images", usage.images.len(), active.count(), usage.layers_size, unused)
}

fn of_containers(usage: &DiskUsage, containers: &[ContainerSummary]) -> Value {
    let size = |it: &ContainerSummary| usage.containers.get(&it.id).copied().unwrap_or(0);
    let (active, idle): (Vec<_>, Vec<_>) = containers.iter().partition(|it| ps::is_alive(it));
    let idle_size = idle.into_iter().map(size).sum();
    line("Containers", containers.len(), active.len(), containers.iter().map(size).sum(), idle_size)
}

fn of_volumes(usage: &DiskUsage) -> Value {
    let volumes = &usage.volumes;
    let active = volumes.iter().filter(|volume| volume.links > 0).count();
    let unused = volumes.iter().filter(|volume| volume.links == 0).map(|volume| volume.size).sum();
    line("Local Volumes", volumes.len(), active, volumes.iter().map(|volume| volume.size).sum(), unused)
}

fn details(usage: &DiskUsage, containers: &[ContainerSummary]) -> Result<Exit, CommandError> {
    let images = usage.images.iter().map(|it| {
        let (repository, tag) = image::split_tag(it.tags.first().map_or("<none>:<none>", String::as_str));
        Row::from(json!({
            "Repository": repository,
            "Tag": tag,
            "ID": short_id(&it.id),
            "Created": ago_text(it.created.as_deref()),
            "Size": bytes(it.size),
            "SharedSize": bytes(it.size.saturating_sub(it.unique_size)),
            "UniqueSize": bytes(it.unique_size),
            "Containers": it.containers.to_string(),
        }))
    });
    let containers = containers.iter().map(|it| {
        Row::from(json!({
            "ID": short_id(&it.id),
            "Image": it.image,
            "Command": ps::command(it, false),
            "LocalVolumes": it.volumes.len().to_string(),
            "Size": bytes(usage.containers.get(&it.id).copied().unwrap_or(0)),
            "Created": ago(it.created),
            "Status": ps::status(it),
            "Names": it.name,
        }))
    });
    let volumes = usage
        .volumes
        .iter()
        .map(|it| Row::from(json!({ "Name": it.name, "Links": it.links.to_string(), "Size": bytes(it.size) })));
    let part = |title: &str, columns: &'static [(&'static str, &'static str)], rows: Vec<Row>| {
        output::print(&format!("{title} space usage:\n\n"))?;
        Listing::new(columns, rows).print(&Format::Table)
    };
    const IMAGES: [(&str, &str); 8] = [
        ("REPOSITORY", "Repository"),
        ("TAG", "Tag"),
        ("IMAGE ID", "ID"),
        ("CREATED", "Created"),
        ("SIZE", "Size"),
        ("SHARED SIZE", "SharedSize"),
        ("UNIQUE SIZE", "UniqueSize"),
        ("CONTAINERS", "Containers"),
    ];
    const CONTAINERS: [(&str, &str); 8] = [
        ("CONTAINER ID", "ID"),
        ("IMAGE", "Image"),
        ("COMMAND", "Command"),
        ("LOCAL VOLUMES", "LocalVolumes"),
        ("SIZE", "Size"),
        ("CREATED", "Created"),
        ("STATUS", "Status"),
        ("NAMES", "Names"),
    ];
    part("Images", &IMAGES, images.collect())?;
    output::print("\n")?;
    part("Containers", &CONTAINERS, containers.collect())?;
    output::print("\n")?;
    part("Local Volumes", &[("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size")], volumes.collect())?;
    Ok(Exit::Success)
}
