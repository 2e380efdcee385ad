//! `wait`: until containers of services have ended.

use std::collections::BTreeSet;

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{Action, DownOptions, EndedContainer, WaitRequest};

use super::{apply, check_names, or_interrupted, ps};
use crate::arguments::Wait;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn wait(world: &World, arguments: Wait) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let mut running = ps::containers(&mut client, &name).await?;
    running.retain(|it| it.number > 0 && ps::is_alive(it) && arguments.services.contains(&it.service));
    if running.is_empty() {
        return Err(CommandError::Usage(format!("no containers for project \"{name}\"")));
    }
    let waited = running.into_iter().map(|it| it.id).collect();
    or_interrupted(async {
        let code = ends(world, waited, arguments.down_project).await?;
        if arguments.down_project {
            apply(world, "down", &name, project, Action::Down(DownOptions::default())).await?;
        }
        Ok(Exit::Status(code))
    })
    .await
}

/// Tells each end, or only the first; gives the status of the last that was told.
async fn ends(world: &World, mut waited: BTreeSet<String>, only_first: bool) -> Result<i32, CommandError> {
    let mut last = 0;
    while !waited.is_empty() {
        let mut client = Client::connect(&world.supervisor).await?;
        let request = WaitRequest { containers: waited.iter().cloned().collect() };
        let mut ended = client.stream("/v1/wait", &request).await?;
        loop {
            match ended.next::<EndedContainer>().await {
                Ok(Some(EndedContainer { id, code })) => {
                    output::print(&format!("container {id:?} exited with status code {code}\n"))?;
                    waited.remove(&id);
                    last = code;
                    if only_first {
                        return Ok(last);
                    }
                }
                // The supervisor went; its successor knows how those ended that did so meanwhile.
                Ok(None) | Err(ClientError::Connection(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(last)
}
