//! Output of containers: what is there, and what comes, as the files change.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rcompose_engine::logs::{Entry, Reader, Selection, Stream};
use rcompose_plan::labels;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::sync::mpsc;

use crate::health::Health;
use crate::keep::Phase;
use crate::messages::{FailureCard, LogEvent, LogsRequest};
use crate::supervisor::Supervisor;

/// One container's output.
struct Source {
    container: String,
    service: String,
    path: PathBuf,
    /// `None` when the container that took its place has it.
    reader: Option<Reader>,
    /// Its end has been told.
    ended: bool,
    /// That it is unhealthy has been told.
    unhealthy: bool,
}

/// Sends output until it is all sent, or the other side is gone.
pub(crate) async fn send(supervisor: Arc<Supervisor>, request: LogsRequest, to: mpsc::Sender<LogEvent>) -> std::io::Result<()> {
    let mut ends = supervisor.keeper.ends.subscribe();
    let mut news = supervisor.keeper.news.subscribe();
    let watcher = crate::keep::watchable(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?)?;
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    let mut backlog = Vec::new();
    open_new(&supervisor, &request, watcher.get_ref(), &mut sources, &mut backlog)?;
    if request.follow {
        // What several containers said is told in the order in which they said it.
        backlog.sort_by_key(|(_, entry)| entry.time);
    }
    for (id, entry) in backlog {
        if !line(&to, &sources[&id], entry).await {
            return Ok(());
        }
    }
    if !request.follow {
        return Ok(());
    }
    loop {
        if !drain(&mut sources, &to).await? {
            return Ok(());
        }
        if !tell_earlier_ends(&supervisor, &request, &mut sources, &to).await {
            return Ok(());
        }
        if request.until_ended && nothing_runs(&supervisor, &request) {
            return Ok(());
        }
        tokio::select! {
            // Readiness, and messages of a channel that remembers them: nothing is lost.
            ready = watcher.readable() => {
                let mut ready = ready?;
                let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
                let mut events = inotify::Reader::new(watcher.get_ref(), &mut buffer);
                while events.next().is_ok() {}
                ready.clear_ready();
            }
            ended = ends.recv() => {
                drain(&mut sources, &to).await?;
                if let Ok(ended) = ended
                    && let Some(source) = sources.get_mut(&ended.id)
                {
                    let failed = request.cards && ended.code != 0 && !ended.stopped && !source.ended;
                    let card = if failed { card(&supervisor, &ended.id).await } else { None };
                    if !tell_end(&to, source, ended.code, ended.restarting).await || !tell_failure(&to, card).await {
                        return Ok(());
                    }
                }
            }
            // A container began, or was probed; the sender lives as long as the supervisor.
            _ = news.changed() => {
                if request.cards && !tell_unhealthy(&supervisor, &mut sources, &to).await {
                    return Ok(());
                }
            }
            () = to.closed() => return Ok(()),
        }
        let mut more = Vec::new();
        open_new(&supervisor, &request, watcher.get_ref(), &mut sources, &mut more)?;
        for (id, entry) in more {
            if !line(&to, &sources[&id], entry).await {
                return Ok(());
            }
        }
    }
}

/// Tells how a container ended, once an end.
async fn tell_end(to: &mpsc::Sender<LogEvent>, source: &mut Source, code: i32, restarting: bool) -> bool {
    if std::mem::replace(&mut source.ended, !restarting) {
        return true;
    }
    let (container, service) = (source.container.clone(), source.service.clone());
    to.send(LogEvent::Exited { container, service, code, restarting }).await.is_ok()
}

/// What is known of a container that failed.
async fn card(supervisor: &Arc<Supervisor>, id: &str) -> Option<FailureCard> {
    let (supervisor, id) = (supervisor.clone(), id.to_owned());
    tokio::task::spawn_blocking(move || crate::card::of(&supervisor, &id)).await.ok().flatten()
}

async fn tell_failure(to: &mpsc::Sender<LogEvent>, card: Option<FailureCard>) -> bool {
    match card {
        Some(card) => to.send(LogEvent::Failed(card)).await.is_ok(),
        None => true,
    }
}

/// Tells who became unhealthy, once each time.
async fn tell_unhealthy(
    supervisor: &Arc<Supervisor>,
    sources: &mut BTreeMap<String, Source>,
    to: &mpsc::Sender<LogEvent>,
) -> bool {
    for (id, source) in sources {
        let health = supervisor.keeper.status(id).and_then(|status| status.health);
        let unhealthy = health == Some(Health::Unhealthy);
        if unhealthy && !source.unhealthy && !tell_failure(to, card(supervisor, id).await).await {
            return false;
        }
        source.unhealthy = unhealthy;
    }
    true
}

/// Ends that came before anybody listened, for those who asked for everything since a moment.
async fn tell_earlier_ends(
    supervisor: &Arc<Supervisor>,
    request: &LogsRequest,
    sources: &mut BTreeMap<String, Source>,
    to: &mpsc::Sender<LogEvent>,
) -> bool {
    let Some(since) = request.since.filter(|_| request.until_ended) else { return true };
    for (id, source) in sources.iter_mut().filter(|(_, source)| !source.ended) {
        let status = supervisor.keeper.status(id);
        let started = supervisor.engine.get(id).ok().and_then(|it| it.record.started_at);
        if let (Some(Phase::Exited { code }), true) = (status.map(|status| status.phase), started.is_some_and(|at| at >= since)) {
            let failure = if request.cards && code != 0 { card(supervisor, id).await } else { None };
            if !tell_end(to, source, code, false).await || !tell_failure(to, failure).await {
                return false;
            }
        }
    }
    true
}

/// Opens the logs of containers that were not there before.
fn open_new(
    supervisor: &Supervisor,
    request: &LogsRequest,
    watcher: &OwnedFd,
    sources: &mut BTreeMap<String, Source>,
    backlog: &mut Vec<(String, Entry)>,
) -> std::io::Result<()> {
    for container in supervisor.containers(Some(&request.project)) {
        let id = container.record.id.to_string();
        let service = container.record.spec.labels.get(labels::SERVICE).cloned().unwrap_or_default();
        let number = container.record.spec.labels.get(labels::CONTAINER_NUMBER).and_then(|text| text.parse().ok());
        let numbered = request.index == 0 || number == Some(request.index);
        let wanted = numbered && (request.services.is_empty() || request.services.contains(&service));
        if !wanted || sources.contains_key(&id) {
            continue;
        }
        let path: PathBuf = supervisor.engine.log_path(&container.record);
        if request.follow
            && let Some(folder) = path.parent()
        {
            std::fs::create_dir_all(folder)?;
            inotify::add_watch(watcher.as_fd(), folder, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        }
        // A container that is made anew goes on in the log of the one before, and gets its name.
        let earlier = sources.values_mut().find(|it| it.path == path && it.reader.is_some());
        if let Some(earlier) = earlier {
            let (container, reader) = (earlier.container.clone(), earlier.reader.take());
            sources.insert(id, Source { container, service, path, reader, ended: false, unhealthy: false });
            continue;
        }
        let selection = Selection { since: request.since, until: request.until, tail: request.tail };
        let (reader, entries) = Reader::open(&path, selection)?;
        backlog.extend(entries.into_iter().map(|entry| (id.clone(), entry)));
        sources.insert(
            id,
            Source {
                container: container.record.spec.name.clone(),
                service,
                path,
                reader: Some(reader),
                ended: false,
                unhealthy: false,
            },
        );
    }
    Ok(())
}

async fn drain(sources: &mut BTreeMap<String, Source>, to: &mpsc::Sender<LogEvent>) -> std::io::Result<bool> {
    for source in sources.values_mut() {
        while let Some(reader) = &mut source.reader
            && let Some(entry) = reader.read()?
        {
            if !line(to, source, entry).await {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn line(to: &mpsc::Sender<LogEvent>, source: &Source, entry: Entry) -> bool {
    let stream = match entry.stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let event = LogEvent::Line {
        container: source.container.clone(),
        service: source.service.clone(),
        stream: stream.to_owned(),
        time: entry.time,
        text: entry.text,
    };
    to.send(event).await.is_ok()
}

fn nothing_runs(supervisor: &Supervisor, request: &LogsRequest) -> bool {
    let runs = |container: &rcompose_engine::Container| {
        let service = container.record.spec.labels.get(labels::SERVICE);
        let wanted = request.services.is_empty() || service.is_some_and(|service| request.services.contains(service));
        let status = supervisor.keeper.status(container.record.id.as_str());
        wanted && status.is_some_and(|status| matches!(status.phase, Phase::Running | Phase::Paused | Phase::Restarting))
    };
    !supervisor.containers(Some(&request.project)).iter().any(runs)
}
