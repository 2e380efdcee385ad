//! A blob on its way to a registry: in pieces, each of which goes on where the registry has got to.
//!
//! Spec: distribution-spec, "Pushing a blob in chunks".

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url, header};

use super::RegistryError;
use super::endpoint::Endpoint;
use super::manifest::Descriptor;
use super::transport::{ATTEMPTS, Transport, pause};

/// Bytes of one piece: few enough that a cut costs little, and many enough that a round trip costs nothing.
const PIECE: u64 = 64 << 20;
/// Bytes that are read of the file at once.
const CHUNK: usize = 128 << 10;

/// Begins an upload, or has the registry take a blob from another of its repositories: then nothing is left to do.
pub(super) async fn begin(
    transport: &Transport,
    endpoint: &Endpoint,
    mount: Option<(&Descriptor, &str)>,
) -> Result<Option<Url>, RegistryError> {
    let (scoped, query) = match mount {
        Some((blob, from)) => (endpoint.mounting(from), format!("?mount={}&from={from}", blob.digest)),
        None => (endpoint.clone(), String::new()),
    };
    let url = format!("{}{query}", endpoint.uploads());
    let response = transport.send(&scoped, &[], |client| client.post(&url).header(header::CONTENT_LENGTH, 0)).await?;
    if response.status() == StatusCode::CREATED {
        return Ok(None);
    }
    location(endpoint, &response).map(Some)
}

/// Sends a file as a blob; `done` counts what the registry has.
pub(super) async fn upload(
    transport: &Transport,
    endpoint: &Endpoint,
    mut session: Url,
    file: &Arc<std::fs::File>,
    blob: &Descriptor,
    done: &AtomicU64,
) -> Result<(), RegistryError> {
    let (mut offset, mut failures) = (0, 0);
    while offset < blob.size {
        let end = (offset + PIECE).min(blob.size);
        let sent = transport.send_once(endpoint, |client| piece(client, &session, file, offset, end)).await;
        let error = match sent {
            Ok(response) if response.status().is_success() => {
                session = location(endpoint, &response)?;
                offset = reached(&response).unwrap_or(end).clamp(offset, end);
                done.store(offset, Ordering::Relaxed);
                failures = 0;
                continue;
            }
            Ok(response) => transport.refused(endpoint, response).await,
            Err(error) => error,
        };
        failures += 1;
        let out_of_step = matches!(error, RegistryError::Refused { status: 416, .. });
        if failures >= ATTEMPTS || !(error.is_transient() || out_of_step) {
            return Err(error);
        }
        tracing::debug!(digest = %blob.digest, offset, %error, "an upload was cut off and goes on");
        tokio::time::sleep(pause(None, failures)).await;
        // Where it has got to is the registry's to say; one that has forgotten it begins again.
        let status = transport.send(endpoint, &[StatusCode::NOT_FOUND], |client| client.get(session.clone())).await?;
        (session, offset) = match status.status() {
            StatusCode::NOT_FOUND => (begin(transport, endpoint, None).await?.ok_or(error)?, 0),
            _ => (location(endpoint, &status).unwrap_or(session), reached(&status).unwrap_or(0).min(blob.size)),
        };
        done.store(offset, Ordering::Relaxed);
    }
    session.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
    let make = |client: &Client| client.put(session.clone()).header(header::CONTENT_LENGTH, 0);
    transport.send(endpoint, &[], make).await.map(drop)
}

fn piece(client: &Client, session: &Url, file: &Arc<std::fs::File>, from: u64, to: u64) -> RequestBuilder {
    let stream = futures_util::stream::try_unfold((file.clone(), from), move |(file, position)| async move {
        let length = usize::try_from(to - position).unwrap_or(usize::MAX).min(CHUNK);
        if length == 0 {
            return Ok(None);
        }
        // It was written a moment ago: this waits for no disk.
        let mut chunk = vec![0; length];
        file.read_exact_at(&mut chunk, position)?;
        Ok::<_, std::io::Error>(Some((Bytes::from(chunk), (file, position + length as u64))))
    });
    client
        .patch(session.clone())
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, to - from)
        .header(header::CONTENT_RANGE, format!("{from}-{}", to - 1))
        .body(Body::wrap_stream(stream))
}

fn location(endpoint: &Endpoint, response: &Response) -> Result<Url, RegistryError> {
    let text = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| RegistryError::mismatch(&endpoint.registry, "upload", "it does not say where to send to"))?;
    endpoint.follow(text)
}

/// How many bytes the registry has: `Range: 0-1023`.
fn reached(response: &Response) -> Option<u64> {
    let range = response.headers().get(header::RANGE)?.to_str().ok()?;
    let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
    // Nothing yet is written as `0-0`, as is one byte: sending that byte again is refused and asked about.
    Some(if last == 0 { 0 } else { last + 1 })
}
