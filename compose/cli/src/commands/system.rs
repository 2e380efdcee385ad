//! `system`: the supervisor, its machine, and the room that everything takes.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{CheckRequest, CheckedImage, ContainerSummary, DiskUsage, Failure, SystemInfo};
use serde_json::{Value, json};

use super::{builder, image, ps};
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
        System::Check { repair, quiet } => {
            super::change_nothing_in_dry_runs(world, repair)?;
            let request = CheckRequest { repair, offline: world.global.offline };
            super::or_interrupted(check(&mut client, &request, quiet)).await
        }
    }
}

/// One line an image, and below it what is wrong.
async fn check(client: &mut Client, request: &CheckRequest, quiet: bool) -> Result<Exit, CommandError> {
    let mut images = client.stream("/v1/check", request).await?;
    let (mut count, mut broken) = (0, 0);
    while let Some(image) = images.next::<CheckedImage>().await? {
        count += 1;
        let name = image.tags.first().map_or_else(|| short_id(&image.id), Clone::clone);
        let state = match (image.problems.is_empty(), image.mended) {
            (true, _) if quiet => continue,
            (true, _) => "fine",
            (false, true) => "mended",
            (false, false) => "damaged",
        };
        broken += u32::from(!image.mended);
        output::print(&format!("{name}: {state}\n"))?;
        image.problems.iter().try_for_each(|problem| output::print(&format!("  {problem}\n")))?;
    }
    match (broken, request.repair) {
        (0, _) => Ok(Exit::Success),
        (_, repair) => {
            let mut failure = Failure::text(format!("{broken} of {count} images are damaged"));
            let hint = if repair { "load or build what could not be mended again" } else { "`--repair` fetches it again" };
            failure.hint = Some(hint.to_owned());
            Err(CommandError::Failed(failure))
        }
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
    let rows = [of_images(&usage), of_containers(&usage, &containers), of_volumes(&usage), of_cache(&usage), of_logs(&usage)];
    let rows = rows.map(Row::from);
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

/// Layers that no image has, and what builds keep besides.
fn of_cache(usage: &DiskUsage) -> Value {
    line("Build Cache", usage.build_cache.steps, 0, usage.cache, usage.cache_unused)
}

fn of_logs(usage: &DiskUsage) -> Value {
    let size = usage.logs.values().sum();
    line("Logs", usage.logs.len(), usage.logs.len(), size, 0)
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
    output::print("\n")?;
    let cache = builder::rows(&usage.build_cache).map(|(kind, size)| Row::from(json!({ "Kind": kind, "Size": size })));
    part("Build cache", &[("KIND", "Kind"), ("SIZE", "Size")], cache.to_vec())?;
    output::print("\n")?;
    let projects = usage.projects.iter().map(|it| {
        Row::from(json!({
            "Name": it.name,
            "Images": bytes(it.images),
            "Containers": bytes(it.containers),
            "Volumes": bytes(it.volumes),
            "Logs": bytes(it.logs),
            "Size": bytes(it.images + it.containers + it.volumes + it.logs),
        }))
    });
    const PROJECTS: [(&str, &str); 6] = [
        ("PROJECT", "Name"),
        ("IMAGES", "Images"),
        ("CONTAINERS", "Containers"),
        ("VOLUMES", "Volumes"),
        ("LOGS", "Logs"),
        ("TOTAL", "Size"),
    ];
    part("Projects", &PROJECTS, projects.collect())?;
    Ok(Exit::Success)
}
