//! `lock`: what the tags of a stack stand for now goes into `compose.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use rcompose_model::Project;
use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::lock::{self, Lock};
use rcompose_supervisor::messages::{Failure, Named};

use super::check_names;
use crate::arguments;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

/// Registries that are asked at a time.
const AT_ONCE: usize = 8;

/// Images by their references in full, each with the services that need it.
type Wanted = BTreeMap<String, BTreeSet<String>>;

/// Locks the images of a stack: those of services, and those that others are built from.
pub(crate) async fn lock(world: &World, arguments: arguments::Lock) -> Result<Exit, CommandError> {
    let project = world.whole_project()?;
    check_names(&project, &arguments.services)?;
    let wanted = wanted(world, &project).await?;
    let before = world.lock(&project)?.unwrap_or_default();
    if arguments.check {
        return check(&wanted, &before);
    }
    if let Some((reference, _)) = world.files.main() {
        let text = format!("the stack {reference:?} is not a folder of this machine: lock it where it is written");
        return Err(CommandError::Usage(text));
    }
    let is_asked = |name: &String, services: &BTreeSet<String>| {
        let named = arguments.services.is_empty() || arguments.services.iter().any(|service| services.contains(service));
        named || !before.images.contains_key(name)
    };
    let asked = wanted.iter().filter(|(name, services)| is_asked(name, services));
    let found = digests(world, &project, asked.collect()).await?;
    let kept = |name: &String| before.images.get(name).cloned();
    let images = wanted.keys().filter_map(|name| Some((name.clone(), found.get(name).cloned().or_else(|| kept(name))?)));
    let now = Lock::of(images.collect());
    tell(&before, &now);
    if now != before && !world.global.dry_run {
        write(&world.lock_file(&project), &now.text())?;
    }
    Ok(Exit::Success)
}

/// Every image that the stack needs and does not build.
async fn wanted(world: &World, project: &Project) -> Result<Wanted, CommandError> {
    let mut wanted = lock::images(project);
    if project.services.values().any(|service| service.build.is_some()) {
        let mut client = Client::connect(&world.supervisor).await?;
        let bases: Wanted = client.post("/v1/images/bases", project).await?;
        for (service, images) in bases {
            for image in images {
                wanted.entry(image).or_default().insert(service.clone());
            }
        }
    }
    Ok(wanted)
}

/// Asks the registries.
async fn digests(
    world: &World,
    project: &Project,
    asked: Vec<(&String, &BTreeSet<String>)>,
) -> Result<lock::Digests, CommandError> {
    if world.global.offline && !asked.is_empty() {
        return Err(CommandError::Usage("digests are asked from registries, and `--offline` forbids it".to_owned()));
    }
    if asked.is_empty() {
        return Ok(lock::Digests::new());
    }
    // One that is not there yet is started once.
    drop(Client::connect(&world.supervisor).await?);
    let answers = stream::iter(asked).map(|(name, services)| async move {
        let mut client = Client::connect(&world.supervisor).await?;
        let pinned = client.post("/v1/images/digest", &Named { name: name.clone(), force: false }).await;
        let pinned: String = pinned.map_err(|error| match error {
            ClientError::Refused(failure) => CommandError::Failed(placed(project, failure, services)),
            other => other.into(),
        })?;
        let digest = pinned.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok());
        let digest = digest.ok_or_else(|| CommandError::Usage(format!("`{pinned}` has no digest")))?;
        Ok::<_, CommandError>((name.clone(), digest))
    });
    answers.buffer_unordered(AT_ONCE).try_collect().await
}

/// With the line of the first service that needs it.
fn placed(project: &Project, failure: Failure, services: &BTreeSet<String>) -> Failure {
    let places = services.iter().filter_map(|name| {
        let attribute = if project.services.get(name)?.build.is_some() { "build" } else { "image" };
        project.origins.find(&format!("services.{name}.{attribute}"))
    });
    Failure { place: places.map(ToString::to_string).next(), ..failure }
}

fn tell(before: &Lock, now: &Lock) {
    let mut counts = [0; 3];
    for (name, digest) in &now.images {
        match before.images.get(name) {
            None => {
                counts[0] += 1;
                output::tell(&format!("+ {name} {digest}\n"));
            }
            Some(old) if old != digest => {
                counts[1] += 1;
                output::tell(&format!("~ {name} {digest}, was {old}\n"));
            }
            Some(_) => {}
        }
    }
    for (name, digest) in before.images.iter().filter(|(name, _)| !now.images.contains_key(*name)) {
        counts[2] += 1;
        output::tell(&format!("- {name} {digest}\n"));
    }
    let [new, changed, gone] = counts;
    let images = if now.images.len() == 1 { "1 image".to_owned() } else { format!("{} images", now.images.len()) };
    output::tell(&format!("{}: {images}: {new} new, {changed} changed, {gone} gone\n", lock::NAME));
}

/// Says whether the lock has every image, and nothing else; no registry is asked.
fn check(wanted: &Wanted, lock: &Lock) -> Result<Exit, CommandError> {
    let missing = wanted.iter().filter(|(name, _)| !lock.images.contains_key(*name)).map(|(name, services)| {
        let services: Vec<&str> = services.iter().map(String::as_str).collect();
        format!("image `{name}` of {} is not in it", services.join(", "))
    });
    let stale = lock.images.keys().filter(|name| !wanted.contains_key(*name));
    let causes: Vec<String> = missing.chain(stale.map(|name| format!("image `{name}` is in it, and of no service"))).collect();
    if causes.is_empty() {
        return Ok(Exit::Success);
    }
    let mut failure = Failure::text(format!("`{}` is not what the stack asks for", lock::NAME));
    (failure.causes, failure.hint) = (causes, Some("lock the stack's images again with `rcompose lock`".to_owned()));
    Err(CommandError::Failed(failure))
}

/// The file is the old one or the new one.
fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let new = path.with_extension("lock.new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|source| {
        // What was begun is of no use; the error that matters is told.
        let _ = std::fs::remove_file(&new);
        CommandError::System { doing: format!("write {}", path.display()), source }
    })
}
