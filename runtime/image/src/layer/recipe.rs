//! How the archive of a layer was put together, so that it can be put together again, byte for byte.
//!
//! A layer is kept unpacked only. What unpacking loses (the order of entries, headers as some tool wrote them, padding) is kept
//! in a recipe; the content of files is not, since the unpacked layer has it. An archive that is put together again has the
//! digest that it had, which whoever loads it will check, and so do we.
//!
//! ```text
//! recipe = gzip of steps;  step = 0, length u32, bytes | 1, length u64, length of path u16, path     (little-endian)
//! ```

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rcompose_sys::beneath::Root;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Bytes that are collected before they become a step.
const STEP: usize = 64 * 1024;
const BYTES: u8 = 0;
const FILE: u8 = 1;

/// Writes down what passes, but for the content of files. Clones write the same recipe.
#[derive(Clone)]
pub(super) struct Recorder(Rc<RefCell<Recording>>);

struct Recording {
    output: GzEncoder<File>,
    /// How far the archive has been read.
    position: u64,
    /// Up to here it is content of a file.
    content_until: u64,
    /// Steps of files so far.
    files: u32,
    pending: Vec<u8>,
}

impl Recorder {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let output = GzEncoder::new(File::create(path)?, Compression::fast());
        let recording = Recording { output, position: 0, content_until: 0, files: 0, pending: Vec::with_capacity(STEP) };
        Ok(Self(Rc::new(RefCell::new(recording))))
    }

    /// What the archive is read through.
    pub(super) fn reading<R: Read>(&self, inner: R) -> impl Read + use<R> {
        Recorded { inner, recorder: self.clone() }
    }

    /// Takes note of bytes of the archive that somebody else writes.
    pub(super) fn pass(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().pass(bytes)
    }

    /// Says that the next `length` bytes, from `position` on, are the content of the file at `path`.
    /// Gives the number of that step among those of files, if it is one.
    pub(super) fn file(&self, path: &Path, position: u64, length: u64) -> io::Result<Option<u32>> {
        let mut recording = self.0.borrow_mut();
        let path = path.as_os_str().as_bytes();
        let (Ok(path_length), true) = (u16::try_from(path.len()), position == recording.position && length > 0) else {
            // Then it is written down like everything else.
            return Ok(None);
        };
        recording.flush()?;
        let step = recording.files;
        recording.files += 1;
        recording.content_until = position + length;
        let output = &mut recording.output;
        output.write_all(&[FILE])?;
        output.write_all(&length.to_le_bytes())?;
        output.write_all(&path_length.to_le_bytes())?;
        output.write_all(path)?;
        Ok(Some(step))
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let mut recording = self.0.borrow_mut();
        recording.flush()?;
        recording.output.try_finish()
    }
}

impl Recording {
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let content = self.content_until.saturating_sub(self.position);
        let kept = bytes.get(usize::try_from(content).unwrap_or(usize::MAX)..).unwrap_or_default();
        self.position += bytes.len() as u64;
        self.pending.extend_from_slice(kept);
        if self.pending.len() >= STEP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let Ok(length @ 1..) = u32::try_from(self.pending.len()) else { return Ok(()) };
        self.output.write_all(&[BYTES])?;
        self.output.write_all(&length.to_le_bytes())?;
        self.output.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

struct Recorded<R> {
    inner: R,
    recorder: Recorder,
}

impl<R: Read> Read for Recorded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let buffer_length = buffer.len().min(1 << 20);
        let count = self.inner.read(&mut buffer[..buffer_length])?;
        self.recorder.0.borrow_mut().pass(&buffer[..count])?;
        Ok(count)
    }
}

/// Where files are that a later entry of the archive replaced.
pub(crate) fn replaced(recipe: &Path) -> PathBuf {
    recipe.with_extension("replaced")
}

/// One part of the archive.
enum Step {
    Bytes(u64),
    File(PathBuf, u64),
}

struct Steps(GzDecoder<BufReader<File>>);

impl Steps {
    fn open(recipe: &Path) -> io::Result<Self> {
        Ok(Self(GzDecoder::new(BufReader::new(File::open(recipe)?))))
    }

    /// The next step; of [`Step::Bytes`], so many bytes are to be read from `self.0` before the next call.
    fn next(&mut self) -> io::Result<Option<Step>> {
        let mut kind = [0];
        if self.0.read(&mut kind)? == 0 {
            return Ok(None);
        }
        if kind == [BYTES] {
            return Ok(Some(Step::Bytes(u32::from_le_bytes(self.array()?).into())));
        }
        let length = u64::from_le_bytes(self.array()?);
        let mut path = vec![0; u16::from_le_bytes(self.array()?).into()];
        self.0.read_exact(&mut path)?;
        Ok(Some(Step::File(PathBuf::from(std::ffi::OsStr::from_bytes(&path)), length)))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The length of the archive that a recipe makes.
pub(crate) fn archive_size(recipe: &Path) -> io::Result<u64> {
    let mut steps = Steps::open(recipe)?;
    let mut total = 0;
    while let Some(step) = steps.next()? {
        total += match step {
            Step::File(_, length) => length,
            Step::Bytes(length) => io::copy(&mut (&mut steps.0).take(length), &mut io::sink())?,
        };
    }
    Ok(total)
}

/// The archive of an unpacked layer, as it came. Its end is an error unless it had the digest that it should have.
pub(crate) struct Packed {
    layer: Root,
    /// Files that a later entry of the archive replaced, by their steps.
    replaced: Option<Root>,
    steps: Steps,
    /// Steps of files so far.
    files: u32,
    now: Source,
    hash: Sha256,
    expected: Digest,
}

enum Source {
    Between,
    Bytes(u64),
    File(File, PathBuf, u64),
    Ended,
}

impl Packed {
    pub(crate) fn open(layer: &Path, recipe: &Path, expected: &Digest) -> io::Result<Self> {
        let (layer, replaced) = (Root::open(layer)?, Root::open(&replaced(recipe)).ok());
        let (steps, now, hash, expected) = (Steps::open(recipe)?, Source::Between, Sha256::new(), expected.clone());
        Ok(Self { layer, replaced, steps, files: 0, now, hash, expected })
    }

    fn begin(&mut self) -> io::Result<()> {
        self.now = match self.steps.next()? {
            Some(Step::Bytes(length)) => Source::Bytes(length),
            Some(Step::File(path, length)) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let aside = self.replaced.as_ref().and_then(|it| it.open_file(self.files.to_string(), flags, Mode::empty()).ok());
                self.files += 1;
                let file = aside.map_or_else(|| self.layer.open_file(&path, flags, Mode::empty()), Ok)?;
                Source::File(File::from(file), path, length)
            }
            None => Source::Ended,
        };
        let ended = matches!(self.now, Source::Ended);
        if ended && Digest::from_hash(&self.hash.clone().finalize()) != self.expected {
            return Err(io::Error::other(format!("layer {} is not what it was when it was unpacked", self.expected)));
        }
        Ok(())
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        let limit = |left: u64| usize::try_from(left).unwrap_or(usize::MAX).min(room);
        while !buffer.is_empty() {
            let (count, left) = match &mut self.now {
                Source::Ended => return Ok(0),
                Source::Between | Source::Bytes(0) | Source::File(_, _, 0) => {
                    self.begin()?;
                    continue;
                }
                Source::Bytes(left) => (self.steps.0.read(&mut buffer[..limit(*left)])?, left),
                Source::File(file, path, left) => {
                    let count = file.read(&mut buffer[..limit(*left)])?;
                    if count == 0 {
                        return Err(io::Error::other(format!("{path:?} of layer {} is shorter than it was", self.expected)));
                    }
                    (count, left)
                }
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *left -= count as u64;
            self.hash.update(&buffer[..count]);
            return Ok(count);
        }
        Ok(0)
    }
}
