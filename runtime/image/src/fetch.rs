//! A file from anywhere, for those who build: over HTTP, checked by whoever asked, never from this machine's own files.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Client, StatusCode, header, redirect};

use crate::RegistryConfig;

/// Nothing came for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// What is wanted, and what is there already.
#[derive(Debug, Clone, Default)]
pub struct FetchRequest {
    /// `http` or `https`.
    pub url: String,
    /// Of what is there.
    pub etag: Option<String>,
    /// `Last-Modified` of what is there.
    pub modified: Option<String>,
    /// Sent to the host of the URL alone.
    pub authorization: Option<String>,
    /// The most bytes that are taken.
    pub limit: u64,
}

/// What came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// To ask with next time.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub modified: Option<String>,
}

/// A file that did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Certificates that are to be trusted.
    #[error("failed to read {file}: {why}")]
    Certificates {
        /// Where they are.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The network, or what is at its other end.
    #[error("{}", plain(.0))]
    Network(#[source] reqwest::Error),
    /// It is refused.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// More than allowed.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The disk.
    #[error("failed to write it: {0}")]
    Write(std::io::Error),
}

/// Without the URL, which may hold a password.
fn plain(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_redirect() { "a redirect leads nowhere good".to_owned() } else { "the server cannot be reached".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Fetches into a file; `None` when what is there is still the same.
pub async fn fetch(request: &FetchRequest, config: &RegistryConfig, target: &Path) -> Result<Option<Fetched>, FetchError> {
    let mut asked = client(config)?.get(&request.url);
    let conditions = [(header::IF_NONE_MATCH, &request.etag), (header::IF_MODIFIED_SINCE, &request.modified)];
    for (name, value) in conditions.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        asked = asked.header(name, value);
    }
    if let Some(authorization) = &request.authorization {
        asked = asked.header(header::AUTHORIZATION, authorization);
    }
    let response = asked.send().await.map_err(FetchError::Network)?;
    if response.status() == StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status()));
    }
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let fetched = Fetched { etag: text(header::ETAG), modified: text(header::LAST_MODIFIED) };
    let mut file = std::fs::File::create(target).map_err(FetchError::Write)?;
    let (mut body, mut count) = (response.bytes_stream(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(FetchError::Network)?;
        count += chunk.len() as u64;
        if count > request.limit {
            return Err(FetchError::TooLarge(request.limit));
        }
        file.write_all(&chunk).map_err(FetchError::Write)?;
    }
    Ok(Some(fetched))
}

fn client(config: &RegistryConfig) -> Result<Client, FetchError> {
    // The second call of a process finds it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What is sent to one host is not sent to the next; who began with encryption ends with it.
    let policy = redirect::Policy::custom(|attempt| {
        let downgraded =
            attempt.previous().last().is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https";
        if downgraded || attempt.previous().len() > REDIRECTS {
            return attempt.error("too many of them, or one from https to http");
        }
        attempt.follow()
    });
    let mut builder = Client::builder().redirect(policy).connect_timeout(Duration::from_secs(15)).read_timeout(PATIENCE);
    builder = builder.user_agent(concat!("rcompose/", env!("CARGO_PKG_VERSION")));
    for path in &config.certificates {
        let fault = |why: String| FetchError::Certificates { file: path.display().to_string(), why };
        let bytes = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&bytes).map_err(|error| fault(error.to_string()))?;
        builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
    }
    builder.build().map_err(FetchError::Network)
}
