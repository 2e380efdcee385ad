//! What layers and archives are compressed with: gzip of several members, zstd of several frames, or nothing, by their first bytes.
//!
//! Decompression happens in this process, and ends where a stream comes to much more than what it was compressed to.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How much larger than compressed a layer may be. Programs and texts come to 20 times, and rarely more.
const MAX_RATIO: u64 = 200;
/// Up to here nothing is asked.
const ANY_RATIO: u64 = 256 << 20;
/// Bytes of a compressed stream that are read at once.
const CHUNK: usize = 64 * 1024;

/// Whether something that begins so is gzip or zstd.
pub(crate) fn is_compressed(magic: [u8; 4]) -> bool {
    matches!(magic, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// Decompresses what may be gzip, zstd or neither, by its first bytes.
///
/// # Errors
/// What grows beyond all measure is not read to its end.
pub(crate) fn decompress<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    decompress_beyond(ANY_RATIO, source)
}

fn decompress_beyond<'a>(unasked: u64, source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let packed = Arc::new(AtomicU64::new(0));
    let mut source = Packing { inner: source, packed: packed.clone() };
    let mut magic = [0; 4];
    let mut filled = 0;
    while filled < magic.len() {
        match source.read(&mut magic[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let whole = io::Cursor::new(magic[..filled].to_vec()).chain(source);
    let inner: Box<dyn Read + 'a> = match magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(CHUNK, whole))),
        magic if is_compressed(magic) => Box::new(Frames::new(BufReader::with_capacity(CHUNK, whole))),
        _ => Box::new(whole),
    };
    Ok(Box::new(Bounded { inner, count: 0, unasked, packed }))
}

/// Counts what is read of a compressed stream.
struct Packing<R> {
    inner: R,
    packed: Arc<AtomicU64>,
}

impl<R: Read> Read for Packing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.packed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Ends a stream that is much larger than what it was compressed to.
struct Bounded<R> {
    inner: R,
    count: u64,
    /// Up to here anything may come.
    unasked: u64,
    packed: Arc<AtomicU64>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        let most = self.packed.load(Ordering::Relaxed).saturating_mul(MAX_RATIO).max(self.unasked);
        if self.count > most {
            return Err(io::Error::other(format!("it comes to more than {MAX_RATIO} times its compressed size")));
        }
        Ok(count)
    }
}

/// A zstd stream: frames one after the other, and some that are to be skipped.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame has begun.
    inside: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Self {
        Self { source, decoder: FrameDecoder::new(), inside: false }
    }

    /// Begins the next frame, if there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(&error)),
            }
        }
        Ok(false)
    }
}

fn invalid(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.inside && !self.begin()? {
                return Ok(0);
            }
            self.inside = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| invalid(&error))?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.inside = !self.decoder.is_finished();
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_all_measure_is_not_read_to_its_end() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::copy(&mut std::io::repeat(0).take(16 << 20), &mut packed).unwrap();
        let packed = packed.finish().unwrap();
        let read = |unasked| std::io::copy(&mut decompress_beyond(unasked, packed.as_slice()).unwrap(), &mut std::io::sink());
        assert_eq!(read(16 << 20).unwrap(), 16 << 20);
        let error = read(1 << 20).unwrap_err();
        assert!(error.to_string().contains("200 times its compressed size"), "{error}");
    }

    #[test]
    fn zstd_streams_may_have_several_frames() {
        let frame = |text: &[u8]| {
            // A frame of one raw block: magic, a header that says only its size, block header, content.
            let size = u8::try_from(text.len()).unwrap();
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size, size << 3 | 1, 0, 0], text].concat()
        };
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let read = |bytes: &[u8]| {
            let mut text = String::new();
            decompress(bytes).and_then(|mut stream| stream.read_to_string(&mut text)).map(|_| text)
        };
        assert_eq!(read(&[&frame(b"one"), &skipped[..], &frame(b"two")].concat()).unwrap(), "onetwo");
        assert_eq!(read(&[&skipped[..], &frame(b"two")].concat()).unwrap(), "two");
        assert!(read(&[&frame(b"one")[..], b"garbage"].concat()).is_err());
        assert!(read(&frame(b"one")[..9]).is_err());
    }
}
