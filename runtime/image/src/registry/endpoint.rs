//! Where a repository is, and which other addresses a registry may lead to.

use reqwest::Url;

use super::{RegistryConfig, RegistryError};
use crate::{Digest, Reference};

/// A repository of one host.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// For messages and credentials: host, and port if there is one.
    pub(super) registry: String,
    /// `https://host:port`, and a path where a mirror has one.
    pub(super) base: String,
    pub(super) repository: String,
    /// Plain HTTP will do, and TLS is better: what it speaks is found out.
    pub(super) either: bool,
    /// What a token has to allow.
    pub(super) scopes: Vec<String>,
}

impl Endpoint {
    /// Mirrors first, then the registry itself.
    pub(super) fn of(reference: &Reference, config: &RegistryConfig) -> Result<Vec<Self>, RegistryError> {
        let mut endpoints = Vec::new();
        for mirror in config.mirrors.get(reference.registry()).into_iter().flatten() {
            let base = mirror.trim_end_matches('/').to_owned();
            let registry = base.split_once("://").map_or(base.as_str(), |(_, rest)| rest);
            let registry = registry.split('/').next().unwrap_or_default().to_owned();
            if base.starts_with("http://") && !may_be_plain(&registry, config) {
                let why = "plain HTTP is spoken with loopback and with hosts of `insecure` alone".to_owned();
                return Err(RegistryError::Distrusted { registry, why });
            }
            endpoints.push(Self::new(registry, base, reference, false));
        }
        endpoints.push(Self::own(reference, config));
        Ok(endpoints)
    }

    /// The registry itself.
    pub(super) fn own(reference: &Reference, config: &RegistryConfig) -> Self {
        let host = host_of(reference.registry());
        Self::new(host.to_owned(), format!("https://{host}"), reference, may_be_plain(host, config))
    }

    /// A registry without any repository of it.
    pub(super) fn of_registry(registry: &str, config: &RegistryConfig) -> Self {
        let host = host_of(registry);
        let (registry, base) = (host.to_owned(), format!("https://{host}"));
        Self { registry, base, repository: String::new(), either: may_be_plain(host, config), scopes: Vec::new() }
    }

    fn new(registry: String, base: String, reference: &Reference, either: bool) -> Self {
        let repository = reference.repository().to_owned();
        Self { registry, base, either, scopes: vec![format!("repository:{repository}:pull")], repository }
    }

    /// The same repository, to be written to.
    pub(super) fn writable(&self) -> Self {
        Self { scopes: vec![format!("repository:{}:pull,push", self.repository)], ..self.clone() }
    }

    /// The same repository, to be written to with what another one of the registry has.
    pub(super) fn mounting(&self, from: &str) -> Self {
        let scopes = vec![format!("repository:{}:pull,push", self.repository), format!("repository:{from}:pull")];
        Self { scopes, ..self.clone() }
    }

    /// Nothing but who asks.
    pub(super) fn without_scope(&self) -> Self {
        Self { scopes: Vec::new(), ..self.clone() }
    }

    pub(super) fn manifest(&self, reference: &str) -> String {
        format!("{}/v2/{}/manifests/{reference}", self.base, self.repository)
    }

    pub(super) fn blob(&self, digest: &Digest) -> String {
        format!("{}/v2/{}/blobs/{digest}", self.base, self.repository)
    }

    pub(super) fn uploads(&self) -> String {
        format!("{}/v2/{}/blobs/uploads/", self.base, self.repository)
    }

    /// Whether an address is of this very registry: only there credentials go.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        Url::parse(&self.base).is_ok_and(|base| base.origin() == url.origin())
    }

    /// Where to go on with an upload. The address comes from the registry.
    pub(super) fn follow(&self, location: &str) -> Result<Url, RegistryError> {
        let distrusted = |why: String| RegistryError::Distrusted { registry: self.registry.clone(), why };
        let base = Url::parse(&self.base).map_err(|_| distrusted("its own address is none".to_owned()))?;
        let url = base.join(location).map_err(|_| distrusted("the address for an upload is none".to_owned()))?;
        check_leads(&base, &url).map_err(|why| distrusted(format!("its address for an upload {why}")))?;
        Ok(url)
    }
}

/// The host that speaks for a registry.
pub(super) fn host_of(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

fn may_be_plain(host: &str, config: &RegistryConfig) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let loopback = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || config.insecure.iter().any(|insecure| insecure == host)
}

/// An address that comes from a stranger: it may not lead down to plain HTTP, nor into the own network.
pub(super) fn check_leads(from: &Url, to: &Url) -> Result<(), String> {
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err("is not https".to_owned());
    }
    if !matches!(to.scheme(), "http" | "https") {
        return Err("is no address of the web".to_owned());
    }
    let host = |url: &Url| url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let inside = host(to).parse::<std::net::IpAddr>().is_ok_and(|address| match address.to_canonical() {
        std::net::IpAddr::V4(it) => it.is_loopback() || it.is_private() || it.is_link_local() || it.is_unspecified(),
        std::net::IpAddr::V6(it) => it.is_loopback() || it.is_unspecified() || it.is_unique_local() || it.is_unicast_link_local(),
    });
    if (inside || host(to) == "localhost") && host(to) != host(from) {
        return Err(format!("leads into the own network: {}", host(to)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_lead_nowhere_inside() {
        let leads = |from: &str, to: &str| check_leads(&Url::parse(from).unwrap(), &Url::parse(to).unwrap()).is_ok();
        assert!(leads("https://reg.example", "https://auth.example/t"));
        assert!(leads("http://127.0.0.1:5000", "http://127.0.0.1:5001/t"));
        for to in [
            "http://auth.example/t",
            "https://169.254.169.254/t",
            "https://127.0.0.1/t",
            "https://localhost/t",
            "https://[::ffff:10.0.0.1]/t",
            "https://[::1]/t",
            "ftp://auth.example/t",
        ] {
            assert!(!leads("https://reg.example", to), "{to}");
        }
    }

    #[test]
    fn uploads_go_on_where_the_registry_says_but_not_anywhere() {
        let reference: Reference = "reg.example/a/b:1".parse().unwrap();
        let endpoint = Endpoint::own(&reference, &RegistryConfig::default());
        let own = endpoint.follow("/v2/a/b/blobs/uploads/x?y=z").unwrap();
        assert_eq!(own.as_str(), "https://reg.example/v2/a/b/blobs/uploads/x?y=z");
        assert!(endpoint.is_own(&own));
        assert!(!endpoint.is_own(&endpoint.follow("https://storage.example/x").unwrap()));
        assert!(endpoint.follow("http://reg.example/x").is_err());
    }
}
