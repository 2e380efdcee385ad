//! `config --resolve-image-digests` and `--lock-image-digests`: tags become the digests that registries have for them now.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use rcompose_model::node::{Kind, Node};
use rcompose_model::{Code, Diagnostic, pin};
use rcompose_supervisor::Settings;
use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::Named;

use crate::error::CommandError;
use crate::output;
use crate::settings::World;

/// Registries that are asked at a time.
const AT_ONCE: usize = 8;

/// Pins every image of a tree.
pub(in crate::commands) async fn resolve(world: &World, tree: &mut Node) -> Result<(), CommandError> {
    if world.global.offline {
        let text = "digests are asked from registries, and `--offline` forbids it";
        return Err(CommandError::Usage(text.to_owned()));
    }
    let mut images = pin::images(tree);
    let unknown: Vec<Diagnostic> = images.iter().filter_map(|image| unreadable(image)).collect();
    if !unknown.is_empty() {
        return Err(CommandError::Files(unknown));
    }
    let names: BTreeMap<String, _> =
        images.iter().filter_map(|image| Some((image.text()?.to_owned(), image.spot.place()))).collect();
    // One that is not there yet is started once.
    drop(Client::connect(&world.supervisor).await?);
    let answers = stream::iter(names).map(|(name, place)| async move {
        match digest(&world.supervisor, &name).await {
            Ok(pinned) => Ok((name, pinned)),
            Err(ClientError::Refused(mut failure)) => {
                failure.place = Some(place.to_string());
                Err(CommandError::Failed(failure))
            }
            Err(other) => Err(other.into()),
        }
    });
    let pinned: BTreeMap<String, String> = answers.buffer_unordered(AT_ONCE).try_collect().await?;
    for image in &mut images {
        if let Some(name) = image.text().and_then(|name| pinned.get(name)) {
            image.kind = Kind::Scalar { text: name.clone(), plain: false };
        }
    }
    Ok(())
}

/// What is left of a tree that is to pin the images of the files that it came from.
pub(super) fn lock(tree: &Node) -> Node {
    for service in pin::with_other_hooks(tree) {
        output::warn_text(&format!(
            "service \"{service}\" has pre_start hooks with images of their own, which no further file can pin: \
             use `--resolve-image-digests`"
        ));
    }
    pin::images_only(tree)
}

/// With `--no-interpolate` nobody knows which image a variable stands for.
fn unreadable(image: &Node) -> Option<Diagnostic> {
    let text = image.text().filter(|text| text.contains('$'))?;
    let message = format!("`{}` cannot be pinned: variables are not put in", text.escape_debug());
    let problem = Diagnostic::error(Code::InvalidValue, message).at_place(image.spot.place());
    Some(problem.with_help("leave `--no-interpolate` out, or write the image without variables"))
}

async fn digest(settings: &Settings, name: &str) -> Result<String, ClientError> {
    let mut client = Client::connect(settings).await?;
    client.post("/v1/images/digest", &Named { name: name.to_owned(), force: false }).await
}
