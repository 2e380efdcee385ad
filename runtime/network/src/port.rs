//! Published ports: the real sockets that hold them, and the proxy for what NAT cannot carry.
//!
//! A socket listens on every published port, so that nobody else can take it and a conflict is found before anything starts. IPv4
//! packets are translated before they reach it; IPv6 ones (and `::1`) do reach it, and are passed on here.

mod owner;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::copy_bidirectional;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use owner::owner_of;

use crate::firewall::Protocol;

/// A UDP client that is silent for so long is forgotten.
const UDP_IDLE: Duration = Duration::from_secs(90);

/// A port that somebody else holds.
#[derive(Debug, thiserror::Error)]
#[error("Bind for {address} failed: port is already allocated{}", owner.as_deref().map(|it| format!(" by {it}")).unwrap_or_default())]
pub struct PortTaken {
    /// Which.
    pub address: SocketAddr,
    /// Who, if that can be seen.
    pub owner: Option<String>,
    /// What the kernel said.
    #[source]
    pub source: std::io::Error,
}

/// Sockets that hold one published port.
pub(crate) struct Held {
    pub(crate) port: u16,
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

/// Takes the first free port of a range, on the address given or on every one; `None` takes any free one.
pub(crate) fn hold(protocol: Protocol, host: Option<IpAddr>, range: Option<(u16, u16)>) -> Result<Held, PortTaken> {
    let (first, last) = range.unwrap_or((0, 0));
    let mut refusal = None;
    for port in first..=last {
        match hold_one(protocol, host, port) {
            Ok(held) => return Ok(held),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.expect("a range holds at least one port"))
}

/// Takes a port that follows from some words, of those that neither services nor the kernel hand out by themselves; if it is taken,
/// the next that follows.
pub(crate) fn hold_substitute(protocol: Protocol, host: Option<IpAddr>, words: &str) -> Option<Held> {
    (0..32).find_map(|attempt| hold_one(protocol, host, substitute(words, attempt)).ok())
}

fn substitute(words: &str, attempt: u16) -> u16 {
    const FIRST: u64 = 20_000;
    const COUNT: u64 = 12_000;
    // FNV-1a: it has to be the same in every version of this program.
    let bytes = words.bytes().chain(attempt.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    u16::try_from(FIRST + hash % COUNT).expect("below 32000")
}

fn hold_one(protocol: Protocol, host: Option<IpAddr>, port: u16) -> Result<Held, PortTaken> {
    let mut held = Held { port, tcp: Vec::new(), udp: Vec::new() };
    let every = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = host.as_ref().map_or(every.as_slice(), std::slice::from_ref);
    for address in addresses {
        let address = SocketAddr::new(*address, held.port);
        match bind(protocol, address) {
            Ok(socket) => {
                let bound = held.add(protocol, socket);
                held.port = bound.unwrap_or(held.port);
            }
            // A machine without IPv6 has only the other half.
            Err(error) if host.is_none() && address.is_ipv6() && error.kind() != std::io::ErrorKind::AddrInUse => {}
            Err(source) => {
                let owner = owner_of(protocol, address.port());
                return Err(PortTaken { address, owner, source });
            }
        }
    }
    Ok(held)
}

fn bind(protocol: Protocol, address: SocketAddr) -> std::io::Result<std::os::fd::OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections that are only waiting for stragglers do not hold a port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, 128)?;
    }
    Ok(socket)
}

impl Held {
    fn add(&mut self, protocol: Protocol, socket: std::os::fd::OwnedFd) -> Option<u16> {
        match protocol {
            Protocol::Tcp => {
                let listener = TcpListener::from(socket);
                let port = listener.local_addr().ok().map(|address| address.port());
                self.tcp.push(listener);
                port
            }
            Protocol::Udp => {
                let socket = UdpSocket::from(socket);
                let port = socket.local_addr().ok().map(|address| address.port());
                self.udp.push(socket);
                port
            }
        }
    }

    /// Passes on what reaches the sockets, until told to stop.
    pub(crate) async fn serve(self, target: SocketAddr, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        for listener in self.tcp.into_iter().filter_map(|it| tokio::net::TcpListener::from_std(it).ok()) {
            tasks.spawn(pass_streams(listener, target));
        }
        for socket in self.udp.into_iter().filter_map(|it| tokio::net::UdpSocket::from_std(it).ok()) {
            tasks.spawn(pass_datagrams(socket, target));
        }
        stop.cancelled().await;
        tasks.shutdown().await;
    }
}

async fn pass_streams(listener: tokio::net::TcpListener, target: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Waiting for a finished one, or for readiness: nothing is lost when the other arm is taken.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((mut client, _)) => {
                    connections.spawn(async move {
                        if let Ok(mut server) = tokio::net::TcpStream::connect(target).await {
                            // One side ends it; how does not matter to the other.
                            let _ = copy_bidirectional(&mut client, &mut server).await;
                        }
                    });
                }
                // Out of descriptors: later there are some again.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

async fn pass_datagrams(socket: tokio::net::UdpSocket, target: SocketAddr) {
    let socket = std::sync::Arc::new(socket);
    let mut clients: std::collections::HashMap<SocketAddr, std::sync::Arc<tokio::net::UdpSocket>> =
        std::collections::HashMap::new();
    let mut answers: JoinSet<SocketAddr> = JoinSet::new();
    let mut buffer = vec![0; 65_536];
    loop {
        tokio::select! {
            // As above.
            Some(ended) = answers.join_next() => {
                if let Ok(client) = ended {
                    clients.remove(&client);
                }
            }
            Ok((length, client)) = socket.recv_from(&mut buffer) => {
                if !clients.contains_key(&client) && clients.len() < 1024 {
                    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
                    let Ok(upstream) = tokio::net::UdpSocket::bind(any).await else { continue };
                    if upstream.connect(target).await.is_err() {
                        continue;
                    }
                    let upstream = std::sync::Arc::new(upstream);
                    clients.insert(client, upstream.clone());
                    answers.spawn(pass_answers(upstream, socket.clone(), client));
                }
                if let Some(upstream) = clients.get(&client) {
                    // Lost, as datagrams may be.
                    let _ = upstream.send(&buffer[..length]).await;
                }
            }
        }
    }
}

async fn pass_answers(
    upstream: std::sync::Arc<tokio::net::UdpSocket>,
    socket: std::sync::Arc<tokio::net::UdpSocket>,
    client: SocketAddr,
) -> SocketAddr {
    let mut buffer = vec![0; 65_536];
    while let Ok(Ok(length)) = tokio::time::timeout(UDP_IDLE, upstream.recv(&mut buffer)).await {
        if socket.send_to(&buffer[..length], client).await.is_err() {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitutes_are_the_same_each_time_and_differ_from_each_other() {
        assert_eq!(substitute("shop-web-1 80/tcp", 0), 31_508);
        let all: std::collections::BTreeSet<u16> = (0..32).map(|attempt| substitute("shop-web-1 80/tcp", attempt)).collect();
        assert!(all.len() > 30 && all.iter().all(|port| (20_000..32_000).contains(port)), "{all:?}");
    }
}
