//! `ui`: a dashboard of one project on a whole terminal.
//!
//! What is shown ([`dashboard`], pure) changes by what comes in: summaries of containers after each event, figures once a second, lines
//! of output, keys. It is drawn at most so many times a second, and only rows that differ are written.

mod dashboard;
mod graph;
mod output;
mod screen;
mod view;

use std::time::Duration;

use rcompose_model::Project;
use rcompose_plan::BuildWhen;
use rcompose_supervisor::client::{Client, Lines};
use rcompose_supervisor::messages::{
    Action, ContainerEvent, ContainerStats, Event, EventsRequest, LifecycleVerb, LogEvent, LogsRequest, StatsRequest, UpOptions,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{apply_request, build, ps};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::settings::World;
use crate::terminal::keys::Key;
use dashboard::{Dashboard, Wanted};
use screen::{Input, Screen};

/// The shortest time from one frame to the next.
const FRAME: Duration = Duration::from_millis(50);
/// Lines of each container that are there at once.
const BACKLOG: usize = 200;

/// What comes in besides keys.
enum News {
    Line(Box<LogEvent>),
    Stats(Vec<ContainerStats>),
    /// Something happened to a container.
    Changed,
    /// What an action on the way says; its end is told with `None`.
    Note(Option<String>),
}

/// Shows the dashboard until somebody leaves it.
pub(crate) async fn ui(world: &World) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    let screen = Screen::open(&world.global)?;
    let mut board = Dashboard::new(&name, project.as_ref());
    let (news, incoming) = mpsc::channel(1024);
    let mut tasks = JoinSet::new();
    tasks.spawn(quietly(lines(world.supervisor.clone(), name.clone(), news.clone())));
    tasks.spawn(quietly(figures(world.supervisor.clone(), name.clone(), news.clone())));
    tasks.spawn(quietly(events(world.supervisor.clone(), name.clone(), news.clone())));
    look(world, &name, &mut board).await?;
    let mut session = Session { world, name, project, board, screen, news, incoming, tasks };
    session.run().await?;
    Ok(Exit::Success)
}

struct Session<'a> {
    world: &'a World,
    name: String,
    project: Option<Project>,
    board: Dashboard,
    screen: Screen,
    news: mpsc::Sender<News>,
    incoming: mpsc::Receiver<News>,
    tasks: JoinSet<()>,
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), CommandError> {
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut drawn = true;
        self.screen.draw(&self.board)?;
        loop {
            tokio::select! {
                // Keys, news and ticks are remembered by those who give them.
                input = self.screen.next() => match input {
                    Input::Key(key) => {
                        if self.keyed(key).await? {
                            return Ok(());
                        }
                        // A key is answered at once.
                        self.screen.draw(&self.board)?;
                        drawn = true;
                    }
                    Input::Redraw => self.screen.draw_anew(&self.board)?,
                    Input::End => return Ok(()),
                },
                Some(news) = self.incoming.recv() => {
                    self.take(news).await?;
                    drawn = false;
                }
                _ = frames.tick(), if !drawn => {
                    self.screen.draw(&self.board)?;
                    drawn = true;
                }
            }
        }
    }

    async fn take(&mut self, news: News) -> Result<(), CommandError> {
        match news {
            News::Line(event) => {
                if let LogEvent::Line { container, service, stream, text, .. } = *event {
                    self.board.said(&service, &container, stream == "stderr", &text);
                }
            }
            News::Stats(stats) => self.board.measured(&stats),
            News::Changed => look(self.world, &self.name, &mut self.board).await?,
            News::Note(Some(text)) => self.board.note(text),
            News::Note(None) => while self.tasks.try_join_next().is_some() {},
        }
        Ok(())
    }

    /// Does what a key asks for; tells whether that is to leave.
    async fn keyed(&mut self, key: Key) -> Result<bool, CommandError> {
        let size = self.screen.size();
        let Some(wanted) = self.board.key(key, size) else { return Ok(false) };
        let one = |service: &str| vec![service.to_owned()];
        match wanted {
            Wanted::Leave => return Ok(true),
            Wanted::Start(service) => {
                self.lifecycle("start", one(&service), LifecycleVerb::Start { wait: false, wait_timeout: None })
            }
            Wanted::Stop(service) => self.lifecycle("stop", one(&service), LifecycleVerb::Stop),
            Wanted::Restart(service) => self.lifecycle("restart", one(&service), LifecycleVerb::Restart { no_deps: true }),
            Wanted::Rebuild(service) => self.rebuild(service)?,
            Wanted::Exec(service) => {
                self.screen.lend(|| shell(self.world, &self.name, &service))?;
                self.screen.draw_anew(&self.board)?;
            }
        }
        Ok(false)
    }

    fn rebuild(&mut self, service: String) -> Result<(), CommandError> {
        let Some(project) = &self.project else {
            self.board.note("there are no files here that say how it is built".to_owned());
            return Ok(());
        };
        let build_options = build::on_the_way(self.world, project)?;
        let build = if project.services.get(&service).is_some_and(|it| it.build.is_some()) {
            BuildWhen::Always
        } else {
            BuildWhen::Never
        };
        let options = UpOptions { services: vec![service], no_deps: true, build, build_options, ..UpOptions::default() };
        self.begin("up", Action::Up(options));
        Ok(())
    }

    fn lifecycle(&mut self, command: &'static str, services: Vec<String>, what: LifecycleVerb) {
        self.begin(command, Action::Lifecycle { services, what, timeout: None });
    }

    fn begin(&mut self, command: &'static str, action: Action) {
        let request = apply_request(self.world, command, &self.name, self.project.clone(), action);
        let (settings, news) = (self.world.supervisor.clone(), self.news.clone());
        self.board.note(format!("{command} ..."));
        self.tasks.spawn(async move {
            let done = async {
                let mut client = Client::connect(&settings).await?;
                let mut events = client.stream("/v1/apply", &request).await?;
                while let Some(event) = events.next::<Event>().await? {
                    let note = match event {
                        Event::Progress { id, text, .. } => format!("{id} {text}"),
                        Event::Warning { text } => text,
                        Event::Failed(failure) => return Err(CommandError::Failed(failure)),
                        _ => continue,
                    };
                    // Whoever left needs no notes.
                    let _ = news.send(News::Note(Some(note))).await;
                }
                Ok::<(), CommandError>(())
            };
            if let Err(error) = done.await {
                // As above.
                let _ = news.send(News::Note(Some(format!("✘ {}", error.in_one_line())))).await;
            }
            // As above.
            let _ = news.send(News::Note(None)).await;
        });
    }
}

/// What is shown stays as it is where nothing more comes; what does not work any more is told by the next action.
async fn quietly(work: impl Future<Output = Result<(), CommandError>>) {
    let _ = work.await;
}

async fn look(world: &World, name: &str, board: &mut Dashboard) -> Result<(), CommandError> {
    let mut client = Client::connect(&world.supervisor).await?;
    board.look(ps::containers(&mut client, name).await?);
    Ok(())
}

type Settings = rcompose_supervisor::Settings;

async fn lines(settings: Settings, project: String, news: mpsc::Sender<News>) -> Result<(), CommandError> {
    let request = LogsRequest { project, follow: true, tail: Some(BACKLOG), ..LogsRequest::default() };
    let mut lines: Lines = Client::connect(&settings).await?.stream("/v1/logs", &request).await?;
    while let Some(event) = lines.next::<LogEvent>().await? {
        if news.send(News::Line(Box::new(event))).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn figures(settings: Settings, project: String, news: mpsc::Sender<News>) -> Result<(), CommandError> {
    let request = StatsRequest { project, ..StatsRequest::default() };
    let mut lines: Lines = Client::connect(&settings).await?.stream("/v1/stats", &request).await?;
    while let Some(stats) = lines.next::<Vec<ContainerStats>>().await? {
        if news.send(News::Stats(stats)).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn events(settings: Settings, project: String, news: mpsc::Sender<News>) -> Result<(), CommandError> {
    let request = EventsRequest { project: Some(project), ..EventsRequest::default() };
    let mut lines: Lines = Client::connect(&settings).await?.stream("/v1/events", &request).await?;
    while let Some(_event) = lines.next::<ContainerEvent>().await? {
        if news.send(News::Changed).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Runs a shell in a service on the terminal as it is, by this program itself.
fn shell(world: &World, project: &str, service: &str) -> Result<(), CommandError> {
    let mut command = std::process::Command::new("/proc/self/exe");
    command.args(["--project-name", project]);
    let (files, roots) = (&world.global.file, &world.supervisor);
    command.args(files.iter().flat_map(|file| [std::ffi::OsStr::new("--file"), file.as_os_str()]));
    command.arg("--root").arg(&roots.data_root).arg("--run-root").arg(&roots.run_root);
    command.args(["exec", service, "sh", "-c", "command -v bash >/dev/null && exec bash; exec sh"]);
    let status =
        command.status().map_err(|source| CommandError::System { doing: format!("run a shell in {service}"), source })?;
    if !status.success() && status.code() != Some(130) {
        crate::output::tell(&format!("\n(status {}; enter goes back)", status.code().unwrap_or(-1)));
        let mut answer = String::new();
        // Whatever is typed goes back.
        let _ = std::io::stdin().read_line(&mut answer);
    }
    Ok(())
}
