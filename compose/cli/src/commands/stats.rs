//! `stats`: what containers use, once or as it changes.

mod live;

use std::io::IsTerminal;

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerStats, StatsRequest};
use serde_json::json;

use super::{check_names, or_interrupted};
use crate::arguments::{Ansi, Stats};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{Format, Listing, Row, words};
use crate::settings::World;
use live::Live;

const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
];

pub(crate) async fn stats(world: &World, arguments: Stats) -> Result<Exit, CommandError> {
    let format = Format::parse(&arguments.format)?;
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let request = StatsRequest { project: name, services: arguments.services, all: arguments.all, once: arguments.no_stream };
    let mut client = Client::connect(&world.supervisor).await?;
    let mut answers = client.stream("/v1/stats", &request).await?;
    let redraws = std::io::stdout().is_terminal() && world.global.ansi != Ansi::Never;
    let mut live = (redraws && !arguments.no_stream && format == Format::Table).then(Live::begin);
    let shown = or_interrupted(async {
        while let Some(answer) = answers.next::<Vec<ContainerStats>>().await? {
            match &mut live {
                Some(live) => live.draw(&answer)?,
                None => listing(&answer, arguments.no_trunc).print(&format)?,
            }
        }
        Ok(Exit::Success)
    });
    shown.await
}

fn listing(containers: &[ContainerStats], whole: bool) -> Listing {
    Listing::new(&COLUMNS, containers.iter().map(|it| row(it, whole)).collect())
}

/// In docker's shape.
fn row(it: &ContainerStats, whole: bool) -> Row {
    let pair = |one: u64, other: u64| format!("{} / {}", words::bytes(one), words::bytes(other));
    let id = if whole { it.id.clone() } else { words::short_id(&it.id) };
    json!({
        "BlockIO": pair(it.block_read, it.block_written),
        "CPUPerc": format!("{:.2}%", it.cpu_percent),
        "Container": id,
        "ID": id,
        "MemPerc": format!("{:.2}%", memory_percent(it)),
        "MemUsage": format!("{} / {}", words::memory(it.memory), words::memory(it.memory_limit)),
        "Name": it.name,
        "NetIO": pair(it.received, it.sent),
        "PIDs": it.pids.to_string(),
    })
    .into()
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn memory_percent(it: &ContainerStats) -> f64 {
    if it.memory_limit == 0 { 0.0 } else { it.memory as f64 / it.memory_limit as f64 * 100.0 }
}
