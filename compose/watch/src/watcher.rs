//! The watcher: a thread that hears of changes, finds out what they are, and tells them batch by batch.
//!
//! ```text
//! events ──► batch (when) ──► index (what) ──► report
//! overflow, another filter ──► a look at everything ──► index ──► report
//! ```

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::batch::{Batcher, Touch};
use crate::decide::Change;
use crate::filter::Filter;
use crate::index::Index;
use crate::source::{Event, Source};
use crate::stamp::{Kind, Stamp};

/// Watching that does not work, or not for everything.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel gives no events.
    #[error("failed to watch files")]
    Start(#[source] std::io::Error),
    /// A directory cannot be watched.
    #[error("failed to watch {}", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The user has no watches left.
    #[error("failed to watch {}: no watches are left", .path.display())]
    Limit {
        /// The first directory that is not watched.
        path: PathBuf,
    },
}

impl WatchError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Limit { .. } => {
                Some("raise `sysctl fs.inotify.max_user_watches`, or name large directories in `ignore` or `.dockerignore`")
            }
            _ => None,
        }
    }
}

/// What changed in a burst.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What went, innermost first; and what came or changed.
    pub changes: Vec<Change>,
    /// Events were lost, and everything was looked at.
    pub rescanned: bool,
}

/// What the watcher tells.
#[derive(Debug)]
pub enum Report {
    /// From now on changes of what the filter wants are seen. What is there, as changes.
    Ready(Vec<Change>),
    /// Something changed.
    Batch(Batch),
    /// Something is not watched.
    Problem(WatchError),
}

enum Control {
    Filter(Filter),
    Rescan,
}

/// After an overflow more is under way: one look at everything has to do for it.
const AFTER_OVERFLOW: Duration = Duration::from_millis(50);

/// A running watcher. It ends with this value.
#[derive(Debug)]
pub struct Watcher {
    wake: OwnedFd,
    control: Option<mpsc::Sender<Control>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to watch; `report` is called on the watcher's thread, and says whether anybody still listens. While it waits, nothing
    /// is lost.
    ///
    /// # Errors
    /// When the kernel gives no events at all.
    pub fn start(filter: Filter, report: impl FnMut(Report) -> bool + Send + 'static) -> Result<Self, WatchError> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(start)?;
        let woken = wake.try_clone().map_err(WatchError::Start)?;
        let (control, commands) = mpsc::channel();
        let source = Source::open().map_err(start)?;
        let watching = Watching {
            filter,
            source,
            index: Index::default(),
            batcher: Batcher::default(),
            left: None,
            rescan_at: None,
            limited: false,
            report: Box::new(report),
        };
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let thread = thread.spawn(move || watching.run(&woken, &commands)).map_err(WatchError::Start)?;
        Ok(Self { wake, control: Some(control), thread: Some(thread) })
    }

    /// Watches something else from now on. What both filters want and what changed meanwhile is told.
    pub fn watch_instead(&self, filter: Filter) {
        self.send(Control::Filter(filter));
    }

    /// Looks at everything, as after an overflow.
    pub fn rescan(&self) {
        self.send(Control::Rescan);
    }

    fn send(&self, control: Control) {
        // A thread that has ended has told why, or nobody listens.
        let _ = self.control.as_ref().map(|sender| sender.send(control));
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.control = None;
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        // It may be waiting for whoever listens, who goes too: it ends by itself then.
        drop(self.thread.take());
    }
}

fn start(errno: Errno) -> WatchError {
    WatchError::Start(errno.into())
}

struct Watching {
    filter: Filter,
    source: Source,
    index: Index,
    batcher: Batcher,
    /// The last name that something was renamed from.
    left: Option<(u32, PathBuf)>,
    rescan_at: Option<Instant>,
    /// It was told that no watches are left.
    limited: bool,
    report: Box<dyn FnMut(Report) -> bool + Send>,
}

impl Watching {
    fn run(mut self, woken: &OwnedFd, commands: &mpsc::Receiver<Control>) {
        self.look_at_everything();
        let mut goes_on = self.tell_present();
        let mut events = VecDeque::new();
        while goes_on {
            self.wait(woken);
            loop {
                match commands.try_recv() {
                    Ok(control) => goes_on = self.obey(control),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            if let Err(errno) = self.source.read(&mut events) {
                (self.report)(Report::Problem(start(errno)));
                return;
            }
            let now = Instant::now();
            events.drain(..).for_each(|event| self.hear(event, now));
            goes_on &= if self.rescan_at.is_some_and(|at| at <= now) { self.rescan(true) } else { self.tell_due(now) };
        }
    }

    fn wait(&self, woken: &OwnedFd) {
        let due = self.batcher.due().into_iter().chain(self.rescan_at).min();
        let timeout = due.map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        let mut ready = [PollFd::new(&self.source, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
        // Whatever it says: what is ready is looked at, and what is due is known by the clock.
        let _ = poll(&mut ready, timeout.as_ref());
        let _ = rustix::io::read(woken.as_fd(), &mut [0_u8; 8]);
    }

    fn tell_present(&mut self) -> bool {
        let present = self.index.paths().map(|(path, now)| Change { path: path.clone(), before: None, now: Some(*now) });
        let ready = Report::Ready(present.collect());
        (self.report)(ready)
    }

    fn obey(&mut self, control: Control) -> bool {
        match control {
            Control::Rescan => self.rescan(true),
            Control::Filter(filter) => {
                let before = std::mem::replace(&mut self.filter, filter);
                self.rescan_where(false, |path| before.wants(path)) && self.tell_present()
            }
        }
    }

    fn hear(&mut self, event: Event, now: Instant) {
        match event {
            Event::Overflow => self.rescan_at = Some(self.rescan_at.unwrap_or(now + AFTER_OVERFLOW)),
            Event::Touched { path, touch, directory } => {
                match touch {
                    Touch::Gone if directory => self.source.forget(&path),
                    Touch::Whole if directory => self.enter(&path, Touch::Partial, now),
                    _ => {}
                }
                self.touch(&path, touch, now);
            }
            Event::Left { path, number, directory } => {
                if directory {
                    self.source.forget(&path);
                }
                self.touch(&path, Touch::Gone, now);
                self.left = Some((number, path));
            }
            Event::Arrived { path, number, directory } => {
                let renamed = self.left.take().filter(|(left, _)| *left == number);
                // What is renamed to a name that counts is not coming back; what became a backup has a successor.
                if let Some((_, from)) = renamed.filter(|_| self.filter.wants(&path)) {
                    self.touch(&from, Touch::Whole, now);
                }
                if directory {
                    self.enter(&path, Touch::Whole, now);
                }
                self.touch(&path, Touch::Whole, now);
            }
        }
    }

    fn touch(&mut self, path: &Path, touch: Touch, now: Instant) {
        if self.filter.wants(path) {
            self.batcher.touch(path, touch, now);
        }
    }

    /// A directory has come: it and what is in it is watched, and looked at when it is due.
    fn enter(&mut self, directory: &Path, touch: Touch, now: Instant) {
        // Another one may have had its name.
        self.source.forget(directory);
        let mut found: Vec<PathBuf> = self.index.in_and_below(directory).cloned().collect();
        for root in self.filter.roots_below(directory) {
            self.anchor(&root);
            self.walk(&root, &mut |path, _| found.push(path));
        }
        self.walk(directory, &mut |path, _| found.push(path));
        found.iter().for_each(|path| self.touch(path, touch, now));
    }

    /// Tells what is due; and whether to go on.
    fn tell_due(&mut self, now: Instant) -> bool {
        let paths = self.batcher.take(now);
        let mut changes = Vec::new();
        for path in &paths {
            self.index.note(path, Stamp::look(path), &mut changes);
        }
        changes.is_empty() || (self.report)(Report::Batch(Batch { changes, rescanned: false }))
    }

    fn rescan(&mut self, rescanned: bool) -> bool {
        self.rescan_where(rescanned, |_| true)
    }

    /// Starts over, and tells what is different; and whether to go on.
    fn rescan_where(&mut self, rescanned: bool, counts: impl Fn(&Path) -> bool) -> bool {
        self.rescan_at = None;
        match Source::open() {
            Ok(source) => self.source = source,
            Err(errno) => {
                (self.report)(Report::Problem(start(errno)));
                return false;
            }
        }
        self.batcher.clear();
        let mut before = std::mem::take(&mut self.index);
        self.look_at_everything();
        let mut changes = Vec::new();
        before.replace(std::mem::take(&mut self.index), counts, &mut changes);
        self.index = before;
        changes.is_empty() || (self.report)(Report::Batch(Batch { changes, rescanned }))
    }

    fn look_at_everything(&mut self) {
        let roots: Vec<PathBuf> = self.filter.roots().into_iter().map(Path::to_owned).collect();
        let mut index = std::mem::take(&mut self.index);
        for root in roots {
            self.anchor(&root);
            self.walk(&root, &mut |path, stamp| index.note(&path, Some(stamp), &mut Vec::new()));
        }
        self.index = index;
    }

    /// Watches what holds the name of a root: editors replace files, and people directories. Where that is missing, what will.
    fn anchor(&mut self, root: &Path) {
        for ancestor in root.ancestors().skip(1) {
            match self.source.watch(ancestor) {
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                watched => return self.problem(ancestor, watched),
            }
        }
    }

    /// Watches a directory and those in it, and visits everything that somebody wants to know of. Watching comes first: what is
    /// made in between is seen twice rather than never.
    fn walk(&mut self, root: &Path, visit: &mut dyn FnMut(PathBuf, Stamp)) {
        let mut left = vec![root.to_owned()];
        while let Some(path) = left.pop() {
            let Some(stamp) = Stamp::look(&path).filter(|_| self.filter.wants(&path)) else { continue };
            visit(path.clone(), stamp);
            if stamp.kind != Kind::Directory || !self.filter.walks(&path) {
                continue;
            }
            match self.source.watch(&path) {
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                watched => self.problem(&path, watched),
            }
            // One that cannot be read has been told of, or is gone.
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
    }

    fn problem(&mut self, path: &Path, watched: rustix::io::Result<()>) {
        let path = path.to_owned();
        let error = match watched {
            Ok(()) => return,
            // Those that come after it are as many as there are directories.
            Err(Errno::NOSPC) if std::mem::replace(&mut self.limited, true) => return,
            Err(Errno::NOSPC) => WatchError::Limit { path },
            Err(errno) => WatchError::Directory { path, source: errno.into() },
        };
        // Whoever does not listen any more is noticed at the next batch.
        (self.report)(Report::Problem(error));
    }
}
