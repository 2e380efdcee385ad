//! `image`: the store's own images.

mod archive;
mod history;

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ImageSummary, ImportRequest, Named, PruneRequest, Removed, SaveRequest, TagRequest};
use serde_json::{Value, json};

use super::archive::{Archive, save};
use super::filter::Filters;
use super::transfer::{Way, transfer};
use super::{change_nothing_in_dry_runs, go_on_after, inspect, or_interrupted, show_removed};
use crate::arguments::{ArchiveFormat, Image, List};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago_text, bytes, short_id};
use crate::output::{self, Format, Listing, Row};
use crate::settings::World;
use archive::{import, import_docker, load};
use history::history;

fn archive_of(images: &str) -> Archive<'_> {
    Archive { of: images, hint: Some("pull or load the image again") }
}

pub(crate) async fn image(world: &World, command: Image) -> Result<Exit, CommandError> {
    let looks = matches!(command, Image::Ls { .. } | Image::Inspect(_) | Image::History { .. });
    let changes = !looks && !matches!(command, Image::Save { .. } | Image::Export { .. });
    change_nothing_in_dry_runs(world, changes)?;
    let mut client = Client::connect(&world.supervisor).await?;
    let client = &mut client;
    match command {
        Image::Load { input, quiet } => or_interrupted(load(client, input.as_deref(), quiet)).await,
        Image::Save { images, output, format } => {
            let request = SaveRequest { names: images, oci: format == ArchiveFormat::OciArchive };
            let what = request.names.join(", ");
            or_interrupted(save(client, "/v1/images/save", &request, archive_of(&what), output.as_deref())).await
        }
        Image::Export { image, output } => {
            let request = Named { name: image.clone(), force: false };
            or_interrupted(save(client, "/v1/images/export", &request, archive_of(&image), output.as_deref())).await
        }
        Image::Import { file, reference, message, platform } => {
            let request = ImportRequest { reference: reference.unwrap_or_default(), message, platform };
            or_interrupted(import(client, &file, &request)).await
        }
        Image::ImportDocker { images, socket } => or_interrupted(import_docker(client, images, &socket)).await,
        Image::Pull { images, platform, quiet } => {
            or_interrupted(transfer(world, client, Way::Pull, images, platform, quiet)).await
        }
        Image::Push { images, quiet } => or_interrupted(transfer(world, client, Way::Push, images, None, quiet)).await,
        Image::Tag { source, target } => {
            client.post::<()>("/v1/images/tag", &TagRequest { source, target }).await?;
            Ok(Exit::Success)
        }
        Image::History { image, quiet, no_trunc, format } => history(client, image, quiet, no_trunc, &format).await,
        Image::Ls { repository, list: arguments, all: _ } => list(client, repository.as_deref(), &arguments).await,
        Image::Rm { images, force } => remove(client, images, force).await,
        Image::Inspect(arguments) => {
            let mut found = Vec::new();
            for name in arguments.names {
                found.push(client.post::<Value>("/v1/images/inspect", &Named { name, force: false }).await?);
            }
            inspect(found, arguments.format.as_deref())
        }
        Image::Prune { all, force } => prune(client, all, force).await,
    }
}

const COLUMNS: [(&str, &str); 5] =
    [("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID"), ("CREATED", "CreatedSince"), ("SIZE", "Size")];

async fn list(client: &mut Client, repository: Option<&str>, arguments: &List) -> Result<Exit, CommandError> {
    let format = Format::parse(&arguments.format)?;
    let filters = Filters::parse(&arguments.filter, &["dangling", "label", "reference"])?;
    let images: Vec<ImageSummary> = client.get("/v1/images").await?;
    let mut rows = Vec::new();
    for image in &images {
        if !filters.fits_dangling(image.tags.is_empty()) || !filters.fits_labels(&json!(image.labels)) {
            continue;
        }
        let untagged = [String::from("<none>:<none>")];
        for tag in if image.tags.is_empty() { &untagged[..] } else { &image.tags } {
            let row = row(image, tag, arguments.no_trunc);
            let fits = |wanted: &str| {
                wanted == tag || row["Repository"] == wanted || (wanted.contains('*') && matches_glob(wanted, tag))
            };
            if repository.is_none_or(fits) && filters.fits("reference", fits) {
                rows.push(row);
            }
        }
    }
    if arguments.quiet {
        let mut ids: Vec<&str> = rows.iter().filter_map(|row| row["ID"].as_str()).collect();
        ids.dedup();
        ids.iter().try_for_each(|id| output::print(&format!("{id}\n")))?;
        return Ok(Exit::Success);
    }
    rows.sort_by_key(|row| (row["Repository"] == "<none>", row["Repository"].to_string(), row["Tag"].to_string()));
    let rows = rows.into_iter().map(Row::from).collect();
    Listing::new(&COLUMNS, rows).print(&format)?;
    Ok(Exit::Success)
}

/// As Docker has it.
fn row(image: &ImageSummary, tag: &str, whole: bool) -> Value {
    let (name, tag) = split_tag(tag);
    json!({
        "Containers": image.containers.to_string(),
        "CreatedAt": image.created.clone().unwrap_or_default(),
        "CreatedSince": ago_text(image.created.as_deref()),
        "Digest": digest(image, name),
        "ID": if whole { image.id.clone() } else { short_id(&image.id) },
        "Repository": name,
        "SharedSize": bytes(image.size.saturating_sub(image.unique_size)),
        "Size": bytes(image.size),
        "Tag": tag,
        "UniqueSize": bytes(image.unique_size),
    })
}

/// What the registry has under a name.
fn digest(image: &ImageSummary, name: &str) -> String {
    let own = image.digests.iter().filter_map(|text| text.split_once('@')).find(|(repository, _)| *repository == name);
    own.map_or_else(|| "<none>".to_owned(), |(_, digest)| digest.to_owned())
}

/// Repository and tag; a colon may also belong to a registry's port.
pub(super) fn split_tag(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (text, "<none>"),
    }
}

/// `*` stands for anything.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

async fn remove(client: &mut Client, images: Vec<String>, force: bool) -> Result<Exit, CommandError> {
    let mut exit = Exit::Success;
    for name in images {
        match client.post::<Removed>("/v1/images/remove", &Named { name, force }).await {
            Ok(removed) => {
                removed.untagged.iter().try_for_each(|tag| output::print(&format!("Untagged: {tag}\n")))?;
                removed.deleted.iter().try_for_each(|id| output::print(&format!("Deleted: {id}\n")))?;
            }
            Err(error) => exit = go_on_after(error)?,
        }
    }
    Ok(exit)
}

async fn prune(client: &mut Client, all: bool, force: bool) -> Result<Exit, CommandError> {
    let what = if all { "images that no container was made from" } else { "images that have no tag and no container" };
    if !force && !output::confirm_removal(&format!("This will remove all {what}."))? {
        return Ok(Exit::Success);
    }
    let removed: Removed = client.post("/v1/images/prune", &PruneRequest { all }).await?;
    let lines = removed.untagged.iter().map(|tag| format!("untagged: {tag}"));
    let lines = lines.chain(removed.deleted.iter().map(|id| format!("deleted: {id}"))).collect();
    show_removed("Deleted Images", lines, Some(removed.reclaimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_ports_are_told_apart() {
        assert_eq!(split_tag("redis:7"), ("redis", "7"));
        assert_eq!(split_tag("registry:5000/redis"), ("registry:5000/redis", "<none>"));
        assert_eq!(split_tag("registry:5000/redis:7"), ("registry:5000/redis", "7"));
    }

    #[test]
    fn patterns_fit_anywhere() {
        for (pattern, text, expected) in
            [("red*", "redis:7", true), ("*:7", "redis:7", true), ("r*s:*", "redis:7", true), ("r*x", "redis:7", false)]
        {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
