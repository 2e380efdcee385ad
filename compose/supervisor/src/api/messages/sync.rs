//! Files that are written into containers: a body of frames, as much at a time as the other side takes.
//!
//! ```text
//! kind (1 byte)  length (4 bytes, big-endian)  payload
//!    e           of the payload                an entry as JSON; the first frame is the request
//!    c           of the payload                content of the file that began last, which an entry `finish` ends
//! ```

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::Failure;

/// Which containers get what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRequest {
    /// Their ids.
    pub containers: Vec<String>,
}

/// One thing that is done in each of them. Paths are the container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum SyncEntry {
    /// What is there goes; a directory only if nothing is in it.
    Remove {
        /// Where.
        target: String,
    },
    /// A directory is there afterwards.
    Directory {
        /// Where.
        target: String,
        /// Permission bits, if it has to be made.
        mode: u32,
    },
    /// A symbolic link is there afterwards.
    Link {
        /// Where.
        target: String,
        /// What it holds.
        leads_to: String,
    },
    /// A file begins.
    File {
        /// Where.
        target: String,
        /// Permission bits.
        mode: u32,
        /// Nanoseconds since 1970.
        modified: i64,
        /// Device and number of the file that is copied: where a container has that very file, nothing is done.
        identity: (u64, u64),
    },
    /// It is whole; one that does not end so never was.
    Finish,
}

/// A part of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncFrame {
    /// What there is to do.
    Entry(SyncEntry),
    /// Some of a file's content.
    Content(Bytes),
}

/// No content is larger, so that a reader needs to hold no more.
pub const MAX_CONTENT: usize = 256 * 1024;

/// No entry is longer.
const MAX_ENTRY: usize = 64 * 1024;

/// Adds an entry, or the request.
pub fn put_sync_entry(entry: &impl Serialize, into: &mut Vec<u8>) {
    let json = serde_json::to_vec(entry).expect("messages have a JSON form");
    put(b'e', &json, into);
}

/// Adds content of at most [`MAX_CONTENT`] bytes.
pub fn put_sync_content(content: &[u8], into: &mut Vec<u8>) {
    put(b'c', content, into);
}

fn put(kind: u8, payload: &[u8], into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend_from_slice(payload);
}

/// Takes a whole frame from what was read.
///
/// # Errors
/// What is no frame.
pub(crate) fn take_frame(buffer: &mut BytesMut) -> Result<Option<(u8, Bytes)>, String> {
    let Some((kind, length)) = buffer.first().copied().zip(buffer.get(1..5)) else { return Ok(None) };
    let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let limit = match kind {
        b'e' => MAX_ENTRY,
        b'c' => MAX_CONTENT,
        _ => return Err(format!("a frame of kind {kind}")),
    };
    if length > limit {
        return Err(format!("a frame of {length} bytes"));
    }
    if buffer.len() < 5 + length {
        return Ok(None);
    }
    buffer.advance(5);
    Ok(Some((kind, buffer.split_to(length).freeze())))
}

/// Reads a frame behind the request.
pub(crate) fn read_frame(kind: u8, payload: Bytes) -> Result<SyncFrame, String> {
    if kind == b'c' {
        return Ok(SyncFrame::Content(payload));
    }
    serde_json::from_slice(&payload).map(SyncFrame::Entry).map_err(|error| error.to_string())
}

/// A file of this machine that another one has taken the name of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebindRequest {
    /// Its path, as the service mounts it.
    pub source: std::path::PathBuf,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedContainer {
    /// Its id.
    pub id: String,
    /// Paths that could not be written, some of them if there are many; the rest is.
    pub failures: Vec<Failure>,
    /// Why nothing at all could be written.
    pub refused: Option<Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let entry = SyncEntry::File { target: "/a".to_owned(), mode: 0o644, modified: -5, identity: (1, 2) };
        let mut bytes = Vec::new();
        put_sync_entry(&entry, &mut bytes);
        put_sync_content(b"hello", &mut bytes);
        put_sync_entry(&SyncEntry::Finish, &mut bytes);
        let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
        for byte in bytes {
            buffer.extend_from_slice(&[byte]);
            while let Some((kind, payload)) = take_frame(&mut buffer).unwrap() {
                frames.push(read_frame(kind, payload).unwrap());
            }
        }
        let content = SyncFrame::Content(Bytes::from_static(b"hello"));
        assert_eq!(frames, [SyncFrame::Entry(entry), content, SyncFrame::Entry(SyncEntry::Finish)]);
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_is_held() {
        for bytes in [&b"x\0\0\0\0"[..], b"c\x7f\0\0\0", b"e\0\x10\0\0"] {
            assert!(take_frame(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
    }
}
