//! The Dockerfile language: text to a typed tree, every instruction knowing its place, every problem told at once.
//!
//! ```text
//! source       lines: directives, comments, continuations, bodies of heredocs        words, heredoc   what it needs
//! parse        a line to an instruction                                               instruction      the tree
//! expand       variables in a word                                                    mount            RUN --mount
//! check        what is worth a warning                                                problem          what is wrong, where
//! ```
//! Parsing knows neither files nor images nor values of variables.

mod check;
mod expand;
mod heredoc;
mod instruction;
mod mount;
mod parse;
mod problem;
mod source;
mod words;

pub use expand::{ExpandError, Quotes, Variables, expand, expand_words};
pub use heredoc::Heredoc;
pub use instruction::{Command, Copy, CopySource, From, Healthcheck, Instruction, Kind, Run};
pub use mount::{Mount, MountKind, Sharing};
pub use problem::{Place, Problem, Rule};
pub use source::Directives;

/// The most stages and instructions of one file.
const MAX_INSTRUCTIONS: usize = 10_000;

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dockerfile {
    /// What stands at its top.
    pub directives: Directives,
    /// Arguments before the first stage: name, default, place.
    pub globals: Vec<Instruction>,
    /// Its stages.
    pub stages: Vec<Stage>,
}

/// From one FROM to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What it is based on.
    pub from: From,
    /// Of the FROM.
    pub place: Place,
    /// As written.
    pub text: String,
    /// What follows the FROM.
    pub instructions: Vec<Instruction>,
}

impl Dockerfile {
    /// Parses a file. With errors among the problems there may be no file; the warnings are those that it did not switch off.
    pub fn parse(bytes: &[u8]) -> (Option<Self>, Vec<Problem>) {
        let mut problems = Vec::new();
        let (directives, lines) = source::read(bytes, &mut problems);
        let mut file = Self { directives, ..Self::default() };
        let mut instructions = Vec::new();
        for line in lines.iter().take(MAX_INSTRUCTIONS) {
            instructions.extend(parse::instruction(line, file.directives.escape, &mut problems));
        }
        if lines.len() > MAX_INSTRUCTIONS {
            let place = lines[MAX_INSTRUCTIONS].place(0);
            problems.push(Problem::error(place, format!("more than {MAX_INSTRUCTIONS} instructions")));
        }
        file.arrange(instructions, &mut problems);
        check::check(&file, &mut problems);
        let failed = problems.iter().any(Problem::is_error);
        problems.sort_by_key(|problem| problem.place);
        (if failed { None } else { Some(file) }, problems)
    }

    /// Puts instructions into their stages.
    fn arrange(&mut self, instructions: Vec<Instruction>, problems: &mut Vec<Problem>) {
        for instruction in instructions {
            match (instruction.kind, self.stages.last_mut()) {
                (Kind::From(from), _) => {
                    let (place, text) = (instruction.place, instruction.text);
                    self.stages.push(Stage { from, place, text, instructions: Vec::new() });
                }
                (kind, Some(stage)) => stage.instructions.push(Instruction { kind, ..instruction }),
                (kind @ Kind::Arg(_), None) => self.globals.push(Instruction { kind, ..instruction }),
                (_, None) => {
                    let text = "no stage has begun: only ARG may stand before the first FROM";
                    problems.push(Problem::error(instruction.place, text).hint("begin with FROM image"));
                }
            }
        }
        if self.stages.is_empty() && !problems.iter().any(Problem::is_error) {
            let place = Place { line: 1, column: 1 };
            problems.push(Problem::error(place, "the file has no stage").hint("begin with FROM image"));
        }
    }

    /// The number of a stage, by its name or number.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let named = |stage: &Stage| stage.from.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        // The last of two with one name, as those that follow mean it.
        self.stages.iter().rposition(named).or_else(|| name.parse().ok().filter(|number| *number < self.stages.len()))
    }

    /// The number of a stage before another, by its name or number.
    pub fn stage_before(&self, name: &str, before: usize) -> Option<usize> {
        let named = |stage: &Stage| stage.from.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let by_name = self.stages[..before].iter().rposition(named);
        by_name.or_else(|| name.parse().ok().filter(|number| *number < before))
    }
}

/// Reads an instruction that an image keeps for those who build on it (ONBUILD).
pub fn trigger(text: &str, place: Place) -> Result<Instruction, Problem> {
    let mut problems = Vec::new();
    let found = parse::trigger(text, '\\', place, &mut problems);
    let nothing = || Problem::error(place, format!("the base image keeps `{text}`, which is no instruction"));
    match problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => found.ok_or_else(nothing),
    }
}

#[cfg(test)]
mod tests;
