//! Probes that run nothing in the container: what answers in its network, and what it says.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rcompose_engine::logs::{Entry, Reader, Selection};
use rcompose_engine::{Engine, EngineError};
use rcompose_model::project::HttpProbe;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// An answer with a status from 200 to 399.
    Http(HttpProbe),
    /// A connection.
    Tcp(u16),
    /// A line of this run's output that holds the text.
    Log(String),
}

impl Look {
    /// As the container's record keeps it, in the place of a command.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Http(HttpProbe { host, port, path }) => {
                vec!["HTTP".to_owned(), host.clone(), port.to_string(), path.clone()]
            }
            Self::Tcp(port) => vec!["TCP".to_owned(), port.to_string()],
            Self::Log(text) => vec!["LOG".to_owned(), text.clone()],
        }
    }

    /// Reads what [`Look::words`] gave; `None` for a command.
    pub(crate) fn of(words: &[String]) -> Option<Self> {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["HTTP", host, port, path] => {
                Some(Self::Http(HttpProbe { host: (*host).to_owned(), port: port.parse().ok()?, path: (*path).to_owned() }))
            }
            ["TCP", port] => Some(Self::Tcp(port.parse().ok()?)),
            ["LOG", text] => Some(Self::Log((*text).to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for Look {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(probe) => write!(formatter, "http://{}{}", probe.host, probe.path),
            Self::Tcp(port) => write!(formatter, "tcp port {port}"),
            Self::Log(text) => write!(formatter, "log line with `{text}`"),
        }
    }
}

/// What was not found.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("no connection to port {0}")]
    Connect(u16, #[source] std::io::Error),
    #[error("no answer from port {0}")]
    Answer(u16, #[source] std::io::Error),
    #[error("the answer is `{0}`")]
    Status(String),
    #[error("no line holds the text")]
    NotSaid,
    #[error("the output cannot be read")]
    Output(#[source] std::io::Error),
}

/// One that looks, and what it has seen already.
#[derive(Debug)]
pub(super) struct Looking {
    look: Look,
    /// Of the output; what was read is not read again.
    output: Option<Reader>,
    seen: bool,
}

impl Looking {
    pub(super) fn new(look: Look) -> Self {
        Self { look, output: None, seen: false }
    }

    /// Looks once, for so long at most. Blocks.
    pub(super) fn look(&mut self, engine: &Engine, id: &str, timeout: Duration) -> Result<(), LookError> {
        let until = Instant::now() + timeout;
        match self.look.clone() {
            Look::Tcp(port) => engine.in_network(id, || connect(port, until).map(drop))?,
            Look::Http(probe) => engine.in_network(id, || answers(&probe, until))?,
            Look::Log(text) => {
                self.seen = self.seen || self.said(&text, engine, id)?;
                if self.seen { Ok(()) } else { Err(LookError::NotSaid) }
            }
        }
    }

    fn said(&mut self, text: &str, engine: &Engine, id: &str) -> Result<bool, LookError> {
        let holds = |entry: &Entry| entry.text.contains(text);
        let Some(reader) = &mut self.output else {
            // Earlier runs wrote to the same log.
            let selection = Selection { since: Some(engine.began(id)?), ..Selection::default() };
            let path = engine.log_path(&engine.get(id)?.record);
            let (reader, entries) = Reader::open(&path, selection).map_err(LookError::Output)?;
            self.output = Some(reader);
            return Ok(entries.iter().any(holds));
        };
        while let Some(entry) = reader.read().map_err(LookError::Output)? {
            if holds(&entry) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Connects to a port of the network that this thread is in.
fn connect(port: u16, until: Instant) -> Result<TcpStream, LookError> {
    let connect = |address: IpAddr| TcpStream::connect_timeout(&SocketAddr::new(address, port), left(until)?);
    let connected = connect(Ipv4Addr::LOCALHOST.into()).or_else(|first| connect(Ipv6Addr::LOCALHOST.into()).map_err(|_| first));
    connected.map_err(|source| LookError::Connect(port, source))
}

fn left(until: Instant) -> std::io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Asks; what comes has to begin with a good status.
fn answers(probe: &HttpProbe, until: Instant) -> Result<(), LookError> {
    let mut stream = connect(probe.port, until)?;
    let line = first_line(&mut stream, probe, until).map_err(|source| LookError::Answer(probe.port, source))?;
    match status(&line) {
        Some(200..400) => Ok(()),
        _ => Err(LookError::Status(String::from_utf8_lossy(&line).trim_end().to_owned())),
    }
}

/// Asks, and reads the first line of the answer.
fn first_line(stream: &mut TcpStream, probe: &HttpProbe, until: Instant) -> std::io::Result<Vec<u8>> {
    /// A longer first line is no answer.
    const LONGEST: usize = 1024;
    stream.set_write_timeout(Some(left(until)?))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rcompose/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        probe.path,
        probe.host,
        env!("CARGO_PKG_VERSION")
    );
    stream.write_all(request.as_bytes())?;
    let (mut line, mut chunk) = (Vec::new(), [0; 256]);
    while !line.contains(&b'\n') && line.len() < LONGEST {
        stream.set_read_timeout(Some(left(until)?))?;
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        line.extend_from_slice(&chunk[..count]);
    }
    line.truncate(line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len()));
    Ok(line)
}

/// The status in `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_it_reads_as_it_was() {
        let http = HttpProbe { host: "localhost:81".to_owned(), port: 81, path: "/x?y".to_owned() };
        for look in [Look::Http(http), Look::Tcp(5432), Look::Log("ready to\naccept".to_owned())] {
            assert_eq!(Look::of(&look.words()), Some(look));
        }
        assert_eq!(Look::of(&["CMD".to_owned(), "true".to_owned()]), None);
    }

    #[test]
    fn reads_the_status_of_an_answer() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503\r"), Some(503));
        for wrong in [&b"SSH-2.0-OpenSSH"[..], b"", b"HTTP/1.1", b"HTTP/1.1 ok", b"\xff 200"] {
            assert_eq!(status(wrong), None);
        }
    }
}
