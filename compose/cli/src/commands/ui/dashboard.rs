//! What the dashboard knows, and what keys do to it. Pure.

use std::collections::{BTreeMap, VecDeque};

use rcompose_model::Project;
use rcompose_supervisor::messages::{ContainerStats, ContainerSummary};

use super::output::Output;
use crate::terminal::keys::Key;

/// Figures that are remembered of each service: one a second.
const REMEMBERED: usize = 60;

/// What a key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Leave,
    Start(String),
    Stop(String),
    Restart(String),
    Rebuild(String),
    Exec(String),
}

/// What stands below the list of services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Output,
    Graph,
    Help,
}

/// What is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    Search(String),
    Filter(String),
}

/// A service.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) containers: Vec<ContainerSummary>,
    pub(super) needs: Vec<String>,
    /// Of all its containers, the newest last.
    pub(super) cpu: VecDeque<f64>,
    pub(super) memory: VecDeque<u64>,
}

/// How a service is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    /// It comes up, or goes down.
    Changing,
    Ill,
    Failed,
    /// It does not run, and nothing is wrong with that.
    Resting,
}

impl Service {
    /// The worst of its containers.
    pub(super) fn condition(&self) -> Condition {
        let of = |it: &ContainerSummary| match (it.state.as_str(), it.health.as_str(), it.exit_code) {
            ("running", "unhealthy", _) => Condition::Ill,
            ("running", "starting", _) | ("restarting" | "removing" | "created", _, _) => Condition::Changing,
            ("running", _, _) => Condition::Well,
            ("exited", _, 0 | 143) => Condition::Resting,
            ("exited", _, _) => Condition::Failed,
            _ => Condition::Resting,
        };
        let rank = |condition: &Condition| match condition {
            Condition::Failed => 4,
            Condition::Ill => 3,
            Condition::Changing => 2,
            Condition::Well => 1,
            Condition::Resting => 0,
        };
        self.containers.iter().map(of).max_by_key(rank).unwrap_or(Condition::Resting)
    }

    /// Its state in words.
    pub(super) fn state(&self) -> String {
        let Some(first) = self.containers.first() else { return "none".to_owned() };
        let one = |it: &ContainerSummary| match it.state.as_str() {
            "exited" => format!("exited {}", it.exit_code),
            state => state.to_owned(),
        };
        let same = self.containers.iter().all(|it| one(it) == one(first));
        match (self.containers.len(), same) {
            (1, _) => one(first),
            (count, true) => format!("{} x{count}", one(first)),
            (count, false) => {
                format!("{}/{count} running", self.containers.iter().filter(|it| it.state == "running").count())
            }
        }
    }

    pub(super) fn health(&self) -> &str {
        let rank = |it: &&ContainerSummary| match it.health.as_str() {
            "unhealthy" => 3,
            "starting" => 2,
            "healthy" => 1,
            _ => 0,
        };
        self.containers.iter().max_by_key(rank).map_or("", |it| it.health.as_str())
    }

    pub(super) fn is_alive(&self) -> bool {
        self.containers.iter().any(|it| matches!(it.state.as_str(), "running" | "paused" | "restarting"))
    }

    /// `8080->80, 53/udp`
    pub(super) fn ports(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for port in self.containers.iter().flat_map(|it| &it.ports) {
            let protocol = if port.protocol == "tcp" { "" } else { "/udp" };
            let text = format!("{}->{}{protocol}", port.published_port, port.target_port);
            if !all.contains(&text) {
                all.push(text);
            }
        }
        all.join(" ")
    }
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub(super) struct Dashboard {
    pub(super) project: String,
    pub(super) services: BTreeMap<String, Service>,
    /// Of the services.
    pub(super) chosen: usize,
    pub(super) pane: Pane,
    /// Output of all services, not of the chosen one alone.
    pub(super) all: bool,
    /// Output or graph on the whole terminal.
    pub(super) whole: bool,
    pub(super) output: Output,
    /// Lines from the newest to the last one that is shown.
    pub(super) back: usize,
    /// Columns that are cut off at the left of the output.
    pub(super) aside: usize,
    pub(super) search: String,
    pub(super) filter: String,
    pub(super) prompt: Option<Prompt>,
    pub(super) note: String,
}

impl Dashboard {
    pub(super) fn new(name: &str, project: Option<&Project>) -> Self {
        let mut board = Self { project: name.to_owned(), ..Self::default() };
        for service in project.into_iter().flat_map(|project| project.services.values()) {
            let needs = service.depends_on.keys().cloned().collect();
            board.services.insert(service.name.clone(), Service { needs, ..Service::default() });
        }
        board
    }

    /// Containers as they are now.
    pub(super) fn look(&mut self, containers: Vec<ContainerSummary>) {
        let chosen = self.chosen_name();
        self.services.values_mut().for_each(|service| service.containers.clear());
        for container in containers.into_iter().filter(|it| it.number > 0) {
            let needs = container.labels.get("com.docker.compose.depends_on").map(String::as_str).unwrap_or_default();
            let needs = needs.split(',').filter_map(|part| part.split(':').next()).filter(|name| !name.is_empty());
            let needs: Vec<String> = needs.map(str::to_owned).collect();
            let service = self.services.entry(container.service.clone()).or_default();
            // Where there are no files, containers know what they need.
            if service.needs.is_empty() {
                service.needs = needs;
            }
            service.containers.push(container);
        }
        // A service that came or went moves the others.
        let place = chosen.and_then(|name| self.services.keys().position(|it| *it == name));
        self.chosen = place.unwrap_or(self.chosen).min(self.services.len().saturating_sub(1));
    }

    /// A piece of output; what is looked at further up stays where it is.
    pub(super) fn said(&mut self, service: &str, container: &str, is_error: bool, text: &str) {
        let Some(line) = self.output.add(service, container, is_error, text) else { return };
        let is_shown = self.shown().is_none_or(|shown| shown == service);
        if self.back > 0 && is_shown && line.text.to_lowercase().contains(&self.filter.to_lowercase()) {
            self.back += 1;
        }
    }

    /// What containers used in the last second.
    pub(super) fn measured(&mut self, stats: &[ContainerStats]) {
        for (name, service) in &mut self.services {
            let own = || stats.iter().filter(|it| it.service == *name);
            service.cpu.push_back(own().map(|it| it.cpu_percent).sum());
            service.memory.push_back(own().map(|it| it.memory).sum());
            if service.cpu.len() > REMEMBERED {
                service.cpu.pop_front();
                service.memory.pop_front();
            }
        }
    }

    pub(super) fn note(&mut self, text: String) {
        self.note = text;
    }

    pub(super) fn chosen_name(&self) -> Option<String> {
        self.services.keys().nth(self.chosen).cloned()
    }

    /// Whose output is shown; `None` is all.
    pub(super) fn shown(&self) -> Option<String> {
        if self.all { None } else { self.chosen_name() }
    }

    /// Takes a key; gives what it asks for that is not done here.
    pub(super) fn key(&mut self, key: Key, size: (usize, usize)) -> Option<Wanted> {
        if let Some(prompt) = self.prompt.take() {
            self.typed(prompt, key);
            return None;
        }
        self.note.clear();
        let page = size.1 / 2;
        match key {
            Key::Letter('q') => return Some(Wanted::Leave),
            Key::Up | Key::Letter('k') => self.choose(self.chosen.saturating_sub(1)),
            Key::Down | Key::Letter('j') => self.choose(self.chosen + 1),
            Key::Home => self.scroll(usize::MAX / 2, true),
            Key::End => self.back = 0,
            Key::PageUp => self.scroll(page, true),
            Key::PageDown => self.scroll(page, false),
            Key::Left => self.aside = self.aside.saturating_sub(20),
            Key::Right => self.aside += 20,
            Key::Letter('a') => (self.all, self.back) = (!self.all, 0),
            Key::Letter('l') | Key::Enter => self.show(Pane::Output),
            Key::Letter('g') => self.show(Pane::Graph),
            Key::Letter('?' | 'h') => self.show(Pane::Help),
            Key::Letter('/') => self.prompt = Some(Prompt::Search(String::new())),
            Key::Letter('f') => self.prompt = Some(Prompt::Filter(self.filter.clone())),
            Key::Letter('n') => self.find(self.back + 1),
            Key::Letter('N') => self.find_below(),
            Key::Escape => self.forget(),
            Key::Letter(letter) => return self.act(letter),
            _ => {}
        }
        None
    }

    fn act(&mut self, letter: char) -> Option<Wanted> {
        let name = self.chosen_name()?;
        let is_alive = self.services.get(&name).is_some_and(Service::is_alive);
        match letter {
            's' if is_alive => Some(Wanted::Stop(name)),
            's' | 'u' => Some(Wanted::Start(name)),
            'r' => Some(Wanted::Restart(name)),
            'b' => Some(Wanted::Rebuild(name)),
            'e' if is_alive => Some(Wanted::Exec(name)),
            'e' => {
                self.note(format!("{name} does not run"));
                None
            }
            _ => None,
        }
    }

    fn choose(&mut self, at: usize) {
        self.chosen = at.min(self.services.len().saturating_sub(1));
        if !self.all {
            (self.back, self.aside) = (0, 0);
        }
    }

    /// Shows a pane below the list; once more, on the whole terminal.
    fn show(&mut self, pane: Pane) {
        self.whole = if self.pane == pane { !self.whole } else { false };
        self.pane = pane;
    }

    fn forget(&mut self) {
        (self.search, self.filter, self.back, self.aside) = (String::new(), String::new(), 0, 0);
        (self.pane, self.whole) = (Pane::Output, false);
    }

    fn scroll(&mut self, lines: usize, up: bool) {
        let most = self.output.count(self.shown().as_deref(), &self.filter).saturating_sub(1);
        self.back = if up { (self.back + lines).min(most) } else { self.back.saturating_sub(lines) };
    }

    fn find(&mut self, from: usize) {
        if self.search.is_empty() {
            return;
        }
        match self.output.find(self.shown().as_deref(), &self.filter, &self.search, from) {
            Some(at) => self.back = at,
            None => self.note(format!("no more `{}` above", self.search)),
        }
    }

    fn find_below(&mut self) {
        let shown = self.shown();
        let found = |from| self.output.find(shown.as_deref(), &self.filter, &self.search, from).filter(|at| *at < self.back);
        // The last one before where we are.
        let nearest = std::iter::successors(found(0), |at| found(at + 1)).last();
        match nearest.filter(|_| !self.search.is_empty()) {
            Some(at) => self.back = at,
            None => self.note(format!("no more `{}` below", self.search)),
        }
    }

    fn typed(&mut self, mut prompt: Prompt, key: Key) {
        let (Prompt::Search(text) | Prompt::Filter(text)) = &mut prompt;
        match key {
            Key::Escape => return,
            Key::Enter => {
                match prompt {
                    Prompt::Search(text) => {
                        self.search = text;
                        self.find(0);
                    }
                    Prompt::Filter(text) => (self.filter, self.back) = (text, 0),
                }
                return;
            }
            Key::Backspace => drop(text.pop()),
            Key::Control('u') => text.clear(),
            Key::Letter(letter) => text.push(letter),
            _ => {}
        }
        self.prompt = Some(prompt);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn container(service: &str, state: &str, health: &str, exit_code: i32) -> ContainerSummary {
        serde_json::from_value(serde_json::json!({
            "id": service, "name": format!("shop-{service}-1"), "project": "shop", "service": service, "number": 1, "image": "i",
            "image_id": "", "command": [], "created": 0, "started_at": null, "finished_at": null, "state": state, "health": health,
            "exit_code": exit_code, "oom_killed": false, "restarts": 0, "exposed": [], "networks": [], "volumes": [], "labels": {},
            "failure": null,
            "ports": [{"URL": "0.0.0.0", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"},
                      {"URL": "::", "TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp"}],
        }))
        .unwrap()
    }

    pub(crate) fn board() -> Dashboard {
        let mut board = Dashboard { project: "shop".to_owned(), ..Dashboard::default() };
        let all =
            [("api", "running", "", 0), ("db", "running", "unhealthy", 0), ("job", "exited", "", 3), ("web", "created", "", 0)];
        board.look(all.into_iter().map(|(service, state, health, code)| container(service, state, health, code)).collect());
        board
    }

    fn press(board: &mut Dashboard, keys: &str) -> Option<Wanted> {
        let key = |letter| if letter == '\n' { Key::Enter } else { Key::Letter(letter) };
        keys.chars().fold(None, |_, letter| board.key(key(letter), (80, 24)))
    }

    #[test]
    fn conditions_are_those_of_the_worst_container() {
        let board = board();
        let of = |name: &str| board.services[name].condition();
        assert_eq!(
            (of("api"), of("db"), of("job"), of("web")),
            (Condition::Well, Condition::Ill, Condition::Failed, Condition::Changing)
        );
        assert_eq!(
            (board.services["job"].state(), board.services["api"].ports()),
            ("exited 3".to_owned(), "8080->80".to_owned())
        );
    }

    #[test]
    fn keys_act_on_the_chosen_service() {
        let mut board = board();
        assert_eq!(press(&mut board, "jr"), Some(Wanted::Restart("db".to_owned())));
        assert_eq!(press(&mut board, "s"), Some(Wanted::Stop("db".to_owned())));
        assert_eq!(press(&mut board, "js"), Some(Wanted::Start("job".to_owned())));
        assert_eq!(press(&mut board, "e"), None);
        assert_eq!(board.note, "job does not run");
        assert_eq!(press(&mut board, "jjjjk"), None);
        assert_eq!(press(&mut board, "b"), Some(Wanted::Rebuild("job".to_owned())));
        assert_eq!(press(&mut board, "q"), Some(Wanted::Leave));
    }

    #[test]
    fn the_chosen_service_stays_chosen_when_others_come() {
        let mut board = board();
        press(&mut board, "jj");
        board.look(["api", "cache", "db", "job", "web"].map(|name| container(name, "running", "", 0)).to_vec());
        assert_eq!(board.chosen_name().as_deref(), Some("job"));
    }

    #[test]
    fn output_is_searched_up_and_down() {
        let mut board = board();
        (0..100).for_each(|number| board.said("api", "shop-api-1", false, &format!("line {number}\n")));
        press(&mut board, "/line 5\n");
        assert_eq!(board.back, 40, "the newest with `line 5` is `line 59`");
        press(&mut board, "n");
        assert_eq!(board.back, 41);
        board.said("api", "shop-api-1", false, "more\n");
        board.said("db", "shop-db-1", false, "more\n");
        assert_eq!(board.back, 42, "it stays where it is");
        press(&mut board, "N");
        assert_eq!(board.back, 41);
        press(&mut board, "N");
        assert_eq!((board.back, board.note.as_str()), (41, "no more `line 5` below"));
        press(&mut board, "f9\n");
        assert_eq!(board.output.count(board.shown().as_deref(), &board.filter), 19);
    }
}
