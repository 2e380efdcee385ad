//! Images that come and go: pull and push of single ones, as events that are shown while they happen.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Event, ProgressStatus, TransferRequest};

use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

/// Which way images go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Pull,
    Push,
}

impl Way {
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pull => ("/v1/images/pull", "Pulling", "Pulled"),
            Self::Push => ("/v1/images/push", "Pushing", "Pushed"),
        }
    }
}

/// Pulls or pushes images, one after the other; what one came to is printed.
pub(super) async fn transfer(
    world: &World,
    client: &mut Client,
    way: Way,
    images: Vec<String>,
    platform: Option<String>,
    quiet: bool,
) -> Result<Exit, CommandError> {
    let title = if way == Way::Pull { "pull" } else { "push" };
    let mut progress = Progress::new(&world.global, title).quiet_if(quiet);
    for name in images {
        let request = TransferRequest { name: name.clone(), platform: platform.clone(), offline: world.global.offline };
        let text = one(client, way, &request, &mut progress).await;
        progress.finish();
        output::print(&text?)?;
    }
    Ok(Exit::Success)
}

async fn one(client: &mut Client, way: Way, request: &TransferRequest, progress: &mut Progress) -> Result<String, CommandError> {
    let (path, doing, done) = way.words();
    let id = format!("Image {}", request.name);
    let told = |text: &str, status| Event::Progress { id: id.clone(), text: text.to_owned(), status };
    progress.show(&told(doing, ProgressStatus::Working));
    let mut events = client.stream(path, request).await?;
    let mut ticks = tokio::time::interval(output::TICK);
    let mut result = String::new();
    loop {
        let event = progress.tick_until(&mut ticks, events.next::<Event>()).await?;
        match event {
            None => {
                return Err(CommandError::Usage(format!(
                    "the supervisor ended before {} was {}",
                    request.name,
                    done.to_lowercase()
                )));
            }
            Some(Event::Failed(failure)) => {
                progress.show(&told("Error", ProgressStatus::Error));
                return Err(CommandError::Failed(failure));
            }
            Some(Event::Image { reference, digest, .. }) => {
                result = match way {
                    Way::Pull => format!("{reference}\n"),
                    Way::Push => format!("{reference} digest: {digest}\n"),
                };
            }
            Some(Event::Done) => break,
            Some(event) => progress.show(&event),
        }
    }
    progress.show(&told(done, ProgressStatus::Done));
    Ok(result)
}
