//! Who may pull: challenges, tokens, and credentials, which go to one host only.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::transport::{Endpoint, unreachable_registry};
use super::{PullError, read_file};

/// Credentials by registry, as Docker's `config.json` keeps them.
#[derive(Default)]
pub(super) struct Credentials(BTreeMap<String, (String, String)>);

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
}

impl Credentials {
    /// Reads the file; one that is not there holds none, one that is broken is an error.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, PullError> {
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(Self::default()) };
        let invalid = |error: String| PullError::Configuration { path: path.to_owned(), source: std::io::Error::other(error) };
        let config: Config = serde_json::from_slice(&read_file(path)?).map_err(|error| invalid(error.to_string()))?;
        let mut credentials = BTreeMap::new();
        for (registry, entry) in config.auths.into_iter().filter(|(_, entry)| !entry.auth.is_empty()) {
            let decoded = STANDARD.decode(&entry.auth).map_err(|error| invalid(error.to_string()))?;
            let text = String::from_utf8_lossy(&decoded).into_owned();
            if let Some((user, password)) = text.split_once(':') {
                let host = registry.trim_start_matches("https://").trim_start_matches("http://");
                let host = host.split('/').next().unwrap_or_default().to_owned();
                credentials.insert(host, (user.to_owned(), password.trim_end_matches('\0').to_owned()));
            }
        }
        Ok(Self(credentials))
    }

    fn of(&self, registry: &str) -> Option<&(String, String)> {
        // Docker keeps those of its hub under another name.
        let name = if registry == "registry-1.docker.io" { "index.docker.io" } else { registry };
        self.0.get(name)
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Answers a challenge with what the next request sends along.
pub(super) async fn answer(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    challenge: &str,
    credentials: &Credentials,
) -> Result<String, PullError> {
    let distrusted = |why: String| PullError::Distrusted { registry: endpoint.registry.clone(), why };
    let own = credentials.of(&endpoint.registry);
    let (scheme, parameters) = parse(challenge);
    if scheme.eq_ignore_ascii_case("basic") {
        let (user, password) = own.ok_or_else(|| distrusted("it wants a name and a password, and none are known".to_owned()))?;
        return Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    }
    let realm = parameters.get("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"));
    let realm = realm.ok_or_else(|| distrusted(format!("an unknown challenge: `{}`", challenge.escape_debug())))?;
    let mut url = reqwest::Url::parse(realm).map_err(|_| distrusted("the address for tokens is none".to_owned()))?;
    check_realm(endpoint, &url).map_err(distrusted)?;
    url.query_pairs_mut().append_pair("scope", &endpoint.scope());
    if let Some(service) = parameters.get("service") {
        url.query_pairs_mut().append_pair("service", service);
    }
    let mut request = client.get(url);
    if let Some((user, password)) = own {
        request = request.basic_auth(user, Some(password));
    }
    let response = request.send().await.map_err(|source| unreachable_registry(endpoint, source))?;
    let status = response.status();
    if !status.is_success() {
        return Err(PullError::Refused {
            registry: endpoint.registry.clone(),
            path: "token".to_owned(),
            status: status.as_u16(),
        });
    }
    let bytes = response.bytes().await.map_err(|source| unreachable_registry(endpoint, source))?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| distrusted("its token is no JSON".to_owned()))?;
    let token = token.token.or(token.access_token).ok_or_else(|| distrusted("it gave no token".to_owned()))?;
    Ok(format!("Bearer {token}"))
}

/// The address for tokens comes from the registry: it may not lead down to plain HTTP, nor into the own network.
fn check_realm(endpoint: &Endpoint, realm: &reqwest::Url) -> Result<(), String> {
    let host = realm.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let own = endpoint.registry.rsplit_once(':').map_or(endpoint.registry.as_str(), |(host, _)| host);
    if endpoint.base.starts_with("https://") && realm.scheme() != "https" {
        return Err("its address for tokens is not https".to_owned());
    }
    let inside = host.parse::<std::net::IpAddr>().is_ok_and(|address| match address {
        std::net::IpAddr::V4(it) => it.is_loopback() || it.is_private() || it.is_link_local() || it.is_unspecified(),
        std::net::IpAddr::V6(it) => it.is_loopback() || it.is_unspecified() || it.is_unique_local() || it.is_unicast_link_local(),
    });
    if inside && host != own.trim_matches(['[', ']']) {
        return Err(format!("its address for tokens leads into the own network: {host}"));
    }
    Ok(())
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
    use crate::Reference;
    use crate::registry::RegistryConfig;

    #[test]
    fn reads_challenges() {
        let (scheme, parameters) = parse("Bearer realm=\"https://auth.x/token\",service=\"reg, x\",scope=\"a\"");
        assert_eq!(
            (scheme, parameters["realm"].as_str(), parameters["service"].as_str()),
            ("Bearer", "https://auth.x/token", "reg, x")
        );
    }

    #[test]
    fn tokens_are_not_fetched_from_where_they_should_not_be() {
        let endpoint = |name: &str| {
            let reference: Reference = name.parse().unwrap();
            Endpoint::of(&reference, &RegistryConfig::default()).unwrap().remove(0)
        };
        let checked = |name: &str, realm: &str| check_realm(&endpoint(name), &reqwest::Url::parse(realm).unwrap()).is_ok();
        assert!(checked("reg.example/a", "https://auth.example/t"));
        assert!(!checked("reg.example/a", "http://auth.example/t"));
        assert!(!checked("reg.example/a", "https://169.254.169.254/t"));
        assert!(!checked("reg.example/a", "https://127.0.0.1/t"));
        assert!(checked("127.0.0.1:5000/a", "http://127.0.0.1:5001/t"));
    }
}
