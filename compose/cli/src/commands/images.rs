//! `images`: what the stack's containers were made from.

use std::collections::{BTreeMap, BTreeSet};

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerSummary, ImageSummary};
use serde_json::{Value, json};

use super::{check_names, image, ps};
use crate::arguments::Images;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago_text, bytes, short_id};
use crate::output::{self, Table};
use crate::settings::World;

pub(crate) async fn images(world: &World, arguments: &Images) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let mut containers = ps::containers(&mut client, &name).await?;
    containers.retain(|it| arguments.services.is_empty() || arguments.services.contains(&it.service));
    if arguments.quiet {
        let bare = |it: &ContainerSummary| it.image_id.strip_prefix("sha256:").unwrap_or(&it.image_id).to_owned();
        let ids: BTreeSet<String> = containers.iter().map(bare).collect();
        output::print(&ids.into_iter().map(|id| format!("{id}\n")).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let images: Vec<ImageSummary> = client.get("/v1/images").await?;
    let images: BTreeMap<&str, &ImageSummary> = images.iter().map(|image| (image.id.as_str(), image)).collect();
    let known = |it: &ContainerSummary| images.get(it.image_id.as_str()).copied();
    let text = if arguments.format == "json" {
        let all: Value = containers.iter().map(|it| object(it, known(it))).collect();
        format!("{all}\n")
    } else {
        let mut table = Table::new(&["CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"]);
        containers.iter().for_each(|it| table.row(row(it, known(it))));
        table.render()
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// A directory has neither tag nor platform, and is not measured.
fn names(container: &ContainerSummary) -> (&str, &str) {
    if container.image.starts_with("rootfs:") {
        return (&container.image, "<none>");
    }
    match image::split_tag(&container.image) {
        (name, "<none>") => (name, "latest"),
        named => named,
    }
}

fn row(container: &ContainerSummary, image: Option<&ImageSummary>) -> Vec<String> {
    let (repository, tag) = names(container);
    let platform = image.map(|image| image.platform.clone());
    let size = image.map(|image| bytes(image.size));
    let created = image.map(|image| ago_text(image.created.as_deref()));
    let id = short_id(&container.image_id);
    let or_none = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "N/A".to_owned());
    vec![container.name.clone(), repository.to_owned(), tag.to_owned(), or_none(platform), id, or_none(size), or_none(created)]
}

/// When a name was last given to it; the beginning of time if that is not known.
fn tagged(image: Option<&ImageSummary>) -> String {
    let known = image.map(|image| image.tagged).filter(|seconds| *seconds > 0);
    let time = known.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

fn object(container: &ContainerSummary, image: Option<&ImageSummary>) -> Value {
    let (repository, tag) = names(container);
    json!({
        "ID": container.image_id,
        "ContainerName": container.name,
        "Repository": repository,
        "Tag": tag,
        "Platform": image.map(|image| image.platform.clone()).unwrap_or_default(),
        "Size": image.map_or(0, |image| image.size),
        "Created": image.and_then(|image| image.created.clone()),
        // When a tag was set is not kept; this is how Docker writes a time that it does not know.
        "LastTagTime": tagged(image),
    })
}
