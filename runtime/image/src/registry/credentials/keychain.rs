//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, which take and give JSON on their standard streams.
//!
//! A secret is never an argument or a variable. A program that says too much, or nothing for too long, is ended.

use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{CredentialsError, Secret};

/// A program may ask whoever sits there to unlock something; then it takes as long as people take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that a program may say.
const MOST: u64 = 64 << 10;
/// The name that stands for an identity token.
const TOKEN: &str = "<token>";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(rename = "ServerURL", default)]
    server: String,
    username: String,
    secret: String,
}

#[cfg(test)]
tokio::task_local! {
    /// Where tests keep their programs.
    pub(super) static SEARCH: std::path::PathBuf;
}

fn command(program: &str) -> Command {
    #[cfg(test)]
    if let Ok(folder) = SEARCH.try_with(|folder| folder.join(program)) {
        return Command::new(folder);
    }
    Command::new(program)
}

/// What a program has for a registry.
pub(super) async fn get(name: &str, server: &str) -> Result<Option<Secret>, CredentialsError> {
    let answer = match run(name, "get", server).await {
        // It says so on its standard output, in words that all of these programs share.
        Err(CredentialsError::Keychain { why, .. }) if why.contains("credentials not found") => return Ok(None),
        other => other?,
    };
    let message: Message = serde_json::from_str(&answer).map_err(|_| failed(name, "get", "its answer is no JSON"))?;
    Ok(Some(match message.username.as_str() {
        TOKEN => Secret::Identity(message.secret),
        _ => Secret::Password { user: message.username, password: message.secret },
    }))
}

/// Has a program keep something.
pub(super) async fn store(name: &str, server: &str, secret: &Secret) -> Result<(), CredentialsError> {
    let (username, secret) = match secret {
        Secret::Password { user, password } => (user.clone(), password.clone()),
        Secret::Identity(token) | Secret::Token(token) => (TOKEN.to_owned(), token.clone()),
    };
    let message = Message { server: server.to_owned(), username, secret };
    let json = serde_json::to_string(&message).expect("texts have a JSON form");
    run(name, "store", &json).await.map(drop)
}

/// Has a program forget something.
pub(super) async fn erase(name: &str, server: &str) -> Result<(), CredentialsError> {
    match run(name, "erase", server).await {
        Err(CredentialsError::Keychain { why, .. }) if why.contains("credentials not found") => Ok(()),
        other => other.map(drop),
    }
}

fn program_of(name: &str) -> String {
    format!("docker-credential-{name}")
}

fn failed(name: &str, doing: &'static str, why: impl ToString) -> CredentialsError {
    CredentialsError::Keychain { program: program_of(name), doing, why: why.to_string() }
}

async fn run(name: &str, doing: &'static str, input: &str) -> Result<String, CredentialsError> {
    match tokio::time::timeout(PATIENCE, talk(name, doing, input)).await {
        Ok(answer) => answer,
        // The process goes with its handle.
        Err(_) => Err(failed(name, doing, format!("no answer for {} seconds", PATIENCE.as_secs()))),
    }
}

async fn talk(name: &str, doing: &'static str, input: &str) -> Result<String, CredentialsError> {
    let mut words = command(&program_of(name));
    words.arg(doing).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = words.spawn().map_err(|error| failed(name, doing, error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input may have ended already: its status tells.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MOST + 1).read_to_end(&mut answer).await.map_err(|error| failed(name, doing, error))?;
    }
    if answer.len() as u64 > MOST {
        return Err(failed(name, doing, format!("it says more than {MOST} bytes")));
    }
    let status = child.wait().await.map_err(|error| failed(name, doing, error))?;
    let text = String::from_utf8_lossy(&answer).trim().to_owned();
    match (status.success(), text.is_empty()) {
        (true, _) => Ok(text),
        (false, true) => Err(failed(name, doing, status)),
        (false, false) => Err(failed(name, doing, text)),
    }
}
