//! The router: thin handlers over the supervisor. HTTP/1.1 with JSON on a Unix socket; streams are one object a line.

pub mod messages;
mod streams;

use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use rcompose_engine::EngineError;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::execute;
use crate::messages::{ApplyRequest, Failure, Hello, ImageSummary, LogsRequest, ResourceSummary, VERSION};
use crate::supervisor::Supervisor;

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
        .route("/v1/logs", post(logs))
        .route("/v1/exec", post(streams::exec))
        .route("/v1/containers/{id}/attach", post(streams::attach))
        .route("/v1/containers/{id}/start", post(streams::start))
        .route("/v1/containers/{id}/removed", post(removed))
        .route("/v1/containers/{id}/processes", get(processes))
        .route("/v1/images", get(images))
        .route("/v1/images/load", post(load_images).layer(DefaultBodyLimit::disable()))
        .route("/v1/images/pull", post(pull_image))
        .route("/v1/images/inspect", get(inspect_image))
        .route("/v1/images/remove", delete(remove_image))
        .route("/v1/images/prune", post(prune_images))
        .route("/v1/networks", get(networks).delete(remove_network))
        .route("/v1/volumes", get(volumes).delete(remove_volume))
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
        Self(status, Failure::of(&error))
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

/// Kills everything of a project at once. Takes no lock: it is how a stop that takes too long is cut short.
async fn kill(State(supervisor): State<Shared>, Path(name): Path<String>) -> Json<serde_json::Value> {
    for container in supervisor.containers(Some(&name)) {
        if container.pid.is_some()
            && let Err(error) = supervisor.keeper.kill(container.record.id.as_str(), "SIGKILL").await
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

async fn processes(State(supervisor): State<Shared>, Path(id): Path<String>) -> Result<Json<Vec<i32>>, Refusal> {
    Ok(Json(supervisor.engine.processes(&id)?))
}

async fn images(State(supervisor): State<Shared>) -> Json<Vec<ImageSummary>> {
    let summary = |image: rcompose_engine::image::Image| ImageSummary {
        id: image.id.to_string(),
        tags: image.tags.iter().map(rcompose_engine::image::Reference::familiar).collect(),
        created: image.config.created,
        size: image.size,
    };
    Json(supervisor.engine.images().list().into_iter().map(summary).collect())
}

async fn load_images(State(supervisor): State<Shared>, request: Request) -> Result<Json<Vec<ImageSummary>>, Refusal> {
    let reader = streams::body_reader(request.into_body());
    let loading = supervisor.clone();
    let loaded = crate::keep::blocking(move || Ok(loading.engine.images().load(reader)?)).await?;
    let summary = |loaded: rcompose_engine::image::Loaded| ImageSummary {
        id: loaded.id.to_string(),
        tags: loaded.tags.iter().map(rcompose_engine::image::Reference::familiar).collect(),
        created: None,
        size: 0,
    };
    Ok(Json(loaded.into_iter().map(summary).collect()))
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    force: bool,
}

async fn pull_image(State(supervisor): State<Shared>, Query(named): Query<Named>) -> Result<Json<serde_json::Value>, Refusal> {
    supervisor.pull(&named.name).await?;
    Ok(Json(serde_json::Value::Null))
}

async fn inspect_image(State(supervisor): State<Shared>, Query(named): Query<Named>) -> Result<impl IntoResponse, Refusal> {
    let image = supervisor.engine.images().resolve(&named.name).map_err(EngineError::from)?;
    Ok(Json(image.inspect()))
}

async fn remove_image(State(supervisor): State<Shared>, Query(named): Query<Named>) -> Result<impl IntoResponse, Refusal> {
    Ok(Json(supervisor.engine.remove_image(&named.name, named.force)?))
}

async fn prune_images(State(supervisor): State<Shared>) -> Result<Json<Vec<String>>, Refusal> {
    let used: Vec<String> = supervisor.engine.list().into_iter().map(|container| container.record.image_id).collect();
    let gone = supervisor.engine.images().prune(&used).map_err(EngineError::from)?;
    Ok(Json(gone.iter().map(ToString::to_string).collect()))
}

async fn networks(State(supervisor): State<Shared>) -> Json<Vec<ResourceSummary>> {
    let networks = supervisor.engine.networks();
    let summary = |network: rcompose_engine::network::Network| {
        let containers: serde_json::Map<String, serde_json::Value> = networks
            .users(&network.spec.name)
            .into_iter()
            .map(|(name, address)| (name, serde_json::json!({ "IPv4Address": address })))
            .collect();
        let inspect = serde_json::json!({
            "Name": network.spec.name,
            "Id": network.id,
            "Driver": network.spec.driver,
            "Internal": network.spec.internal,
            "IPAM": { "Config": [{ "Subnet": network.subnet, "Gateway": network.gateway }] },
            "Options": { "com.docker.network.bridge.name": network.bridge },
            "Labels": network.spec.labels,
            "Containers": containers,
        });
        ResourceSummary { name: network.spec.name, driver: network.spec.driver, inspect }
    };
    Json(networks.list().into_iter().map(summary).collect())
}

async fn remove_network(State(supervisor): State<Shared>, Query(named): Query<Named>) -> Result<(), Refusal> {
    Ok(supervisor.engine.networks().remove(&named.name).map_err(EngineError::from)?)
}

async fn volumes(State(supervisor): State<Shared>) -> Json<Vec<ResourceSummary>> {
    let summary = |volume: rcompose_engine::volume::Volume| {
        let inspect = serde_json::json!({
            "Name": volume.spec.name,
            "Driver": "local",
            "Mountpoint": volume.data(),
            "Labels": volume.spec.labels,
            "Scope": "local",
        });
        ResourceSummary { name: volume.spec.name, driver: "local".to_owned(), inspect }
    };
    Json(supervisor.engine.volumes().list().into_iter().map(summary).collect())
}

async fn remove_volume(State(supervisor): State<Shared>, Query(named): Query<Named>) -> Result<(), Refusal> {
    Ok(supervisor.engine.remove_volume(&named.name)?)
}
