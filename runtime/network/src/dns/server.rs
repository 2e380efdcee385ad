//! The server of one container: UDP and TCP on sockets that were made inside its network namespace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::base::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Transport, Verdict, Zone};
use crate::firewall;
use crate::networks::io_error;

/// Servers outside have so long to answer, all together: clients give up after five seconds.
const PATIENCE: Duration = Duration::from_millis(4500);
/// So many servers are asked.
const SERVERS: usize = 3;
/// A TCP client has so long between two questions.
const IDLE: Duration = Duration::from_secs(10);
/// Questions of one container that wait for servers outside, and its TCP connections.
const AT_ONCE: usize = 256;

/// Sockets in a container's network namespace.
pub(crate) struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Sockets {
    /// Makes the sockets in this thread's network namespace and has names asked there.
    pub(crate) fn open() -> Result<Self, rcompose_sys::Error> {
        let bound = Self::bind().map_err(|error| io_error("bind", Path::new("127.0.0.11"), &error));
        let (sockets, udp, tcp) = bound?;
        firewall::redirect_names(udp, tcp)?;
        Ok(sockets)
    }

    fn bind() -> std::io::Result<(Self, u16, u16)> {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 11), 0));
        let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let ports = (udp.local_addr()?.port(), tcp.local_addr()?.port());
        Ok((Self { udp, tcp }, ports.0, ports.1))
    }
}

/// Serves a container until told to stop.
pub(crate) async fn serve(container: String, sockets: Sockets, zone: Zone, stop: CancellationToken) -> std::io::Result<()> {
    let udp = Arc::new(tokio::net::UdpSocket::from_std(sockets.udp)?);
    let tcp = tokio::net::TcpListener::from_std(sockets.tcp)?;
    let shared = Arc::new(Shared { container, zone, turn: AtomicUsize::new(0), free: Semaphore::new(AT_ONCE) });
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            // Each arm only waits for readiness, or for a finished task: nothing is lost when another one is taken.
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            Ok((length, peer)) = udp.recv_from(&mut buffer) => {
                answer_datagram(&shared, &udp, &buffer[..length], peer, &mut tasks);
            }
            Ok((stream, _)) = tcp.accept() => {
                let shared = shared.clone();
                tasks.spawn(async move { shared.answer_stream(stream).await });
            }
        }
    }
    tasks.shutdown().await;
    Ok(())
}

fn answer_datagram(
    shared: &Arc<Shared>,
    udp: &Arc<tokio::net::UdpSocket>,
    question: &[u8],
    peer: SocketAddr,
    tasks: &mut JoinSet<()>,
) {
    match shared.decide(question, Transport::Udp) {
        Verdict::Answer(reply) => {
            // A full socket loses a datagram, as the network may; the client asks again.
            let _ = udp.try_send_to(&reply, peer);
        }
        Verdict::Forward(servers) => {
            let (shared, udp, question) = (shared.clone(), udp.clone(), question.to_vec());
            tasks.spawn(async move {
                let reply = shared.forward(&question, &servers, Transport::Udp).await;
                // As above.
                let _ = udp.send_to(&reply, peer).await;
            });
        }
        Verdict::Ignore => {}
    }
}

struct Shared {
    container: String,
    zone: Zone,
    turn: AtomicUsize,
    free: Semaphore,
}

impl Shared {
    fn decide(&self, question: &[u8], transport: Transport) -> Verdict {
        self.zone.decide(&self.container, question, transport, self.turn.fetch_add(1, Ordering::Relaxed))
    }

    async fn answer_stream(&self, mut stream: tokio::net::TcpStream) {
        let Ok(_place) = self.free.try_acquire() else { return };
        // A client that stops in the middle of a question has made its last one.
        while let Ok(Ok(question)) = tokio::time::timeout(IDLE, read_message(&mut stream)).await {
            let reply = match self.decide(&question, Transport::Tcp) {
                Verdict::Answer(reply) => reply,
                Verdict::Forward(servers) => self.forward(&question, &servers, Transport::Tcp).await,
                Verdict::Ignore => return,
            };
            if write_message(&mut stream, &reply).await.is_err() {
                return;
            }
        }
    }

    /// Asks one server after the other; SERVFAIL when none answers. One that refuses is believed when no other knows better.
    async fn forward(&self, question: &[u8], servers: &[IpAddr], transport: Transport) -> Vec<u8> {
        let Ok(_place) = self.free.try_acquire() else { return failure(question) };
        let servers = &servers[..servers.len().min(SERVERS)];
        let share = PATIENCE / u32::try_from(servers.len()).unwrap_or(1).max(1);
        let mut refusal = None;
        for server in servers {
            let asked = tokio::time::timeout(share, ask(SocketAddr::new(*server, 53), question, transport));
            if let Ok(Ok(reply)) = asked.await {
                if !refuses(&reply) {
                    return reply;
                }
                refusal = refusal.or(Some(reply));
            }
        }
        refusal.unwrap_or_else(|| failure(question))
    }
}

/// Tells whether a server could not, or would not, look a name up.
fn refuses(reply: &[u8]) -> bool {
    const FAILED: u8 = 2;
    const NOT_IMPLEMENTED: u8 = 4;
    const REFUSED: u8 = 5;
    reply.get(3).is_some_and(|flags| [FAILED, NOT_IMPLEMENTED, REFUSED].contains(&(flags & 0xf)))
}

/// Asks a server from a port of its own, connected, so that only that server can answer; the number and the question have to be
/// those that were sent (RFC 5452). The client's number stays here: it may be anything but random.
async fn ask(server: SocketAddr, question: &[u8], transport: Transport) -> std::io::Result<Vec<u8>> {
    let own = random_id()?;
    let asked = with_id(question, own);
    let reply = match transport {
        Transport::Tcp => ask_stream(server, &asked).await?,
        Transport::Udp => ask_datagram(server, &asked).await?,
    };
    Ok(with_id(&reply, [question[0], question[1]]))
}

async fn ask_stream(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = tokio::net::TcpStream::connect(server).await?;
    write_message(&mut stream, question).await?;
    let reply = read_message(&mut stream).await?;
    if answers(&reply, question) { Ok(reply) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

async fn ask_datagram(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = tokio::net::UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What does not fit was sent by somebody else: the true answer may still come.
        if answers(&buffer[..length], question) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

/// Tells whether a message is a reply to this question: the same number, the same name and kind.
fn answers(reply: &[u8], question: &[u8]) -> bool {
    let (Ok(reply), Ok(question)) = (Message::from_octets(reply), Message::from_octets(question)) else { return false };
    let same = match (reply.sole_question(), question.sole_question()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    reply.header().qr() && reply.header().id() == question.header().id() && same
}

fn random_id() -> std::io::Result<[u8; 2]> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    Ok(id)
}

fn with_id(message: &[u8], id: [u8; 2]) -> Vec<u8> {
    let mut message = message.to_vec();
    if let [first, second, ..] = message.as_mut_slice() {
        [*first, *second] = id;
    }
    message
}

async fn read_message(stream: &mut tokio::net::TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut tokio::net::TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| std::io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}

/// The question as an answer that says SERVFAIL.
fn failure(question: &[u8]) -> Vec<u8> {
    let mut reply = question.to_vec();
    if let [_, _, flags, code, ..] = reply.as_mut_slice() {
        *flags |= 0x80;
        *code = 0x80 | 2;
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `web. A`, number 7.
    const QUESTION: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\0\0\x01\0\x01";

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let mut reply = QUESTION.to_vec();
        assert!(!answers(&reply, QUESTION), "a question is no answer");
        reply[2] |= 0x80;
        assert!(answers(&reply, QUESTION));
        assert!(!answers(&with_id(&reply, [0, 8]), QUESTION));
        reply[13] = b'x';
        assert!(!answers(&reply, QUESTION), "another name");
        assert!(!answers(&reply[..11], QUESTION) && !answers(b"", QUESTION));
    }
}
