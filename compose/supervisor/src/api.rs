//! The router: thin handlers over the supervisor. HTTP/1.1 with JSON on a Unix socket; streams are one object a line.

mod artifacts;
mod builds;
mod debug;
mod files;
mod images;
pub mod messages;
mod networks;
mod streams;
mod sync;
mod system;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use rcompose_engine::EngineError;
use rcompose_plan::labels;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::execute;
use crate::messages::{
    ApplyRequest, EndedContainer, EventsRequest, Failure, Hello, LogsRequest, StatsRequest, VERSION, WaitRequest, Why,
};
use crate::supervisor::Supervisor;

pub(crate) use streams::END_TRAILER;

type Shared = Arc<Supervisor>;

/// A request larger than this is an error.
const MAX_BODY: usize = 64 << 20;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|credentials| credentials.uid()) }
    }
}

/// The router of a supervisor.
pub(crate) fn router(supervisor: Shared) -> Router {
    Router::new()
        .route("/v1/hello", get(hello))
        .route("/v1/apply", post(apply))
        .route("/v1/containers", get(containers))
        .route("/v1/projects", get(projects))
        .route("/v1/projects/{name}", get(applied))
        .route("/v1/projects/{name}/kill", post(kill))
        .route("/v1/applies/{ticket}/cancel", post(cancel))
        .route("/v1/logs", post(logs))
        .route("/v1/containers/{id}/rebind", post(sync::rebind))
        .route("/v1/sync", post(sync::sync).layer(DefaultBodyLimit::disable()))
        .route("/v1/events", post(events))
        .route("/v1/stats", post(stats))
        .route("/v1/wait", post(wait))
        .route("/v1/exec", post(streams::exec))
        .route("/v1/containers/{id}/attach", post(streams::attach))
        .route("/v1/containers/{id}/start", post(streams::start))
        .route("/v1/containers/{id}/removed", post(removed))
        .route("/v1/containers/{id}/debug", post(debug::create))
        .route("/v1/containers/{id}/processes", get(system::processes))
        .route("/v1/containers/{id}/files/look", post(files::look))
        .route("/v1/containers/{id}/files/read", post(files::read))
        .route("/v1/containers/{id}/files/write", post(files::write).layer(DefaultBodyLimit::disable()))
        .route("/v1/containers/{id}/spec", get(files::spec))
        .route("/v1/containers/{id}/export", post(files::export))
        .route("/v1/containers/{id}/commit", post(files::commit))
        .route("/v1/images", get(images::list))
        .route("/v1/images/load", post(images::load).layer(DefaultBodyLimit::disable()))
        .route("/v1/images/save", post(images::save))
        .route("/v1/images/load-file", post(images::load_file))
        .route("/v1/images/import", post(images::import).layer(DefaultBodyLimit::disable()))
        .route("/v1/images/import-docker", post(images::import_docker))
        .route("/v1/images/export", post(images::export))
        .route("/v1/images/pull", post(images::pull))
        .route("/v1/images/push", post(images::push))
        .route("/v1/images/tag", post(images::tag))
        .route("/v1/images/history", post(images::history))
        .route("/v1/images/digest", post(artifacts::digest))
        .route("/v1/images/bases", post(builds::bases))
        .route("/v1/artifacts/fetch", post(artifacts::fetch))
        .route("/v1/artifacts/digest", post(artifacts::stack_digest))
        .route("/v1/artifacts/publish", post(artifacts::publish))
        .route("/v1/images/inspect", post(images::inspect))
        .route("/v1/images/remove", post(images::remove))
        .route("/v1/images/prune", post(images::prune))
        .route("/v1/build-cache", get(builds::describe))
        .route("/v1/build-cache/prune", post(builds::prune))
        .route("/v1/networks", get(networks::list))
        .route("/v1/networks/create", post(networks::create))
        .route("/v1/networks/remove", post(networks::remove))
        .route("/v1/networks/prune", post(networks::prune))
        .route("/v1/volumes", get(volumes::list))
        .route("/v1/volumes/create", post(volumes::create))
        .route("/v1/volumes/remove", post(volumes::remove))
        .route("/v1/volumes/prune", post(volumes::prune))
        .route("/v1/info", get(system::info))
        .route("/v1/disk-usage", get(system::disk_usage))
        .route("/v1/check", post(system::check))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(check_peer))
        .with_state(supervisor)
}

/// Only the user whose supervisor it is, and root.
async fn check_peer(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let own = rustix::process::geteuid().as_raw();
    if peer.uid.is_some_and(|uid| uid == own || uid == 0) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, Json(Failure::text("this supervisor belongs to another user"))).into_response()
    }
}

/// An error as an answer.
pub(crate) struct Refusal(StatusCode, Failure);

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            error if error.is_not_found() => StatusCode::NOT_FOUND,
            error if error.is_in_use() => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, Failure { hint: hint(&error).map(str::to_owned), ..Failure::of(&error) })
    }
}

/// What to do about something that is in use.
fn hint(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::ImageTags { .. } => Some("remove it by its names, or with all of them by `--force`"),
        EngineError::ImageInUse { .. } | EngineError::VolumeInUse { .. } => {
            Some("remove those containers before: `rcompose down` in their project")
        }
        error if error.is_in_use() => Some("stop those containers before: `rcompose down` in their project"),
        _ => None,
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(StatusCode::BAD_REQUEST, failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

async fn hello() -> Json<Hello> {
    Json(Hello { api: VERSION, version: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() })
}

/// The change goes on when the client goes away: it is told to the project, not to the connection.
async fn apply(State(supervisor): State<Shared>, Json(request): Json<ApplyRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(256);
    supervisor.work.spawn(execute::apply(supervisor.clone(), request, sender));
    streams::lines(receiver)
}

#[derive(Deserialize)]
struct OfProject {
    project: Option<String>,
}

async fn containers(State(supervisor): State<Shared>, Query(of): Query<OfProject>) -> impl IntoResponse {
    Json(supervisor.summaries(of.project.as_deref()))
}

async fn projects(State(supervisor): State<Shared>) -> impl IntoResponse {
    Json(supervisor.projects())
}

async fn applied(State(supervisor): State<Shared>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    match supervisor.applied(&name).filter(|_| valid) {
        Some(project) => Ok(Json(project).into_response()),
        None => Err(Refusal(StatusCode::NOT_FOUND, Failure::text(format!("no project `{name}`")))),
    }
}

/// Has a command begin nothing more, and wait for nobody any more.
async fn cancel(State(supervisor): State<Shared>, Path(ticket): Path<String>) -> Json<serde_json::Value> {
    supervisor.cancel(&ticket);
    Json(serde_json::Value::Null)
}

/// Kills everything of a project at once. Takes no lock: it is how a stop that takes too long is cut short.
/// Kills the containers of services; of all if none is named.
async fn kill(
    State(supervisor): State<Shared>,
    Path(name): Path<String>,
    Json(services): Json<Vec<String>>,
) -> Json<serde_json::Value> {
    let is_meant = |labels: &BTreeMap<String, String>| {
        services.is_empty() || labels.get(labels::SERVICE).is_some_and(|service| services.contains(service))
    };
    let why = Why { by: "stop".to_owned(), reason: "the stop was cut short".to_owned(), place: None };
    for container in supervisor.containers(Some(&name)) {
        if container.pid.is_some()
            && is_meant(&container.record.spec.labels)
            && let Err(error) = supervisor.keeper.kill(container.record.id.as_str(), "SIGKILL", &why).await
        {
            tracing::warn!(%error, container = container.record.spec.name, "a container could not be killed");
        }
    }
    Json(serde_json::Value::Null)
}

/// Answers when a container is gone.
async fn removed(State(supervisor): State<Shared>, Path(id): Path<String>) -> Json<serde_json::Value> {
    supervisor.keeper.wait_removed(&id).await;
    Json(serde_json::Value::Null)
}

async fn logs(State(supervisor): State<Shared>, Json(request): Json<LogsRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(256);
    let work = supervisor.work.clone();
    work.spawn(async move {
        if let Err(error) = crate::logs::send(supervisor, request, sender).await {
            tracing::warn!(%error, "logs could not be read");
        }
    });
    streams::lines(receiver)
}

async fn events(State(supervisor): State<Shared>, Json(request): Json<EventsRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(256);
    let log = supervisor.events.clone();
    supervisor.work.spawn(async move {
        if let Err(error) = crate::events::send(log, request, sender).await {
            tracing::warn!(%error, "events could not be read");
        }
    });
    streams::lines(receiver)
}

async fn stats(State(supervisor): State<Shared>, Json(request): Json<StatsRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(4);
    supervisor.work.spawn(crate::stats::send(supervisor.clone(), request, sender));
    streams::lines(receiver)
}

/// Answers for each container when it has ended.
async fn wait(State(supervisor): State<Shared>, Json(request): Json<WaitRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(16);
    for id in request.containers {
        let (keeper, sender) = (supervisor.keeper.clone(), sender.clone());
        supervisor.work.spawn(async move {
            tokio::select! {
                // Nobody waits any more.
                () = sender.closed() => {}
                // It stays ended: whoever asks again gets the same answer.
                code = keeper.wait_code(&id) => drop(sender.send(EndedContainer { id, code }).await),
            }
        });
    }
    streams::lines(receiver)
}

/// A time in seconds since 1970, as Docker writes it.
fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
