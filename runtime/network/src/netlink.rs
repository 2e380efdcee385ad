//! Netlink, spoken directly: messages with nested attributes, sent many at a time, each answered.
//!
//! A socket belongs to the network namespace that its thread was in when it was opened. The two families used here, links and
//! nftables, share one small encoder; both speak in tables of numbers that their callers name.

use netlink_sys::{Socket, SocketAddr};
use rcompose_sys::Error;
use rustix::io::Errno;

/// Family of links, addresses and routes.
pub(crate) const ROUTE: isize = 0;
/// Family of nftables.
pub(crate) const NETFILTER: isize = 12;

pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACKNOWLEDGE: u16 = 4;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const DUMP: u16 = 0x300;

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A message being written.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    /// What it does, for errors.
    about: String,
}

impl Message {
    /// A request of a kind; `flags` beside REQUEST.
    pub(crate) fn new(kind: u16, flags: u16, about: impl Into<String>) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        Self { bytes, about: about.into() }
    }

    /// Adds the fixed part of the family.
    pub(crate) fn fixed(mut self, payload: &[u8]) -> Self {
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Adds an attribute.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// Adds an attribute that holds a text, with its zero.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that holds a number in the machine's order.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute that holds a number in network order, as nftables wants it.
    pub(crate) fn network_number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Adds an attribute that holds attributes.
    pub(crate) fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        const NESTED: u16 = 0x8000;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self = fill(self);
        let length = u16::try_from(self.bytes.len() - start).expect("nested attributes are far smaller than 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        self
    }

    /// Attributes that will be put into another message.
    pub(crate) fn data() -> Self {
        Self { bytes: Vec::new(), about: String::new() }
    }

    /// Puts the attributes of another message in.
    pub(crate) fn append(mut self, data: &Self) -> Self {
        self.bytes.extend_from_slice(&data.bytes);
        self
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).expect("attributes are far smaller than 64 KiB");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("messages are small");
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    fn wants_answer(&self) -> bool {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) & ACKNOWLEDGE != 0
    }
}

/// An open conversation with the kernel.
pub(crate) struct Connection {
    socket: Socket,
}

impl Connection {
    /// Opens a conversation in the network namespace of this thread.
    pub(crate) fn open(family: isize) -> Result<Self, Error> {
        let failure = |error: std::io::Error| Error::new("socket", "AF_NETLINK", errno(&error));
        let mut socket = Socket::new(family).map_err(failure)?;
        socket.bind_auto().map_err(failure)?;
        // Larger than any answer to what one batch asks.
        let _ = socket.set_rx_buf_sz(1_i32 << 20);
        Ok(Self { socket })
    }

    /// Its socket, for those who listen only.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Sends messages at once and waits until each that wants it has been answered; the first refusal is the error.
    pub(crate) fn transact(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        let abouts: Vec<String> = messages.iter().map(|message| message.about.clone()).collect();
        let mut waiting: std::collections::BTreeSet<u32> =
            (1..).zip(&messages).filter(|(_, message)| message.wants_answer()).map(|(sequence, _)| sequence).collect();
        let bytes: Vec<u8> = (1..).zip(messages).flat_map(|(sequence, message)| message.finish(sequence)).collect();
        self.send(&bytes)?;
        let mut refusal = None;
        while !waiting.is_empty() {
            for (kind, sequence, payload) in self.receive()? {
                if kind != ERROR {
                    continue;
                }
                let code = payload.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                if code != 0 && refusal.is_none() {
                    let about = abouts.get(sequence.wrapping_sub(1) as usize).cloned().unwrap_or_default();
                    refusal = Some(Error::new("netlink", about, Errno::from_raw_os_error(-code)));
                }
                waiting.remove(&sequence);
                // A batch of nftables is refused as a whole; what follows is not answered one by one.
                if code != 0 {
                    waiting.retain(|other| *other <= sequence);
                }
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Sends one question and collects everything that answers it.
    pub(crate) fn dump(&mut self, message: Message) -> Result<Vec<Vec<u8>>, Error> {
        let about = message.about.clone();
        self.send(&message.finish(1))?;
        let mut answers = Vec::new();
        loop {
            for (kind, _, payload) in self.receive()? {
                match kind {
                    DONE => return Ok(answers),
                    ERROR => {
                        let code = payload.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                        return Err(Error::new("netlink", about, Errno::from_raw_os_error(-code)));
                    }
                    _ => answers.push(payload),
                }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let kernel = SocketAddr::new(0, 0);
        let sent = self.socket.send_to(bytes, &kernel, 0);
        sent.map(drop).map_err(|error| Error::new("sendto", format!("AF_NETLINK, {} bytes", bytes.len()), errno(&error)))
    }

    fn receive(&mut self) -> Result<Vec<(u16, u32, Vec<u8>)>, Error> {
        let (bytes, _) = self.socket.recv_from_full().map_err(|error| Error::new("recvfrom", "AF_NETLINK", errno(&error)))?;
        let mut rest = bytes.as_slice();
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let number = |at: usize| u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            let length = (number(0) as usize).clamp(HEADER, rest.len());
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            messages.push((kind, number(8), rest[HEADER..length].to_vec()));
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
        Ok(messages)
    }
}

/// The attributes behind a fixed part.
pub(crate) fn attributes(payload: &[u8], fixed: usize) -> Vec<(u16, &[u8])> {
    let mut rest = payload.get(fixed..).unwrap_or_default();
    let mut found = Vec::new();
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]])).clamp(4, rest.len());
        found.push((u16::from_ne_bytes([rest[2], rest[3]]) & 0x3fff, &rest[4..length]));
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    found
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
