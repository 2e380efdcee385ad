//! What takes a while, each a future that the session drives beside everything else.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rcompose_model::Project;
use rcompose_model::project::{Hook, PullPolicy};
use rcompose_plan::BuildWhen;
use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::frame::Frame;
use rcompose_supervisor::messages::{
    Action, ApplyRequest, BuildOptions, ContainerSummary, Event, ExecMessage, Failure, ImageSummary, LifecycleVerb, Named,
    RebindRequest, Removed, UpOptions,
};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::session::{Options, Told};
use crate::commands::{apply_request, build};
use crate::error::CommandError;
use crate::settings::World;

/// Whom tasks tell. It holds what one turn of the session brings: whoever drives the session takes it out first.
pub(super) type Teller = mpsc::UnboundedSender<Told>;

/// What a task needs, as it is when it begins.
#[derive(Clone)]
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) project: Project,
    pub(super) options: Options,
    pub(super) tell: Teller,
}

impl Scene<'_> {
    fn request(&self, action: Action, dry_run: bool) -> ApplyRequest {
        let project = Some(self.project.clone());
        ApplyRequest { dry_run, ..apply_request(self.world, "watch", &self.project.name, project, action) }
    }

    async fn apply(&self, action: Action) -> Result<(), CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        let mut events = client.stream("/v1/apply", &self.request(action, false)).await?;
        while let Some(event) = events.next::<Event>().await? {
            if let Event::Failed(failure) = event {
                return Err(CommandError::Failed(failure));
            }
            // Nobody listens when the session is being dropped.
            let _ = self.tell.send(Told::Event(Box::new(event)));
        }
        Ok(())
    }

    /// Builds the image of one service, and has its containers made of it; those that depend on it start again if they ask for it.
    ///
    /// `COMPAT:` docker compose makes the containers anew also when the image is the same as before.
    pub(super) async fn rebuild(self, service: String, containers: Vec<ContainerSummary>) -> Result<(), CommandError> {
        let build_options = build::on_the_way(self.world, &self.project)?;
        self.apply(Action::Build(BuildOptions { services: vec![service.clone()], ..build_options.clone() })).await?;
        let services = with_dependents(&self.project, &service, &containers);
        let up = UpOptions {
            services,
            no_deps: true,
            build: BuildWhen::Never,
            pull: Some(PullPolicy::Missing),
            build_options,
            ..self.options.up.clone()
        };
        self.apply(Action::Up(up)).await?;
        if self.options.prune {
            let old = containers.into_iter().filter(|it| it.service == service).map(|it| it.image_id).collect();
            self.prune(&old).await?;
        }
        Ok(())
    }

    /// Removes images of earlier builds that have no name and no container any more.
    async fn prune(&self, old: &BTreeSet<String>) -> Result<(), CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        let images: Vec<ImageSummary> = client.get("/v1/images").await?;
        for image in images.into_iter().filter(|it| old.contains(&it.id) && it.tags.is_empty() && it.containers == 0) {
            // One that is used again by now stays.
            let _ = client.post::<Removed>("/v1/images/remove", &Named { name: image.id, force: false }).await;
        }
        Ok(())
    }

    /// Has containers see the file that has a name now.
    pub(super) async fn rebind(self, containers: Vec<String>, source: PathBuf) -> Result<(), CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        for id in containers {
            let request = RebindRequest { source: source.clone() };
            let done = client.post::<Vec<String>>(&format!("/v1/containers/{id}/rebind"), &request).await;
            if let Err(ClientError::Refused(failure)) = done {
                let hint = "containers see the old file until they start again: `rcompose restart`, or mount its directory";
                return Err(CommandError::Failed(Failure { hint: Some(hint.to_owned()), ..failure }));
            }
            done?;
        }
        Ok(())
    }

    /// Starts the containers of a service again, and those that ask for it.
    pub(super) async fn restart(self, service: String) -> Result<(), CommandError> {
        let what = LifecycleVerb::Restart { no_deps: false };
        self.apply(Action::Lifecycle { services: vec![service], what, timeout: self.options.up.timeout }).await
    }

    /// Runs commands in the containers of a service, one after the other.
    pub(super) async fn exec(self, containers: Vec<ContainerSummary>, hooks: Vec<Hook>) -> Result<(), CommandError> {
        for hook in hooks {
            for container in &containers {
                let code = self.exec_in(container, &hook).await?;
                if code != 0 {
                    let text = format!("`{}` ended with status {code} in {}", hook.command.join(" "), container.name);
                    return Err(CommandError::Usage(text));
                }
            }
        }
        Ok(())
    }

    async fn exec_in(&self, container: &ContainerSummary, hook: &Hook) -> Result<i32, CommandError> {
        let message = ExecMessage {
            project: self.project.name.clone(),
            service: container.service.clone(),
            index: container.number,
            command: hook.command.clone(),
            environment: hook.environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            user: hook.user.clone(),
            working_dir: hook.working_dir.clone(),
            privileged: hook.privileged,
            ..ExecMessage::default()
        };
        let mut client = Client::connect(&self.world.supervisor).await?;
        let mut stream = match client.exec(&message).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return Ok(0),
            Err(ClientError::NotStarted { failure, .. }) => return Err(CommandError::Failed(failure)),
            Err(error) => return Err(error.into()),
        };
        let lost = |source| CommandError::System { doing: format!("talk to `{}`", hook.command.join(" ")), source };
        let (mut buffer, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            let count = stream.read(&mut chunk).await.map_err(lost)?;
            if count == 0 {
                return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
            }
            buffer.extend_from_slice(&chunk[..count]);
            while let Some(frame) = Frame::take(&mut buffer).map_err(|error| lost(std::io::Error::other(error)))? {
                match frame {
                    Frame::Exit(code) => return Ok(code),
                    Frame::Stdout(bytes) | Frame::Stderr(bytes) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        // As above.
                        let _ = self.tell.send(Told::Output { container: container.name.clone(), text });
                    }
                    _ => {}
                }
            }
        }
    }

    /// Shows what another project changes, and does it. `self` has the new one; `gone` are services that it has no more.
    pub(super) async fn apply_model(self, gone: Vec<String>) -> Result<(), CommandError> {
        let up = UpOptions { build_options: build::on_the_way(self.world, &self.project)?, ..self.options.up.clone() };
        let mut client = Client::connect(&self.world.supervisor).await?;
        let mut events = client.stream("/v1/apply", &self.request(Action::Up(up.clone()), true)).await?;
        let mut operations = 0;
        while let Some(event) = events.next::<Event>().await? {
            match event {
                Event::Failed(failure) => return Err(CommandError::Failed(failure)),
                Event::Plan { text, operations: count, .. } => {
                    operations = count;
                    let removals =
                        gone.iter().map(|name| format!("remove containers of service `{name}`, which is gone from the files"));
                    let lines = text.lines().map(str::to_owned).chain(removals).collect();
                    let _ = self.tell.send(Told::Plan(lines));
                }
                _ => {}
            }
        }
        if !gone.is_empty() {
            let what = LifecycleVerb::Remove { stop: true, volumes: false };
            let removal = Action::Lifecycle { services: gone, what, timeout: up.timeout };
            self.apply(removal).await?;
        }
        if operations > 0 { self.apply(Action::Up(up)).await } else { Ok(()) }
    }
}

/// A service, and those with containers that are to start again when it is made anew, however far behind it.
fn with_dependents(project: &Project, service: &str, containers: &[ContainerSummary]) -> Vec<String> {
    let mut services = vec![service.to_owned()];
    let mut position = 0;
    while let Some(name) = services.get(position).cloned() {
        let follows = project.services.values().filter(|it| it.depends_on.get(&name).is_some_and(|edge| edge.restart));
        let alive = follows.filter(|it| containers.iter().any(|container| container.service == it.name));
        let new: Vec<String> = alive.map(|it| it.name.clone()).filter(|it| !services.contains(it)).collect();
        services.extend(new);
        position += 1;
    }
    services
}
