//! Who may pull and push: challenges, and the tokens that answer them. Credentials go to one host only.
//!
//! Spec: distribution-spec, "Authentication"; the token and OAuth 2 protocols of the distribution project.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::RegistryError;
use super::credentials::Secret;
use super::endpoint::{Endpoint, check_leads};
use super::transport::{Transport, reason_of};

/// The most that an answer with a token may hold.
const MAX_TOKEN: usize = 1 << 20;

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
}

/// What a challenge was answered with.
pub(super) struct Answered {
    /// For the next requests.
    pub(super) header: HeaderValue,
    /// What stands for the password from now on, where it was asked for.
    pub(super) identity: Option<String>,
}

/// Answers a challenge with what the next request sends along.
pub(super) async fn answer(
    transport: &Transport,
    endpoint: &Endpoint,
    challenge: &str,
    secret: Option<&Secret>,
    lasting: bool,
) -> Result<Answered, RegistryError> {
    let distrusted = |why: String| RegistryError::Distrusted { registry: endpoint.registry.clone(), why };
    let (scheme, parameters) = parse(challenge);
    if let Some(Secret::Token(token)) = secret {
        return Ok(Answered { header: header(endpoint, &format!("Bearer {token}"))?, identity: None });
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let Some(Secret::Password { user, password }) = secret else {
            return Err(RegistryError::Anonymous { registry: endpoint.registry.clone() });
        };
        let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        return Ok(Answered { header: header(endpoint, &value)?, identity: None });
    }
    let realm = parameters.get("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"));
    let realm = realm.ok_or_else(|| distrusted(format!("an unknown challenge: `{}`", challenge.escape_debug())))?;
    let url = Url::parse(realm).map_err(|_| distrusted("the address for tokens is none".to_owned()))?;
    let base = Url::parse(&endpoint.base).map_err(|_| distrusted("its own address is none".to_owned()))?;
    check_leads(&base, &url).map_err(|why| distrusted(format!("its address for tokens {why}")))?;
    let service = parameters.get("service").map_or("", String::as_str);
    let request = match secret {
        // An identity token is for the other protocol; so is what is to become one.
        Some(Secret::Identity(token)) => {
            exchange(transport, url, endpoint, service, &[("grant_type", "refresh_token"), ("refresh_token", token)])
        }
        Some(Secret::Password { user, password }) => {
            ask(transport, url, endpoint, service, lasting).basic_auth(user, Some(password))
        }
        _ => ask(transport, url, endpoint, service, false),
    };
    let token = fetch(transport, endpoint, request).await?;
    let value = token.token.or(token.access_token).ok_or_else(|| distrusted("it gave no token".to_owned()))?;
    Ok(Answered { header: header(endpoint, &format!("Bearer {value}"))?, identity: token.refresh_token.filter(|_| lasting) })
}

/// Asks for a token, with a name and a password or without.
fn ask(transport: &Transport, mut url: Url, endpoint: &Endpoint, service: &str, lasting: bool) -> RequestBuilder {
    for scope in &endpoint.scopes {
        url.query_pairs_mut().append_pair("scope", scope);
    }
    if !service.is_empty() {
        url.query_pairs_mut().append_pair("service", service);
    }
    if lasting {
        url.query_pairs_mut().append_pair("offline_token", "true").append_pair("client_id", "rcompose");
    }
    transport.client().get(url)
}

/// Exchanges something for a token.
fn exchange(transport: &Transport, url: Url, endpoint: &Endpoint, service: &str, what: &[(&str, &str)]) -> RequestBuilder {
    let scope = endpoint.scopes.join(" ");
    let mut form = Url::parse("form:").expect("it is an address");
    form.query_pairs_mut().append_pair("service", service).append_pair("scope", &scope).append_pair("client_id", "rcompose");
    for (name, value) in what {
        form.query_pairs_mut().append_pair(name, value);
    }
    let body = form.query().unwrap_or_default().to_owned();
    transport.client().post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn fetch(transport: &Transport, endpoint: &Endpoint, request: RequestBuilder) -> Result<Token, RegistryError> {
    let mut response = transport.with_patience(endpoint, request).await?;
    let status = response.status();
    if !status.is_success() {
        let message = reason_of(&mut response).await;
        let (registry, path) = (endpoint.registry.clone(), "token".to_owned());
        return Err(RegistryError::Refused { registry, path, status: status.as_u16(), message });
    }
    let mut bytes = Vec::new();
    let unreachable = |source: reqwest::Error| super::transport::unreachable_registry(endpoint, source);
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_TOKEN {
            return Err(RegistryError::mismatch(&endpoint.registry, "token", format!("it is larger than {MAX_TOKEN} bytes")));
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| RegistryError::mismatch(&endpoint.registry, "token", "it is no JSON"))
}

fn header(endpoint: &Endpoint, value: &str) -> Result<HeaderValue, RegistryError> {
    let mut header = HeaderValue::from_str(value)
        .map_err(|_| RegistryError::mismatch(&endpoint.registry, "token", "it holds characters that no header may"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// `Bearer realm="...",service="..."`.
fn parse(challenge: &str) -> (&str, BTreeMap<String, String>) {
    let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
    let mut parameters = BTreeMap::new();
    let mut rest = rest.trim();
    while let Some((name, tail)) = rest.split_once('=') {
        let (value, next) = match tail.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => tail.split_once(',').unwrap_or((tail, "")),
        };
        parameters.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        rest = next.trim_start_matches([',', ' ']);
    }
    (scheme, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_challenges() {
        let (scheme, parameters) = parse("Bearer realm=\"https://auth.x/token\",service=\"reg, x\",scope=\"a\"");
        assert_eq!(
            (scheme, parameters["realm"].as_str(), parameters["service"].as_str()),
            ("Bearer", "https://auth.x/token", "reg, x")
        );
    }
}
