//! The dashboard as rows of a terminal. Pure.

use std::collections::VecDeque;

use super::dashboard::{Condition, Dashboard, Pane, Prompt, Service};
use super::graph;
use crate::output::line::{Line, columns, style};
use crate::output::words::binary_bytes;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// All rows, from top to bottom.
pub(super) fn frame(board: &Dashboard, size: (usize, usize), colour: bool) -> Vec<Line> {
    let page = Page { width: size.0.saturating_sub(1), height: size.1, colour };
    let mut rows = vec![page.title(board)];
    let below = page.height.saturating_sub(2);
    if !board.whole {
        // What is below the list has at least half of the terminal.
        let room = below.saturating_sub(1) / 2;
        rows.extend(page.services(board, room.min(board.services.len() + 1)));
        rows.push(page.edge(board));
    }
    let room = page.height.saturating_sub(rows.len() + 1);
    let mut pane = match board.pane {
        Pane::Output => page.output(board, room),
        Pane::Graph => page.graph(board),
        Pane::Help => page.help(),
    };
    pane.resize_with(room, || page.line());
    rows.extend(pane);
    rows.push(page.bottom(board));
    rows
}

struct Page {
    width: usize,
    height: usize,
    colour: bool,
}

/// How a condition is marked and painted.
fn mark(condition: Condition) -> (&'static str, &'static str) {
    match condition {
        Condition::Well => ("●", style::GREEN),
        Condition::Changing => ("◐", style::BLUE),
        Condition::Ill => ("●", style::YELLOW),
        Condition::Failed => ("✘", style::RED),
        Condition::Resting => ("○", style::DIM),
    }
}

impl Page {
    fn line(&self) -> Line {
        Line::new(self.width, self.colour)
    }

    fn title(&self, board: &Dashboard) -> Line {
        let mut line = self.line();
        line.push(style::BOLD, &format!(" {}", board.project));
        let count = |wanted: Condition| board.services.values().filter(|it| it.condition() == wanted).count();
        let words = [
            (Condition::Well, "well"),
            (Condition::Changing, "changing"),
            (Condition::Ill, "unhealthy"),
            (Condition::Failed, "failed"),
            (Condition::Resting, "not running"),
        ];
        for (condition, word) in words.into_iter().filter(|(condition, _)| count(*condition) > 0) {
            let (sign, paint) = mark(condition);
            line.push(paint, &format!("  {sign} {} {word}", count(condition)));
        }
        line
    }

    fn services(&self, board: &Dashboard, room: usize) -> Vec<Line> {
        let widest = board.services.keys().map(|name| columns(name)).max().unwrap_or(0).min(self.width / 4).max(7);
        let graphs = if self.width >= 110 { 16 } else { 8 };
        let parts = Parts {
            name: widest,
            health: self.width >= 75,
            ports: self.width >= 95,
            graphs: if self.width >= 70 { graphs } else { 0 },
        };
        let mut rows = vec![parts.heading(self.line())];
        let count = room.saturating_sub(1).max(1);
        // The chosen one is always there.
        let first = (board.chosen + 1).saturating_sub(count);
        for (number, (name, service)) in board.services.iter().enumerate().skip(first).take(count) {
            rows.push(parts.row(self.line(), name, service, number == board.chosen));
        }
        rows
    }

    fn edge(&self, board: &Dashboard) -> Line {
        let what = match (board.pane, board.shown()) {
            (Pane::Output, Some(service)) => format!("output of {service}"),
            (Pane::Output, None) => "output of all".to_owned(),
            (Pane::Graph, _) => "what needs what".to_owned(),
            (Pane::Help, _) => "keys".to_owned(),
        };
        let mut line = self.line();
        line.push(style::DIM, &format!("── {what} "));
        if board.pane == Pane::Output {
            for (word, text) in
                [("with", &board.filter), ("searched:", &board.search)].iter().filter(|(_, text)| !text.is_empty())
            {
                line.push(style::CYAN, &format!("{word} `{text}` "));
            }
            if board.back > 0 {
                line.push(style::YELLOW, &format!("{} newer below ", board.back));
            }
        }
        let rest = self.width.saturating_sub(line.width());
        line.push(style::DIM, &"─".repeat(rest));
        line
    }

    fn output(&self, board: &Dashboard, room: usize) -> Vec<Line> {
        let said = board.output.last(board.shown().as_deref(), &board.filter, board.back, room);
        let project = format!("{}-", board.project);
        let short = |name: &str| name.strip_prefix(&project).unwrap_or(name).to_owned();
        let widest = said.iter().map(|it| columns(&short(&it.container))).max().unwrap_or(0).min(self.width / 3);
        let rows = said.iter().map(|it| {
            let mut line = self.line();
            if board.all {
                line.push_padded(style::CYAN, &short(&it.container), widest);
                line.push(style::DIM, " | ");
            }
            let text: String = it.text.chars().skip(board.aside).collect();
            found(&mut line, &text, &board.search, if it.is_error { style::YELLOW } else { style::PLAIN });
            line
        });
        rows.collect()
    }

    fn graph(&self, board: &Dashboard) -> Vec<Line> {
        let needs = board.services.iter().map(|(name, service)| (name.clone(), service.needs.clone())).collect();
        let rows = graph::tree(&needs).into_iter().map(|branch| {
            let mut line = self.line();
            line.push(style::DIM, &format!(" {}", branch.stem));
            let service = board.services.get(&branch.service);
            let (sign, paint) = mark(service.map_or(Condition::Resting, Service::condition));
            line.push(paint, &format!("{sign} {}", branch.service));
            if branch.is_repeated {
                line.push(style::DIM, "  as above");
            } else if let Some(service) = service {
                line.push(style::DIM, &format!("  {} {} {}", service.state(), service.health(), service.ports()));
            }
            line
        });
        rows.collect()
    }

    fn help(&self) -> Vec<Line> {
        let row = |(key, text): &(&str, &str)| {
            let mut line = self.line();
            line.push_padded(style::BOLD, &format!(" {key}"), 16);
            line.push(style::PLAIN, text);
            line
        };
        HELP.iter().map(row).collect()
    }

    fn bottom(&self, board: &Dashboard) -> Line {
        let mut line = self.line();
        match (&board.prompt, board.note.as_str()) {
            (Some(Prompt::Search(text)), _) => question(&mut line, "search:", text),
            (Some(Prompt::Filter(text)), _) => question(&mut line, "only lines with:", text),
            (None, "") => {
                for (key, word) in KEYS {
                    line.push(style::BOLD, &format!(" {key}"));
                    line.push(style::DIM, &format!(" {word} "));
                }
            }
            (None, note) => line.push(style::YELLOW, &format!(" {note}")),
        }
        line
    }
}

fn question(line: &mut Line, words: &str, text: &str) {
    line.push(style::BOLD, &format!(" {words} "));
    line.push(style::PLAIN, text);
    line.push(style::REVERSE, " ");
    line.push(style::DIM, "  enter, esc");
}

/// Text with what is searched marked.
fn found(line: &mut Line, text: &str, search: &str, paint: &str) {
    let (lower, search) = (text.to_lowercase(), search.to_lowercase());
    // Letters whose small form has another length would put the marks in the wrong places.
    if search.is_empty() || lower.len() != text.len() {
        return line.push(paint, text);
    }
    let mut rest = 0;
    for (at, hit) in lower.match_indices(&search) {
        let end = at + hit.len();
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            line.push(paint, &text[rest..at]);
            line.push(style::REVERSE, &text[at..end]);
            rest = end;
        }
    }
    line.push(paint, &text[rest..]);
}

/// Which columns of the list there is room for.
struct Parts {
    name: usize,
    health: bool,
    ports: bool,
    /// Columns of each.
    graphs: usize,
}

impl Parts {
    fn heading(&self, mut line: Line) -> Line {
        line.push(style::DIM, "   ");
        line.push_padded(style::DIM, "SERVICE", self.name + 2);
        line.push_padded(style::DIM, "STATE", 13);
        if self.health {
            line.push_padded(style::DIM, "HEALTH", 10);
        }
        line.push_padded(style::DIM, "CPU", self.graphs + 7);
        line.push_padded(style::DIM, "MEMORY", self.graphs + 9);
        if self.ports {
            line.push(style::DIM, "PORTS");
        }
        line
    }

    fn row(&self, mut line: Line, name: &str, service: &Service, chosen: bool) -> Line {
        let (sign, paint) = mark(service.condition());
        line.push(style::BOLD, if chosen { ">" } else { " " });
        line.push(paint, &format!("{sign} "));
        line.push_padded(if chosen { style::REVERSE } else { style::PLAIN }, name, self.name);
        line.push(style::PLAIN, "  ");
        line.push_padded(paint, &service.state(), 13);
        if self.health {
            line.push_padded(paint, service.health(), 10);
        }
        let cpu: VecDeque<f64> = service.cpu.clone();
        // Of a processor; more only where more was used.
        let most = cpu.iter().copied().fold(100.0, f64::max);
        let now = if service.is_alive() { cpu.back().map(|it| format!("{it:>5.1}%")) } else { None };
        self.measure(&mut line, &cpu, most, &now.unwrap_or_default(), 7);
        #[expect(clippy::cast_precision_loss, reason = "eight heights are shown")]
        let memory: VecDeque<f64> = service.memory.iter().map(|bytes| *bytes as f64).collect();
        let most = memory.iter().copied().fold(1.0, f64::max) * 1.25;
        let now = if service.is_alive() { service.memory.back().map(|it| format!("{:>8}", binary_bytes(*it))) } else { None };
        self.measure(&mut line, &memory, most, &now.unwrap_or_default(), 9);
        if self.ports {
            line.push(style::DIM, &service.ports());
        }
        line
    }

    fn measure(&self, line: &mut Line, values: &VecDeque<f64>, most: f64, now: &str, width: usize) {
        if self.graphs > 0 {
            line.push_padded(style::BLUE, &sparkline(values, most, self.graphs), self.graphs);
        }
        line.push_padded(style::PLAIN, now, width);
    }
}

/// The newest values as bars of eight heights, the newest at the right.
fn sparkline(values: &VecDeque<f64>, most: f64, width: usize) -> String {
    let bar = |value: &f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of one, of eight")]
        let height = ((value / most).clamp(0.0, 1.0) * 7.0).round() as usize;
        BARS[height.min(7)]
    };
    let shown = values.iter().skip(values.len().saturating_sub(width));
    let text: String = shown.map(bar).collect();
    format!("{text:>width$}")
}

const KEYS: [(&str, &str); 10] = [
    ("?", "help"),
    ("q", "quit"),
    ("r", "restart"),
    ("s", "stop"),
    ("e", "exec"),
    ("b", "rebuild"),
    ("/", "search"),
    ("f", "filter"),
    ("a", "all"),
    ("g", "graph"),
];

const HELP: [(&str, &str); 12] = [
    ("up, down, j, k", "choose a service"),
    ("r", "restart it"),
    ("s", "stop it, or start it"),
    ("e", "a shell in it"),
    ("b", "build it again, and replace its containers"),
    ("a", "output of all services, or of the chosen one"),
    ("l, enter", "output; once more: on the whole terminal"),
    ("g", "what needs what; once more: on the whole terminal"),
    ("/, n, N", "search the output, further up, further down"),
    ("f", "only lines with some text"),
    ("pages, arrows", "scroll the output; End follows it again"),
    ("esc, q", "back to the beginning, leave"),
];

#[cfg(test)]
mod tests {
    use super::super::dashboard::tests::{board, container};
    use super::*;
    use rcompose_supervisor::messages::ContainerStats;

    fn text(board: &Dashboard, size: (usize, usize)) -> Vec<String> {
        frame(board, size, false).iter().map(|row| row.as_str().trim_end().to_owned()).collect()
    }

    #[test]
    fn services_stand_above_the_output_of_the_chosen_one() {
        let mut board = board();
        board.output.add("api", "shop-api-1", false, "listening\n");
        let used =
            |cpu_percent, memory| ContainerStats { service: "api".to_owned(), cpu_percent, memory, ..ContainerStats::default() };
        board.measured(&[used(100.0, 1 << 20)]);
        board.measured(&[used(0.0, 2 << 20)]);
        let rows = text(&board, (100, 14));
        assert_eq!(rows.len(), 14);
        assert_eq!(rows[0], " shop  ● 1 well  ◐ 1 changing  ● 1 unhealthy  ✘ 1 failed");
        assert_eq!(rows[1], "   SERVICE  STATE        HEALTH    CPU            MEMORY           PORTS");
        assert_eq!(rows[2], ">● api      running                      █▁  0.0%       ▄▇    2MiB 8080->80");
        assert_eq!(rows[4].trim_start_matches(' '), "✘ job      exited 3                     ▁▁             ▁▁         8080->80");
        assert!(rows[6].starts_with("── output of api ─"), "{}", rows[6]);
        assert_eq!(rows[7], "listening");
        assert!(rows[13].starts_with(" ? help  q quit  r restart  s stop"), "{}", rows[13]);
    }

    #[test]
    fn every_size_is_filled_and_nothing_is_wider() {
        let mut board = board();
        board.look((0..50).map(|number| container(&format!("サービス{number}"), "running", "healthy", 0)).collect());
        board.output.add("サービス1", "shop-サービス1-1", false, &"日本語".repeat(100));
        board.output.add("サービス1", "shop-サービス1-1", false, "\n");
        for pane in [Pane::Output, Pane::Graph, Pane::Help] {
            for whole in [false, true] {
                (board.pane, board.whole, board.all) = (pane, whole, whole);
                for size in [(20, 5), (60, 24), (80, 24), (120, 40), (200, 60)] {
                    let rows = frame(&board, size, true);
                    assert_eq!(rows.len(), size.1, "{size:?}");
                    assert!(rows.iter().all(|row| row.width() < size.0), "{size:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_searched_is_marked() {
        let mut line = Line::new(40, true);
        found(&mut line, "An Error and an error", "error", style::PLAIN);
        assert_eq!(line.as_str(), "An \u{1b}[7mError\u{1b}[0m and an \u{1b}[7merror\u{1b}[0m");
    }

    #[test]
    fn sparklines_show_the_newest_at_the_right() {
        let values = VecDeque::from([0.0, 50.0, 100.0, 400.0]);
        assert_eq!(sparkline(&values, 100.0, 6), "  ▁▅██");
        assert_eq!(sparkline(&values, 100.0, 2), "██");
    }
}
