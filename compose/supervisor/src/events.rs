//! What happens to containers, told to whoever listens and written down: [`EventLog`].
//!
//! ```text
//! <data>/events/<project>.jsonl      one event a line, the newest last
//!              /<project>.jsonl.1    those before; the file moves here when it is full
//! ```
//! Two files of 1 MiB a project at most. A line is written by one call; what a crash left of one is passed over by readers, and
//! the next line begins anew. Nobody waits for the disk: a loss of power may take the last seconds. Of a supervisor that was
//! killed the next one finds ends that nobody saw, and tells them with the time at which they were.

mod exec;
mod stream;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcompose_engine::Record;
use rcompose_plan::labels;
use tokio::sync::broadcast;

pub(crate) use exec::ExecEvents;
pub(crate) use stream::send;

use crate::messages::{ContainerEvent, EventsRequest, Happening, Why};

/// A file that has grown to this is full.
const FULL: u64 = 1 << 20;

/// What became of a project that is gone is kept so long.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Events that a listener may be behind before it has to read them from the disk.
const BEHIND: usize = 4096;

/// The end of a file that is searched for the last event: longer than any usual line.
const TAIL: u64 = 64 << 10;

/// The events of one data root.
pub(crate) struct EventLog {
    folder: PathBuf,
    state: Mutex<State>,
    told: broadcast::Sender<Arc<ContainerEvent>>,
}

struct State {
    /// Id of the event that was written last.
    last: u64,
    /// Projects whose file ends with a whole line.
    whole: BTreeSet<String>,
}

impl EventLog {
    /// Opens the log; ids go on from the last one.
    pub(crate) fn open(folder: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let last = projects(&folder).iter().filter_map(|project| last_id(&path(&folder, project))).max().unwrap_or(0);
        let (told, _) = broadcast::channel(BEHIND);
        Ok(Self { folder, state: Mutex::new(State { last, whole: BTreeSet::new() }), told })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a container; `at` is when it happened, nanoseconds since 1970, if that was not just now.
    pub(crate) fn tell(&self, of: &Record, what: Happening, at: Option<i64>, why: Option<&Why>) {
        let label = |name: &str| of.spec.labels.get(name).cloned().unwrap_or_default();
        let project = label(labels::PROJECT);
        if project.is_empty() || project.contains(['/', '.']) {
            return;
        }
        let own = of.spec.labels.iter().filter(|(name, _)| !name.starts_with(labels::RESERVED_PREFIX));
        let now = now();
        let mut state = self.state();
        state.last = (state.last + 1).max(u64::try_from(now / 1000).unwrap_or(0));
        let event = ContainerEvent {
            id: state.last,
            time: at.unwrap_or(now),
            what,
            container: of.id.to_string(),
            name: of.spec.name.clone(),
            image: of.spec.image.clone(),
            service: label(labels::SERVICE),
            number: label(labels::CONTAINER_NUMBER).parse().unwrap_or(0),
            one_off: label(labels::ONE_OFF) == "True",
            labels: own.map(|(name, value)| (name.clone(), value.clone())).collect(),
            why: why.cloned(),
            project,
        };
        if let Err(error) = self.write(&mut state, &event) {
            state.whole.remove(&event.project);
            tracing::warn!(%error, container = event.name, "an event could not be written down");
        }
        // Inside the lock, so that they are told in their order. Nobody may be listening.
        let _ = self.told.send(Arc::new(event));
    }

    fn write(&self, state: &mut State, event: &ContainerEvent) -> std::io::Result<()> {
        let path = path(&self.folder, &event.project);
        let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        let mut file = open()?;
        let length = file.metadata()?.len();
        let mut line = Vec::new();
        if length >= FULL {
            std::fs::rename(&path, path.with_extension("jsonl.1"))?;
            file = open()?;
        } else if !state.whole.contains(&event.project) && length > 0 && !ends_with_newline(&mut file)? {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, event)?;
        line.push(b'\n');
        file.write_all(&line)?;
        state.whole.insert(event.project.clone());
        Ok(())
    }

    /// What comes from now on, and the id of the last event before.
    pub(crate) fn subscribe(&self) -> (broadcast::Receiver<Arc<ContainerEvent>>, u64) {
        let state = self.state();
        (self.told.subscribe(), state.last)
    }

    /// What was written down and is wanted, oldest first.
    pub(crate) fn read(&self, wanted: &EventsRequest) -> std::io::Result<Vec<ContainerEvent>> {
        let projects = match &wanted.project {
            Some(project) => vec![project.clone()],
            None => projects(&self.folder),
        };
        let mut events = Vec::new();
        for file in self.files(&projects)? {
            for line in BufReader::new(file).split(b'\n') {
                // A line that a crash cut off is none.
                let Ok(event) = serde_json::from_slice::<ContainerEvent>(&line?) else { continue };
                if wanted.fits(&event) {
                    events.push(event);
                }
            }
        }
        events.sort_by_key(|event| event.id);
        Ok(events)
    }

    /// The files of projects; no file moves meanwhile.
    fn files(&self, projects: &[String]) -> std::io::Result<Vec<File>> {
        let _still = self.state();
        let mut files = Vec::new();
        for path in projects.iter().map(|project| path(&self.folder, project)) {
            for path in [path.with_extension("jsonl.1"), path] {
                match File::open(path) {
                    Ok(file) => files.push(file),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(files)
    }

    /// Removes what was written of projects that are long gone.
    pub(crate) fn sweep(&self, exists: impl Fn(&str) -> bool) {
        let is_old = |path: &PathBuf| {
            let changed = std::fs::metadata(path).and_then(|about| about.modified()).ok();
            changed.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > KEPT)
        };
        for project in projects(&self.folder).into_iter().filter(|project| !exists(project)) {
            let path = path(&self.folder, &project);
            if is_old(&path) {
                // What cannot be removed now is found again by the next one.
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_file(path.with_extension("jsonl.1"));
            }
        }
    }
}

fn path(folder: &Path, project: &str) -> PathBuf {
    folder.join(format!("{project}.jsonl"))
}

fn projects(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned());
    entries.filter_map(name).collect()
}

fn ends_with_newline(file: &mut File) -> std::io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Id of the last whole event of a file.
fn last_id(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let id = |line: &[u8]| Some(serde_json::from_slice::<ContainerEvent>(line).ok()?.id);
    tail.rsplit(|byte| *byte == b'\n').find_map(id)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rcompose-events-{}-{name}", std::process::id()));
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn record(project: &str, note: &str) -> Record {
        let labels = BTreeMap::from(
            [(labels::PROJECT, project), (labels::SERVICE, "web"), (labels::CONTAINER_NUMBER, "2"), ("note", note)]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let spec = rcompose_engine::ContainerSpec { name: format!("{project}-web-2"), labels, ..Default::default() };
        Record {
            id: "0".repeat(64).parse().unwrap(),
            spec,
            image_id: String::new(),
            created: 0,
            started_at: None,
            anonymous_volumes: Vec::new(),
            failure: None,
            failed_at: 0,
            removing: None,
        }
    }

    fn of(project: &str) -> EventsRequest {
        EventsRequest { project: Some(project.to_owned()), ..EventsRequest::default() }
    }

    #[test]
    fn ids_grow_also_over_restarts_and_a_line_that_was_cut_off_costs_nothing_else() {
        let folder = Folder::new("ids");
        let log = EventLog::open(folder.0.clone()).unwrap();
        log.tell(&record("a", ""), Happening::Create, None, None);
        log.tell(&record("b", ""), Happening::Create, None, None);
        let mut file = OpenOptions::new().append(true).open(folder.0.join("a.jsonl")).unwrap();
        file.write_all(b"{\"id\":99,\"ti").unwrap();
        let log = EventLog::open(folder.0.clone()).unwrap();
        log.tell(&record("a", ""), Happening::Die { code: 3, ran_for: 1 }, Some(7), Some(&Why::asked("stop")));
        let all = log.read(&EventsRequest::default()).unwrap();
        assert!(all.windows(2).all(|pair| pair[0].id < pair[1].id), "{all:?}");
        let a = log.read(&of("a")).unwrap();
        assert_eq!((a.len(), all.len()), (2, 3));
        assert_eq!((a[1].time, a[1].number, a[1].why.as_ref().unwrap().by.as_str()), (7, 2, "stop"));
        assert_eq!(a[1].what.word(), "die");
        assert_eq!(a[1].attributes()["exitCode"], "3");
        assert_eq!(log.read(&EventsRequest { after: Some(a[0].id), ..of("a") }).unwrap().len(), 1);
    }

    #[test]
    fn takes_no_more_room_than_it_may_and_keeps_the_newest() {
        let folder = Folder::new("room");
        let log = EventLog::open(folder.0.clone()).unwrap();
        let long = record("a", &"x".repeat(100_000));
        for code in 0..40 {
            log.tell(&long, Happening::Die { code, ran_for: 0 }, None, None);
        }
        let size: u64 = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(size < 2 * FULL + 300_000, "{size}");
        let codes: Vec<String> = log.read(&of("a")).unwrap().iter().map(|event| event.attributes()["exitCode"].clone()).collect();
        assert!(codes.len() > 10 && codes.last().unwrap() == "39", "{codes:?}");
    }
}
