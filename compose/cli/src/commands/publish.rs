//! `publish`: the stack as an artifact of a registry, which `-f oci://` loads again.
//!
//! What is sent is one Compose file, all files merged and what they extend within, variables as they are written; and with
//! `--with-env` the files of variables of services. Of what nobody may mean to give away is told before, and asked about.
//!
//! COMPAT: docker compose sends the files one by one; what comes out when they are loaded is the same.

mod sensitive;

use std::collections::BTreeMap;

use rcompose_model::emit::{self, Dollars};
use rcompose_model::node::{Kind, Node};
use rcompose_model::{LoadRequest, Model, Without, pin};
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{
    Action, ArtifactFile, ArtifactRole, Event, Failure, ProgressStatus, PublishRequest, PushOptions,
};

use super::config::digests;
use super::{apply, or_interrupted};
use crate::arguments::Publish;
use crate::error::{CommandError, plain};
use crate::exit::Exit;
use crate::output::{self, Progress};
use crate::settings::World;

pub(super) async fn publish(world: &World, arguments: &Publish) -> Result<Exit, CommandError> {
    refuse_local_includes(world)?;
    let mut model = load(world)?;
    refuse_unnamed_images(&model.tree)?;
    let mut files = variables(world, &mut model.tree, arguments.with_env)?;
    if !agreed(&model.tree, &files, arguments.yes || world.global.dry_run)? {
        return Err(CommandError::Usage("nothing was published".to_owned()));
    }
    if arguments.app {
        let project = world.project(&[])?;
        let name = project.name.clone();
        apply(world, "push", &name, Some(project), Action::Push(PushOptions::default())).await?;
    }
    if (arguments.resolve_image_digests || arguments.app) && !world.global.dry_run {
        digests::resolve(world, &mut model.tree).await?;
    }
    let text = emit::yaml(&model.tree, Dollars::AsIs);
    files.insert(0, ArtifactFile { role: ArtifactRole::Compose, name: Some("compose.yaml".to_owned()), text });
    or_interrupted(send(world, arguments, files)).await
}

async fn send(world: &World, arguments: &Publish, files: Vec<ArtifactFile>) -> Result<Exit, CommandError> {
    let mut progress = Progress::new(&world.global, "publish");
    let mut tell = |text: String, status| {
        progress.show(&Event::Progress { id: arguments.repository.clone(), text, status });
    };
    tell("publishing".to_owned(), ProgressStatus::Working);
    if world.global.dry_run {
        tell("published".to_owned(), ProgressStatus::Done);
        return Ok(Exit::Success);
    }
    if world.global.offline {
        return Err(CommandError::Usage("a stack is sent to a registry, and `--offline` forbids it".to_owned()));
    }
    let request = PublishRequest {
        name: arguments.repository.trim_start_matches("oci://").to_owned(),
        files,
        oldest_form: arguments.oci_version.as_deref() == Some("1.0"),
        insecure: [world.global.insecure_registry.as_slice(), &arguments.insecure_registry].concat(),
    };
    let mut client = Client::connect(&world.supervisor).await?;
    let digest: String = client.post("/v1/artifacts/publish", &request).await?;
    tell(format!("published as {digest}"), ProgressStatus::Done);
    Ok(Exit::Success)
}

/// Everything of the files that a command could use, as it is written.
fn load(world: &World) -> Result<Model, CommandError> {
    let without = Without {
        interpolation: true,
        normalization: true,
        path_resolution: true,
        env_resolution: true,
        env_files: true,
        ..Without::default()
    };
    let request = LoadRequest { without, profiles: vec!["*".to_owned()], all_resources: true, ..world.request(&[]) };
    let (model, problems) = rcompose_model::load_model(&request, &world.files);
    model.ok_or(CommandError::Files(problems))
}

/// What is included is a file of this machine, with paths of its own: nobody else has it.
fn refuse_local_includes(world: &World) -> Result<(), CommandError> {
    let project = world.project(&[])?;
    let is_local = |path: &str| !path.contains("://") && !path.starts_with("git@");
    for file in &project.files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(tree) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { continue };
        let includes = tree.get("include").and_then(serde_yaml::Value::as_sequence).cloned().unwrap_or_default();
        let paths = includes.iter().flat_map(|include| match include.get("path").unwrap_or(include) {
            serde_yaml::Value::Sequence(paths) => paths.clone(),
            path => vec![path.clone()],
        });
        if let Some(local) = paths.filter_map(|path| path.as_str().map(str::to_owned)).find(|path| is_local(path)) {
            let mut failure = Failure::text("a stack that includes local files cannot be published");
            failure.causes.push(format!("{} includes `{local}`", file.display()));
            failure.hint = Some("publish that file of its own, and include it by `oci://`; or merge the two".to_owned());
            return Err(CommandError::Failed(failure));
        }
    }
    Ok(())
}

/// The services of a tree.
fn services(tree: &Node) -> impl Iterator<Item = (&str, &Node)> {
    tree.get("services").and_then(Node::mapping).into_iter().flatten().map(|(key, node)| (key.name.as_str(), node))
}

fn refuse_unnamed_images(tree: &Node) -> Result<(), CommandError> {
    let unnamed: Vec<&str> = services(tree)
        .filter(|(_, service)| service.get("build").is_some() && service.get("image").is_none())
        .map(|(name, _)| name)
        .collect();
    if unnamed.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::text(format!("services have a build section and no image: {}", unnamed.join(", ")));
    failure.hint = Some("give them an `image`, and push it: others have no files to build it from".to_owned());
    Err(CommandError::Failed(failure))
}

/// The files of variables that services name, under names of one word, by which the tree names them from now on.
fn variables(world: &World, tree: &mut Node, wanted: bool) -> Result<Vec<ArtifactFile>, CommandError> {
    let mut paths = pin::env_files(tree);
    if let Some(path) = paths.first().filter(|_| !wanted) {
        let mut failure = Failure::text("a service has an `env_file`, which is not published");
        failure.place = Some(path.spot.place().to_string());
        failure.hint = Some("`--with-env` publishes these files too; they often hold secrets".to_owned());
        return Err(CommandError::Failed(failure));
    }
    let folder = world.project(&[])?.working_dir;
    let mut files: BTreeMap<String, ArtifactFile> = BTreeMap::new();
    for path in &mut paths {
        let Some(text) = path.text().map(str::to_owned) else { continue };
        let content = std::fs::read_to_string(folder.join(&text));
        let content = content.map_err(|source| CommandError::System { doing: format!("read {text}"), source })?;
        let name = format!("{:03}.env", files.len() + 1);
        let file = ArtifactFile { role: ArtifactRole::Variables, name: Some(name), text: content };
        let name = files.entry(text).or_insert(file).name.clone().unwrap_or_default();
        path.kind = Kind::Scalar { text: name, plain: false };
    }
    Ok(files.into_values().collect())
}

/// Tells what others will see of this machine, and what looks like a secret; gives whether that is meant.
fn agreed(tree: &Node, files: &[ArtifactFile], yes: bool) -> Result<bool, CommandError> {
    let questions = [
        (
            sensitive::paths(tree),
            "The stack names paths of this machine. They are published, what is there is not:",
            "Are you ok to publish these paths?",
        ),
        (
            sensitive::secrets(tree, files),
            "What is published looks as if it held secrets:",
            "Are you ok to publish these sensitive data?",
        ),
    ];
    for (found, what, question) in questions {
        if found.is_empty() {
            continue;
        }
        let lines: String = found.iter().map(|line| format!("  {}\n", plain(line))).collect();
        output::tell(&format!("{what}\n{lines}"));
        if !yes && !output::is_answerable() {
            let mut failure = Failure::text("this needs an answer, and standard input is no terminal");
            failure.hint = Some("`--yes` publishes without asking".to_owned());
            return Err(CommandError::Failed(failure));
        }
        if !yes && !output::agreed(question, false)? {
            return Ok(false);
        }
    }
    Ok(true)
}
