//! The server of one container: UDP and TCP on sockets that were made inside its network namespace.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Verdict, Zone};
use crate::firewall;

/// A server outside has so long to answer.
const PATIENCE: Duration = Duration::from_secs(4);
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
    pub(crate) fn open() -> std::io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 11), 0));
        let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
        firewall::redirect_names(udp.local_addr()?.port(), tcp.local_addr()?.port())?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok(Self { udp, tcp })
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
    match shared.decide(question) {
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

#[derive(Clone, Copy, PartialEq)]
enum Transport {
    Udp,
    Tcp,
}

impl Shared {
    fn decide(&self, question: &[u8]) -> Verdict {
        self.zone.decide(&self.container, question, self.turn.fetch_add(1, Ordering::Relaxed))
    }

    async fn answer_stream(&self, mut stream: tokio::net::TcpStream) {
        let Ok(_place) = self.free.try_acquire() else { return };
        // A client that stops in the middle of a question has made its last one.
        while let Ok(Ok(question)) = tokio::time::timeout(IDLE, read_message(&mut stream)).await {
            let reply = match self.decide(&question) {
                Verdict::Answer(reply) => reply,
                Verdict::Forward(servers) => self.forward(&question, &servers, Transport::Tcp).await,
                Verdict::Ignore => return,
            };
            if write_message(&mut stream, &reply).await.is_err() {
                return;
            }
        }
    }

    /// Asks one server after the other; SERVFAIL when none answers.
    async fn forward(&self, question: &[u8], servers: &[IpAddr], transport: Transport) -> Vec<u8> {
        if let Ok(_place) = self.free.try_acquire() {
            for server in servers.iter().take(3) {
                let asked = tokio::time::timeout(PATIENCE, ask(SocketAddr::new(*server, 53), question, transport));
                if let Ok(Ok(reply)) = asked.await
                    && reply.len() >= 12
                {
                    return reply;
                }
            }
        }
        failure(question)
    }
}

/// Asks a server from a port of its own, connected, so that only that server can answer; the id has to be the question's.
async fn ask(server: SocketAddr, question: &[u8], transport: Transport) -> std::io::Result<Vec<u8>> {
    if transport == Transport::Tcp {
        let mut stream = tokio::net::TcpStream::connect(server).await?;
        write_message(&mut stream, question).await?;
        return read_message(&mut stream).await;
    }
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = tokio::net::UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if length >= 12 && question.get(..2) == Some(&buffer[..2]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
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
