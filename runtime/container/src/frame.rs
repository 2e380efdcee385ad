//! Frames: how input, output and control share one stream, from a monitor through the supervisor to a terminal.
//!
//! ```text
//! | kind: u8 | length: u32, big-endian | payload |
//! ```

/// The most that a payload may hold.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// Bytes before the payload.
pub const HEADER: usize = 5;

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes for standard input.
    Stdin(Vec<u8>),
    /// Bytes of standard output.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
    /// The terminal has another size now.
    Resize {
        /// Lines.
        rows: u16,
        /// Characters a line.
        columns: u16,
    },
    /// Nothing more for standard input.
    StdinClosed,
    /// The process has ended with this status.
    Exit(i32),
    /// The process could not be started.
    Error(String),
    /// A signal for the process.
    Signal(i32),
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such kind.
    #[error("unknown frame kind {0}")]
    UnknownKind(u8),
    /// More than [`MAX_PAYLOAD`].
    #[error("frame of {0} bytes; at most 1 MiB is allowed")]
    TooLong(usize),
    /// A payload of the wrong size for its kind.
    #[error("frame of kind {kind} with {length} bytes")]
    WrongLength {
        /// Kind.
        kind: u8,
        /// Its payload's.
        length: usize,
    },
}

impl Frame {
    /// The bytes of the frame.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, payload): (u8, std::borrow::Cow<'_, [u8]>) = match self {
            Self::Stdin(bytes) => (0, bytes.as_slice().into()),
            Self::Stdout(bytes) => (1, bytes.as_slice().into()),
            Self::Stderr(bytes) => (2, bytes.as_slice().into()),
            Self::Resize { rows, columns } => (3, [rows.to_be_bytes(), columns.to_be_bytes()].concat().into()),
            Self::StdinClosed => (4, Vec::new().into()),
            Self::Exit(code) => (5, code.to_be_bytes().to_vec().into()),
            Self::Error(text) => (6, text.as_bytes().into()),
            Self::Signal(signal) => (7, signal.to_be_bytes().to_vec().into()),
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        [&[kind], length.to_be_bytes().as_slice(), &payload].concat()
    }

    /// Takes the first frame out of `buffer`, if it is there whole.
    pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, FrameError> {
        let Some((&kind, rest)) = buffer.split_first() else { return Ok(None) };
        let Some(length) = rest.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes) as usize) else { return Ok(None) };
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLong(length));
        }
        if buffer.len() < HEADER + length {
            return Ok(None);
        }
        let frame = Self::decode(kind, &buffer[HEADER..HEADER + length])?;
        buffer.drain(..HEADER + length);
        Ok(Some(frame))
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let wrong = || FrameError::WrongLength { kind, length: payload.len() };
        let number = || payload.try_into().map(i32::from_be_bytes).map_err(|_| wrong());
        Ok(match kind {
            0 => Self::Stdin(payload.to_vec()),
            1 => Self::Stdout(payload.to_vec()),
            2 => Self::Stderr(payload.to_vec()),
            3 => match payload {
                [a, b, c, d] => Self::Resize { rows: u16::from_be_bytes([*a, *b]), columns: u16::from_be_bytes([*c, *d]) },
                _ => return Err(wrong()),
            },
            4 => Self::StdinClosed,
            5 => Self::Exit(number()?),
            6 => Self::Error(String::from_utf8_lossy(payload).into_owned()),
            7 => Self::Signal(number()?),
            other => return Err(FrameError::UnknownKind(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_taken_again() {
        let frames = [
            Frame::Stdin(b"in".to_vec()),
            Frame::Stdout(Vec::new()),
            Frame::Stderr(b"err".to_vec()),
            Frame::Resize { rows: 24, columns: 80 },
            Frame::StdinClosed,
            Frame::Exit(-1),
            Frame::Error("no".to_owned()),
            Frame::Signal(15),
        ];
        let mut buffer: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        for frame in frames {
            assert_eq!(Frame::take(&mut buffer), Ok(Some(frame)));
        }
        assert_eq!(Frame::take(&mut buffer), Ok(None));
    }

    #[test]
    fn waits_for_the_rest_and_refuses_nonsense() {
        assert_eq!(Frame::take(&mut vec![1, 0, 0, 0, 9, 1]), Ok(None));
        assert_eq!(Frame::take(&mut vec![99, 0, 0, 0, 0]), Err(FrameError::UnknownKind(99)));
        assert_eq!(Frame::take(&mut vec![0, 255, 255, 255, 255]), Err(FrameError::TooLong(u32::MAX as usize)));
        assert!(Frame::take(&mut vec![5, 0, 0, 0, 1, 0]).is_err());
    }
}
