//! `test`: a command beside a copy of the stack that nobody else meets and that is gone afterwards.
//!
//! ```text
//! lease ─► private copy: created, addresses chosen, up, healthy ─► CMD ─► logs of a failure ─► removed ─► lease given back
//! ```
//! What a run leaves that was killed in the middle is taken away by the next one: see [`lease`].

mod addresses;
mod kept;
mod lease;
mod private;
mod program;

use rcompose_model::Project;
use rcompose_model::project::Condition;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, ContainerSummary, DownOptions, UpOptions};

use super::up::build_when;
use super::{apply, build, check_names, ps, up};
use crate::arguments::Test;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;
use lease::Lease;
use program::{Program, Signals};

/// Makes the copy, runs the command, and takes the copy away whatever comes of it.
pub(crate) async fn test(world: &World, arguments: Test) -> Result<Exit, CommandError> {
    let mut project = world.project_to_start(&arguments.services, arguments.yes)?;
    check_names(&project, &arguments.services)?;
    private::cut(&mut project, &arguments.services);
    let mut signals = Signals::listen()?;
    if world.global.dry_run {
        let name = lease::name_for(&project.name)?;
        private::separate(&mut project, &name);
        return bring_up(world, &project, &arguments, false).await.map(|()| Exit::Success);
    }
    remove_abandoned(world).await?;
    let lease = Lease::take(&world.supervisor.data_root, &project.name)?;
    for warning in private::separate(&mut project, lease.project()) {
        output::warn_text(&warning);
    }
    let mut copy = Copy { world, project, arguments: &arguments };
    let outcome = tokio::select! {
        // What the supervisor is doing for the copy goes on; all of it is taken away below.
        outcome = copy.ready() => Some(outcome),
        _ = signals.next() => None,
    };
    let outcome = match outcome {
        Some(Ok(program)) => program.run(&mut signals).await.map(Some),
        Some(Err(error)) => Err(error),
        None => Ok(None),
    };
    if signals.heard == 0 && !matches!(outcome, Ok(Some(0))) {
        copy.keep_logs().await;
    }
    let removed = copy.remove(&mut signals).await;
    if removed.is_ok() {
        lease.give_back();
    }
    let exit = outcome?.map_or(Exit::Interrupted, Exit::Status);
    removed.map(|()| exit)
}

/// Takes away copies of runs that were killed before they could.
async fn remove_abandoned(world: &World) -> Result<(), CommandError> {
    for lease in lease::abandoned(&world.supervisor.data_root) {
        let mut client = Client::connect(&world.supervisor).await?;
        // One that was never applied has nothing but containers, if that.
        let project = client.get::<Project>(&format!("/v1/projects/{}", lease.project())).await.ok();
        take_down(world, lease.project(), project).await?;
        lease.give_back();
    }
    Ok(())
}

async fn take_down(world: &World, name: &str, project: Option<Project>) -> Result<(), CommandError> {
    let images = Some("local".to_owned());
    let options = DownOptions { remove_orphans: true, volumes: true, images, timeout: Some(0), ..DownOptions::default() };
    apply(world, "test", name, project, Action::Down(options)).await.map(drop)
}

/// Brings the copy up; only makes its containers if it is not to be `started`.
async fn bring_up(world: &World, project: &Project, arguments: &Test, started: bool) -> Result<(), CommandError> {
    let options = UpOptions {
        // A job that others wait for to end is not waited for to be healthy.
        services: project.services.keys().filter(|name| !is_job(project, name)).cloned().collect(),
        no_start: !started,
        wait: started,
        wait_timeout: arguments.wait_timeout,
        build: build_when(arguments.build && !started, started),
        build_options: build::on_the_way(world, project)?,
        ..UpOptions::default()
    };
    apply(world, "test", &project.name, Some(project.clone()), Action::Up(options)).await.map(drop)
}

fn is_job(project: &Project, name: &str) -> bool {
    let mut dependencies = project.services.values().filter_map(|service| service.depends_on.get(name));
    dependencies.any(|how| how.condition == Condition::ServiceCompletedSuccessfully)
}

/// A copy of a stack.
struct Copy<'a> {
    world: &'a World,
    project: Project,
    arguments: &'a Test,
}

impl Copy<'_> {
    /// Brings it up; gives the command with its addresses.
    async fn ready(&mut self) -> Result<Program, CommandError> {
        bring_up(self.world, &self.project, self.arguments, false).await?;
        // What images say of ports is known only when they are there.
        let made = self.containers().await?;
        private::publish(&mut self.project, &made);
        bring_up(self.world, &self.project, self.arguments, true).await?;
        let mut variables = addresses::of(&self.containers().await?);
        variables.extend(addresses::of_project(self.world, &self.project));
        Ok(Program { words: self.arguments.command.clone(), variables })
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        ps::containers(&mut client, &self.project.name).await
    }

    async fn keep_logs(&self) {
        let kept = async {
            let folder = kept::folder(self.world, self.arguments.logs.as_deref(), &self.project.name)?;
            kept::write(self.world, &self.project.name, &self.containers().await?, &folder).await?;
            Ok::<_, CommandError>(folder)
        };
        match kept.await {
            Ok(folder) => output::tell(&format!("Logs of the test are in {}\n", folder.display())),
            Err(error) => output::tell(&format!("the logs of the test could not be kept: {}\n", error.in_one_line())),
        }
    }

    /// Takes it away. What runs is killed if the test was interrupted, and again with each signal meanwhile.
    async fn remove(&self, signals: &mut Signals) -> Result<(), CommandError> {
        let name = &self.project.name;
        if signals.heard > 0 {
            // Whoever waits for a container to become healthy stops waiting.
            up::kill(&self.world.supervisor, name, &[]).await?;
        }
        let removing = take_down(self.world, name, Some(self.project.clone()));
        tokio::pin!(removing);
        loop {
            tokio::select! {
                // It goes on in the supervisor, and is waited for again.
                result = &mut removing => return result,
                _ = signals.next() => up::kill(&self.world.supervisor, name, &[]).await?,
            }
        }
    }
}
