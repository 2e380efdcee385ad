//! The writing side, in the monitor: lines are cut, stamped and appended with one write a batch.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Stream, format_time};

/// A line longer than this is split.
const LONGEST: usize = 16 * 1024;

/// How large the file grows and how many older ones are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; `None` is without limit.
    pub size: Option<u64>,
    /// The current one included; at least 1.
    pub files: u32,
}

/// Appends to a log file.
///
/// A full disk loses lines and counts them; it never stops the container. When there is room again a line says how many.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    written: u64,
    limits: Limits,
    pending: [Vec<u8>; 2],
    lost: u64,
    /// The last entry may lie torn on disk after a failed write.
    torn: bool,
}

impl Writer {
    /// Opens the file to append; what is there stays.
    pub fn open(path: &Path, limits: Limits) -> std::io::Result<Self> {
        let file = open(path)?;
        let written = file.metadata()?.len();
        let pending = [Vec::new(), Vec::new()];
        Ok(Self { path: path.to_owned(), file, written, limits, pending, lost: 0, torn: written > 0 })
    }

    /// Takes output; whole lines are written, the rest waits for its end.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], wall: i64, monotonic: u64) {
        let mut batch = Vec::with_capacity(bytes.len() + 128);
        let mut lines = 0;
        let pending = &mut self.pending[stream as usize];
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while pending.len() + piece.len() > LONGEST {
                let (fits, rest) = piece.split_at(LONGEST - pending.len());
                pending.extend_from_slice(fits);
                append_entry(&mut batch, stream, pending, wall, monotonic);
                lines += 1;
                pending.clear();
                piece = rest;
            }
            pending.extend_from_slice(piece);
            if pending.ends_with(b"\n") {
                append_entry(&mut batch, stream, pending, wall, monotonic);
                lines += 1;
                pending.clear();
            }
        }
        self.store(&batch, lines, wall, monotonic);
    }

    /// Writes what still waits for the end of its line.
    pub fn finish(&mut self, wall: i64, monotonic: u64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.pending[stream as usize]);
            if !rest.is_empty() {
                let mut batch = Vec::new();
                append_entry(&mut batch, stream, &rest, wall, monotonic);
                self.store(&batch, 1, wall, monotonic);
            }
        }
    }

    fn store(&mut self, batch: &[u8], lines: u64, wall: i64, monotonic: u64) {
        if batch.is_empty() {
            return;
        }
        if self.limits.size.is_some_and(|size| self.written > 0 && self.written + batch.len() as u64 > size) {
            self.rotate();
        }
        let mut whole = Vec::new();
        if self.torn {
            // Whatever an earlier write left half-done ends here.
            whole.push(b'\n');
        }
        if self.lost > 0 {
            let marker = format!("[{} lines were lost: the log could not be written]\n", self.lost);
            append_entry(&mut whole, Stream::Stderr, marker.as_bytes(), wall, monotonic);
        }
        whole.extend_from_slice(batch);
        match self.file.write_all(&whole) {
            Ok(()) => {
                self.written += whole.len() as u64;
                (self.lost, self.torn) = (0, false);
            }
            Err(_) => {
                self.lost += lines;
                self.torn = true;
            }
        }
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on.
    fn rotate(&mut self) {
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..self.limits.files.saturating_sub(1)).rev() {
            // A number that is not there yet has nothing to be moved.
            let _ = std::fs::rename(numbered(number), numbered(number + 1));
        }
        let moved =
            if self.limits.files > 1 { std::fs::rename(&self.path, numbered(1)) } else { std::fs::remove_file(&self.path) };
        if let (Ok(()), Ok(file)) = (moved, open(&self.path)) {
            self.file = file;
            self.written = 0;
            self.torn = false;
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

fn append_entry(batch: &mut Vec<u8>, stream: Stream, text: &[u8], wall: i64, monotonic: u64) {
    batch.extend_from_slice(b"{\"log\":");
    append_text(batch, text);
    let name = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let time = format_time(wall);
    batch.extend_from_slice(format!(",\"stream\":\"{name}\",\"time\":\"{time}\",\"mono\":{monotonic}}}\n").as_bytes());
}

/// A JSON string; bytes that are no UTF-8 become U+FFFD.
fn append_text(batch: &mut Vec<u8>, text: &[u8]) {
    batch.push(b'"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => batch.extend_from_slice(b"\\\""),
                '\\' => batch.extend_from_slice(b"\\\\"),
                '\n' => batch.extend_from_slice(b"\\n"),
                '\r' => batch.extend_from_slice(b"\\r"),
                '\t' => batch.extend_from_slice(b"\\t"),
                control if (control as u32) < 0x20 => batch.extend_from_slice(format!("\\u{:04x}", control as u32).as_bytes()),
                other => batch.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            batch.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    batch.push(b'"');
}
