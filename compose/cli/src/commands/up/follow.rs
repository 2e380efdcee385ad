//! An attached `up`: output of containers until everything has ended, and what keys and signals ask for meanwhile.
//!
//! What is done on the way (a stop, a restart, a build) is a task of its own: output goes on, and its events come between the lines.

use rcompose_model::Project;
use rcompose_plan::BuildWhen;
use rcompose_supervisor::Settings;
use rcompose_supervisor::client::{Client, Lines};
use rcompose_supervisor::messages::{Action, ApplyRequest, Event, FailureCard, LifecycleVerb, LogEvent, LogsRequest, UpOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::keyboard::Keyboard;
use super::menu::Wanted;
use super::{browser, exit_code_of, kill, shown};
use crate::arguments::{Progress as Mode, Up};
use crate::commands::logs::next_or_idle;
use crate::commands::{apply_request, build, ps, watch};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{LogForm, LogPrinter, Piece, Progress, card};
use crate::settings::World;
use crate::terminal::Stream;
use crate::terminal::keys::Key;

/// What a task on the way says.
enum Note {
    Event(Box<Event>),
    Over(Result<(), CommandError>),
}

/// Why everything is being stopped.
enum Ending {
    Interrupted,
    /// A container ended, with that status if it is the one that counts.
    Aborted(Option<i32>),
}

/// What an attached `up` needs to know.
pub(super) struct Attach<'a> {
    pub(super) world: &'a World,
    pub(super) project: Project,
    pub(super) arguments: &'a Up,
    /// Services whose output is shown.
    pub(super) services: Vec<String>,
    /// Nanoseconds since 1970.
    pub(super) since: i64,
    /// What can be watched.
    pub(super) watching: Option<watch::Options>,
    /// Watches from the beginning.
    pub(super) session: Option<watch::Session<'a>>,
}

struct Attached<'a> {
    world: &'a World,
    project: Project,
    arguments: &'a Up,
    services: Vec<String>,
    printer: LogPrinter,
    progress: Progress,
    keyboard: Option<Keyboard>,
    watching: Option<watch::Options>,
    session: Option<watch::Session<'a>>,
    tasks: JoinSet<()>,
    notes: (mpsc::Sender<Note>, mpsc::Receiver<Note>),
    ending: Option<Ending>,
    /// When the newest line was written, nanoseconds since 1970.
    newest: i64,
}

/// Signals that ask for an end.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn listen() -> Result<Self, CommandError> {
        let listen =
            |kind| signal(kind).map_err(|source| CommandError::System { doing: "listen for signals".to_owned(), source });
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// # Cancel safety
    /// Each stream remembers its signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            // See above.
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Shows output until everything has ended, or somebody does not want to see more of it.
pub(super) async fn follow(attach: Attach<'_>, interrupts: &mut Interrupts) -> Result<Exit, CommandError> {
    let Attach { world, project, arguments, services, since, watching, session } = attach;
    let (no_color, prefix, timestamps) = (arguments.no_color, !arguments.no_log_prefix, arguments.timestamps);
    let printer = LogPrinter::new(&world.global, &project.name, LogForm { no_color, prefix, timestamps });
    let progress = Progress::new(&world.global, "up").in_lines();
    // A key can ask for what there is something to watch for.
    let watching = watching.filter(|it| session.is_some() || watch::check(&project, it).is_ok());
    let keyboard = Keyboard::open(world, arguments, &project, watching.as_ref().map(|_| session.is_some()));
    let mut attached = Attached {
        world,
        project,
        arguments,
        services,
        printer,
        progress,
        keyboard,
        watching,
        session,
        tasks: JoinSet::new(),
        notes: mpsc::channel(256),
        ending: None,
        newest: since - 1,
    };
    attached.introduce().await?;
    let result = attached.run(interrupts).await;
    attached.printer.stage.clear_bottom()?;
    result
}

impl Attached<'_> {
    /// Says whose output comes.
    async fn introduce(&mut self) -> Result<(), CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        let mut attached: Vec<String> = Vec::new();
        let containers = ps::containers(&mut client, &self.project.name).await?;
        for container in containers.iter().filter(|it| self.services.contains(&it.service)) {
            self.printer.expect(&container.name);
            attached.push(self.printer.short(&container.name).to_owned());
        }
        attached.sort();
        self.printer.say(Stream::Stdout, &format!("Attaching to {}\n", attached.join(", ")));
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.menu.set_containers(&containers);
        }
        self.draw();
        Ok(())
    }

    async fn lines(&self) -> Result<Lines, CommandError> {
        let mut client = Client::connect(&self.world.supervisor).await?;
        let request = LogsRequest {
            project: self.project.name.clone(),
            services: self.services.clone(),
            follow: true,
            since: Some(self.newest + 1),
            until_ended: true,
            cards: true,
            ..LogsRequest::default()
        };
        Ok(client.stream("/v1/logs", &request).await?)
    }

    async fn run(&mut self, interrupts: &mut Interrupts) -> Result<Exit, CommandError> {
        let mut lines = Some(self.lines().await?);
        loop {
            let printer = &mut self.printer;
            let next = async {
                match &mut lines {
                    Some(lines) => next_or_idle(lines, || printer.flush()).await,
                    None => {
                        printer.flush()?;
                        std::future::pending().await
                    }
                }
            };
            tokio::select! {
                // What has been read of a line stays in its stream; signals, keys and notes are remembered; a session is where it
                // was.
                biased;
                () = interrupts.next() => self.interrupted(),
                note = self.notes.1.recv() => {
                    if let Some(exit) = self.noted(note).await? {
                        self.last_words(lines).await?;
                        return Ok(exit);
                    }
                    // Everything had ended before this task brought something back.
                    if lines.is_none() && self.tasks.is_empty() && self.ending.is_none() {
                        lines = Some(self.lines().await?);
                    }
                }
                key = Keyboard::next(&mut self.keyboard) => {
                    if let Some(exit) = self.keyed(key).await? {
                        return Ok(exit);
                    }
                }
                told = next_told(&mut self.session) => {
                    if self.told(told?)? || lines.is_none() {
                        lines = Some(self.lines().await?);
                    }
                }
                event = next => match event? {
                    Some(event) => self.happened(event)?,
                    None if self.tasks.is_empty() && self.ending.is_none() && self.session.is_none() => {
                        self.printer.flush()?;
                        return Ok(Exit::Success);
                    }
                    // What goes on may start something again; how a stop went is told by its task.
                    None => lines = None,
                },
            }
        }
    }

    fn happened(&mut self, event: LogEvent) -> Result<(), CommandError> {
        match event {
            LogEvent::Line { container, service, stream, time, text } => {
                self.newest = self.newest.max(time);
                if self.keyboard.as_ref().is_some_and(|keyboard| !keyboard.menu.shows(&service, &text)) {
                    return Ok(());
                }
                let to = if stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
                self.printer.line(Piece { container: &container, time, text: &text, to })?;
            }
            LogEvent::Exited { container, service, code, restarting } => {
                self.printer.ended(&container, code, restarting);
                self.judge(&service, code, restarting);
            }
            LogEvent::Failed(card) => self.failed(&card),
        }
        Ok(())
    }

    /// Shows what a session says, and tells whether other services are shown from now on.
    fn told(&mut self, told: watch::Told) -> Result<bool, CommandError> {
        let (to, text) = watch::text(self.world, &mut self.progress, &told);
        self.printer.say(to, &text);
        let watch::Told::Project(project) = told else { return Ok(false) };
        self.services = shown(&project, self.arguments)?;
        self.project = *project;
        Ok(true)
    }

    /// Begins to watch, or stops it.
    async fn toggle_watch(&mut self) {
        let Some(watching) = &self.watching else { return };
        let begun = match self.session.take() {
            Some(_) => None,
            None => Some(watch::Session::begin(self.world, self.project.clone(), watching.clone()).await),
        };
        match begun {
            None => self.printer.say(Stream::Stdout, "Watch disabled\n"),
            Some(Ok(session)) => self.session = Some(session),
            Some(Err(error)) => self.printer.say(Stream::Stderr, &error.render()),
        }
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.menu.set_watching(self.session.is_some());
        }
    }

    /// Stops everything after an end that asks for it.
    fn judge(&mut self, service: &str, code: i32, restarting: bool) {
        let all = self.arguments.abort_on_container_exit || self.arguments.exit_code_from.is_some();
        let abort = !restarting && (all || (self.arguments.abort_on_container_failure && code != 0));
        if abort && self.ending.is_none() {
            let own = self.arguments.exit_code_from.as_ref().is_none_or(|wanted| wanted == service);
            self.printer.say(Stream::Stderr, "Aborting on container exit...\n");
            self.stop(Ending::Aborted(own.then_some(code)));
        }
    }

    fn failed(&mut self, card: &FailureCard) {
        if self.ending.is_some() {
            // It was told to end.
            return;
        }
        if self.world.global.progress == Mode::Json {
            let record = serde_json::json!({ "version": 1, "failure": card });
            self.printer.say(Stream::Stderr, &format!("{record}\n"));
            return;
        }
        let name = self.printer.short(&card.container).to_owned();
        self.printer.say(Stream::Stderr, &card::brief(card, &name));
    }

    /// The first time everything is stopped, after that it is killed.
    fn interrupted(&mut self) {
        if self.ending.is_none() {
            self.printer.say(Stream::Stdout, "\nGracefully Stopping... press Ctrl+C again to force\n");
            return self.stop(Ending::Interrupted);
        }
        self.printer.say(Stream::Stdout, "Killing\n");
        let (settings, name, services) =
            (self.world.supervisor.clone(), self.project.name.clone(), self.arguments.services.clone());
        self.tasks.spawn(async move {
            // The stop that goes on says what does not end.
            let _ = kill(&settings, &name, &services).await;
        });
    }

    fn stop(&mut self, ending: Ending) {
        self.ending = Some(ending);
        self.session = None;
        let what = LifecycleVerb::Stop;
        self.begin(
            "stop",
            Action::Lifecycle { services: self.arguments.services.clone(), what, timeout: self.arguments.timeout },
            false,
        );
    }

    fn begin(&mut self, command: &str, action: Action, with_files: bool) {
        let project = with_files.then(|| self.project.clone());
        let request = apply_request(self.world, command, &self.project.name, project, action);
        let (settings, notes) = (self.world.supervisor.clone(), self.notes.0.clone());
        self.tasks.spawn(async move {
            let over = carry_out(&settings, &request, &notes).await;
            // Whoever is gone needs no notes.
            let _ = notes.send(Note::Over(over)).await;
        });
    }

    /// Takes a note; gives how the command ends, if it does.
    async fn noted(&mut self, note: Option<Note>) -> Result<Option<Exit>, CommandError> {
        let over = match note {
            Some(Note::Event(event)) => {
                let text = self.progress.text_of(&event);
                let to = if self.world.global.status_on_stdout { Stream::Stdout } else { Stream::Stderr };
                self.printer.say(to, &text);
                return Ok(None);
            }
            Some(Note::Over(over)) => over,
            None => return Ok(None),
        };
        while self.tasks.try_join_next().is_some() {}
        if let Err(error) = over {
            if self.ending.is_some() {
                return Err(error);
            }
            self.printer.say(Stream::Stderr, &error.render());
        }
        if let Some(keyboard) = &mut self.keyboard {
            let mut client = Client::connect(&self.world.supervisor).await?;
            keyboard.menu.set_containers(&ps::containers(&mut client, &self.project.name).await?);
            self.draw();
        }
        self.end().await
    }

    /// How the command ends after everything was stopped.
    async fn end(&mut self) -> Result<Option<Exit>, CommandError> {
        let exit = match (&self.ending, &self.arguments.exit_code_from) {
            (None, _) => return Ok(None),
            (Some(Ending::Interrupted), _) => Exit::Interrupted,
            (Some(Ending::Aborted(Some(code))), _) => Exit::Status(*code),
            (Some(Ending::Aborted(None)), Some(wanted)) => {
                Exit::Status(exit_code_of(&self.world.supervisor, &self.project.name, wanted).await?)
            }
            (Some(Ending::Aborted(None)), None) => Exit::Success,
        };
        Ok(Some(exit))
    }

    /// What was said while everything was stopped.
    async fn last_words(&mut self, lines: Option<Lines>) -> Result<(), CommandError> {
        if let Some(mut lines) = lines {
            while let Some(event) = lines.next::<LogEvent>().await? {
                self.happened(event)?;
            }
        }
        self.printer.flush()
    }

    async fn keyed(&mut self, key: Option<Key>) -> Result<Option<Exit>, CommandError> {
        let Some(keyboard) = &mut self.keyboard else { return Ok(None) };
        let wanted = match key {
            Some(key) => keyboard.menu.key(key),
            // Suspended and woken, or another size.
            None => Some(Wanted::Look),
        };
        match wanted {
            None => return Ok(None),
            Some(Wanted::Detach) => {
                self.printer.stage.clear_bottom()?;
                let name = &self.project.name;
                self.printer.say(Stream::Stdout, &format!("Detached: project {name} goes on\n"));
                self.printer.flush()?;
                return Ok(Some(Exit::Success));
            }
            Some(Wanted::Open(service)) => {
                let mut client = Client::connect(&self.world.supervisor).await?;
                let containers = ps::containers(&mut client, &self.project.name).await?;
                keyboard.menu.note(browser::open(&containers, &service));
            }
            Some(Wanted::Restart(service)) => {
                keyboard.menu.note(format!("restarting {service}"));
                let what = LifecycleVerb::Restart { no_deps: true };
                self.begin("restart", Action::Lifecycle { services: vec![service], what, timeout: self.arguments.timeout }, true);
            }
            Some(Wanted::Rebuild(service)) => {
                keyboard.menu.note(format!("rebuilding {service}"));
                let build_options = build::on_the_way(self.world, &self.project)?;
                let (services, build) = (vec![service], BuildWhen::Always);
                let options = UpOptions { services, no_deps: true, build, build_options, ..UpOptions::default() };
                self.begin("up", Action::Up(options), true);
            }
            Some(Wanted::Mark) => {
                let columns = Stream::Stdout.size().0.saturating_sub(1);
                self.printer.say(Stream::Stdout, &format!("{}\n", "─".repeat(columns)));
            }
            Some(Wanted::Watch) => self.toggle_watch().await,
            Some(Wanted::Look) => {}
        }
        self.draw();
        Ok(None)
    }

    fn draw(&mut self) {
        if let Some(keyboard) = &self.keyboard {
            let columns = Stream::Stdout.size().0;
            let rows = keyboard.menu.rows(columns, self.printer.has_colour());
            self.printer.stage.set_bottom(if keyboard.is_on() { rows } else { Vec::new() });
        }
    }
}

/// What a session says next; nothing without one.
async fn next_told(session: &mut Option<watch::Session<'_>>) -> Result<watch::Told, CommandError> {
    match session {
        Some(session) => session.next().await,
        None => std::future::pending().await,
    }
}

async fn carry_out(settings: &Settings, request: &ApplyRequest, notes: &mpsc::Sender<Note>) -> Result<(), CommandError> {
    let mut client = Client::connect(settings).await?;
    let mut events = client.stream("/v1/apply", request).await?;
    while let Some(event) = events.next::<Event>().await? {
        if let Event::Failed(failure) = event {
            return Err(CommandError::Failed(failure));
        }
        // Whoever is gone needs no notes.
        let _ = notes.send(Note::Event(Box::new(event))).await;
    }
    Ok(())
}
