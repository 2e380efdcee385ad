//! The terminal's form: who waits, and below it what it waits for.
//!
//! ```text
//! web            running
//! ├─ api         running (healthy)
//! │  └─ db       running (healthy)    healthy
//! └─ db          see above            healthy
//! ```

use unicode_width::UnicodeWidthStr;

use super::picture::{Edge, Mood, Picture};

struct Line {
    tree: String,
    name: String,
    state: String,
    mood: Mood,
    needs: String,
}

pub(super) fn draw(picture: &Picture, coloured: bool) -> String {
    let mut lines = Vec::new();
    let mut shown = vec![false; picture.services.len()];
    for root in picture.roots() {
        add(picture, root, &mut shown, &mut lines);
    }
    let width = |line: &Line| line.tree.width() + line.name.width();
    let names = lines.iter().map(width).max().unwrap_or(0);
    let states = lines.iter().map(|line| line.state.width()).max().unwrap_or(0);
    let mut text = String::new();
    for line in &lines {
        let gap = " ".repeat(names - width(line) + 3);
        let state = if coloured { paint(&line.state, line.mood) } else { line.state.clone() };
        let rest = if line.needs.is_empty() {
            state
        } else {
            format!("{state}{}{}", " ".repeat(states - line.state.width() + 3), line.needs)
        };
        text.push_str(&format!("{}{}{gap}{rest}\n", line.tree, line.name));
    }
    text
}

/// Adds a service and what is below it; what was shown already is not gone into again.
fn add(picture: &Picture, root: usize, shown: &mut [bool], lines: &mut Vec<Line>) {
    // A stack of our own, since chains may be long; with what the lines of each level begin.
    let mut open = vec![(root, None::<Edge>, String::new(), String::new())];
    while let Some((place, edge, branch, below)) = open.pop() {
        let service = &picture.services[place];
        let again = std::mem::replace(&mut shown[place], true) && !service.waits_for.is_empty();
        lines.push(Line {
            tree: branch,
            name: service.name.clone(),
            state: if again { "see above".to_owned() } else { service.state.clone() },
            mood: if again { Mood::Absent } else { service.mood },
            needs: edge.as_ref().map(needs).unwrap_or_default(),
        });
        if again {
            continue;
        }
        for (number, edge) in service.waits_for.iter().enumerate().rev() {
            let is_last = number + 1 == service.waits_for.len();
            let (own, deeper) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            open.push((edge.to, Some(edge.clone()), format!("{below}{own}"), format!("{below}{deeper}")));
        }
    }
}

fn needs(edge: &Edge) -> String {
    match (edge.until, edge.required) {
        (None, true) => String::new(),
        (Some(until), true) => until.to_owned(),
        (None, false) => "optional".to_owned(),
        (Some(until), false) => format!("{until}, optional"),
    }
}

fn paint(text: &str, mood: Mood) -> String {
    let colour = match mood {
        Mood::Good => anstyle::AnsiColor::Green.on_default(),
        Mood::Waiting => anstyle::AnsiColor::Yellow.on_default(),
        Mood::Bad => anstyle::AnsiColor::Red.on_default(),
        Mood::Absent => anstyle::Style::new().dimmed(),
    };
    format!("{}{text}{}", colour.render(), colour.render_reset())
}

#[cfg(test)]
mod tests {
    use super::super::picture::Node;
    use super::*;

    fn node(name: &str, waits_for: &[(usize, Option<&'static str>, bool)]) -> Node {
        let waits_for = waits_for.iter().map(|(to, until, required)| Edge { to: *to, until: *until, required: *required });
        Node { name: name.to_owned(), mood: Mood::Good, state: "running".to_owned(), waits_for: waits_for.collect() }
    }

    #[test]
    fn shows_each_service_below_those_that_wait_for_it() {
        let services = vec![
            node("web", &[(1, None, true), (2, Some("healthy"), true)]),
            node("api", &[(2, Some("healthy"), true), (3, None, false)]),
            node("db", &[(3, None, true)]),
            node("dns", &[]),
            node("alone", &[]),
        ];
        let picture = Picture { name: "shop".to_owned(), services };
        insta::assert_snapshot!(draw(&picture, false), @r"
        web            running
        ├─ api         running
        │  ├─ db       running     healthy
        │  │  └─ dns   running
        │  └─ dns      running     optional
        └─ db          see above   healthy
        alone          running
        ");
    }
}
