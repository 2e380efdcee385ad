//! `attach`: this terminal, or these pipes, as those of a container's first process.

mod keys;

use rcompose_supervisor::client::Client;

use super::process::{Carry, Outcome, Signals, carry};
use super::{check_names, ps};
use crate::arguments::Attach;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;
pub(super) use keys::{DetachKeys, Typed};

pub(crate) async fn attach(world: &World, arguments: Attach) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, std::slice::from_ref(&arguments.service))?;
    }
    let detach = DetachKeys::asked(world, arguments.detach_keys.as_deref())?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut all = ps::containers(&mut client, &name).await?;
    all.retain(|it| it.service == arguments.service && (arguments.index == 0 || it.number == arguments.index));
    // One that `run` made only if there is no other.
    all.sort_by_key(|it| (it.state != "running", it.number == 0, it.number));
    let container = all.first().ok_or_else(|| CommandError::Usage(missing(&arguments)))?;
    if container.state != "running" {
        let text = format!("cannot attach to container {}: it is {}; start it first", container.name, container.state);
        return Err(CommandError::Usage(text));
    }
    let (tty, takes_input) = (container.tty, container.stdin_open && !arguments.no_stdin);
    let stream = client.attach(&container.id).await?;
    let how = Carry {
        tty,
        signals: if arguments.sig_proxy && !tty { Signals::Forward } else { Signals::End },
        // What only looks can leave by its keys too.
        input: tty || takes_input,
        sends_input: takes_input,
        // The container goes on when our input ends.
        ends_input: false,
        detach: Some(detach),
        redraw: true,
    };
    match carry(stream, how).await? {
        Outcome::Ended(code) => Ok(Exit::Status(code)),
        Outcome::Detached => {
            output::tell("read escape sequence\n");
            Ok(Exit::Success)
        }
    }
}

fn missing(arguments: &Attach) -> String {
    match arguments.index {
        0 => format!("service \"{}\" is not running", arguments.service),
        index => format!("service \"{}\" is not running container #{index}", arguments.service),
    }
}
