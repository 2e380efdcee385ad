//! What happens, as it happens: rows that are drawn again on a terminal, plain lines elsewhere, JSON on request.

use std::io::IsTerminal;
use std::time::Instant;

use rcompose_supervisor::builder::BuildEvent;
use rcompose_supervisor::messages::{Event, ProgressStatus};
use tokio::time::Interval;
use unicode_width::UnicodeWidthStr;

use super::builds::BuildLines;
use super::words::bytes;
use super::{tell, warn_text};
use crate::arguments::{Ansi, Global, Progress as Mode};

/// Shows progress.
pub(crate) struct Progress {
    mode: Mode,
    /// Not on standard error.
    on_stdout: bool,
    colour: bool,
    dry_run: bool,
    title: &'static str,
    /// Pulls are shown too.
    pulls: bool,
    /// What happens in builds is shown too.
    builds: bool,
    build_lines: BuildLines,
    rows: Vec<Row>,
    drawn: usize,
}

struct Row {
    id: String,
    /// The row that it is a part of.
    parent: Option<String>,
    text: String,
    status: ProgressStatus,
    began: Instant,
    ended: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(global: &Global, title: &'static str) -> Self {
        let on_stdout = global.status_on_stdout;
        let terminal = if on_stdout { std::io::stdout().is_terminal() } else { std::io::stderr().is_terminal() };
        let mode = match global.progress {
            Mode::Auto if terminal && global.ansi != Ansi::Never => Mode::Tty,
            Mode::Auto => Mode::Plain,
            other => other,
        };
        let colour = match global.ansi {
            Ansi::Always => true,
            Ansi::Never => false,
            Ansi::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self {
            mode,
            on_stdout,
            colour,
            dry_run: global.dry_run,
            title,
            pulls: true,
            builds: true,
            build_lines: BuildLines::default(),
            rows: Vec::new(),
            drawn: 0,
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

    /// Waits for something; the clocks of what is still going on go on meanwhile.
    pub(crate) async fn tick_until<T>(&mut self, ticks: &mut Interval, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    fn tick(&mut self) {
        if self.rows.iter().any(|row| row.ended.is_none()) {
            self.erase();
            self.draw();
        }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &Event) {
        match (self.mode, event) {
            (Mode::Json, event) => self.json(event),
            (_, Event::Build { service, what }) => self.build(service, what),
            (_, Event::Warning { text }) => {
                self.erase();
                warn_text(text);
                self.draw();
            }
            (Mode::Quiet, _) => {}
            (_, Event::Progress { id, .. }) if !self.pulls && id.starts_with("Image ") => {}
            (Mode::Tty, Event::Progress { id, text, status }) => {
                if *status != ProgressStatus::Working {
                    // What it was made of is no longer of interest.
                    self.rows.retain(|row| row.parent.as_ref() != Some(id));
                }
                self.update(id, text, *status);
                self.erase();
                self.draw();
            }
            (_, Event::Transfer { id, .. }) if !self.pulls && id.starts_with("Image ") => {}
            (Mode::Tty, Event::Transfer { id, done, total }) => {
                self.update(id, &transfer(*done, *total), ProgressStatus::Working);
                self.erase();
                self.draw();
            }
            (_, Event::Layer { id, .. }) if !self.pulls && id.starts_with("Image ") => {}
            (Mode::Tty, Event::Layer { id, layer, text, status, done, total }) => {
                self.update_part(id, layer, &part(text, *status, *done, *total), *status);
                self.erase();
                self.draw();
            }
            // Lines that stay say what happened, not how far it is.
            (_, Event::Transfer { .. }) => {}
            (_, Event::Layer { id, layer, text, status, .. }) => {
                if self.update_part(id, layer, text, *status) {
                    self.say(&format!(" {layer} {text}\n"));
                }
            }
            (_, Event::Progress { id, text, .. }) => {
                let prefix = if self.dry_run { " DRY-RUN MODE - " } else { " " };
                self.say(&format!("{prefix}{id} {text}\n"));
            }
            (_, Event::Plan { text, operations, .. }) => {
                let prefixed: String = text.lines().map(|line| format!(" DRY-RUN MODE - {line}\n")).collect();
                self.say(&prefixed);
                if *operations == 0 {
                    self.say(" DRY-RUN MODE - nothing to do\n");
                }
            }
            (_, Event::Made { .. } | Event::Image { .. } | Event::Done | Event::Failed(_)) => {}
        }
    }

    /// What is worth a look and what failed is shown always.
    fn build(&mut self, service: &str, event: &BuildEvent) {
        let shown = self.builds && self.mode != Mode::Quiet;
        match event {
            BuildEvent::Warning { text } => return self.apart(|| warn_text(&format!("{service}: {text}"))),
            BuildEvent::Problem { file, problem } => {
                let place = problem.place;
                let text = format!("{file}:{}:{}: {problem}", place.line, place.column);
                return self.apart(|| warn_text(&text));
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
            self.erase();
            self.say(&text);
            self.draw();
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
                let plain: String = line.chars().filter(|letter| !letter.is_control()).collect();
                (step, plain, ProgressStatus::Working)
            }
            BuildEvent::Done { step, cached, .. } => {
                (step, if *cached { "CACHED".to_owned() } else { String::new() }, ProgressStatus::Done)
            }
            BuildEvent::Failed { step, text, .. } => (step, text.clone(), ProgressStatus::Error),
            BuildEvent::Problem { .. } | BuildEvent::Warning { .. } => return,
        };
        let Some(name) = self.build_lines.name(service, *step) else { return };
        let name: String = name.chars().take(60).collect();
        self.update(&name, &text, status);
        self.erase();
        self.draw();
    }

    /// Says something while rows stand below.
    fn apart(&mut self, say: impl FnOnce()) {
        self.erase();
        say();
        self.draw();
    }

    /// Nobody is left to be told when this fails.
    fn say(&self, text: &str) {
        if self.on_stdout {
            let _ = super::print(text);
        } else {
            tell(text);
        }
    }

    fn json(&self, event: &Event) {
        if let Event::Progress { id, text, status } = event {
            let line = serde_json::json!({
                "dry-run": self.dry_run, "id": id, "status": status, "text": text,
            });
            self.say(&format!("{line}\n"));
        } else if let Event::Transfer { id, done, total } = event {
            let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(100);
            let line = serde_json::json!({
                "dry-run": self.dry_run, "id": id, "status": "Working", "text": transfer(*done, *total),
                "current": done, "total": total, "percent": percent,
            });
            tell(&format!("{line}\n"));
        } else if let Event::Layer { id, layer, text, status, done, total } = event {
            let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(100);
            let line = serde_json::json!({
                "dry-run": self.dry_run, "id": layer, "parent_id": id, "status": status, "text": text,
                "current": done, "total": total, "percent": percent,
            });
            self.say(&format!("{line}\n"));
        } else if let Event::Build { service, what } = event {
            self.say(&format!("{}\n", serde_json::json!({ "dry-run": self.dry_run, "service": service, "build": what })));
        } else if let Event::Warning { text } = event {
            self.say(&format!("{}\n", serde_json::json!({ "level": "warning", "msg": text })));
        }
    }

    fn update(&mut self, id: &str, text: &str, status: ProgressStatus) {
        let now = Instant::now();
        let ended = (status != ProgressStatus::Working).then_some(now);
        match self.rows.iter_mut().find(|row| row.id == id) {
            Some(row) => (row.text, row.status, row.ended) = (text.to_owned(), status, ended),
            None => self.rows.push(Row { id: id.to_owned(), parent: None, text: text.to_owned(), status, began: now, ended }),
        }
    }

    /// A row below another one; tells whether it says something new.
    fn update_part(&mut self, parent: &str, id: &str, text: &str, status: ProgressStatus) -> bool {
        let now = Instant::now();
        let ended = (status != ProgressStatus::Working).then_some(now);
        let is_it = |row: &Row| row.id == id && row.parent.as_deref() == Some(parent);
        if let Some(row) = self.rows.iter_mut().find(|row| is_it(row)) {
            let is_new = row.text != text;
            (row.text, row.status, row.ended) = (text.to_owned(), status, ended.and(row.ended).or(ended));
            return is_new;
        }
        let row = Row { id: id.to_owned(), parent: Some(parent.to_owned()), text: text.to_owned(), status, began: now, ended };
        let above = self.rows.iter().rposition(|row| row.id == parent || row.parent.as_deref() == Some(parent));
        self.rows.insert(above.map_or(self.rows.len(), |above| above + 1), row);
        true
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            self.say(&format!("\u{1b}[{}A\u{1b}[0J", self.drawn));
            self.drawn = 0;
        }
    }

    /// One write a frame. Rows beyond the height of the terminal are counted, not shown.
    fn draw(&mut self) {
        if self.mode != Mode::Tty || self.rows.is_empty() {
            return;
        }
        let size = if self.on_stdout {
            rustix::termios::tcgetwinsize(std::io::stdout()).ok()
        } else {
            rustix::termios::tcgetwinsize(std::io::stderr()).ok()
        };
        // A serial line has a size of nothing.
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let columns = size.map_or(80, |size| usize::from(size.ws_col)).max(20);
        let height = size.map_or(24, |size| usize::from(size.ws_row)).max(5);
        let whole = || self.rows.iter().filter(|row| row.parent.is_none());
        let done = whole().filter(|row| row.ended.is_some()).count();
        let mut lines = vec![format!("[+] {} {done}/{}", self.title, whole().count())];
        let hidden = self.rows.len().saturating_sub(height - 3);
        for row in self.rows.iter().skip(hidden) {
            lines.push(self.row(row, columns));
        }
        if hidden > 0 {
            lines.push(format!(" ... {hidden} more"));
        }
        self.drawn = lines.len();
        self.say(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }

    fn row(&self, row: &Row, columns: usize) -> String {
        let (mark, colour) = match row.status {
            ProgressStatus::Working => ("⠿", "34"),
            ProgressStatus::Done => ("✔", "32"),
            ProgressStatus::Warning => ("⚠", "33"),
            ProgressStatus::Error => ("✘", "31"),
        };
        let time = row.ended.unwrap_or_else(Instant::now).duration_since(row.began).as_secs_f32();
        let time = format!("{time:.1}s");
        let indented = |row: &Row| row.id.width() + if row.parent.is_some() { 2 } else { 0 };
        let widest = self.rows.iter().map(indented).max().unwrap_or(0);
        let id = if row.parent.is_some() { format!("  {}", row.id) } else { row.id.clone() };
        let mut body = format!(" {mark} {id:<widest$}  {}", row.text);
        let room = columns.saturating_sub(time.width() + 2);
        while body.width() > room {
            body.pop();
        }
        let gap = " ".repeat(room.saturating_sub(body.width()) + 1);
        if self.colour { format!("\u{1b}[{colour}m{body}\u{1b}[0m{gap}{time}") } else { format!("{body}{gap}{time}") }
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

    #[test]
    fn layers_stand_below_their_image_and_are_told_once_a_state() {
        let mut progress = Progress::new(&Global { progress: Mode::Quiet, ..Global::default() }, "pull");
        progress.update("Image a", "Pulling", ProgressStatus::Working);
        progress.update("Image b", "Pulling", ProgressStatus::Working);
        assert!(progress.update_part("Image a", "1", "Downloading", ProgressStatus::Working));
        assert!(!progress.update_part("Image a", "1", "Downloading", ProgressStatus::Working));
        assert!(progress.update_part("Image a", "2", "Waiting", ProgressStatus::Working));
        assert!(progress.update_part("Image a", "1", "Pull complete", ProgressStatus::Done));
        let ids: Vec<&str> = progress.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["Image a", "1", "2", "Image b"]);
    }
}
