//! The machine, the room that everything takes, and the processes of a container.

use axum::Json;
use axum::extract::{Path, State};
use rcompose_engine::{Host, Process};

use super::{Refusal, Shared, images};
use crate::keep::blocking;
use crate::messages::{DiskUsage, ProcessSummary, SystemInfo, VolumeUsage};

pub(super) async fn info(State(supervisor): State<Shared>) -> Json<SystemInfo> {
    let host = Host::look();
    let containers = supervisor.summaries(None);
    let count = |states: &[&str]| containers.iter().filter(|it| states.contains(&it.state.as_str())).count();
    let (running, paused) = (count(&["running", "restarting"]), count(&["paused"]));
    let engine = &supervisor.engine;
    let config = engine.config();
    Json(SystemInfo {
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        supervisor_pid: std::process::id(),
        containers: containers.len(),
        containers_running: running,
        containers_paused: paused,
        containers_stopped: containers.len() - running - paused,
        images: engine.images().list().len(),
        networks: engine.networks().list().len(),
        volumes: engine.volumes().list().len(),
        driver: "overlay".to_owned(),
        cgroup_version: host.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        kernel_version: host.kernel,
        operating_system: host.system,
        os_type: "linux".to_owned(),
        architecture: host.architecture,
        cpus: host.cpus,
        mem_total: host.memory,
        name: host.name,
        docker_root_dir: config.data_root.display().to_string(),
        run_root: config.run_root.display().to_string(),
        security_options: vec!["name=seccomp,profile=builtin".to_owned()],
    })
}

/// Looks at every file of containers and volumes: it may take a while.
pub(super) async fn disk_usage(State(supervisor): State<Shared>) -> Result<Json<DiskUsage>, Refusal> {
    blocking(move || {
        let engine = &supervisor.engine;
        let volumes = engine.volumes().list().into_iter().map(|volume| VolumeUsage {
            links: engine.volume_users(&volume.spec.name).len(),
            size: engine.volumes().size(&volume),
            name: volume.spec.name,
        });
        let in_use = engine.list().iter().filter_map(|it| it.record.image_id.parse().ok()).collect();
        let containers = engine.list().into_iter().map(|it| (it.record.id.to_string(), engine.layer_size(&it.record)));
        Ok(Json(DiskUsage {
            images: images::summaries(&supervisor),
            layers_in_use: engine.images().size_together(&in_use),
            layers_size: engine.images().usage().total,
            containers: containers.collect(),
            volumes: volumes.collect(),
        }))
    })
    .await
    .map_err(Refusal::from)
}

pub(super) async fn processes(
    State(supervisor): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<Vec<ProcessSummary>>, Refusal> {
    let summary = |process: Process| ProcessSummary {
        uid: process.uid,
        pid: process.pid,
        parent: process.parent,
        cpu_percent: process.cpu_percent,
        started: process.started,
        terminal: process.terminal,
        cpu_time: process.cpu_time,
        command: process.command,
    };
    Ok(Json(supervisor.engine.processes(&id)?.into_iter().map(summary).collect()))
}
