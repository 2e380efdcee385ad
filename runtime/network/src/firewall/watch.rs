//! Noticing that somebody changed the kernel's tables: `nft flush ruleset` takes ours along.
//!
//! The kernel announces every change of any table. What was changed is not read from the announcement, which may be lost: the
//! table is looked at.

use netlink_sys::Socket;
use rcompose_sys::Error;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_util::sync::CancellationToken;

use super::Firewall;
use crate::netlink::{Connection, NETFILTER};

/// Announcements of tables, chains and rules.
const GROUP: u32 = 7;

impl Firewall {
    /// Repairs the table whenever rules of it are gone, until told to stop. Watches the network namespace of this thread.
    pub(crate) fn watch(&self, stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
        let failure = |error: std::io::Error| {
            Error::new("setsockopt", "NETLINK_ADD_MEMBERSHIP", Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        let socket = Connection::open(NETFILTER)?.into_socket();
        socket.add_membership(GROUP).and_then(|()| socket.set_non_blocking(true)).map_err(failure)?;
        let firewall = self.clone();
        Ok(async move {
            tokio::select! {
                // The table is written whole or not at all: nothing is lost when this ends in between.
                () = stop.cancelled() => {}
                ended = firewall.follow(socket) => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "changes of the firewall by others are not noticed any more");
                    }
                }
            }
        })
    }

    async fn follow(&self, socket: Socket) -> std::io::Result<()> {
        let socket = watchable(socket)?;
        loop {
            let mut ready = socket.readable().await?;
            // One look for all that has happened until now.
            while ready.try_io(|socket| forget_one(socket.get_ref())).is_ok_and(|read| read.is_ok()) {}
            match self.repair() {
                Ok(false) => {}
                Ok(true) => tracing::warn!(table = self.name, "rules were removed by somebody else, and are written again"),
                Err(error) => tracing::warn!(%error, table = self.name, "the firewall could not be looked at"),
            }
        }
    }
}

#[expect(deprecated, reason = "the socket owns its descriptor as long as it lives, which is what the newer call asks")]
fn watchable(socket: Socket) -> std::io::Result<AsyncFd<Socket>> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// Takes an announcement off the queue. Too many for the queue are an announcement too.
fn forget_one(socket: &Socket) -> std::io::Result<()> {
    match socket.recv(&mut Vec::with_capacity(64), 0) {
        Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => Ok(()),
        other => other.map(drop),
    }
}
