//! Logging in to a registry: names and passwords are tried first, and kept where Docker keeps them.

use reqwest::{StatusCode, header};

use super::credentials::{Credentials, Secret};
use super::endpoint::Endpoint;
use super::transport::Transport;
use super::{RegistryConfig, RegistryError};

/// Where credentials are kept now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The program that has them; without one they are in the file, readable by its owner.
    pub keychain: Option<String>,
}

/// Tries a name and a password with a registry (its host), and keeps them, or what the registry gave for them.
///
/// # Errors
/// Unauthorized: nothing is kept then.
pub async fn log_in(config: &RegistryConfig, registry: &str, user: &str, password: &str) -> Result<Login, RegistryError> {
    let transport = Transport::new(config)?;
    let endpoint = transport.settle(Endpoint::of_registry(registry, config)).await.without_scope();
    let secret = Secret::Password { user: user.to_owned(), password: password.to_owned() };
    let kept = check(&transport, &endpoint, secret).await?;
    let keychain = Credentials::read(config.credentials.as_deref())?.store(registry, &kept).await?;
    Ok(Login { keychain })
}

/// Forgets what is kept for a registry; tells whether there was something.
pub async fn log_out(config: &RegistryConfig, registry: &str) -> Result<bool, RegistryError> {
    Ok(Credentials::read(config.credentials.as_deref())?.erase(registry).await?)
}

/// Gives what is to be kept: the password, or what the registry gave for it.
async fn check(transport: &Transport, endpoint: &Endpoint, secret: Secret) -> Result<Secret, RegistryError> {
    let url = format!("{}/v2/", endpoint.base);
    let first = transport.with_patience(endpoint, transport.client().get(&url)).await?;
    match first.status() {
        // Whoever asks for nothing takes anything.
        status if status.is_success() => return Ok(secret),
        StatusCode::UNAUTHORIZED => {}
        _ => return Err(transport.refused(endpoint, first).await),
    }
    let answer = transport.answer(endpoint, &first, Some(&secret), true).await?;
    let request = transport.client().get(&url).header(header::AUTHORIZATION, answer.header);
    let second = transport.with_patience(endpoint, request).await?;
    if !second.status().is_success() {
        return Err(transport.refused(endpoint, second).await);
    }
    Ok(answer.identity.map_or(secret, Secret::Identity))
}
