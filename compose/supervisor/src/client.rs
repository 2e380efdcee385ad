//! The other side of the socket: connecting, starting a supervisor where none answers, and one function a question.

use std::process::{Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::Settings;
use crate::api::END_TRAILER;
use crate::messages::{ExecMessage, Failure, Hello, VERSION};

type Body = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

/// A connection that carries frames.
pub type Frames = TokioIo<hyper::upgrade::Upgraded>;

/// What a question can come to besides an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No supervisor, and none could be started.
    #[error("failed to start the supervisor")]
    Start(#[source] std::io::Error),
    /// It ended before it answered.
    #[error("the supervisor ended before it answered: {0}")]
    Ended(String),
    /// The connection.
    #[error("the supervisor does not answer")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It speaks another version.
    #[error(
        "the supervisor speaks version {theirs} of the protocol, this program {ours}; stop it with `kill {pid}`: containers go on"
    )]
    Version {
        /// Its version.
        theirs: u32,
        /// Ours.
        ours: u32,
        /// Its process.
        pid: u32,
    },
    /// It said no.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// A process could not be started; shells know why by the status.
    #[error("{}", failure.causes.last().unwrap_or(&failure.message))]
    NotStarted {
        /// 126, 127 or 128.
        code: i32,
        /// Why.
        failure: Failure,
    },
}

fn connection(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Connection(error.into())
}

/// A connection to the supervisor.
pub struct Client {
    sender: SendRequest<Body>,
}

impl Client {
    /// Connects to the supervisor; starts one where none answers.
    pub async fn connect(settings: &Settings) -> Result<Self, ClientError> {
        match Self::connect_running(settings).await {
            Ok(client) => Ok(client),
            Err(_) => {
                start(settings).await?;
                Self::connect_running(settings).await
            }
        }
    }

    /// Connects to a supervisor that answers already.
    pub async fn connect_running(settings: &Settings) -> Result<Self, ClientError> {
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let directory = rustix::fs::open(&settings.run_root, flags, rustix::fs::Mode::empty()).map_err(std::io::Error::from);
        let directory = directory.map_err(connection)?;
        // Through the directory's descriptor: the path of a socket has to be short.
        let path = format!("/proc/self/fd/{}/supervisor.sock", std::os::fd::AsRawFd::as_raw_fd(&directory));
        let stream = UnixStream::connect(path).await.map_err(connection)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(connection)?;
        // Ends with the connection, which ends with this client.
        tokio::spawn(driver.with_upgrades());
        let mut client = Self { sender };
        let hello: Hello = client.get("/v1/hello").await?;
        if hello.api != VERSION {
            return Err(ClientError::Version { theirs: hello.api, ours: VERSION, pid: hello.pid });
        }
        Ok(client)
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Body,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "rcompose");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).map_err(connection)?;
        self.sender.ready().await.map_err(connection)?;
        self.sender.send_request(request).await.map_err(connection)
    }

    async fn json(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response<Incoming>, ClientError> {
        let bytes = body.map(|body| serde_json::to_vec(body).expect("messages have a JSON form")).unwrap_or_default();
        let headers = [("content-type", "application/json".to_owned()), ("te", "trailers".to_owned())];
        let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed();
        let response = self.send(method, path, body, &headers).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        read(self.json(Method::GET, path, None::<&()>).await?).await
    }

    /// Has something done.
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str, body: &(impl Serialize + Sync)) -> Result<T, ClientError> {
        read(self.json(Method::POST, path, Some(body)).await?).await
    }

    /// Has something made, and gives it as it comes.
    pub async fn download(&mut self, path: &str, body: &(impl Serialize + Sync)) -> Result<Chunks, ClientError> {
        Ok(Chunks { body: self.json(Method::POST, path, Some(body)).await?.into_body() })
    }

    /// Has something done, and gives what comes of it line by line.
    pub async fn stream(&mut self, path: &str, body: &(impl Serialize + Sync)) -> Result<Lines, ClientError> {
        let response = self.json(Method::POST, path, Some(body)).await?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new() })
    }

    /// Sends a file.
    pub async fn upload<T: DeserializeOwned>(
        &mut self,
        path: &str,
        source: impl tokio::io::AsyncRead + Send + Sync + Unpin + 'static,
    ) -> Result<T, ClientError> {
        let chunks = futures_util::stream::try_unfold(source, |mut source| async move {
            let mut chunk = vec![0; 256 * 1024];
            let count = source.read(&mut chunk).await?;
            chunk.truncate(count);
            Ok::<_, std::io::Error>((count > 0).then(|| (Frame::data(Bytes::from(chunk)), source)))
        });
        let body = BodyExt::boxed(StreamBody::new(chunks));
        let response = self.send(Method::POST, path, body, &[]).await?;
        if response.status().is_success() { read(response).await } else { Err(refusal(response).await) }
    }

    /// Sends what a channel gives, as it gives it.
    pub async fn send_all<T: DeserializeOwned>(&mut self, path: &str, chunks: mpsc::Receiver<Bytes>) -> Result<T, ClientError> {
        let chunks = futures_util::stream::unfold(chunks, |mut chunks| async move {
            let chunk = chunks.recv().await?;
            Some((Ok::<_, std::io::Error>(Frame::data(chunk)), chunks))
        });
        let response = self.send(Method::POST, path, BodyExt::boxed(StreamBody::new(chunks)), &[]).await?;
        if response.status().is_success() { read(response).await } else { Err(refusal(response).await) }
    }

    /// Starts a process in a container; frames go over the stream. `None` when it was detached.
    pub async fn exec(&mut self, message: &ExecMessage) -> Result<Option<Frames>, ClientError> {
        let text = serde_json::to_string(message).expect("messages have a JSON form");
        let escaped = ascii_json(&text);
        self.upgrade("/v1/exec", &[("x-rcompose-exec", escaped)]).await
    }

    /// Starts a container that was made for one command; frames go over the stream. `None` when it is detached.
    pub async fn start(&mut self, id: &str, detached: bool, remove: bool) -> Result<Option<Frames>, ClientError> {
        self.upgrade(&format!("/v1/containers/{id}/start?detached={detached}&remove={remove}"), &[]).await
    }

    /// Connects to the first process of a running container; frames go over the stream.
    pub async fn attach(&mut self, id: &str) -> Result<Frames, ClientError> {
        let stream = self.upgrade(&format!("/v1/containers/{id}/attach"), &[]).await?;
        stream.ok_or_else(|| connection("the supervisor gave no stream"))
    }

    async fn upgrade(&mut self, path: &str, headers: &[(&str, String)]) -> Result<Option<Frames>, ClientError> {
        let upgrade = [("connection", "upgrade".to_owned()), ("upgrade", "rcompose-frames".to_owned())];
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
        let response = self.send(Method::POST, path, body, &[&upgrade, headers].concat()).await?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(Some(TokioIo::new(hyper::upgrade::on(response).await.map_err(connection)?))),
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::UNPROCESSABLE_ENTITY => {
                let code = response.headers().get("x-rcompose-exit").and_then(|value| value.to_str().ok()?.parse().ok());
                let code = code.unwrap_or(1);
                match refusal(response).await {
                    ClientError::Refused(failure) => Err(ClientError::NotStarted { code, failure }),
                    other => Err(other),
                }
            }
            _ => Err(refusal(response).await),
        }
    }
}

/// JSON as a header may hold it.
pub(crate) fn ascii_json(text: &str) -> String {
    text.chars().map(|it| if it.is_ascii() { it.to_string() } else { escape(it) }).collect()
}

/// A character as JSON writes it in ASCII.
fn escape(character: char) -> String {
    character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let bytes = response.into_body().collect().await.map_err(connection)?.to_bytes();
    serde_json::from_slice(&bytes).map_err(connection)
}

async fn refusal(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let bytes = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return connection(error),
    };
    ClientError::Refused(
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Failure::text(format!("the supervisor answered {status}"))),
    )
}

/// An answer of bytes.
pub struct Chunks {
    body: Incoming,
}

impl Chunks {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// The connection, and what the other side gives as the reason for ending early.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let early = || ClientError::Refused(Failure::text("the stream ended early, and the supervisor does not say why"));
        let frame = self.body.frame().await.transpose().map_err(connection)?.ok_or_else(early)?;
        let frame = match frame.into_data() {
            Ok(data) => return Ok(Some(data)),
            Err(frame) => frame,
        };
        match frame.trailers_ref().and_then(|trailers| trailers.get(END_TRAILER)?.to_str().ok()) {
            Some("") => Ok(None),
            Some(why) => Err(serde_json::from_str(why).map_or_else(|_| early(), ClientError::Refused)),
            None => Err(early()),
        }
    }
}

/// An answer that comes line by line.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The next message; `None` at the end.
    ///
    /// # Cancel safety
    /// What has been read stays in the buffer.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(connection);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
                Some(Err(error)) => return Err(connection(error)),
                None => return Ok(None),
            }
        }
    }
}

/// Starts a supervisor and waits until it answers, or has ended: its standard output closes then.
async fn start(settings: &Settings) -> Result<(), ClientError> {
    let settings = serde_json::to_string(settings).expect("settings have a JSON form");
    let mut child = Command::new("/proc/self/exe");
    std::os::unix::process::CommandExt::arg0(&mut child, "rcompose");
    let child =
        child.arg("supervisor").arg("--settings").arg(settings).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // An arena for each of its threads would keep what a busy moment took.
    let child = child.env("MALLOC_ARENA_MAX", "2");
    let mut child = child.spawn().map_err(ClientError::Start)?;
    let output = child.stdout.take();
    let told = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        if let Some(mut output) = output {
            // It closes when the supervisor is ready or gone.
            let _ = std::io::Read::read_to_string(&mut output, &mut text);
        }
        text
    });
    let told = told.await.map_err(connection)?;
    if let Ok(Some(status)) = child.try_wait()
        && !status.success()
    {
        return Err(ClientError::Ended(told.trim().to_owned()));
    }
    Ok(())
}
