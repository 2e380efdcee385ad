//! Archives of images and trees: in and out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{DockerImport, ImportRequest, LoadedImage, LocalFile};

use crate::commands::archive::{Blocking, escaped};
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
