//! Archives of images and trees: in and out.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{DockerImport, ImportRequest, LoadedImage, LocalFile};

use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;

pub(super) async fn load(client: &mut Client, input: Option<&Path>, quiet: bool) -> Result<Exit, CommandError> {
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

pub(super) async fn import(client: &mut Client, file: &Path, request: &ImportRequest) -> Result<Exit, CommandError> {
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

pub(super) async fn import_docker(client: &mut Client, names: Vec<String>, socket: &str) -> Result<Exit, CommandError> {
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
pub(super) async fn save(
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
