//! `image`: the store's own images.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{
    Event, ImageSummary, LoadedImage, Named, ProgressStatus, PruneRequest, Removed, SaveRequest,
};
use serde_json::{Value, json};

use super::filter::Filters;
use super::{change_nothing_in_dry_runs, go_on_after, inspect, or_interrupted, show_removed};
use crate::arguments::{ArchiveFormat, Image, List};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago_text, bytes, short_id};
use crate::output::{self, Format, Listing, Progress, Row};
use crate::settings::World;

pub(crate) async fn image(world: &World, command: Image) -> Result<Exit, CommandError> {
    let changes = !matches!(command, Image::Ls { .. } | Image::Inspect(_) | Image::Save { .. });
    change_nothing_in_dry_runs(world, changes)?;
    let mut client = Client::connect(&world.supervisor).await?;
    let client = &mut client;
    match command {
        Image::Load { input, quiet } => or_interrupted(load(client, input.as_deref(), quiet)).await,
        Image::Save { images, output, format } => {
            let request = SaveRequest { names: images, oci: format == ArchiveFormat::OciArchive };
            or_interrupted(save(client, &request, output.as_deref())).await
        }
        Image::Pull { images, quiet } => or_interrupted(pull(world, client, images, quiet)).await,
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

async fn load(client: &mut Client, input: Option<&Path>, quiet: bool) -> Result<Exit, CommandError> {
    if input.is_none() && std::io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            "nothing to load: name an archive with `-i FILE`, or send it to standard input".to_owned(),
        ));
    }
    let path = input.unwrap_or(Path::new("/dev/stdin"));
    let source =
        std::fs::File::open(path).map_err(|source| CommandError::System { doing: format!("open {}", path.display()), source })?;
    let loaded: Vec<LoadedImage> = client.upload("/v1/images/load", Blocking(source)).await?;
    if quiet {
        return Ok(Exit::Success);
    }
    for image in loaded {
        if image.tags.is_empty() {
            output::print(&format!("Loaded image ID: {}\n", image.id))?;
        }
        image.tags.iter().try_for_each(|tag| output::print(&format!("Loaded image: {tag}\n")))?;
    }
    Ok(Exit::Success)
}

/// A file read where tokio expects a stream; whoever runs the command waits for it anyway.
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

/// Writes the archive as it comes. A file is there when it is complete, or not at all.
async fn save(client: &mut Client, request: &SaveRequest, target: Option<&Path>) -> Result<Exit, CommandError> {
    let Some(target) = target else {
        if std::io::stdout().is_terminal() {
            let text = "an archive is not written to a terminal: name a file with `-o FILE`, or redirect standard output";
            return Err(CommandError::Usage(text.to_owned()));
        }
        write_archive(client, request, &mut std::io::stdout().lock(), "standard output").await?;
        return Ok(Exit::Success);
    };
    let shown = target.display().to_string();
    let failed = |source| CommandError::System { doing: format!("write {shown}"), source };
    // A device or a pipe is written to; a file is replaced as a whole.
    if target.metadata().is_ok_and(|about| !about.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(target).map_err(failed)?;
        write_archive(client, request, &mut file, &shown).await?;
        return Ok(Exit::Success);
    }
    let unfinished = Unfinished::beside(target);
    let mut file = std::fs::File::create_new(&unfinished.0).map_err(failed)?;
    write_archive(client, request, &mut file, &shown).await?;
    std::fs::rename(&unfinished.0, target).map_err(failed)?;
    Ok(Exit::Success)
}

async fn write_archive(
    client: &mut Client,
    request: &SaveRequest,
    output: &mut impl Write,
    shown: &str,
) -> Result<(), CommandError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::BrokenPipe => CommandError::OutputClosed,
        _ => CommandError::System { doing: format!("write {shown}"), source },
    };
    let mut archive = client.download("/v1/images/save", request).await?;
    let cut_off = |error: ClientError| match error {
        ClientError::Refused(mut failure) => {
            let message = format!("failed to save {}: the archive is not complete", request.names.join(", "));
            failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
            failure.hint = Some("pull or load the image again".to_owned());
            CommandError::Failed(failure)
        }
        other => other.into(),
    };
    while let Some(bytes) = archive.next().await.map_err(cut_off)? {
        output.write_all(&bytes).map_err(failed)?;
    }
    output.flush().map_err(failed)
}

/// A file that is removed unless it has been renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(target: &Path) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        Self(target.with_file_name(name))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is none.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn pull(world: &World, client: &mut Client, images: Vec<String>, quiet: bool) -> Result<Exit, CommandError> {
    let mut progress = Progress::new(&world.global, "pull").quiet_if(quiet);
    for name in images {
        let mut show = |text: &str, status| {
            progress.show(&Event::Progress { id: format!("Image {name}"), text: text.to_owned(), status });
        };
        show("Pulling", ProgressStatus::Working);
        let pulled: Result<String, _> = client.post("/v1/images/pull", &Named { name: name.clone(), force: false }).await;
        match pulled {
            Ok(reference) => {
                show("Pulled", ProgressStatus::Done);
                output::print(&format!("{reference}\n"))?;
            }
            Err(error) => {
                show("Error", ProgressStatus::Error);
                return Err(error.into());
            }
        }
    }
    Ok(Exit::Success)
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
        "Digest": "<none>",
        "ID": if whole { image.id.clone() } else { short_id(&image.id) },
        "Repository": name,
        "SharedSize": bytes(image.size.saturating_sub(image.unique_size)),
        "Size": bytes(image.size),
        "Tag": tag,
        "UniqueSize": bytes(image.unique_size),
    })
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
