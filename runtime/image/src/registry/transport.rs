//! HTTP, as registries speak it: authorization where it is demanded, patience where they are busy, redirects with care.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{self, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::authorization::{self, Answered};
use super::credentials::{Credentials, Secret};
use super::endpoint::{Endpoint, check_leads};
use super::{RegistryConfig, RegistryError};

/// Nothing came for so long, if the configuration does not say otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is tried.
pub(super) const ATTEMPTS: u32 = 5;
/// The longest that a registry may ask us to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a redirect is followed.
const MAX_REDIRECTS: usize = 10;
/// The most that is read of what a registry gives as a reason.
const MAX_REASON: usize = 16 << 10;

/// A client, and what it has learnt of authorization.
#[derive(Clone)]
pub(super) struct Transport {
    client: Client,
    /// Nothing came for so long: then it is asked for again.
    patience: Duration,
    credentials: Arc<Credentials>,
    /// By registry and scopes: what is sent along.
    learnt: Arc<Mutex<BTreeMap<String, HeaderValue>>>,
    /// Registries of which it is known what they speak.
    settled: Arc<tokio::sync::Mutex<BTreeMap<String, String>>>,
}

impl Transport {
    pub(super) fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        // The second call of a process finds it done.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let patience = config.stall_seconds.map_or(PATIENCE, Duration::from_secs);
        let mut builder = Client::builder().connect_timeout(patience.min(Duration::from_secs(15))).read_timeout(patience);
        builder = builder.user_agent(concat!("rcompose/", env!("CARGO_PKG_VERSION"))).referer(false);
        // Headers that say who asks do not go to another host: that is the client's own rule.
        builder = builder.redirect(reqwest::redirect::Policy::custom(|attempt| {
            let leads = attempt.previous().last().map_or(Ok(()), |from| check_leads(from, attempt.url()));
            match leads {
                Ok(()) if attempt.previous().len() > MAX_REDIRECTS => attempt.error("it redirects too often"),
                Ok(()) => attempt.follow(),
                Err(why) => attempt.error(format!("its redirect {why}")),
            }
        }));
        let failed = |name: String| move |source| RegistryError::Unreachable { registry: name, source };
        for path in &config.certificates {
            let configuration = |source| RegistryError::Configuration { path: path.clone(), source };
            let bytes = std::fs::read(path).map_err(configuration)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&bytes).map_err(failed(path.display().to_string()))?;
            builder = certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(failed("any".to_owned()))?;
        let credentials = Arc::new(Credentials::read(config.credentials.as_deref())?);
        Ok(Self { client, patience, credentials, learnt: Arc::default(), settled: Arc::default() })
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Finds out whether a registry that may be spoken to in the clear speaks TLS.
    pub(super) async fn settle(&self, endpoint: Endpoint) -> Endpoint {
        if !endpoint.either {
            return endpoint;
        }
        let mut settled = self.settled.lock().await;
        let base = match settled.get(&endpoint.registry) {
            Some(base) => base.clone(),
            None => {
                let probe = self.client.head(format!("{}/v2/", endpoint.base)).timeout(Duration::from_secs(5));
                let base = match probe.send().await {
                    Ok(_) => endpoint.base.clone(),
                    Err(_) => format!("http://{}", endpoint.registry),
                };
                settled.insert(endpoint.registry.clone(), base.clone());
                base
            }
        };
        Endpoint { base, either: false, ..endpoint }
    }

    /// Asks; with authorization when that is demanded, again when the registry is busy or the way to it is broken.
    ///
    /// # Errors
    /// Also every answer that is no success, unless `fine` is what it answers.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        fine: &[StatusCode],
        make: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (error, asked) = match self.send_once(endpoint, &make).await {
                Ok(response) if response.status().is_success() || fine.contains(&response.status()) => return Ok(response),
                Ok(response) => {
                    let asked = retry_after(&response);
                    (self.refused(endpoint, response).await, asked)
                }
                // What cannot be connected to now is not likely to be there in a second; once is for a restart.
                Err(error @ RegistryError::Unreachable { .. }) if attempt >= 2 && is_connect(&error) => return Err(error),
                Err(error) => (error, None),
            };
            if attempt >= ATTEMPTS || !error.is_transient() {
                return Err(error);
            }
            tokio::time::sleep(pause(asked, attempt)).await;
        }
    }

    /// As [`Transport::send`], but an answer that is no success is an answer.
    pub(super) async fn send_once(
        &self,
        endpoint: &Endpoint,
        make: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let unreachable = |source| unreachable_registry(endpoint, source);
        let key = format!("{} {}", endpoint.registry, endpoint.scopes.join(" "));
        let mut answered = false;
        loop {
            let mut request = make(&self.client).build().map_err(unreachable)?;
            let own = endpoint.is_own(request.url());
            let known = self.learnt.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
            if let Some(value) = known.filter(|_| own) {
                request.headers_mut().insert(header::AUTHORIZATION, value);
            }
            let response = self.client.execute(request).await.map_err(unreachable)?;
            // A challenge of whoever we were redirected to is none of the registry's.
            if response.status() != StatusCode::UNAUTHORIZED || answered || !own || !endpoint.is_own(response.url()) {
                return Ok(response);
            }
            answered = true;
            let secret = self.credentials.of(&endpoint.registry, &endpoint.repository).await?;
            let answer = self.answer(endpoint, &response, secret.as_ref(), false).await?;
            self.learnt.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), answer.header);
        }
    }

    /// Answers the challenge of a response.
    pub(super) async fn answer(
        &self,
        endpoint: &Endpoint,
        response: &Response,
        secret: Option<&Secret>,
        lasting: bool,
    ) -> Result<Answered, RegistryError> {
        let challenge = response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        authorization::answer(self, endpoint, challenge.unwrap_or_default(), secret, lasting).await
    }

    /// Asks somebody who needs no authorization of ours; again when they are busy.
    pub(super) async fn with_patience(&self, endpoint: &Endpoint, request: RequestBuilder) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let again = request.try_clone().filter(|_| attempt < ATTEMPTS);
            let sent = match again {
                Some(request) => request.send().await,
                None => return request.send().await.map_err(|source| unreachable_registry(endpoint, source)),
            };
            let asked = match sent {
                Ok(response) if is_busy(response.status()) => retry_after(&response),
                Ok(response) => return Ok(response),
                Err(error) if error.is_connect() && attempt >= 2 => return Err(unreachable_registry(endpoint, error)),
                Err(_) => None,
            };
            tokio::time::sleep(pause(asked, attempt)).await;
        }
    }

    /// A small document, whole, and its media type.
    pub(super) async fn bytes(
        &self,
        endpoint: &Endpoint,
        url: &str,
        limit: u64,
        accept: &str,
    ) -> Result<(Vec<u8>, Option<String>), RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.bytes_once(endpoint, url, limit, accept).await {
                Err(error @ RegistryError::Unreachable { .. }) if attempt < ATTEMPTS && !is_connect(&error) => {
                    tokio::time::sleep(pause(None, attempt)).await;
                }
                result => return result,
            }
        }
    }

    async fn bytes_once(
        &self,
        endpoint: &Endpoint,
        url: &str,
        limit: u64,
        accept: &str,
    ) -> Result<(Vec<u8>, Option<String>), RegistryError> {
        let make = |client: &Client| match accept {
            "" => client.get(url),
            accept => client.get(url).header(header::ACCEPT, accept),
        };
        let mut response = self.send(endpoint, &[], make).await?;
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| unreachable_registry(endpoint, source))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(RegistryError::mismatch(&endpoint.registry, url, format!("it is larger than {limit} bytes")));
            }
        }
        Ok((bytes, media_type))
    }

    /// An answer that is no success, as an error.
    pub(super) async fn refused(&self, endpoint: &Endpoint, mut response: Response) -> RegistryError {
        let path = response.url().path().to_owned();
        let (registry, status) = (endpoint.registry.clone(), response.status().as_u16());
        let message = reason_of(&mut response).await;
        RegistryError::Refused { registry, path, status, message }
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}

fn is_connect(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Unreachable { source, .. } if source.is_connect())
}

/// What a registry gives as the reason for an answer: a few words, without anything that a terminal would obey.
///
/// Spec: distribution-spec, "Error Codes".
pub(super) async fn reason_of(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    // An answer that is cut off has said what it could.
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_REASON {
            return String::new();
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().trim().to_owned();
    let errors = json["errors"].as_array().into_iter().flatten();
    let mut words: Vec<String> = errors.map(|error| text(&error["message"])).filter(|text| !text.is_empty()).take(3).collect();
    if words.is_empty() {
        words.extend(Some(text(&json["details"])).filter(|text| !text.is_empty()));
    }
    words.join("; ").chars().filter(|it| !it.is_control()).take(300).collect()
}

/// How long a busy registry asks us to wait: in seconds, or until a time.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Duration::from_secs(http_date(text)?).saturating_sub(now))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// Spec: RFC 9110, "Date/Time Formats"; the two other forms are of another age.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let mut words = rest.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day.checked_sub(1)?;
    Some(days.checked_sub(719_468)? * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

/// As long as the registry asks for, or twice as long each time; never the same for everybody.
pub(super) fn pause(asked: Option<Duration>, attempt: u32) -> Duration {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let jitter = Duration::from_millis(u64::from(since.map_or(0, |since| since.subsec_micros()) % 100));
    let own = Duration::from_millis(200) * 2_u32.pow(attempt.min(8));
    asked.unwrap_or(own).min(LONGEST_PAUSE) + jitter
}

pub(super) fn unreachable_registry(endpoint: &Endpoint, source: reqwest::Error) -> RegistryError {
    if source.is_redirect() {
        let why = std::error::Error::source(&source).map_or_else(|| source.to_string(), ToString::to_string);
        return RegistryError::Distrusted { registry: endpoint.registry.clone(), why };
    }
    // The address may hold a name and a password.
    RegistryError::Unreachable { registry: endpoint.registry.clone(), source: source.without_url() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_as_servers_write_them() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for text in ["", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 00 Nov 1994 08:49 GMT", "Sun, 06 Non 1994 08:49:37 GMT"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
