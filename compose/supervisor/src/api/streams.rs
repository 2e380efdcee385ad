//! Streams: lines of JSON, bodies as readers, and connections that become frames.

use std::io::Write;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use rcompose_engine::{EngineError, ExecRequest};
use rcompose_plan::labels;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, copy};
use tokio::sync::mpsc;

use super::{Refusal, Shared};
use crate::client::ascii_json;
use crate::events::ExecEvents;
use crate::messages::{ExecMessage, Failure, Happening};

/// Messages as they come, one a line.
pub(super) fn lines<T: Serialize + Send + 'static>(receiver: mpsc::Receiver<T>) -> Response {
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let message = receiver.recv().await?;
        let mut line = serde_json::to_vec(&message).expect("messages have a JSON form");
        line.push(b'\n');
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), receiver))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response()
}

/// A request's body for code that blocks.
pub(super) fn body_reader(body: Body) -> impl std::io::Read + Send + 'static {
    let stream = body.into_data_stream().map(|chunk| chunk.map_err(std::io::Error::other));
    tokio_util::io::SyncIoBridge::new(tokio_util::io::StreamReader::new(stream))
}

/// Bytes that are collected before they are sent.
const CHUNK: usize = 256 * 1024;
/// The trailer that ends a body: empty, or why it ended early. Without it the writer is gone, and nobody knows why.
pub(crate) const END_TRAILER: &str = "x-rcompose-end";

/// A body of what `write` writes, as it writes it; it waits while the other side does not read.
pub(super) fn written(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send + 'static) -> Response {
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let mut output = std::io::BufWriter::with_capacity(CHUNK, Chunks(sender.clone()));
        let result = write(&mut output).and_then(|()| output.flush());
        // What is left in the buffer of a stream that failed is of no use.
        drop(output.into_parts());
        let why = match result {
            Ok(()) => String::new(),
            Err(error) => {
                // Whoever asked is free to go; anything else is ours to know.
                if error.kind() != std::io::ErrorKind::BrokenPipe {
                    tracing::warn!(%error, "a stream ended early");
                }
                ascii_json(&serde_json::to_string(&Failure::of(&error)).expect("a failure has a JSON form"))
            }
        };
        if let Ok(value) = header::HeaderValue::from_str(&why) {
            let trailers = header::HeaderMap::from_iter([(header::HeaderName::from_static(END_TRAILER), value)]);
            // A client that is gone needs no reason.
            let _ = sender.blocking_send(Frame::trailers(trailers));
        }
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let frame: Frame<Bytes> = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), receiver))
    });
    let body = Body::new(http_body_util::StreamBody::new(frames));
    ([(header::CONTENT_TYPE, "application/x-tar"), (header::TRAILER, END_TRAILER)], body).into_response()
}

struct Chunks(mpsc::Sender<Frame<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.blocking_send(Frame::data(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Has the connection carry frames between the client and a process; the supervisor only copies bytes.
fn carry_frames(mut request: Request, stream: std::os::unix::net::UnixStream, ended: impl FnOnce() + Send + 'static) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let carried = async {
            stream.set_nonblocking(true)?;
            let (mut from_process, mut to_process) = tokio::net::UnixStream::from_std(stream)?.into_split();
            let client = TokioIo::new(upgrade.await.map_err(std::io::Error::other)?);
            let (mut from_client, mut to_client) = tokio::io::split(client);
            // Input that a process does not take any more, because it has ended, must not cost what it said last.
            let input = async move {
                let _ = copy(&mut from_client, &mut to_process).await;
                to_process.shutdown().await
            };
            let output = async move {
                let copied = copy(&mut from_process, &mut to_client).await;
                to_client.shutdown().await.and(copied)
            };
            tokio::pin!(output);
            tokio::select! {
                // Nobody is left who could take the rest of the input.
                copied = &mut output => copied,
                // Kept, and waited for: the last word is the process's.
                _ = input => output.await,
            }
        };
        // Either side may have gone; the process has been told by its end of the stream.
        let _ = carried.await;
        // What is left to do waits for the process's end.
        let _ = tokio::task::spawn_blocking(ended).await;
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "rcompose-frames")]).into_response()
}

/// Another process in the container of a service.
pub(super) async fn exec(State(supervisor): State<Shared>, request: Request) -> Result<Response, Refusal> {
    let message = request.headers().get("x-rcompose-exec").and_then(|value| value.to_str().ok());
    let message: ExecMessage =
        message.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| Failure::text("the request names no process"))?;
    let id = find(&supervisor, &message)?;
    let told = ExecEvents::begin(&supervisor, &id, &message.command);
    let wanted = ExecRequest {
        command: message.command,
        environment: message.environment,
        user: message.user,
        working_dir: message.working_dir,
        tty: message.tty,
        stdin_open: message.stdin_open,
        privileged: message.privileged,
        detached: message.detached,
    };
    let engine = supervisor.engine.clone();
    let started = crate::keep::blocking(move || engine.exec(&id, &wanted)).await;
    let exec = match started {
        Ok(exec) => exec,
        Err(error) => {
            let code = error.exit_code();
            let failure = Failure { hint: Some(format!("exit status {code}")), ..Failure::of(&error) };
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, [("x-rcompose-exit", code.to_string())], Json(failure)).into_response());
        }
    };
    told.started();
    let (stream, helper) = exec.into_parts();
    let ended = move || told.ended(helper.reap());
    if message.detached {
        tokio::task::spawn_blocking(ended);
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(carry_frames(request, stream, ended))
}

/// The running container of a service: the lowest number, unless one is named.
fn find(supervisor: &Arc<crate::supervisor::Supervisor>, message: &ExecMessage) -> Result<String, Failure> {
    let mut running: Vec<_> = supervisor
        .summaries(Some(&message.project))
        .into_iter()
        .filter(|it| it.service == message.service && matches!(it.state.as_str(), "running" | "paused"))
        .collect();
    let one_off = |labels_of: &std::collections::BTreeMap<String, String>| {
        labels_of.get(labels::ONE_OFF).map(String::as_str) == Some("True")
    };
    running.sort_by_key(|it| (one_off(&it.labels), it.number));
    let found = running.into_iter().find(|it| message.index == 0 || it.number == message.index);
    if let Some(paused) = found.as_ref().filter(|it| it.state == "paused") {
        // It would wait until somebody thaws the container.
        let failure = Failure::text(format!("container `{}` is paused", paused.name));
        return Err(Failure { hint: Some("`rcompose unpause` lets it go on".to_owned()), ..failure });
    }
    found.map(|it| it.id).ok_or_else(|| {
        Failure::text(match message.index {
            0 => format!("service \"{}\" is not running", message.service),
            index => format!("service \"{}\" is not running container #{index}", message.service),
        })
    })
}

/// Input and output of a container's first process.
pub(super) async fn attach(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let stream = supervisor.engine.attach(&id).map_err(|error: EngineError| Refusal::from(error))?;
    supervisor.keeper.tell(&id, Happening::Attach, None);
    Ok(carry_frames(request, stream, || {}))
}

/// How a container that was made for one command is started.
#[derive(Deserialize)]
pub(super) struct Start {
    /// Nobody wants its output.
    #[serde(default)]
    detached: bool,
    /// It goes when it has ended.
    #[serde(default)]
    remove: bool,
}

/// Starts a container that was made for one command; nothing of what it says is lost.
pub(super) async fn start(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Query(how): Query<Start>,
    request: Request,
) -> Result<Response, Refusal> {
    let stream = supervisor.keeper.start_one_off(&id, how.remove).await?;
    if how.detached {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(carry_frames(request, stream, || {}))
}
