//! A folder that is watched, and what was told of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rcompose_model::project::{Service, WatchAction, WatchRule};
use rcompose_sys::atomic::TempDir;
use rcompose_watch::{Change, Filter, Report, Rule, Watcher};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Place {
    folder: TempDir,
    pub(crate) watcher: Watcher,
    reports: mpsc::Receiver<Report>,
}

fn filter(path: PathBuf, ignore: &str) -> Filter {
    let rule = WatchRule {
        path,
        action: WatchAction::Sync,
        target: Some("/app".to_owned()),
        ignore: vec![ignore.to_owned()],
        include: Vec::new(),
        initial_sync: false,
        exec: None,
    };
    let service = Service { name: "web".to_owned(), watch: vec![rule], ..Service::default() };
    Filter::new(Rule::of(&service, |_| None).expect("the patterns are fine"), BTreeSet::new())
}

/// Longer than anything is held back that may not be whole yet.
const HELD_BACK: Duration = Duration::from_millis(800);

impl Place {
    /// Watches `src`, in which `node_modules` does not count.
    pub(crate) fn new(prepare: impl FnOnce(&Self)) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let (sender, reports) = mpsc::channel();
        let report = move |report| sender.send(report).is_ok();
        std::fs::create_dir(folder.path().join("src")).expect("a folder can be made");
        let nothing = Watcher::start(Filter::default(), report).expect("the kernel tells of changes");
        let place = Self { folder, watcher: nothing, reports };
        place.ready();
        prepare(&place);
        place.watcher.watch_instead(filter(place.path(""), "node_modules"));
        place.ready();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.folder.path().join("src") } else { self.folder.path().join("src").join(name) }
    }

    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file can be written");
    }

    fn ready(&self) {
        loop {
            if let Report::Ready(_) = self.reports.recv_timeout(PATIENCE).expect("something is told") {
                return;
            }
        }
    }

    /// The next batch: `+new`, `~changed`, `-gone`.
    pub(crate) fn told(&self) -> Vec<String> {
        match self.reports.recv_timeout(PATIENCE).expect("something is told") {
            Report::Batch(batch) => batch.changes.iter().map(|change| self.text(change)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn text(&self, change: &Change) -> String {
        let sign = match (change.before, change.now) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        format!("{sign}{}", change.path.strip_prefix(self.path("")).expect("only what is watched is told").display())
    }

    /// Everything that is told until a file named `end` is, and what was held back longer than that.
    pub(crate) fn told_until_end(&self) -> Vec<Vec<String>> {
        let begin = Instant::now();
        let (mut batches, mut ended) = (Vec::new(), false);
        // What was told before it was made is told in another batch.
        self.write("end", "");
        loop {
            let batch = match self.reports.recv_timeout(if ended { HELD_BACK } else { PATIENCE }) {
                Ok(Report::Batch(batch)) => batch,
                Ok(other) => panic!("{other:?}"),
                Err(_) if ended => return batches,
                Err(error) => panic!("{error}: {batches:?}"),
            };
            let told: Vec<String> = batch.changes.iter().map(|change| self.text(change)).collect();
            ended |= told.iter().any(|text| text.ends_with("end"));
            let rest: Vec<String> = told.into_iter().filter(|text| !text.ends_with("end")).collect();
            if !rest.is_empty() {
                batches.push(rest);
            }
            assert!(begin.elapsed() < PATIENCE, "{batches:?}");
        }
    }
}
