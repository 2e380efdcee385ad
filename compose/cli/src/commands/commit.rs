//! `commit`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{CommitRequest, Event, LoadedImage, ProgressStatus};

use super::{or_interrupted, replica};
use crate::arguments::Commit;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Progress;
use crate::settings::World;

pub(super) async fn commit(world: &World, arguments: Commit) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let mut client = Client::connect(&world.supervisor).await?;
    let container = replica::one(&mut client, &name, &arguments.service, arguments.index).await?;
    let mut progress = Progress::new(&world.global, "commit");
    let id = format!("Container {}", container.name);
    let mut tell = |text: String, status| progress.show(&Event::Progress { id: id.clone(), text, status });
    tell("Committing".to_owned(), ProgressStatus::Working);
    if world.global.dry_run {
        tell("Committed".to_owned(), ProgressStatus::Done);
        return Ok(Exit::Success);
    }
    let request = CommitRequest {
        reference: arguments.reference.unwrap_or_default(),
        author: arguments.author,
        message: arguments.message,
        changes: arguments.change,
        pause: arguments.pause,
    };
    let path = format!("/v1/containers/{}/commit", container.id);
    or_interrupted(async {
        let image: LoadedImage = client.post(&path, &request).await?;
        tell(format!("Committed as {}", image.id), ProgressStatus::Done);
        Ok(Exit::Success)
    })
    .await
}
