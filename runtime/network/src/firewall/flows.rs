//! Flows that the kernel remembers. UDP has no beginning: a client that goes on sending keeps the translation of its first packet,
//! to a container that is gone, or to none.

use rcompose_sys::Error;
use rustix::io::Errno;

use super::Protocol;
use crate::netlink::{ACKNOWLEDGE, Connection, DUMP, Message, attributes};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;

/// `struct nfgenmsg`, of any family or one.
fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// A flow, as far as it is needed to forget it.
struct Flow {
    family: u8,
    /// Its first direction, as the kernel wrote it.
    tuple: Vec<u8>,
}

/// Forgets UDP flows to these ports. A kernel that does not show its flows keeps them.
pub(super) fn forget(connection: &mut Connection, ports: &[u16]) -> Result<(), Error> {
    let question = Message::new(GET, DUMP, "IPCTNL_MSG_CT_GET").fixed(&header(0));
    let known = match connection.dump(question) {
        Err(error) if matches!(error.errno(), Errno::INVAL | Errno::NOTSUP | Errno::PROTONOSUPPORT) => return Ok(()),
        other => other?,
    };
    for flow in known.iter().filter_map(|payload| udp_flow(payload, ports)) {
        match connection.transact(vec![forgetting(&flow)]) {
            // It ended by itself.
            Err(error) if error.errno() == Errno::NOENT => {}
            other => other?,
        }
    }
    Ok(())
}

// Attributes of a flow (nfnetlink_conntrack.h).
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const PROTOCOL_DESTINATION_PORT: u16 = 3;

fn udp_flow(payload: &[u8], ports: &[u16]) -> Option<Flow> {
    let find = |list: Vec<(u16, &[u8])>, wanted: u16| {
        list.into_iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.to_vec())
    };
    let tuple = find(attributes(payload, 4), TUPLE_ORIGINAL)?;
    let transport = find(attributes(&tuple, 0), TUPLE_PROTOCOL)?;
    let number = find(attributes(&transport, 0), PROTOCOL_NUMBER)?;
    let port = find(attributes(&transport, 0), PROTOCOL_DESTINATION_PORT)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    (number == [Protocol::Udp.number()] && ports.contains(&port)).then(|| Flow { family: payload[0], tuple })
}

fn forgetting(flow: &Flow) -> Message {
    let message = Message::new(DELETE, ACKNOWLEDGE, "IPCTNL_MSG_CT_DELETE").fixed(&header(flow.family));
    message.nested(TUPLE_ORIGINAL, |inside| inside.fixed(&flow.tuple))
}
