//! Writing files into containers: as they are at the moment of reading, in an order in which directories can come and go.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use rcompose_supervisor::Settings;
use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{MAX_CONTENT, SyncEntry, SyncRequest, SyncedContainer, put_sync_content, put_sync_entry};
use rcompose_watch::{Kind, Put, Stamp};
use tokio::sync::mpsc;

/// So much is collected before it is sent.
const CHUNK: usize = 256 * 1024;
/// Chunks that the other side may be behind.
const BEHIND: usize = 8;

/// Writes files into containers; gives what became of each, and the client for the next time.
pub(super) async fn deliver(
    settings: &Settings,
    client: Option<Client>,
    containers: BTreeSet<String>,
    puts: Vec<Put>,
) -> Result<(Vec<SyncedContainer>, Client), ClientError> {
    let mut client = match client {
        Some(client) => client,
        None => Client::connect(settings).await?,
    };
    let (sender, chunks) = mpsc::channel(BEHIND);
    let reading = tokio::task::spawn_blocking(move || {
        let mut body = Body { buffer: Vec::new(), sender };
        put_sync_entry(&SyncRequest { containers: containers.into_iter().collect() }, &mut body.buffer);
        // An error means that nobody takes it any more, and the answer says why.
        let _ = body.put_all(&puts);
    });
    let answer = client.send_all("/v1/sync", chunks).await;
    // It has ended, or notices with its next chunk.
    drop(reading);
    answer.map(|answer| (answer, client))
}

struct Body {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Bytes>,
}

/// Nobody takes what is sent.
struct Gone;

impl Body {
    fn put_all(&mut self, puts: &[Put]) -> Result<(), Gone> {
        let mut present = Vec::new();
        // Innermost first, as directories are emptied.
        for put in puts.iter().rev() {
            match Stamp::look(&put.source) {
                Some(stamp) => present.push((put, stamp.kind)),
                None => self.entry(&SyncEntry::Remove { target: put.target.clone() })?,
            }
        }
        for (put, kind) in present.into_iter().rev() {
            self.put(put, kind)?;
        }
        self.flush()
    }

    /// What has changed since it was looked at will be told again: it is passed over.
    fn put(&mut self, put: &Put, kind: Kind) -> Result<(), Gone> {
        let target = put.target.clone();
        match kind {
            Kind::Directory => {
                let mode = std::fs::metadata(&put.source).map_or(0o755, |about| about.mode() & 0o777);
                self.entry(&SyncEntry::Directory { target, mode })
            }
            Kind::Link => match std::fs::read_link(&put.source) {
                Ok(leads_to) => self.entry(&SyncEntry::Link { target, leads_to: leads_to.to_string_lossy().into_owned() }),
                Err(_) => Ok(()),
            },
            Kind::File => match open(&put.source) {
                Ok(file) => self.file(target, file),
                Err(_) => Ok(()),
            },
            Kind::Other => Ok(()),
        }
    }

    fn file(&mut self, target: String, mut file: File) -> Result<(), Gone> {
        let Ok(about) = file.metadata() else { return Ok(()) };
        let modified = about.mtime().saturating_mul(1_000_000_000).saturating_add(about.mtime_nsec());
        let identity = (about.dev(), about.ino());
        self.entry(&SyncEntry::File { target, mode: about.mode() & 0o777, modified, identity })?;
        let length = usize::try_from(about.len()).unwrap_or(usize::MAX);
        let mut chunk = vec![0; length.clamp(1, MAX_CONTENT)];
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return self.entry(&SyncEntry::Finish),
                Ok(count) => {
                    put_sync_content(&chunk[..count], &mut self.buffer);
                    self.flush_if_full()?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // Without its end it never was.
                Err(_) => return Ok(()),
            }
        }
    }

    fn entry(&mut self, entry: &SyncEntry) -> Result<(), Gone> {
        put_sync_entry(entry, &mut self.buffer);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), Gone> {
        if self.buffer.len() < CHUNK { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender.blocking_send(bytes).map_err(|_| Gone)
    }
}

/// Opens a regular file; what has become something else meanwhile is none.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}
