//! `debug`: a shell with tools beside a container.

use std::io::IsTerminal;

use rcompose_model::Project;
use rcompose_model::project::{PullPolicy, Service};
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, Created, DebugRequest, PullOptions};
use serde_json::Value;

use super::process::{self, Carry, Outcome, Signals};
use super::{apply_shown, replica};
use crate::arguments::Debug;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

/// The better shell of those that are there.
const SHELL: &str = "command -v bash >/dev/null && exec bash; exec sh";

pub(crate) async fn debug(world: &World, arguments: Debug) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let other = replica::one(&mut client, &name, &arguments.service, arguments.index).await?;
    if arguments.image != Debug::HOST {
        fetch(world, &name, &arguments.image).await?;
    }
    let tty = !arguments.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let request = DebugRequest {
        image: arguments.image.clone(),
        command: match arguments.command.as_slice() {
            [] => ["sh", "-c", SHELL].map(str::to_owned).to_vec(),
            words => words.to_vec(),
        },
        environment: world.environment.get("TERM").map(|term| ("TERM".to_owned(), term.clone())).into_iter().collect(),
        tty,
    };
    let made: Created = client.post(&format!("/v1/containers/{}/debug", other.id), &request).await?;
    if arguments.command.is_empty() && tty {
        let state = if other.state == "running" { "" } else { ", which does not run: they are read-only" };
        output::tell(&format!("The files of {} are in /container{state}\n", other.name));
    }
    let Some(stream) = client.start(&made.id, false, true).await? else { return Ok(Exit::Failure) };
    let outcome = process::carry(stream, Carry::own(tty, Signals::Forward)).await?;
    let Outcome::Ended(code) = outcome else { return Ok(Exit::Success) };
    let mut client = Client::connect(&world.supervisor).await?;
    let _: Value = client.post(&format!("/v1/containers/{}/removed", made.id), &()).await?;
    Ok(Exit::Status(code))
}

/// Pulls an image of tools that is not here.
async fn fetch(world: &World, project: &str, image: &str) -> Result<(), CommandError> {
    let service = Service { name: "debug".to_owned(), image: Some(image.to_owned()), ..Service::default() };
    let tools = Project { name: project.to_owned(), services: [(service.name.clone(), service)].into(), ..Project::default() };
    let options = PullOptions { policy: Some(PullPolicy::Missing), ..PullOptions::default() };
    let progress = Progress::new(&world.global, "debug");
    apply_shown(world, progress, project, Some(tools), Action::Pull(options)).await.map(drop)
}
