//! A limit on what may stand between two entries of an archive: headers that go on and on would be held in memory.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Headers of one entry: names, links and attributes that do not fit into the first of them.
const HEADERS: u64 = 2 << 20;

/// Ends a stream that has more of something than it may. Clones watch the same stream.
#[derive(Clone)]
pub(crate) struct Fuse(Rc<Cell<u64>>);

impl Fuse {
    pub(crate) fn new() -> Self {
        Self(Rc::new(Cell::new(u64::MAX)))
    }

    /// What the archive is read through.
    pub(crate) fn reading<R>(&self, inner: R) -> Fused<R> {
        Fused { inner, fuse: self.clone() }
    }

    /// The next entry. What was left of the one before is read here, and not counted as its headers.
    pub(crate) fn next<'a, R: Read>(&self, entries: &mut tar::Entries<'a, R>) -> io::Result<Option<tar::Entry<'a, R>>> {
        self.0.set(HEADERS);
        let next = entries.next().transpose();
        self.0.set(u64::MAX);
        next
    }
}

/// A stream with a limit.
pub(crate) struct Fused<R> {
    inner: R,
    fuse: Fuse,
}

impl<R: Read> Read for Fused<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.fuse.0.get();
        if left < count as u64 {
            return Err(io::Error::other(format!("the headers of an entry have more than {HEADERS} bytes")));
        }
        if left < u64::MAX {
            self.fuse.0.set(left - count as u64);
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Fused<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_an_end() {
        let archive = |length: u64| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_size(length);
            header.set_cksum();
            let mut archive = tar::Builder::new(Vec::new());
            archive.append(&header, io::repeat(b'x').take(length)).unwrap();
            archive.into_inner().unwrap()
        };
        let read = |length| {
            let (fuse, bytes) = (Fuse::new(), archive(length));
            let mut tar = tar::Archive::new(fuse.reading(bytes.as_slice()));
            let result = fuse.next(&mut tar.entries().unwrap()).map(|_| ());
            result.map_err(|error| error.to_string())
        };
        assert!(read(8 << 20).unwrap_err().contains("headers of an entry"));
        assert!(!read(1 << 20).is_err_and(|error| error.contains("headers of an entry")));
    }
}
