//! What happens, as it happens: rows that are drawn again on a terminal, plain lines elsewhere, JSON on request.

mod record;
mod rows;

use std::time::{Duration, Instant};

use rcompose_supervisor::builder::BuildEvent;
use rcompose_supervisor::messages::{Event, ProgressStatus};
use tokio::time::Interval;

use super::block::Block;
use super::builds::BuildLines;
use super::words::bytes;
use super::{tell, warning};
use crate::arguments::{Ansi, Global, Progress as Mode};
use crate::terminal::{self, Stream};
use rows::Rows;

/// Frames that come faster than this are drawn as one.
const FRAME: Duration = Duration::from_millis(30);

/// Shows progress.
pub(crate) struct Progress {
    mode: Mode,
    stream: Stream,
    colour: bool,
    dry_run: bool,
    title: &'static str,
    /// Pulls are shown too.
    pulls: bool,
    /// What happens in builds is shown too.
    builds: bool,
    build_lines: BuildLines,
    rows: Rows,
    block: Block,
    drawn: Option<Instant>,
    /// Something is not drawn yet.
    behind: bool,
    /// Lines tell more than what scripts know.
    details: bool,
    /// What is said, where somebody else writes it.
    collected: Option<String>,
}

impl Progress {
    pub(crate) fn new(global: &Global, title: &'static str) -> Self {
        let stream = if global.status_on_stdout { Stream::Stdout } else { Stream::Stderr };
        let mode = match global.progress {
            Mode::Auto if stream.is_terminal() && !terminal::is_dumb() && global.ansi != Ansi::Never => Mode::Tty,
            Mode::Auto => Mode::Plain,
            other => other,
        };
        let colour = match stream {
            Stream::Stdout => terminal::is_coloured(global.ansi, &std::io::stdout()),
            Stream::Stderr => terminal::is_coloured(global.ansi, &std::io::stderr()),
        };
        Self {
            mode,
            stream,
            colour,
            dry_run: global.dry_run,
            title,
            pulls: true,
            builds: true,
            build_lines: BuildLines::default(),
            rows: Rows::default(),
            block: Block::default(),
            drawn: None,
            behind: false,
            details: false,
            collected: None,
        }
    }

    /// The command whose progress it is.
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// Shows warnings only, if `quiet`.
    pub(crate) fn quiet_if(self, quiet: bool) -> Self {
        Self { mode: if quiet { Mode::Quiet } else { self.mode }, ..self }
    }

    /// Leaves pulls out, if `quiet`.
    pub(crate) fn quiet_pulls_if(self, quiet: bool) -> Self {
        Self { pulls: !quiet, ..self }
    }

    /// Leaves out what happens in builds, if `quiet`.
    pub(crate) fn quiet_builds_if(self, quiet: bool) -> Self {
        Self { builds: !quiet, ..self }
    }

    /// Never draws: says what happens line by line, for whoever has a place for lines.
    pub(crate) fn in_lines(self) -> Self {
        Self { mode: if self.mode == Mode::Tty { Mode::Plain } else { self.mode }, details: true, ..self }
    }

    /// What an event comes to in lines.
    pub(crate) fn text_of(&mut self, event: &Event) -> String {
        self.collected = Some(String::new());
        self.show(event);
        self.collected.take().unwrap_or_default()
    }

    /// Waits for something; the clocks of what is still going on go on meanwhile.
    pub(crate) async fn tick_until<T>(&mut self, ticks: &mut Interval, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                // What is there already is not kept waiting by a clock.
                biased;
                result = &mut work => return result,
                _ = ticks.tick() => if self.behind || self.rows.are_working() { self.draw() },
            }
        }
    }

    /// Draws what is not drawn yet; whatever comes next begins below it.
    pub(crate) fn finish(&mut self) {
        if self.behind {
            self.draw();
        }
        self.block.leave();
        self.rows.clear();
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &Event) {
        let is_image = |id: &str| id.starts_with("Image ");
        match event {
            _ if self.mode == Mode::Json => {
                if let Some(record) = record::record(event, self.dry_run) {
                    self.say(&format!("{record}\n"));
                }
            }
            Event::Build { service, what } => self.build(service, what),
            Event::Warning { text } => self.above(&warning(text)),
            _ if self.mode == Mode::Quiet => {}
            Event::Hook { prefix, text } => self.above(&format!("{prefix} | {}\n", crate::error::plain(text))),
            Event::Progress { id, .. } | Event::Transfer { id, .. } | Event::Layer { id, .. } if !self.pulls && is_image(id) => {}
            event if self.mode == Mode::Tty => self.show_row(event),
            // Lines that stay say what happened, not how far it is.
            Event::Progress { id, text, .. } => {
                let prefix = if self.dry_run { " DRY-RUN MODE - " } else { " " };
                self.say(&format!("{prefix}{id} {text}\n"));
            }
            Event::Layer { id, layer, text, status, .. } => {
                if self.rows.update_part(id, layer, text, *status, Instant::now()) {
                    self.say(&format!(" {layer} {text}\n"));
                }
            }
            Event::Detail { id, text } if self.details => self.say(&format!(" {id}: {text}\n")),
            event => self.show_plan(event),
        }
    }

    fn show_row(&mut self, event: &Event) {
        let now = Instant::now();
        match event {
            Event::Progress { id, text, status } => self.rows.update(id, text, *status, now),
            Event::Detail { id, text } => self.rows.detail(id, text),
            Event::Transfer { id, done, total } => self.rows.update(id, &transfer(*done, *total), ProgressStatus::Working, now),
            Event::Layer { id, layer, text, status, done, total } => {
                self.rows.update_part(id, layer, &part(text, *status, *done, *total), *status, now);
            }
            event => return self.show_plan(event),
        }
        self.changed();
    }

    fn show_plan(&mut self, event: &Event) {
        let Event::Plan { text, operations, .. } = event else { return };
        let mut prefixed: String = text.lines().map(|line| format!(" DRY-RUN MODE - {line}\n")).collect();
        if *operations == 0 {
            prefixed.push_str(" DRY-RUN MODE - nothing to do\n");
        }
        self.above(&prefixed);
    }

    /// What is worth a look and what failed is shown always.
    fn build(&mut self, service: &str, event: &BuildEvent) {
        let shown = self.builds && self.mode != Mode::Quiet;
        match event {
            BuildEvent::Warning { text } => return self.above(&warning(&format!("{service}: {text}"))),
            BuildEvent::Problem { file, problem } => {
                let place = problem.place;
                return self.above(&warning(&format!("{file}:{}:{}: {problem}", place.line, place.column)));
            }
            BuildEvent::Started { step, name } if !shown || self.mode == Mode::Tty => {
                self.build_lines.begin(service, *step, name)
            }
            _ if !shown || self.mode == Mode::Tty => {}
            event => {
                let lines = self.build_lines.lines(service, event);
                self.say(&lines);
            }
        }
        if shown && self.mode == Mode::Tty {
            self.build_row(service, event);
        }
        if let BuildEvent::Failed { step, tail, excerpt, .. } = event {
            let text = self.build_lines.failure(service, *step, tail, excerpt.as_ref());
            self.above(&text);
        }
    }

    /// A row for each step, with the last line of its output.
    fn build_row(&mut self, service: &str, event: &BuildEvent) {
        let (step, text, status) = match event {
            BuildEvent::Started { step, .. } => (step, String::new(), ProgressStatus::Working),
            BuildEvent::Reason { step, text } => (step, format!("({text})"), ProgressStatus::Working),
            BuildEvent::Output { step, text, .. } => {
                let line = text.lines().rev().find(|line| !line.trim().is_empty());
                let Some(line) = line else { return };
                (step, line.to_owned(), ProgressStatus::Working)
            }
            BuildEvent::Done { step, cached, .. } => {
                (step, if *cached { "CACHED".to_owned() } else { String::new() }, ProgressStatus::Done)
            }
            BuildEvent::Failed { step, text, .. } => (step, text.clone(), ProgressStatus::Error),
            BuildEvent::Problem { .. } | BuildEvent::Warning { .. } => return,
        };
        let Some(name) = self.build_lines.name(service, *step) else { return };
        let name: String = name.chars().take(60).collect();
        self.rows.update(&name, &text, status, Instant::now());
        self.changed();
    }

    /// Draws, unless that was done a moment ago.
    fn changed(&mut self) {
        self.behind = true;
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME) {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.above("");
    }

    /// Writes lines that stay, and below them what is drawn again: one write.
    fn above(&mut self, lines: &str) {
        if self.mode != Mode::Tty || self.rows.is_empty() {
            self.say(lines);
            return;
        }
        let size = self.stream.size();
        let mut text = String::new();
        if !lines.is_empty() {
            text.push_str(&self.block.erase(size.0));
            text.push_str(lines);
        }
        let now = Instant::now();
        text.push_str(&self.block.redraw(self.rows.frame(self.title, size, self.colour, now), size.0));
        (self.drawn, self.behind) = (Some(now), false);
        self.say(&text);
    }

    /// Nobody is left to be told when this fails.
    fn say(&mut self, text: &str) {
        if let Some(collected) = &mut self.collected {
            return collected.push_str(text);
        }
        match self.stream {
            Stream::Stdout => drop(super::print(text)),
            Stream::Stderr => tell(text),
        }
    }
}

/// A layer in one line, with a bar while bytes come or go.
fn part(text: &str, status: ProgressStatus, done: u64, total: u64) -> String {
    const WIDTH: u64 = 12;
    if status != ProgressStatus::Working || total == 0 || done == 0 {
        return text.to_owned();
    }
    let filled = usize::try_from(done.min(total).saturating_mul(WIDTH) / total).unwrap_or(0);
    let bar = format!("{}>", "=".repeat(filled));
    let width = usize::try_from(WIDTH + 1).unwrap_or(0);
    format!("{text:<11} [{bar:<width$}] {}/{}", bytes(done), bytes(total))
}

fn transfer(done: u64, total: u64) -> String {
    match total {
        0 => "Extracting".to_owned(),
        total => format!("Pulling {} of {}", bytes(done), bytes(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_bars_while_bytes_come() {
        let working = ProgressStatus::Working;
        assert_eq!(part("Downloading", working, 500, 1000), "Downloading [======>      ] 500B/1kB");
        assert_eq!(part("Downloading", working, 2000, 1000), "Downloading [============>] 2kB/1kB");
        assert_eq!(part("Waiting", working, 0, 1000), "Waiting");
        assert_eq!(part("Pull complete", ProgressStatus::Done, 1000, 1000), "Pull complete");
    }
}
