//! Writing files into containers, all that are named at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use bytes::BytesMut;
use futures_util::StreamExt;
use rcompose_engine::{Engine, FileIdentity, SyncPiece};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::messages::sync::{read_frame, take_frame};
use super::{Refusal, Shared};
use crate::messages::{Failure, RebindRequest, SyncEntry, SyncFrame, SyncRequest, SyncedContainer};

/// Pieces that a container may be behind.
const BEHIND: usize = 64;

/// Writes what comes; a container that cannot be written to does not keep the others from it.
pub(super) async fn sync(State(supervisor): State<Shared>, body: Body) -> Result<Json<Vec<SyncedContainer>>, Refusal> {
    let mut frames = Frames { stream: body.into_data_stream(), buffer: BytesMut::new() };
    let (_, request) = frames.next().await?.ok_or_else(|| Failure::text("the request names no containers"))?;
    let request: SyncRequest = serde_json::from_slice(&request).map_err(|error| Failure::of(&error))?;
    let mut writers = JoinSet::new();
    let mut senders = Vec::new();
    for id in request.containers {
        let (sender, pieces) = mpsc::channel(BEHIND);
        let engine = supervisor.engine.clone();
        writers.spawn_blocking(move || write(&engine, id, pieces));
        senders.push(sender);
    }
    while let Some((kind, payload)) = frames.next().await? {
        let piece = piece(read_frame(kind, payload).map_err(unreadable)?);
        for sender in &senders {
            // One that could not be reached says so at the end.
            let _ = sender.send(piece.clone()).await;
        }
    }
    drop(senders);
    Ok(Json(writers.join_all().await))
}

/// Mounts a single file anew; gives where it is seen.
pub(super) async fn rebind(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Json(request): Json<RebindRequest>,
) -> Result<Json<Vec<String>>, Refusal> {
    let engine = supervisor.engine.clone();
    Ok(Json(crate::keep::blocking(move || engine.rebind(&id, &request.source)).await?))
}

struct Frames {
    stream: BodyDataStream,
    buffer: BytesMut,
}

impl Frames {
    async fn next(&mut self) -> Result<Option<(u8, bytes::Bytes)>, Failure> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer).map_err(unreadable)? {
                return Ok(Some(frame));
            }
            match self.stream.next().await {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.map_err(|error| Failure::of(&error))?),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(unreadable("it ends in the middle".to_owned())),
            }
        }
    }
}

fn unreadable(why: String) -> Failure {
    Failure { causes: vec![why], ..Failure::text("the files cannot be read from the request") }
}

fn write(engine: &Engine, id: String, mut pieces: mpsc::Receiver<SyncPiece>) -> SyncedContainer {
    match engine.sync_files(&id, || pieces.blocking_recv()) {
        Ok(failures) => {
            let told = failures.iter().map(|failure| Failure { hint: failure.hint().map(str::to_owned), ..Failure::of(failure) });
            SyncedContainer { id, failures: told.collect(), refused: None }
        }
        Err(error) => SyncedContainer { id, failures: Vec::new(), refused: Some(Failure::of(&error)) },
    }
}

fn piece(frame: SyncFrame) -> SyncPiece {
    match frame {
        SyncFrame::Content(bytes) => SyncPiece::Content(Arc::from(&bytes[..])),
        SyncFrame::Entry(SyncEntry::Remove { target }) => SyncPiece::Remove(target),
        SyncFrame::Entry(SyncEntry::Directory { target, mode }) => SyncPiece::Directory { target, mode },
        SyncFrame::Entry(SyncEntry::Link { target, leads_to }) => SyncPiece::Link { target, leads_to },
        SyncFrame::Entry(SyncEntry::File { target, mode, modified, identity: (device, number) }) => {
            SyncPiece::File { target, mode, modified: moment(modified), identity: FileIdentity { device, number } }
        }
        SyncFrame::Entry(SyncEntry::Finish) => SyncPiece::Finish,
    }
}

fn moment(nanoseconds: i64) -> SystemTime {
    let apart = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - apart } else { UNIX_EPOCH + apart }
}
