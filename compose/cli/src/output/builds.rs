//! Builds as people know them: `#n` lines, each step with its number, its output with times, and what failed with the lines of
//! the Dockerfile.

use std::collections::BTreeMap;
use std::fmt::Write;

use rcompose_supervisor::builder::{BuildEvent, Excerpt};

/// Numbers the steps of all builds of a command, and turns what happens to them into lines.
#[derive(Debug, Default)]
pub(crate) struct BuildLines {
    steps: BTreeMap<(String, u32), Shown>,
}

/// A step that has been shown.
#[derive(Debug)]
struct Shown {
    number: usize,
    name: String,
    /// The line that has begun.
    open: String,
}

/// A line longer than this is cut in pieces.
const LONGEST: usize = 64 * 1024;

impl BuildLines {
    /// The name of a step, once it has begun.
    pub(crate) fn name(&self, service: &str, step: u32) -> Option<&str> {
        self.steps.get(&(service.to_owned(), step)).map(|shown| shown.name.as_str())
    }

    /// Takes note of a step that begins.
    pub(crate) fn begin(&mut self, service: &str, step: u32, name: &str) {
        let number = self.steps.len() + 1;
        let name = match name.strip_prefix('[') {
            Some(rest) => format!("[{service} {rest}"),
            None => name.to_owned(),
        };
        self.steps.insert((service.to_owned(), step), Shown { number, name, open: String::new() });
    }

    /// The lines that an event comes to.
    pub(crate) fn lines(&mut self, service: &str, event: &BuildEvent) -> String {
        if let BuildEvent::Started { step, name } = event {
            self.begin(service, *step, name);
        }
        let of = |step: &u32| (service.to_owned(), *step);
        match event {
            BuildEvent::Started { step, .. } => {
                let shown = &self.steps[&of(step)];
                format!("#{} {}\n", shown.number, shown.name)
            }
            BuildEvent::Reason { step, text } => self.line(&of(step), &format!("runs again: {text}")),
            BuildEvent::Output { step, text, at } => self.output(&of(step), text, *at),
            BuildEvent::Done { step, cached, took } => {
                let rest = self.rest(&of(step), *took);
                let end = if *cached { "CACHED".to_owned() } else { format!("DONE {}", seconds(*took, 1)) };
                rest + &self.line(&of(step), &end) + "\n"
            }
            BuildEvent::Failed { step, text, .. } => {
                let rest = self.rest(&of(step), 0);
                rest + &self.line(&of(step), &format!("ERROR: {text}"))
            }
            BuildEvent::Problem { .. } | BuildEvent::Warning { .. } => String::new(),
        }
    }

    /// What is shown when a step failed, after everything else: the end of its output, the lines of the Dockerfile.
    pub(crate) fn failure(&self, service: &str, step: u32, tail: &[String], excerpt: Option<&Excerpt>) -> String {
        let mut text = String::new();
        if !tail.is_empty() {
            let name = self.name(service, step).unwrap_or_default();
            let _ = writeln!(text, "------\n > {name}:");
            tail.iter().for_each(|line| text.push_str(&format!("{line}\n")));
            text.push_str("------\n");
        }
        if let Some(excerpt) = excerpt.filter(|excerpt| !excerpt.lines.is_empty()) {
            let first = excerpt.lines.iter().find(|(_, _, marked)| *marked).map_or(1, |(number, ..)| *number);
            let _ = writeln!(text, "{}:{first}\n--------------------", excerpt.file);
            for (number, line, marked) in &excerpt.lines {
                let _ = writeln!(text, "{number:>4} | {} {line}", if *marked { ">>>" } else { "   " });
            }
            text.push_str("--------------------\n");
        }
        text
    }

    fn line(&self, step: &(String, u32), text: &str) -> String {
        self.steps.get(step).map(|shown| format!("#{} {text}\n", shown.number)).unwrap_or_default()
    }

    fn output(&mut self, step: &(String, u32), text: &str, at: u64) -> String {
        let Some(shown) = self.steps.get_mut(step) else { return String::new() };
        let mut lines = String::new();
        for piece in text.split_inclusive('\n') {
            shown.open.push_str(piece);
            if piece.ends_with('\n') || shown.open.len() > LONGEST {
                let line = std::mem::take(&mut shown.open);
                // What was written over the same line counts as written last.
                let line = line.trim_end_matches(['\n', '\r']);
                let line = line.rsplit('\r').next().unwrap_or(line);
                let _ = writeln!(lines, "#{} {} {line}", shown.number, seconds(at, 3).trim_end_matches('s'));
            }
        }
        lines
    }

    /// A line that was never ended.
    fn rest(&mut self, step: &(String, u32), at: u64) -> String {
        match self.steps.get(step).is_some_and(|shown| !shown.open.is_empty()) {
            true => self.output(step, "\n", at),
            false => String::new(),
        }
    }
}

fn seconds(milliseconds: u64, digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "times of builds are small numbers")]
    let seconds = milliseconds as f64 / 1000.0;
    format!("{seconds:.digits$}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_across_builds_and_lines_stay_whole() {
        let mut lines = BuildLines::default();
        let started = |name: &str| BuildEvent::Started { step: 0, name: name.to_owned() };
        assert_eq!(lines.lines("web", &started("[1/2] FROM a")), "#1 [web 1/2] FROM a\n");
        assert_eq!(lines.lines("db", &started("[base 1/2] FROM b")), "#2 [db base 1/2] FROM b\n");
        let output = |text: &str, at| BuildEvent::Output { step: 0, text: text.to_owned(), at };
        assert_eq!(lines.lines("db", &output("one\ntw", 12)), "#2 0.012 one\n");
        assert_eq!(lines.lines("db", &output("o\n10%\r20%\nend", 1500)), "#2 1.500 two\n#2 1.500 20%\n");
        let done = BuildEvent::Done { step: 0, cached: false, took: 2000 };
        assert_eq!(lines.lines("db", &done), "#2 2.000 end\n#2 DONE 2.0s\n\n");
        assert_eq!(lines.lines("web", &BuildEvent::Done { step: 0, cached: true, took: 0 }), "#1 CACHED\n\n");
    }

    #[test]
    fn a_failure_shows_the_end_of_the_output_and_the_line() {
        let mut lines = BuildLines::default();
        lines.begin("web", 3, "[2/2] RUN false");
        let excerpt = Excerpt {
            file: "Dockerfile".to_owned(),
            lines: vec![(1, "FROM a".to_owned(), false), (2, "RUN false".to_owned(), true)],
        };
        let expected = "------\n > [web 2/2] RUN false:\nno\n------\nDockerfile:2\n--------------------\n   1 |     FROM a\n   2 | >>> RUN false\n--------------------\n";
        assert_eq!(lines.failure("web", 3, &["no".to_owned()], Some(&excerpt)), expected);
    }
}
