//! `image`: the store's own images.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{
    DockerImport, HistoryStep, ImageSummary, ImportRequest, LoadedImage, LocalFile, Named, PruneRequest, Removed, SaveRequest,
    TagRequest,
};
use serde_json::{Value, json};

use super::filter::Filters;
use super::transfer::{Way, transfer};
use super::{change_nothing_in_dry_runs, go_on_after, inspect, or_interrupted, show_removed};
use crate::arguments::{ArchiveFormat, Image, List};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago_text, bytes, short_id};
use crate::output::{self, Format, Listing, Row};
use crate::settings::World;

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
            or_interrupted(save(client, "/v1/images/save", &request, &what, output.as_deref())).await
        }
        Image::Export { image, output } => {
            let request = Named { name: image.clone(), force: false };
            or_interrupted(save(client, "/v1/images/export", &request, &image, output.as_deref())).await
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

async fn load(client: &mut Client, input: Option<&Path>, quiet: bool) -> Result<Exit, CommandError> {
    if input.is_none() && std::io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            "nothing to load: name an archive with `-i FILE`, or send it to standard input".to_owned(),
        ));
    }
    let path = input.unwrap_or(Path::new("/dev/stdin"));
    let source = open(path)?;
    let loaded: Vec<LoadedImage> = match load_in_place(client, &source).await? {
        Some(loaded) => loaded,
        None => client.upload("/v1/images/load", Blocking(source)).await?,
    };
    if quiet {
        return Ok(Exit::Success);
    }
    show_loaded(loaded)
}

fn open(path: &Path) -> Result<std::fs::File, CommandError> {
    std::fs::File::open(path).map_err(|source| CommandError::System { doing: format!("open {}", path.display()), source })
}

/// Has a file read where it is, from its beginning. `None` of what is no file, or cannot be seen by the supervisor.
async fn load_in_place(client: &mut Client, source: &std::fs::File) -> Result<Option<Vec<LoadedImage>>, CommandError> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    let failed = |source| CommandError::System { doing: "read the archive".to_owned(), source };
    let about = source.metadata().map_err(failed)?;
    let at_start = || std::io::Seek::stream_position(&mut &*source).is_ok_and(|position| position == 0);
    if !about.is_file() || !at_start() {
        return Ok(None);
    }
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), source.as_raw_fd()));
    Ok(client.post("/v1/images/load-file", &LocalFile { path, device: about.dev(), inode: about.ino() }).await?)
}

fn show_loaded(loaded: Vec<LoadedImage>) -> Result<Exit, CommandError> {
    for image in loaded {
        if image.tags.is_empty() {
            output::print(&format!("Loaded image ID: {}\n", image.id))?;
        }
        image.tags.iter().try_for_each(|tag| output::print(&format!("Loaded image: {tag}\n")))?;
    }
    Ok(Exit::Success)
}

async fn import(client: &mut Client, file: &Path, request: &ImportRequest) -> Result<Exit, CommandError> {
    let source = if file == Path::new("-") { open(Path::new("/dev/stdin"))? } else { open(file)? };
    let pairs = [("reference", &request.reference), ("message", &request.message), ("platform", &request.platform)];
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let loaded: LoadedImage = client.upload(&format!("/v1/images/import?{}", query.join("&")), Blocking(source)).await?;
    output::print(&format!("{}\n", loaded.id))?;
    Ok(Exit::Success)
}

/// As a query may hold it.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

async fn import_docker(client: &mut Client, names: Vec<String>, socket: &str) -> Result<Exit, CommandError> {
    let socket = match socket.split_once("://") {
        None => socket,
        Some(("unix", path)) => path,
        Some(_) => {
            let text = format!("docker at `{socket}` is not on this machine: save the images there, and load the archive");
            return Err(CommandError::Usage(text));
        }
    };
    let request = DockerImport { socket: PathBuf::from(socket), names };
    show_loaded(client.post("/v1/images/import-docker", &request).await?)
}

const STEPS: [(&str, &str); 5] =
    [("IMAGE", "ID"), ("CREATED", "CreatedSince"), ("CREATED BY", "CreatedBy"), ("SIZE", "Size"), ("COMMENT", "Comment")];
/// Letters of a command that a table shows.
const COMMAND: usize = 45;

async fn history(client: &mut Client, name: String, quiet: bool, whole: bool, format: &str) -> Result<Exit, CommandError> {
    let format = Format::parse(format)?;
    let steps: Vec<HistoryStep> = client.post("/v1/images/history", &Named { name, force: false }).await?;
    let id = |step: &HistoryStep| match &step.id {
        Some(id) if whole => id.clone(),
        Some(id) => short_id(id),
        None => "<missing>".to_owned(),
    };
    if quiet {
        steps.iter().try_for_each(|step| output::print(&format!("{}\n", id(step))))?;
        return Ok(Exit::Success);
    }
    let rows = steps.iter().map(|step| {
        let command = step.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut = !whole && command.chars().count() > COMMAND;
        let command = if cut { command.chars().take(COMMAND - 1).chain(['\u{2026}']).collect() } else { command };
        Row::from(json!({
            "ID": id(step),
            "CreatedAt": step.created.clone().unwrap_or_default(),
            "CreatedSince": ago_text(step.created.as_deref()),
            "CreatedBy": command,
            "Size": bytes(step.size),
            "Comment": step.comment,
        }))
    });
    Listing::new(&STEPS, rows.collect()).print(&format)?;
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
async fn save(
    client: &mut Client,
    path: &str,
    request: &(impl serde::Serialize + Sync),
    what: &str,
    target: Option<&Path>,
) -> Result<Exit, CommandError> {
    let Some(target) = target else {
        if std::io::stdout().is_terminal() {
            let text = "an archive is not written to a terminal: name a file with `-o FILE`, or redirect standard output";
            return Err(CommandError::Usage(text.to_owned()));
        }
        write_archive(client, path, request, what, &mut std::io::stdout().lock(), "standard output").await?;
        return Ok(Exit::Success);
    };
    let shown = target.display().to_string();
    let failed = |source| CommandError::System { doing: format!("write {shown}"), source };
    // A device or a pipe is written to; a file is replaced as a whole.
    if target.metadata().is_ok_and(|about| !about.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(target).map_err(failed)?;
        write_archive(client, path, request, what, &mut file, &shown).await?;
        return Ok(Exit::Success);
    }
    let unfinished = Unfinished::beside(target);
    let mut file = std::fs::File::create_new(&unfinished.0).map_err(failed)?;
    write_archive(client, path, request, what, &mut file, &shown).await?;
    std::fs::rename(&unfinished.0, target).map_err(failed)?;
    Ok(Exit::Success)
}

async fn write_archive(
    client: &mut Client,
    path: &str,
    request: &(impl serde::Serialize + Sync),
    what: &str,
    output: &mut impl Write,
    shown: &str,
) -> Result<(), CommandError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::BrokenPipe => CommandError::OutputClosed,
        _ => CommandError::System { doing: format!("write {shown}"), source },
    };
    let mut archive = client.download(path, request).await?;
    let cut_off = |error: ClientError| match error {
        ClientError::Refused(mut failure) => {
            let message = format!("failed to save {what}: the archive is not complete");
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
