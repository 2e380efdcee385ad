//! The lines that problems are about. Files are read once more, and only when something is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::load::Files;
use crate::{Diagnostic, Place, lines, parse};

/// How many lines below its place the offending text is looked for: values may span lines.
const REACH: usize = 200;
/// The longest line that is looked into and shown, bytes.
const MAX_LINE: usize = 64 << 10;
/// How much is looked through for offending texts, bytes.
const MAX_SEARCHED: usize = 64 << 20;

/// Adds the line of each problem and note, and moves each problem to its offending text.
pub(crate) fn add(problems: &mut [Diagnostic], files: &dyn Files) {
    let mut texts = Texts { files, known: BTreeMap::new() };
    let mut left = MAX_SEARCHED;
    for problem in problems {
        if let Some(place) = &mut problem.place {
            let text = texts.of(&place.file);
            if let Some(focus) = &problem.focus {
                move_to(place, focus, text, &mut left);
            }
            problem.excerpt = text.line(place);
        }
        for note in &mut problem.notes {
            note.excerpt = texts.of(&note.place.file).line(&note.place);
        }
    }
}

struct Texts<'a> {
    files: &'a dyn Files,
    known: BTreeMap<PathBuf, Text>,
}

/// A file, or nothing if it cannot be read.
#[derive(Default)]
struct Text {
    content: String,
    lines: Vec<Range<usize>>,
}

impl Texts<'_> {
    fn of(&mut self, file: &Path) -> &Text {
        let read = || {
            let text = match file.to_str() {
                Some("-") => self.files.read_standard_input(parse::MAX_BYTES).ok(),
                _ => self.files.read(file, parse::MAX_BYTES).ok().flatten(),
            };
            text.map(Text::new).unwrap_or_default()
        };
        self.known.entry(file.to_owned()).or_insert_with(read)
    }
}

impl Text {
    fn new(content: String) -> Self {
        let start = content.as_ptr() as usize;
        // Places do not count a byte order mark.
        let counted = content.strip_prefix('\u{feff}').unwrap_or(&content);
        let range = |line: &str| {
            let at = line.as_ptr() as usize - start;
            at..at + line.len()
        };
        let lines = lines::of(counted).map(range).collect();
        Self { content, lines }
    }

    fn get(&self, line: usize) -> Option<&str> {
        self.content.get(self.lines.get(line)?.clone()).filter(|line| line.len() <= MAX_LINE)
    }

    fn line(&self, place: &Place) -> Option<Box<str>> {
        self.get(place.line.saturating_sub(1) as usize).map(Into::into)
    }
}

/// Moves a place to where its offending text begins, on the same line or on one of the next.
fn move_to(place: &mut Place, focus: &str, text: &Text, left: &mut usize) {
    let first = lines::of(focus).next().unwrap_or_default();
    let start = place.line.saturating_sub(1) as usize;
    let column = place.column.saturating_sub(1) as usize;
    for index in start..start + REACH {
        let Some(content) = text.get(index).filter(|content| content.len() <= *left) else { return };
        *left -= content.len();
        let from = if index == start { content.char_indices().nth(column).map_or(content.len(), |(at, _)| at) } else { 0 };
        if let Some(at) = content[from..].find(first) {
            // The quote before a text is a part of it.
            if at == 1 && index == start && content[from..].starts_with(['"', '\'']) {
                return;
            }
            let number = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
            place.line = number(index);
            place.column = number(content[..from + at].chars().count());
            return;
        }
        if index > start && !content.starts_with([' ', '\t']) && !content.is_empty() {
            return;
        }
    }
}
