//! `login` and `logout`.

use std::io::{IsTerminal, Read};

use rcompose_supervisor::messages::Failure;

use crate::arguments::{Login, Logout};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

/// The most that standard input may hold as a password.
const MAX_PASSWORD: u64 = 64 << 10;

pub(crate) async fn login(world: &World, arguments: Login) -> Result<Exit, CommandError> {
    if world.global.offline {
        return Err(CommandError::Usage("`login` asks a registry, and `--offline` forbids it".to_owned()));
    }
    let server = host(arguments.server.as_deref())?;
    if arguments.password_stdin && arguments.username.is_none() {
        return Err(CommandError::Usage("`--password-stdin` needs `--username NAME`".to_owned()));
    }
    let user = match arguments.username {
        Some(user) => user,
        None => output::ask(&format!("Username ({server}): "))?,
    };
    let password = match arguments.password {
        Some(password) => {
            output::warn_text("a password on the command line is seen by whoever lists processes: use `--password-stdin`");
            password
        }
        None if arguments.password_stdin && !std::io::stdin().is_terminal() => from_stdin()?,
        None => match asked_for_secret().await? {
            Some(password) => password,
            None => return Ok(Exit::Interrupted),
        },
    };
    if user.is_empty() || password.is_empty() {
        return Err(CommandError::Usage("a name and a password are needed, and one of them is empty".to_owned()));
    }
    let config = &world.supervisor.registries;
    let login = rcompose_supervisor::log_in(config, &server, &user, &password).await.map_err(|error| {
        let mut failure = Failure::of(&error);
        failure.causes.insert(0, std::mem::replace(&mut failure.message, format!("failed to log in to {server}")));
        failure.hint = error.is_unauthorized().then(|| "check the name and the password".to_owned());
        CommandError::Failed(failure)
    })?;
    if let (None, Some(path)) = (&login.keychain, &config.credentials) {
        let text =
            format!("the password is kept in {}, which only you can read; a credential helper would lock it up", path.display());
        output::warn_text(&text);
    }
    output::print("Login Succeeded\n")?;
    Ok(Exit::Success)
}

pub(crate) async fn logout(world: &World, arguments: Logout) -> Result<Exit, CommandError> {
    let server = host(arguments.server.as_deref())?;
    let known = rcompose_supervisor::log_out(&world.supervisor.registries, &server).await;
    let known = known.map_err(|error| CommandError::Failed(Failure::of(&error)))?;
    let text = if known { format!("Removed credentials of {server}\n") } else { format!("Not logged in to {server}\n") };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// The host of an address as people copy it.
fn host(server: Option<&str>) -> Result<String, CommandError> {
    let Some(text) = server else { return Ok("docker.io".to_owned()) };
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if !host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[') || !host.bytes().all(fine) {
        return Err(CommandError::Usage(format!("`{text}` is no registry: expected its host, and its port if it has one")));
    }
    let hub = matches!(host, "index.docker.io" | "registry-1.docker.io" | "hub.docker.com");
    Ok(if hub { "docker.io".to_owned() } else { host.to_owned() })
}

/// Asks for a password that the terminal does not show, also after Ctrl-C, which is `None`.
async fn asked_for_secret() -> Result<Option<String>, CommandError> {
    let unshown = output::Unshown::new();
    let answer = tokio::task::spawn_blocking(|| output::ask("Password: "));
    let answer = tokio::select! {
        // The thread that reads goes with the program.
        answer = answer => answer.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())).map(Some),
        _ = tokio::signal::ctrl_c() => Ok(None),
    };
    drop(unshown);
    answer
}

/// All of it, without the end of the line that `echo` adds.
fn from_stdin() -> Result<String, CommandError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut text);
    read.map_err(|source| CommandError::System { doing: "read the password".to_owned(), source })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_by_their_hosts() {
        for (text, expected) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("reg.example:5000"), "reg.example:5000"),
            (Some("https://reg.example/v2/"), "reg.example"),
        ] {
            assert_eq!(host(text).unwrap(), expected);
        }
        for text in ["", "https://", "a b", "../x"] {
            assert!(host(Some(text)).is_err(), "{text}");
        }
    }
}
