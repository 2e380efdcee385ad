//! The lines that problems are about. Files are read once more, and only when something is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::load::Files;
use crate::{Diagnostic, Place, parse};

/// How many lines below its place the offending text is looked for: values may span lines.
const REACH: usize = 200;

/// Adds the line of each problem and note, and moves each problem to its offending text.
pub(crate) fn add(problems: &mut [Diagnostic], files: &dyn Files) {
    let mut texts = Texts { files, known: BTreeMap::new() };
    for problem in problems {
        if let Some(place) = &mut problem.place {
            let Some(text) = texts.of(&place.file) else { continue };
            if let Some(focus) = &problem.focus {
                move_to(place, focus, text);
            }
            problem.excerpt = line(text, place);
        }
        for note in &mut problem.notes {
            note.excerpt = texts.of(&note.place.file).and_then(|text| line(text, &note.place));
        }
    }
}

struct Texts<'a> {
    files: &'a dyn Files,
    known: BTreeMap<PathBuf, Option<String>>,
}

impl Texts<'_> {
    fn of(&mut self, file: &Path) -> Option<&str> {
        let read = || self.files.read(file, parse::MAX_BYTES).ok().flatten();
        self.known.entry(file.to_owned()).or_insert_with(read).as_deref()
    }
}

fn line(text: &str, place: &Place) -> Option<String> {
    text.lines().nth(place.line.saturating_sub(1) as usize).map(str::to_owned)
}

/// Moves a place to where its offending text begins, on the same line or on one of the next.
fn move_to(place: &mut Place, focus: &str, text: &str) {
    let first = focus.lines().next().unwrap_or_default();
    let start = place.line.saturating_sub(1) as usize;
    let column = place.column.saturating_sub(1) as usize;
    for (index, content) in text.lines().enumerate().skip(start).take(REACH) {
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
