//! The keys of an attached `up`: what they mean, and the rows at the bottom that tell them. Pure.

use rcompose_supervisor::messages::ContainerSummary;

use crate::output::line::{Line, style};
use crate::terminal::keys::Key;

/// What a key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Detach,
    Watch,
    Open(String),
    Restart(String),
    Rebuild(String),
    /// What is shown changed.
    Look,
    /// A line to tell what comes apart from what was.
    Mark,
}

/// Which service a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Restart,
    Rebuild,
    Open,
    Follow,
    Filter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Prompt {
    purpose: Purpose,
    typed: String,
    /// Of those that fit.
    chosen: usize,
}

/// The menu.
#[derive(Debug, Default)]
pub(super) struct Menu {
    services: Vec<String>,
    /// Those that publish a port.
    open: Vec<String>,
    /// Those that can be built.
    built: Vec<String>,
    /// Changes of files are followed; `None` where that cannot be.
    watching: Option<bool>,
    prompt: Option<Prompt>,
    filter: String,
    only: Option<String>,
    note: String,
    help: bool,
}

impl Menu {
    pub(super) fn new(services: Vec<String>, built: Vec<String>, watching: Option<bool>) -> Self {
        Self { services, built, watching, ..Self::default() }
    }

    pub(super) fn set_watching(&mut self, watching: bool) {
        self.watching = Some(watching);
    }

    pub(super) fn set_containers(&mut self, containers: &[ContainerSummary]) {
        let mut open: Vec<String> = containers
            .iter()
            .filter(|it| it.ports.iter().any(|port| port.protocol == "tcp"))
            .map(|it| it.service.clone())
            .collect();
        open.dedup();
        self.open = open;
    }

    /// Says something at the bottom until the next key.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.note = text.into();
    }

    /// Tells whether a line is to be shown.
    pub(super) fn shows(&self, service: &str, text: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == service)
            && (self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase()))
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: Key) -> Option<Wanted> {
        self.note.clear();
        if let Some(prompt) = self.prompt.take() {
            return self.answer(prompt, key);
        }
        match key {
            Key::Letter('d') => return Some(Wanted::Detach),
            Key::Letter('w') if self.watching.is_some() => return Some(Wanted::Watch),
            Key::Letter('o') => return self.ask(Purpose::Open),
            Key::Letter('r') => return self.ask(Purpose::Restart),
            Key::Letter('b') => return self.ask(Purpose::Rebuild),
            Key::Letter('s') => return self.ask(Purpose::Follow),
            Key::Letter('f' | '/') => return self.ask(Purpose::Filter),
            Key::Letter('?' | 'h') => self.help = !self.help,
            Key::Escape if self.help => self.help = false,
            Key::Escape => (self.filter, self.only) = (String::new(), None),
            Key::Enter => return Some(Wanted::Mark),
            _ => return None,
        }
        Some(Wanted::Look)
    }

    fn candidates(&self, purpose: Purpose) -> &[String] {
        match purpose {
            Purpose::Open => &self.open,
            Purpose::Rebuild => &self.built,
            Purpose::Restart | Purpose::Follow => &self.services,
            Purpose::Filter => &[],
        }
    }

    fn ask(&mut self, purpose: Purpose) -> Option<Wanted> {
        match (purpose, self.candidates(purpose)) {
            (Purpose::Filter, _) => {}
            (Purpose::Open, []) => self.note("no service publishes a port"),
            (Purpose::Rebuild, []) => self.note("no service has a build section"),
            (_, [only]) if purpose != Purpose::Follow => return Some(self.wanted(purpose, only.clone())),
            _ => {}
        }
        if self.note.is_empty() {
            let typed = if purpose == Purpose::Filter { self.filter.clone() } else { String::new() };
            self.prompt = Some(Prompt { purpose, typed, chosen: 0 });
        }
        Some(Wanted::Look)
    }

    fn fitting(&self, prompt: &Prompt) -> Vec<&String> {
        let typed = prompt.typed.to_lowercase();
        let mut found: Vec<&String> =
            self.candidates(prompt.purpose).iter().filter(|name| name.to_lowercase().contains(&typed)).collect();
        // Those that begin so first.
        found.sort_by_key(|name| !name.to_lowercase().starts_with(&typed));
        found
    }

    fn answer(&mut self, mut prompt: Prompt, key: Key) -> Option<Wanted> {
        match key {
            Key::Escape => return Some(Wanted::Look),
            Key::Enter if prompt.purpose == Purpose::Filter => {
                self.filter = prompt.typed;
                return Some(Wanted::Look);
            }
            Key::Enter => {
                let found = self.fitting(&prompt).get(prompt.chosen).map(|name| (*name).clone());
                return Some(match found {
                    Some(name) => self.wanted(prompt.purpose, name),
                    None => {
                        self.note(format!("no service fits `{}`", prompt.typed));
                        Wanted::Look
                    }
                });
            }
            Key::Backspace => drop(prompt.typed.pop()),
            Key::Control('u') => prompt.typed.clear(),
            Key::Letter(letter) => prompt.typed.push(letter),
            Key::Tab | Key::Right | Key::Down => {
                let count = self.fitting(&prompt).len().max(1);
                prompt.chosen = (prompt.chosen + 1) % count;
                self.prompt = Some(prompt);
                return Some(Wanted::Look);
            }
            Key::Left | Key::Up => {
                let count = self.fitting(&prompt).len().max(1);
                prompt.chosen = (prompt.chosen + count - 1) % count;
                self.prompt = Some(prompt);
                return Some(Wanted::Look);
            }
            _ => {}
        }
        prompt.chosen = 0;
        self.prompt = Some(prompt);
        Some(Wanted::Look)
    }

    fn wanted(&mut self, purpose: Purpose, service: String) -> Wanted {
        match purpose {
            Purpose::Open => Wanted::Open(service),
            Purpose::Restart => Wanted::Restart(service),
            Purpose::Rebuild => Wanted::Rebuild(service),
            Purpose::Follow | Purpose::Filter => {
                self.only = if self.only.as_ref() == Some(&service) { None } else { Some(service) };
                Wanted::Look
            }
        }
    }

    /// The rows at the bottom, of a terminal of so many columns.
    pub(super) fn rows(&self, columns: usize, colour: bool) -> Vec<Line> {
        let room = columns.saturating_sub(1);
        let mut rows = Vec::new();
        if self.help && self.prompt.is_none() {
            rows.extend(HELP.iter().map(|(key, text)| {
                let mut row = Line::new(room, colour);
                row.push_padded(style::BOLD, &format!("  {key}"), 10);
                row.push(style::PLAIN, text);
                row
            }));
        }
        let mut row = Line::new(room, colour);
        match &self.prompt {
            Some(prompt) => self.question(prompt, &mut row),
            None => self.keys(&mut row),
        }
        rows.push(row);
        rows
    }

    fn question(&self, prompt: &Prompt, row: &mut Line) {
        let words = match prompt.purpose {
            Purpose::Restart => "restart which?",
            Purpose::Rebuild => "rebuild which?",
            Purpose::Open => "open which?",
            Purpose::Follow => "show only which?",
            Purpose::Filter => "show only lines with:",
        };
        row.push(style::BOLD, words);
        row.push(style::PLAIN, &format!(" {}", prompt.typed));
        row.push(style::REVERSE, " ");
        for (number, name) in self.fitting(prompt).into_iter().enumerate() {
            row.push(style::PLAIN, " ");
            row.push(if number == prompt.chosen { style::REVERSE } else { style::DIM }, name);
        }
        row.push(style::DIM, if prompt.purpose == Purpose::Filter { "  enter, esc" } else { "  tab, enter, esc" });
    }

    fn keys(&self, row: &mut Line) {
        if !self.note.is_empty() {
            row.push(style::YELLOW, &self.note);
            row.push(style::PLAIN, "  ");
        }
        if let Some(only) = &self.only {
            row.push(style::CYAN, &format!("only {only}  "));
        }
        if !self.filter.is_empty() {
            row.push(style::CYAN, &format!("only lines with `{}`  ", self.filter));
        }
        let watch = match self.watching {
            Some(true) => Some(("w", "stop watching")),
            Some(false) => Some(("w", "watch")),
            None => None,
        };
        let open = (!self.open.is_empty()).then_some(("o", "open"));
        let rebuild = (!self.built.is_empty()).then_some(("b", "rebuild"));
        let all =
            [watch, Some(("d", "detach")), open, Some(("r", "restart")), rebuild, Some(("f", "filter")), Some(("s", "service"))];
        for (key, word) in all.into_iter().flatten().chain([("?", "help")]) {
            row.push(style::BOLD, key);
            row.push(style::DIM, &format!(" {word}  "));
        }
    }
}

const HELP: [(&str, &str); 9] = [
    ("w", "follow changes of files, where the stack says what to do about them"),
    ("d", "detach: everything goes on"),
    ("o", "open a published port in a browser"),
    ("r", "restart a service"),
    ("b", "build a service again, and replace its containers"),
    ("f, /", "show only lines with some text; esc shows all again"),
    ("s", "show only one service"),
    ("enter", "draw a line between what was and what comes"),
    ("Ctrl-C", "stop everything; once more kills it.  Ctrl-Z suspends"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Menu {
        let services = ["api", "db", "web"].map(str::to_owned).to_vec();
        Menu { open: vec!["web".to_owned()], ..Menu::new(services, vec!["api".to_owned()], Some(false)) }
    }

    fn typed(menu: &mut Menu, keys: &[Key]) -> Option<Wanted> {
        keys.iter().fold(None, |_, key| menu.key(*key))
    }

    fn bottom(menu: &Menu, columns: usize) -> String {
        menu.rows(columns, false).last().map(|row| row.as_str().trim_end().to_owned()).unwrap_or_default()
    }

    #[test]
    fn what_needs_no_answer_is_done_at_once() {
        let mut menu = menu();
        assert_eq!(menu.key(Key::Letter('d')), Some(Wanted::Detach));
        assert_eq!(menu.key(Key::Letter('o')), Some(Wanted::Open("web".to_owned())));
        assert_eq!(menu.key(Key::Letter('b')), Some(Wanted::Rebuild("api".to_owned())));
        assert_eq!(menu.key(Key::Letter('w')), Some(Wanted::Watch));
        assert_eq!(menu.key(Key::Letter('x')), None);
    }

    #[test]
    fn a_service_is_chosen_by_a_part_of_its_name() {
        let mut menu = menu();
        assert_eq!(typed(&mut menu, &[Key::Letter('r'), Key::Letter('w')]), Some(Wanted::Look));
        assert_eq!(bottom(&menu, 80), "restart which? w  web  tab, enter, esc");
        assert_eq!(menu.key(Key::Enter), Some(Wanted::Restart("web".to_owned())));
        assert_eq!(typed(&mut menu, &[Key::Letter('r'), Key::Tab, Key::Enter]), Some(Wanted::Restart("db".to_owned())));
        typed(&mut menu, &[Key::Letter('r'), Key::Letter('x'), Key::Enter]);
        assert!(bottom(&menu, 80).starts_with("no service fits `x`"));
    }

    #[test]
    fn lines_are_chosen_by_service_and_text() {
        let mut menu = menu();
        typed(&mut menu, &[Key::Letter('s'), Key::Letter('d'), Key::Enter]);
        typed(&mut menu, &[Key::Letter('/'), Key::Letter('E'), Key::Letter('r'), Key::Enter]);
        assert!(menu.shows("db", "an error") && !menu.shows("db", "fine") && !menu.shows("web", "an error"));
        assert!(bottom(&menu, 80).starts_with("only db  only lines with `Er`  w watch"), "{}", bottom(&menu, 80));
        menu.key(Key::Escape);
        assert!(menu.shows("web", "fine"));
    }

    #[test]
    fn it_fits_every_terminal() {
        let mut menu = menu();
        assert_eq!(bottom(&menu, 80), "w watch  d detach  o open  r restart  b rebuild  f filter  s service  ? help");
        menu.key(Key::Letter('?'));
        for columns in [20, 60, 80, 200] {
            let rows = menu.rows(columns, true);
            assert_eq!(rows.len(), 10);
            assert!(rows.iter().all(|row| row.width() < columns));
        }
    }
}
