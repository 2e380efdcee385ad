//! The reading side: entries of the current file and the older ones, from a point on, and further as they come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Stream, parse_time};

/// One entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Text, with its newline unless it is a part of a longer line.
    pub text: String,
    /// Which output.
    pub stream: Stream,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// CLOCK_MONOTONIC, nanoseconds; 0 if unknown.
    pub monotonic: u64,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Not before, nanoseconds since 1970.
    pub since: Option<i64>,
    /// Not after.
    pub until: Option<i64>,
    /// Only the last so many lines of what is there.
    pub tail: Option<usize>,
}

/// Reads a log.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    current: Option<BufReader<File>>,
    /// An entry whose end has not been written yet.
    partial: Vec<u8>,
}

#[derive(Deserialize)]
struct Line {
    log: String,
    stream: Stream,
    time: String,
    #[serde(default)]
    mono: u64,
}

impl Reader {
    /// Reads what is there, older files first, and stands at the end afterwards.
    pub fn open(path: &Path, selection: Selection) -> std::io::Result<(Self, Vec<Entry>)> {
        let mut reader = Self { path: path.to_owned(), current: None, partial: Vec::new() };
        let mut kept: VecDeque<Entry> = VecDeque::new();
        let mut keep = |entry: Entry| {
            if selection.since.is_none_or(|since| entry.time >= since) && selection.until.is_none_or(|until| entry.time <= until)
            {
                kept.push_back(entry);
                if selection.tail.is_some_and(|tail| kept.len() > tail) {
                    kept.pop_front();
                }
            }
        };
        for older in older_files(path) {
            let mut file = BufReader::new(File::open(older)?);
            let mut rest = Vec::new();
            while let Some(entry) = next(&mut file, &mut rest)? {
                keep(entry);
            }
        }
        while let Some(entry) = reader.read()? {
            keep(entry);
        }
        Ok((reader, kept.into()))
    }

    /// The next entry, `None` when there is no more for now. Goes over to the new file when the log was rotated.
    pub fn read(&mut self) -> std::io::Result<Option<Entry>> {
        loop {
            if self.current.is_none() {
                match File::open(&self.path) {
                    Ok(file) => self.current = Some(BufReader::new(file)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            if let Some(entry) = next(current, &mut self.partial)? {
                return Ok(Some(entry));
            }
            if !was_replaced(current.get_ref(), &self.path)? {
                return Ok(None);
            }
            self.current = None;
            self.partial.clear();
        }
    }

    /// Goes to the end, so that only what comes from now on is read.
    pub fn skip_to_end(&mut self) -> std::io::Result<()> {
        if let Some(current) = &mut self.current {
            current.seek(SeekFrom::End(0))?;
        }
        self.partial.clear();
        Ok(())
    }
}

fn older_files(path: &Path) -> Vec<PathBuf> {
    let numbered = |number: u32| PathBuf::from(format!("{}.{number}", path.display()));
    let mut found: Vec<PathBuf> = (1..1000).map(numbered).take_while(|path| path.exists()).collect();
    found.reverse();
    found
}

fn was_replaced(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) != (named.dev(), named.ino())),
        Err(_) => Ok(false),
    }
}

/// The next whole entry; what is no entry (torn by a crash) is skipped.
fn next(file: &mut BufReader<File>, partial: &mut Vec<u8>) -> std::io::Result<Option<Entry>> {
    loop {
        if file.read_until(b'\n', partial)? == 0 || !partial.ends_with(b"\n") {
            return Ok(None);
        }
        let line = std::mem::take(partial);
        if let Ok(Line { log, stream, time, mono }) = serde_json::from_slice(&line) {
            return Ok(Some(Entry { text: log, stream, time: parse_time(&time).unwrap_or(0), monotonic: mono }));
        }
    }
}

#[cfg(test)]
mod tests {
    use rcompose_sys::atomic::TempDir;

    use super::super::{Limits, Writer};
    use super::*;

    const NO_LIMIT: Limits = Limits { size: None, files: 1 };

    fn texts(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.text.as_str()).collect()
    }

    #[test]
    fn reads_what_was_written_and_then_what_comes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("x.log");
        let mut writer = Writer::open(&path, NO_LIMIT).unwrap();
        writer.write(Stream::Stdout, b"one\ntw", 1, 1);
        writer.write(Stream::Stderr, b"err \"\x01\xff\n", 2, 2);
        let (mut reader, entries) = Reader::open(&path, Selection::default()).unwrap();
        assert_eq!(texts(&entries), ["one\n", "err \"\u{1}\u{fffd}\n"]);
        assert_eq!(reader.read().unwrap(), None);
        writer.write(Stream::Stdout, b"o\n", 3, 3);
        let entry = reader.read().unwrap().unwrap();
        assert_eq!((entry.text.as_str(), entry.time, entry.monotonic), ("two\n", 3, 3));
    }

    #[test]
    fn follows_over_rotation_and_keeps_as_many_files_as_asked() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("x.log");
        let mut writer = Writer::open(&path, Limits { size: Some(300), files: 3 }).unwrap();
        let (mut reader, _) = Reader::open(&path, Selection::default()).unwrap();
        let mut seen = Vec::new();
        for number in 0..20 {
            writer.write(Stream::Stdout, format!("line {number}\n").as_bytes(), number, 0);
            while let Some(entry) = reader.read().unwrap() {
                seen.push(entry.time);
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        let (_, tail) = Reader::open(&path, Selection { tail: Some(4), ..Selection::default() }).unwrap();
        assert_eq!(texts(&tail), ["line 16\n", "line 17\n", "line 18\n", "line 19\n"]);
    }

    #[test]
    fn splits_long_lines_and_survives_a_torn_one() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("x.log");
        let mut writer = Writer::open(&path, NO_LIMIT).unwrap();
        writer.write(Stream::Stdout, &vec![b'x'; 40_000], 1, 1);
        writer.finish(2, 2);
        let (_, entries) = Reader::open(&path, Selection::default()).unwrap();
        assert_eq!(entries.iter().map(|entry| entry.text.len()).collect::<Vec<_>>(), [16_384, 16_384, 7232]);
        std::fs::write(&path, "{\"log\":\"torn").unwrap();
        let mut writer = Writer::open(&path, NO_LIMIT).unwrap();
        writer.write(Stream::Stdout, b"whole\n", 3, 3);
        let (_, entries) = Reader::open(&path, Selection::default()).unwrap();
        assert_eq!(texts(&entries), ["whole\n"]);
    }
}
