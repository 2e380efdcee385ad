//! A blob on its way: from the network, over a bounded channel, to a thread that reads, hashes and unpacks it.
//!
//! What is cut off goes on where it was; the one who reads sees a single stream, and is told at its end whether it was the right
//! one. Nothing of it is kept on the disk in the form in which it came.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Buf, Bytes};
use rcompose_sys::fault;
use reqwest::{StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::RegistryError;
use super::endpoint::Endpoint;
use super::manifest::Descriptor;
use super::transport::{ATTEMPTS, Transport, pause, unreachable_registry};
use crate::Digest;

/// Chunks that wait for the one who reads; each has a few dozen KiB.
const WAITING: usize = 16;
/// Less than this within the time that nothing may come is next to nothing.
const DRIP: u64 = 4 << 10;
/// As much has to come between two cuts for the second to count as a new mishap.
const HEADWAY: u64 = 256 << 10;

/// The two ends of a way for one blob.
pub(super) fn channel(blob: &Descriptor) -> (mpsc::Sender<Bytes>, Incoming) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let now = Bytes::new();
    (sender, Incoming { receiver, now, hash: Sha256::new(), count: 0, digest: blob.digest.clone(), size: blob.size })
}

/// Sends exactly as many bytes as the blob should have; `done` counts them. Whoever reads may have had enough: that is no error.
pub(super) async fn download(
    transport: &Transport,
    endpoint: &Endpoint,
    blob: &Descriptor,
    sink: mpsc::Sender<Bytes>,
    done: &AtomicU64,
) -> Result<(), RegistryError> {
    let (mut offset, mut failures, mut mark) = (0, 0, 0);
    loop {
        // What could not even be begun was tried often enough.
        let Some(error) = part(transport, endpoint, blob, &sink, &mut offset, done).await? else { return Ok(()) };
        if offset >= mark + HEADWAY {
            (failures, mark) = (0, offset);
        }
        failures += 1;
        if failures >= ATTEMPTS {
            return Err(error);
        }
        tracing::debug!(digest = %blob.digest, offset, %error, "a download was cut off and goes on");
        tokio::time::sleep(pause(None, failures)).await;
    }
}

/// Sends what is left, or what comes of it before it is cut off: then the reason is given.
async fn part(
    transport: &Transport,
    endpoint: &Endpoint,
    blob: &Descriptor,
    sink: &mpsc::Sender<Bytes>,
    offset: &mut u64,
    done: &AtomicU64,
) -> Result<Option<RegistryError>, RegistryError> {
    let mismatch = |why: String| RegistryError::mismatch(&endpoint.registry, &blob.digest, why);
    if *offset == blob.size && blob.size > 0 {
        return Ok(None);
    }
    let url = endpoint.blob(&blob.digest);
    let from = *offset;
    let fine = [StatusCode::RANGE_NOT_SATISFIABLE];
    let response = transport.send(endpoint, &fine, |client| match from {
        0 => client.get(&url),
        from => client.get(&url).header(header::RANGE, format!("bytes={from}-")),
    });
    let mut response = response.await?;
    let mut skip = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {from}-")) {
                return Err(mismatch(format!("it was sent from another place than {from}: {}", range.escape_debug())));
            }
            0
        }
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(mismatch(format!("it ends at {from} bytes instead of {}", blob.size))),
        // It sends everything again.
        _ => from,
    };
    if let Some(length) = response.content_length().filter(|length| *length != blob.size - from + skip) {
        return Err(mismatch(format!("it has {} bytes instead of {}", length + from - skip, blob.size)));
    }
    let mut since = (Instant::now(), *offset);
    loop {
        let mut chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(source) => return Ok(Some(unreachable_registry(endpoint, source))),
        };
        let again = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
        chunk.advance(again);
        skip -= again as u64;
        *offset += chunk.len() as u64;
        if *offset > blob.size {
            return Err(mismatch(format!("it is longer than {} bytes", blob.size)));
        }
        done.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        fault::point("image.pull.chunk");
        if !chunk.is_empty() && sink.send(chunk).await.is_err() {
            return Ok(None);
        }
        if since.0.elapsed() >= transport.patience() {
            if *offset < blob.size && *offset - since.1 < DRIP {
                let (registry, seconds) = (endpoint.registry.clone(), transport.patience().as_secs());
                return Ok(Some(RegistryError::Stalled { registry, seconds }));
            }
            since = (Instant::now(), *offset);
        }
    }
    match *offset == blob.size {
        true => Ok(None),
        // An answer without a length that ended early looks whole.
        false => Err(mismatch(format!("it has {offset} bytes instead of {}", blob.size))),
    }
}

/// What comes, for a thread that reads it.
pub(super) struct Incoming {
    receiver: mpsc::Receiver<Bytes>,
    now: Bytes,
    hash: Sha256,
    count: u64,
    digest: Digest,
    size: u64,
}

impl Incoming {
    /// Reads to the end, and tells what is wrong with it, if it is. An error of the one who sends is told by that one.
    pub(super) fn check(mut self) -> io::Result<Result<(), String>> {
        io::copy(&mut self, &mut io::sink())?;
        let found = Digest::from_hash(&self.hash.finalize());
        Ok(if found == self.digest { Ok(()) } else { Err("its content has another digest".to_owned()) })
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.now.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.now = bytes,
                None if self.count == self.size => return Ok(0),
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download ended early")),
            }
            self.hash.update(&self.now);
            self.count += self.now.len() as u64;
        }
        let count = self.now.len().min(buffer.len());
        self.now.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
