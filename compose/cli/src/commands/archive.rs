//! Archives that come from the supervisor or go to it, byte by byte.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use rcompose_supervisor::client::{Client, ClientError};

use crate::error::CommandError;
use crate::exit::Exit;

/// What an archive is made of, for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Archive<'a> {
    /// What is in it.
    pub(super) of: &'a str,
    /// What to do when it ends early.
    pub(super) hint: Option<&'a str>,
}

/// As a query may hold it.
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A file read where tokio expects a stream; whoever runs the command waits for it anyway.
pub(super) struct Blocking(pub(super) std::fs::File);

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
    what: Archive<'_>,
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
    what: Archive<'_>,
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
            let message = format!("failed to save {}: the archive is not complete", what.of);
            failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
            failure.hint = what.hint.map(str::to_owned);
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
