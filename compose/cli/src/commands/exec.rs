//! `exec`.

use std::io::IsTerminal;

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::ExecMessage;

use super::process::{self, Carry, Outcome, Signals};
use crate::arguments::Exec;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn exec(world: &World, arguments: Exec) -> Result<Exit, CommandError> {
    let (name, _) = world.name()?;
    let tty = !arguments.no_tty && !arguments.detach && std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    let variable = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), world.environment.get(text).cloned()),
    };
    let message = ExecMessage {
        project: name,
        service: arguments.service.clone(),
        index: arguments.index,
        command: arguments.command.clone(),
        environment: arguments.env.iter().map(variable).collect(),
        user: arguments.user.clone(),
        working_dir: arguments.workdir.clone(),
        tty,
        stdin_open: !arguments.detach,
        privileged: arguments.privileged,
        detached: arguments.detach,
    };
    let mut client = Client::connect(&world.supervisor).await?;
    match client.exec(&message).await {
        Ok(None) => Ok(Exit::Success),
        Ok(Some(stream)) => match process::carry(stream, Carry::own(tty, Signals::End)).await? {
            Outcome::Ended(code) => Ok(Exit::Status(code)),
            Outcome::Detached => Ok(Exit::Success),
        },
        Err(error @ ClientError::NotStarted { code, .. }) => {
            output::tell(&CommandError::from(error).render());
            Ok(Exit::Status(code))
        }
        Err(error) => Err(error.into()),
    }
}
