//! Makes containers of tools beside others.

use axum::Json;
use axum::extract::{Path, State};

use super::{Refusal, Shared};
use crate::messages::{Created, DebugRequest};

/// Makes one; it is started like one that was made for a command.
pub(super) async fn create(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
    Json(request): Json<DebugRequest>,
) -> Result<Json<Created>, Refusal> {
    let engine = supervisor.engine.clone();
    let id = crate::keep::blocking(move || crate::debug::create(&engine, &id, &request)).await?;
    Ok(Json(Created { id, warnings: Vec::new() }))
}
