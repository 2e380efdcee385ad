//! HTTP, as registries speak it.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Client, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::authorization::{self, Credentials};
use super::{PullError, RegistryConfig, read_file};
use crate::{Digest, Reference};

/// Nothing came for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is tried.
const ATTEMPTS: u32 = 4;

/// Bytes of one blob in a count of many; those of an attempt that fails do not count.
struct Received<'a> {
    all: &'a AtomicU64,
    count: u64,
}

impl Received<'_> {
    fn add(&mut self, bytes: u64) {
        self.count += bytes;
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }

    fn keep(mut self) {
        self.count = 0;
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Where a repository is.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// For messages and credentials: host, and port if there is one.
    pub(super) registry: String,
    /// `https://host:port`.
    pub(super) base: String,
    repository: String,
}

impl Endpoint {
    /// Mirrors first, then the registry itself.
    pub(super) fn of(reference: &Reference, config: &RegistryConfig) -> Result<Vec<Self>, PullError> {
        let mut endpoints = Vec::new();
        for mirror in config.mirrors.get(reference.registry()).into_iter().flatten() {
            let base = mirror.trim_end_matches('/').to_owned();
            let registry = base.split_once("://").map_or(base.as_str(), |(_, host)| host).to_owned();
            if base.starts_with("http://") && !may_be_plain(&registry, config) {
                let why = "plain HTTP is spoken with loopback and with hosts of `insecure` alone".to_owned();
                return Err(PullError::Distrusted { registry, why });
            }
            endpoints.push(Self { registry, base, repository: reference.repository().to_owned() });
        }
        let host = if reference.registry() == "docker.io" { "registry-1.docker.io" } else { reference.registry() };
        let scheme = if may_be_plain(host, config) { "http" } else { "https" };
        endpoints.push(Self {
            registry: host.to_owned(),
            base: format!("{scheme}://{host}"),
            repository: reference.repository().to_owned(),
        });
        Ok(endpoints)
    }

    pub(super) fn manifest(&self, reference: &str) -> String {
        format!("{}/v2/{}/manifests/{reference}", self.base, self.repository)
    }

    pub(super) fn blob(&self, digest: &Digest) -> String {
        format!("{}/v2/{}/blobs/{digest}", self.base, self.repository)
    }

    /// What a token has to allow.
    pub(super) fn scope(&self) -> String {
        format!("repository:{}:pull", self.repository)
    }
}

fn may_be_plain(host: &str, config: &RegistryConfig) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let loopback = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || config.insecure.iter().any(|insecure| insecure == host)
}

/// A client, and what it has learnt of authorization.
#[derive(Clone)]
pub(super) struct Transport {
    client: Client,
    credentials: Arc<Credentials>,
    /// By registry and scope: what is sent along.
    learnt: Arc<Mutex<std::collections::BTreeMap<String, String>>>,
}

impl Transport {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, PullError> {
        // The second call of a process finds it done.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder().connect_timeout(Duration::from_secs(15)).read_timeout(PATIENCE);
        builder = builder.user_agent(concat!("rcompose/", env!("CARGO_PKG_VERSION")));
        for path in &config.certificates {
            let bytes = read_file(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&bytes);
            let certificates =
                certificates.map_err(|source| PullError::Unreachable { registry: path.display().to_string(), source })?;
            builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|source| PullError::Unreachable { registry: "any".to_owned(), source })?;
        let credentials = Arc::new(Credentials::read(config.credentials.as_deref())?);
        Ok(Self { client, credentials, learnt: Arc::default() })
    }

    /// A small document, whole.
    pub(super) async fn bytes(&self, endpoint: &Endpoint, url: &str, limit: u64, accept: &str) -> Result<Vec<u8>, PullError> {
        let response = self.get(endpoint, url, accept).await?;
        let mut body = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|source| unreachable_registry(endpoint, source))?);
            if bytes.len() as u64 > limit {
                let why = format!("it is larger than {limit} bytes");
                return Err(PullError::Mismatch { registry: endpoint.registry.clone(), expected: url.to_owned(), why });
            }
        }
        Ok(bytes)
    }

    /// A blob into a file; whole and right, or an error.
    /// `done` counts the bytes that are there, of this blob and others.
    pub(super) async fn download(
        &self,
        endpoint: &Endpoint,
        digest: &Digest,
        size: u64,
        path: &Path,
        done: &AtomicU64,
    ) -> Result<(), PullError> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
            }
            match self.download_once(endpoint, digest, size, path, done).await {
                Ok(()) => return Ok(()),
                Err(error @ PullError::Unreachable { .. }) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("at least one attempt was made"))
    }

    async fn download_once(
        &self,
        endpoint: &Endpoint,
        digest: &Digest,
        size: u64,
        path: &Path,
        done: &AtomicU64,
    ) -> Result<(), PullError> {
        let response = self.get(endpoint, &endpoint.blob(digest), "").await?;
        let mut body = response.bytes_stream();
        let mut file = std::fs::File::create(path).map_err(PullError::Write)?;
        let (mut hash, mut received) = (Sha256::new(), Received { all: done, count: 0 });
        let mismatch =
            |why: String| PullError::Mismatch { registry: endpoint.registry.clone(), expected: digest.to_string(), why };
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|source| unreachable_registry(endpoint, source))?;
            received.add(chunk.len() as u64);
            if received.count > size {
                return Err(mismatch(format!("it is longer than {size} bytes")));
            }
            hash.update(&chunk);
            file.write_all(&chunk).map_err(PullError::Write)?;
        }
        let found = Digest::from_hash(&hash.finalize());
        match (received.count == size, found == *digest) {
            (true, true) => {
                received.keep();
                Ok(())
            }
            (false, _) => Err(mismatch(format!("it has {} bytes instead of {size}", received.count))),
            (true, false) => Err(mismatch("its content has another digest".to_owned())),
        }
    }

    /// Asks; with authorization when that is demanded, again when the registry is busy.
    async fn get(&self, endpoint: &Endpoint, url: &str, accept: &str) -> Result<Response, PullError> {
        let key = format!("{} {}", endpoint.registry, endpoint.scope());
        let mut authorized = false;
        let mut attempt = 0;
        loop {
            let mut request = self.client.get(url);
            if !accept.is_empty() {
                request = request.header(header::ACCEPT, accept);
            }
            let known = self.learnt.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&key).cloned();
            if let Some(value) = &known {
                request = request.header(header::AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|source| unreachable_registry(endpoint, source))?;
            let status = response.status();
            attempt += 1;
            match status {
                _ if status.is_success() => return Ok(response),
                StatusCode::UNAUTHORIZED if !authorized => {
                    authorized = true;
                    let challenge = response
                        .headers()
                        .get(header::WWW_AUTHENTICATE)
                        .and_then(|value| value.to_str().ok())
                        .unwrap_or_default();
                    let value = authorization::answer(&self.client, endpoint, challenge, &self.credentials).await?;
                    self.learnt.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key.clone(), value);
                }
                _ if attempt < ATTEMPTS && (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()) => {
                    tokio::time::sleep(pause(&response, attempt)).await;
                }
                _ => {
                    let path = url.strip_prefix(&endpoint.base).unwrap_or(url).to_owned();
                    return Err(PullError::Refused { registry: endpoint.registry.clone(), path, status: status.as_u16() });
                }
            }
        }
    }
}

/// As long as the registry asks for, up to half a minute.
fn pause(response: &Response, attempt: u32) -> Duration {
    let asked = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let own = Duration::from_millis(250) * 2_u32.pow(attempt);
    asked.map_or(own, Duration::from_secs).min(Duration::from_secs(30))
}

pub(super) fn unreachable_registry(endpoint: &Endpoint, source: reqwest::Error) -> PullError {
    // The address may hold a name and a password.
    PullError::Unreachable { registry: endpoint.registry.clone(), source: source.without_url() }
}
