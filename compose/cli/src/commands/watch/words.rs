//! What a session says, as people read it.

use super::Told;
use crate::error::{CommandError, plain};
use crate::output::{self, Progress};
use crate::settings::World;
use crate::terminal::Stream;

/// Before each line.
const MARK: &str = " ⦿ ";

/// What is shown of one thing that a session says, and where.
pub(crate) fn text(world: &World, progress: &mut Progress, told: &Told) -> (Stream, String) {
    let line = |text: &str| lines(world, std::iter::once(text));
    match told {
        Told::Line(text) => (Stream::Stdout, line(text)),
        Told::Plan(operations) => (Stream::Stdout, lines(world, operations.iter().map(String::as_str))),
        Told::Output { container, text } => {
            let shown: Vec<String> = text.lines().map(|line| format!("{container}: {line}")).collect();
            (Stream::Stdout, lines(world, shown.iter().map(String::as_str)))
        }
        Told::Event(event) => {
            let to = if world.global.status_on_stdout { Stream::Stdout } else { Stream::Stderr };
            (to, progress.text_of(event))
        }
        Told::Trouble(failure) => (Stream::Stderr, CommandError::Failed(failure.clone()).render()),
        Told::Broken(problems) => {
            let end = line("the files cannot be used, and the stack stays as it is");
            (Stream::Stderr, world.problems.text(problems) + &end)
        }
        Told::Project(_) => (Stream::Stdout, String::new()),
    }
}

fn lines<'a>(world: &World, texts: impl Iterator<Item = &'a str>) -> String {
    let mark = output::painted(MARK, "92", output::stdout_has_colours(&world.global));
    texts.map(|text| format!("{mark}{}\n", plain(text))).collect()
}
