//! The machine, the room that everything takes, and the processes of a container.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use rcompose_engine::image::Reference;
use rcompose_engine::{Container, Host, Process};
use rcompose_plan::labels;
use tokio::sync::mpsc;

use super::{Refusal, Shared, images, streams};
use crate::keep::blocking;
use crate::messages::{CheckRequest, CheckedImage, DiskUsage, ProcessSummary, ProjectUsage, SystemInfo, VolumeUsage};
use crate::supervisor::Supervisor;

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

/// Looks at every file of containers, volumes and logs: it may take a while.
pub(super) async fn disk_usage(State(supervisor): State<Shared>) -> Result<Json<DiskUsage>, Refusal> {
    blocking(move || Ok(Json(usage(&supervisor)))).await.map_err(Refusal::from)
}

fn usage(supervisor: &Supervisor) -> DiskUsage {
    let engine = &supervisor.engine;
    let volumes = engine.volumes().list().into_iter().map(|volume| VolumeUsage {
        links: engine.volume_users(&volume.spec.name).len(),
        size: engine.volumes().size(&volume),
        name: volume.spec.name,
    });
    let volumes: Vec<VolumeUsage> = volumes.collect();
    let list = engine.list();
    let images_of = |containers: &[&Container]| containers.iter().filter_map(|it| it.record.image_id.parse().ok()).collect();
    let containers: BTreeMap<String, u64> =
        list.iter().map(|it| (it.record.id.to_string(), engine.layer_size(&it.record))).collect();
    let mut by_project: BTreeMap<String, Vec<&Container>> = BTreeMap::new();
    for container in &list {
        let project = container.record.spec.labels.get(labels::PROJECT).cloned().unwrap_or_default();
        by_project.entry(project).or_default().push(container);
    }
    let logs: BTreeMap<String, u64> = engine.log_sizes();
    let names = by_project.keys().chain(logs.keys()).filter(|name| !name.is_empty());
    let names: BTreeSet<String> = names.cloned().collect();
    let own_volumes = |project: &str| {
        let of =
            |volume: &&rcompose_engine::volume::Volume| volume.spec.labels.get(labels::PROJECT).is_some_and(|it| it == project);
        let names: Vec<String> = engine.volumes().list().iter().filter(of).map(|volume| volume.spec.name.clone()).collect();
        volumes.iter().filter(|volume| names.contains(&volume.name)).map(|volume| volume.size).sum()
    };
    let projects = names.into_iter().map(|name| {
        let of = by_project.get(&name).map(Vec::as_slice).unwrap_or_default();
        ProjectUsage {
            images: engine.images().size_together(&images_of(of)),
            containers: of.iter().filter_map(|it| containers.get(it.record.id.as_str())).sum(),
            volumes: own_volumes(&name),
            logs: logs.get(&name).copied().unwrap_or(0),
            name,
        }
    });
    let all = engine.images().usage();
    let cache = super::builds::usage(supervisor.builder.usage());
    let besides = cache.mounts + cache.fetched;
    DiskUsage {
        images: images::summaries(supervisor),
        layers_in_use: engine.images().size_together(&images_of(&list.iter().collect::<Vec<_>>())),
        layers_size: all.total,
        projects: projects.collect(),
        cache: all.orphaned + besides,
        cache_unused: all.collectable + cache.layers + besides,
        build_cache: cache,
        containers,
        volumes,
        logs,
    }
}

/// Looks at every image, and mends what can be mended; one line an image.
pub(super) async fn check(State(supervisor): State<Shared>, Json(request): Json<CheckRequest>) -> Response {
    let (sender, receiver) = mpsc::channel(256);
    supervisor.work.clone().spawn(async move {
        let engine = supervisor.engine.clone();
        let found = tokio::task::spawn_blocking(move || engine.images().check(|_| {})).await;
        for checked in found.unwrap_or_default() {
            let mut problems: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
            let mut mended = problems.is_empty();
            if request.repair && !mended {
                match supervisor.repair(&checked, request.offline).await {
                    Ok(()) => mended = true,
                    Err(why) => problems.push(format!("not mended: {why}")),
                }
            }
            let tags = checked.tags.iter().map(Reference::familiar).collect();
            // Whoever asked may be gone; what was begun is finished.
            let _ = sender.send(CheckedImage { id: checked.id.to_string(), tags, problems, mended }).await;
        }
    });
    streams::lines(receiver)
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
