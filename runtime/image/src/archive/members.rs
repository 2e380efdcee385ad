//! The members of an archive: by their clean names, as stretches of one file. Their names are a stranger's and never become paths.
//! A folder with the layout of OCI has the same members, as files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};
use std::sync::Arc;

use rcompose_sys::beneath::Root;
use rustix::fs::{Mode, OFlags};

use super::LoadError;
use crate::layer::{self, Fuse};

/// The most members of one archive: images have a few dozen layers.
const MAX_MEMBERS: usize = 100_000;

/// A stretch of a file, or a file of a folder.
#[derive(Debug, Clone)]
pub(super) struct Member {
    source: Source,
    start: u64,
    pub(super) length: u64,
}

#[derive(Debug, Clone)]
enum Source {
    Open(Arc<File>),
    /// Opened when it is read: a folder may hold more files than may be open.
    Beneath(Arc<Root>, String),
}

/// Where blobs are in a layout.
const BLOBS: &str = "blobs/sha256";

/// The members of an archive.
#[derive(Debug, Default)]
pub(super) struct Members(BTreeMap<String, Member>);

impl Members {
    /// Of a file that can be read anywhere and is not compressed; `None` of any other.
    pub(super) fn of_file(archive: &File) -> Result<Option<Self>, LoadError> {
        let is_file = archive.metadata().map_err(LoadError::Read)?.is_file();
        let mut magic = [0; 4];
        if !is_file || archive.read_at(&mut magic, 0).map_err(LoadError::Read)? < magic.len() || layer::is_compressed(magic) {
            return Ok(None);
        }
        let mut source = archive.try_clone().map_err(LoadError::Read)?;
        source.seek(SeekFrom::Start(0)).map_err(LoadError::Read)?;
        let file = Arc::new(archive.try_clone().map_err(LoadError::Read)?);
        let length = archive.metadata().map_err(LoadError::Read)?.len();
        let fuse = Fuse::new();
        let mut tar = tar::Archive::new(fuse.reading(BufReader::new(source)));
        let mut collecting = Collecting::default();
        let mut entries = tar.entries_with_seek().map_err(LoadError::Read)?;
        while let Some(mut entry) = fuse.next(&mut entries).map_err(LoadError::Read)? {
            let (start, size) = (entry.raw_file_position(), entry.size());
            if start.saturating_add(size) > length {
                return Err(LoadError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            collecting.entry(&mut entry, |_| Ok(Member { source: Source::Open(file.clone()), start, length: size }))?;
        }
        Ok(Some(collecting.finish()))
    }

    /// Of a stream: they are written into one file of `folder`, one after the other.
    pub(super) fn spool(archive: impl Read, folder: &Path) -> Result<Self, LoadError> {
        let stream = layer::decompress(archive).map_err(LoadError::Read)?;
        let fuse = Fuse::new();
        let mut tar = tar::Archive::new(fuse.reading(BufReader::with_capacity(1 << 20, stream)));
        let path = folder.join("members");
        let file = File::options().read(true).append(true).create_new(true).open(path).map_err(LoadError::Read)?;
        let (file, mut end) = (Arc::new(file), 0);
        let mut buffer = vec![0; 1 << 20];
        let mut collecting = Collecting::default();
        let mut entries = tar.entries().map_err(LoadError::Read)?;
        while let Some(mut entry) = fuse.next(&mut entries).map_err(LoadError::Read)? {
            collecting.entry(&mut entry, |entry| {
                let start = end;
                loop {
                    match entry.read(&mut buffer)? {
                        0 => break,
                        count => (&*file).write_all(&buffer[..count])?,
                    }
                    end = (&*file).stream_position()?;
                }
                Ok(Member { source: Source::Open(file.clone()), start, length: end - start })
            })?;
            // What is none of ours.
            io::copy(&mut entry, &mut io::sink()).map_err(LoadError::Read)?;
        }
        Ok(collecting.finish())
    }

    /// Of a folder with the layout of OCI. No link leads out of it.
    pub(super) fn of_layout(folder: &Path) -> Result<Self, LoadError> {
        let refused = |error: rcompose_sys::Error| LoadError::Read(error.into());
        let root = Arc::new(Root::open(folder).map_err(refused)?);
        let mut members = BTreeMap::new();
        let mut add = |name: String| {
            let about = root.open_path(&name).and_then(|handle| regular(&handle).map(|length| (handle, length)));
            if let Ok((_, Some(length))) = about {
                members.insert(name.clone(), Member { source: Source::Beneath(root.clone(), name), start: 0, length });
            }
        };
        ["index.json", "oci-layout"].into_iter().for_each(|name| add(name.to_owned()));
        let listed = root.open_file(BLOBS, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map_err(refused)?;
        let listed = rustix::fs::Dir::new(listed).map_err(|errno| LoadError::Read(errno.into()))?;
        for (count, entry) in listed.enumerate() {
            if count >= MAX_MEMBERS {
                return Err(LoadError::Invalid(format!("it has more than {MAX_MEMBERS} members")));
            }
            let entry = entry.map_err(|errno| LoadError::Read(errno.into()))?;
            if let Some(name) = entry.file_name().to_str().ok().filter(|name| !name.starts_with('.')) {
                add(format!("{BLOBS}/{name}"));
            }
        }
        Ok(Self(members))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Member> {
        self.0.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[derive(Default)]
struct Collecting {
    members: BTreeMap<String, Member>,
    /// Older versions of docker link equal layers to each other.
    links: Vec<(String, String)>,
}

impl Collecting {
    fn entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        content: impl FnOnce(&mut tar::Entry<'_, R>) -> io::Result<Member>,
    ) -> Result<(), LoadError> {
        if self.members.len() + self.links.len() >= MAX_MEMBERS {
            return Err(LoadError::Invalid(format!("it has more than {MAX_MEMBERS} members")));
        }
        let name = member_name(&entry.path().map_err(LoadError::Read)?);
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let member = content(entry).map_err(LoadError::Read)?;
                self.members.insert(name, member);
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name().map_err(LoadError::Read)?.unwrap_or_default().into_owned();
                let hard = entry.header().entry_type() == tar::EntryType::Link;
                let from = if hard { Path::new("") } else { Path::new(&name).parent().unwrap_or(Path::new("")) };
                let target = member_name(&from.join(target));
                self.links.push((name, target));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Members {
        for (name, target) in self.links {
            if let Some(member) = self.members.get(&target).cloned() {
                self.members.insert(name, member);
            }
        }
        Members(self.members)
    }
}

impl Member {
    /// Reads it from its beginning; several may do so at once.
    pub(super) fn read(&self) -> impl Read + use<> {
        Stretch { source: self.source.clone(), position: self.start, end: self.start + self.length }
    }
}

/// The length of a regular file; `None` of anything else.
fn regular(handle: &OwnedFd) -> rcompose_sys::Result<Option<u64>> {
    let about = rustix::fs::fstat(handle).map_err(|errno| rcompose_sys::Error::new("fstat", "a member".to_owned(), errno))?;
    let is_regular = rustix::fs::FileType::from_raw_mode(about.st_mode).is_file();
    Ok(u64::try_from(about.st_size).ok().filter(|_| is_regular))
}

struct Stretch {
    source: Source,
    position: u64,
    end: u64,
}

impl Stretch {
    fn file(&mut self) -> io::Result<&Arc<File>> {
        if let Source::Beneath(root, name) = &self.source {
            let file = root.open_file(name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
            self.source = Source::Open(Arc::new(File::from(file)));
        }
        match &self.source {
            Source::Open(file) => Ok(file),
            Source::Beneath(..) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let position = self.position;
        let count = self.file()?.read_at(&mut buffer[..left], position)?;
        if count == 0 && left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

/// A path of the archive without ways up and around.
pub(super) fn member_name(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    parts.join("/")
}
