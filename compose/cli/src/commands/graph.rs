//! `graph` and `viz`: which service waits for which, and how each of them is.
//!
//! ```text
//! picture    what is shown: services, states, edges           tree      for the terminal
//! layout     where each service is drawn                      svg       a picture of that
//! text       DOT and Mermaid, as others draw them             viz       DOT as `docker compose alpha viz` writes it
//! ```

mod layout;
mod picture;
mod svg;
mod text;
mod tree;
mod viz;

use rcompose_supervisor::client::Client;

use super::ps;
use crate::arguments::{Graph, GraphFormat, Viz};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;
use picture::Picture;

pub(super) async fn graph(world: &World, arguments: &Graph) -> Result<Exit, CommandError> {
    let project = world.project(&arguments.services)?;
    let containers = match Client::connect_running(&world.supervisor).await {
        Ok(mut client) => ps::containers(&mut client, &project.name).await?,
        // Nothing runs then.
        Err(_) => Vec::new(),
    };
    let picture = Picture::of(&project, &containers);
    let text = match arguments.format {
        GraphFormat::Text => tree::draw(&picture, output::stdout_has_colours(&world.global)),
        GraphFormat::Svg => svg::draw(&picture),
        GraphFormat::Dot => text::dot(&picture),
        GraphFormat::Mermaid => text::mermaid(&picture),
    };
    match &arguments.output {
        Some(path) => std::fs::write(path, text)
            .map_err(|source| CommandError::System { doing: format!("write {}", path.display()), source })?,
        None => output::print(&text)?,
    }
    Ok(Exit::Success)
}

pub(super) fn viz(world: &World, arguments: &Viz) -> Result<Exit, CommandError> {
    let project = world.project(&[])?;
    output::print(&viz::draw(&project, arguments))?;
    Ok(Exit::Success)
}
