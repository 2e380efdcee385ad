//! A container of tools beside another one, in its namespaces if it runs, with its files at [`FILES`].
//!
//! ```text
//! runs         its processes, network and names; FILES leads to /proc/N/root, N its first process: what it sees itself
//! does not     a network of nobody; FILES is its layers and what it changed of them, and its volumes and binds, read-only
//! ```
//! The other container stays as it is: image, layers and namespaces are only looked at or joined.

use std::collections::BTreeMap;

use rcompose_engine::container::{Log, Mount, MountSource, Namespace, Namespaces, Seccomp, Security};
use rcompose_engine::{Container, ContainerSpec, Engine, EngineError, SyncPiece};
use rcompose_plan::labels;

use crate::messages::DebugRequest;

/// Where the files of the other container are.
pub(crate) const FILES: &str = "/container";

/// Makes the container of tools for container `id`; gives its id. Whoever wants its output starts it.
pub(crate) fn create(engine: &Engine, id: &str, request: &DebugRequest) -> Result<String, EngineError> {
    let other = engine.get(id)?;
    let slug = rcompose_engine::random_hex(32)
        .map_err(|source| EngineError::System { doing: "make up a name".to_owned(), source: source.into() })?;
    let mut spec = tools(&other, request, &slug);
    let first = other.pid.and_then(number_inside);
    match first {
        Some(_) => spec.namespaces = joined(&other.record.spec.name),
        None => spec.mounts = files(engine, &other)?,
    }
    let made = engine.create(spec, None)?.id.to_string();
    if let Some(first) = first {
        let mut link = Some(SyncPiece::Link { target: FILES.to_owned(), leads_to: format!("/proc/{first}/root") });
        let linked = engine.sync_files(&made, || link.take()).and_then(|failures| match failures.into_iter().next() {
            Some(failure) => Err(EngineError::System { doing: format!("make {FILES}"), source: std::io::Error::other(failure) }),
            None => Ok(()),
        });
        if let Err(error) = linked {
            engine.remove(&made, true)?;
            return Err(error);
        }
    }
    Ok(made)
}

/// Everything that looking into another container needs, and no devices of the host.
fn tools(other: &Container, request: &DebugRequest, slug: &str) -> ContainerSpec {
    let spec = &other.record.spec;
    let label = |name: &str| spec.labels.get(name).cloned().unwrap_or_default();
    let labels = [
        (labels::PROJECT, label(labels::PROJECT)),
        (labels::SERVICE, label(labels::SERVICE)),
        (labels::ONE_OFF, "True".to_owned()),
        (labels::SLUG, slug.to_owned()),
    ];
    let project = label(labels::PROJECT);
    ContainerSpec {
        name: format!("{}-debug-{}", spec.name, &slug[..12]),
        image: request.image.clone(),
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        command: Some(request.command.clone()),
        entrypoint: Some(Vec::new()),
        environment: request.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect(),
        tty: request.tty,
        stdin_open: true,
        user: Some("0:0".to_owned()),
        security: Security {
            cap_add: vec!["ALL".to_owned()],
            seccomp: Seccomp::Unconfined,
            unconfined_paths: true,
            ..Security::default()
        },
        log: Log { driver: "none".to_owned(), stream: Some(format!("{project}/run-{slug}/output")), ..Log::default() },
        ..ContainerSpec::default()
    }
}

fn joined(name: &str) -> Namespaces {
    let other = || Namespace::Container(name.to_owned());
    Namespaces { network: other(), pid: other(), ipc: other(), uts: other(), ..Namespaces::default() }
}

/// What a container that does not run has: nothing can write to it, so that it may start meanwhile.
fn files(engine: &Engine, other: &Container) -> Result<Vec<Mount>, EngineError> {
    let lower = engine.layers_of(other.record.id.as_str())?;
    let layers = MountSource::Trees { lower, subpath: None, upper: None };
    let mut mounts = vec![Mount { target: FILES.to_owned(), read_only: true, source: layers }];
    // Places are made at the first start; before that there is nothing in them.
    let tree = engine.read_layers(other.record.id.as_str())?;
    for mount in &other.record.spec.mounts {
        let shown = matches!(mount.source, MountSource::Volume { .. } | MountSource::Bind { .. });
        if shown && tree.root().open_path(&mount.target).is_ok() {
            let target = format!("{FILES}{}", mount.target);
            mounts.push(Mount { target, read_only: true, source: mount.source.clone() });
        }
    }
    Ok(mounts)
}

/// The number that a process has in the innermost namespace that it is in.
fn number_inside(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_ascii_whitespace().next_back()?.parse().ok()
}
