//! Something between us and a registry that cuts, stalls, refuses, lies and leads elsewhere, and writes down what it was asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request, as it passed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_get_of_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/sha256:")
    }
}

/// What becomes of a request.
pub(crate) enum Fate {
    Pass,
    /// Only so many bytes of the answer come, and the connection ends.
    Cut(usize),
    /// Only so many bytes of the answer come, and the connection stays.
    Stall(usize),
    /// Only so many bytes of the answer come, and then one at a time.
    Drip(usize),
    /// A byte of the answer is another one.
    Change,
    /// The registry is not asked: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Only so many bytes of the request get through.
    CutRequest(usize),
    /// As a server that knows nothing of ranges.
    Whole,
}

type Decide = dyn Fn(&Seen, usize) -> Fate + Send + Sync;

/// A proxy that goes with its value.
pub(crate) struct Proxy {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    /// Starts one. `decide` gets a request and how many like it (method and path) came before.
    pub(crate) fn start(upstream: &str, decide: impl Fn(&Seen, usize) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let (seen, upstream, decide): (Arc<Mutex<Vec<Seen>>>, _, Arc<Decide>) =
            (Arc::default(), upstream.to_owned(), Arc::new(decide));
        let all = seen.clone();
        // Ends with the process: what waits for a connection cannot be told to stop.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (all, upstream, decide) = (all.clone(), upstream.clone(), decide.clone());
                std::thread::spawn(move || drop(serve(client, &upstream, &all, &*decide)));
            }
        });
        Self { address, seen }
    }

    /// All that passed.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn blobs_fetched(&self) -> Vec<String> {
        self.seen().into_iter().filter(Seen::is_get_of_blob).map(|seen| seen.path).collect()
    }
}

fn serve(mut client: TcpStream, upstream: &str, all: &Mutex<Vec<Seen>>, decide: &Decide) -> std::io::Result<()> {
    let Some((mut seen, length)) = read_head(&mut client)? else { return Ok(()) };
    seen.body = vec![0; length];
    client.read_exact(&mut seen.body)?;
    let before = {
        let mut all = all.lock().expect("nobody panics with it");
        all.push(seen.clone());
        all.iter().filter(|it| it.method == seen.method && it.path == seen.path).count() - 1
    };
    let fate = decide(&seen, before);
    if let Fate::Answer(status, headers, body) = &fate {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}");
        return client.write_all(head.as_bytes());
    }
    let mut server = TcpStream::connect(upstream)?;
    let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", seen.method, seen.path);
    for (name, value) in &seen.headers {
        let whole = matches!(fate, Fate::Whole) && name.eq_ignore_ascii_case("range");
        if !name.eq_ignore_ascii_case("connection") && !whole {
            head += &format!("{name}: {value}\r\n");
        }
    }
    server.write_all(format!("{head}\r\n").as_bytes())?;
    let through = if let Fate::CutRequest(count) = fate { count } else { usize::MAX };
    server.write_all(&seen.body[..seen.body.len().min(through)])?;
    if through < usize::MAX {
        return server.shutdown(std::net::Shutdown::Both);
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let keep = match fate {
        Fate::Cut(count) | Fate::Stall(count) | Fate::Drip(count) => (end + count).min(answer.len()),
        _ => answer.len(),
    };
    if let (Fate::Change, true) = (&fate, end < answer.len()) {
        let middle = end + (answer.len() - end) / 2;
        answer[middle] ^= 0xff;
    }
    client.write_all(&answer[..keep])?;
    if let Fate::Drip(_) = fate {
        for byte in answer[keep..].chunks(1) {
            std::thread::sleep(std::time::Duration::from_millis(50));
            client.write_all(byte)?;
        }
    }
    if let Fate::Stall(_) = fate {
        // Until the other side has had enough.
        std::io::copy(&mut client, &mut std::io::sink())?;
    }
    Ok(())
}

fn read_head(client: &mut TcpStream) -> std::io::Result<Option<(Seen, usize)>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
        // Somebody tries TLS.
        if head[0] == 0x16 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let mut seen = Seen { method: first.next().unwrap_or_default(), path: first.next().unwrap_or_default(), ..Seen::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        seen.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Some((seen, length)))
}
