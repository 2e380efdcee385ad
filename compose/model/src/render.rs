//! A problem as plain text: `file:line:column: error: what`, the line with the offending text underlined, other places that
//! have to do with it, and what to do.

use std::fmt;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{Diagnostic, Place, Severity};

/// The longest line that is shown whole, in columns.
const WIDTH: usize = 160;

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        write!(out, "{}: {}", self.severity, self.message)?;
        if let (Some(place), Some(line)) = (&self.place, &self.excerpt) {
            let excerpt = Excerpt::new(line, place, self.focus.as_deref());
            let margin = " ".repeat(excerpt.number.len());
            write!(out, "\n{margin} |\n{} | {}\n{margin} | {}{}", excerpt.number, excerpt.line, excerpt.before, excerpt.marks)?;
        }
        for note in &self.notes {
            write!(out, "\nnote: {}: {}", note.place, note.text)?;
        }
        match &self.help {
            Some(help) => write!(out, "\nhint: {help}"),
            None => Ok(()),
        }
    }
}

/// A line of a file, made ready to be shown with marks below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Of the line.
    pub number: String,
    /// Without control characters, and with an end.
    pub line: String,
    /// Spaces as wide as what stands before the offending text.
    pub before: String,
    /// `^`, as wide as the offending text.
    pub marks: String,
}

impl Excerpt {
    /// Makes a line ready; the marks are below `focus`, if it is there.
    pub fn new(line: &str, place: &Place, focus: Option<&str>) -> Self {
        let column = place.column.saturating_sub(1) as usize;
        let clean = |text: &str| text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect::<String>();
        let at = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let (mut front, mut rest) = (clean(&line[..at]), clean(&line[at..]));
        let quote = usize::from(line[at..].starts_with(['"', '\'']));
        let is_there = |focus: &&str| line[at..].starts_with(focus) || line[at + quote..].starts_with(focus);
        let focus = focus.and_then(|focus| focus.lines().next()).filter(is_there).unwrap_or_default();
        let quotes = if focus.is_empty() || line[at..].starts_with(focus) { 0 } else { 2 };
        let marked = (clean(focus).width() + quotes).clamp(1, WIDTH);
        // Of a line that is too long, the part around the offending text is shown.
        if front.width() > WIDTH / 2 {
            front = format!("...{}", last_columns(&front, WIDTH / 2));
        }
        rest = first_columns(&rest, WIDTH - WIDTH / 2);
        let before = " ".repeat(front.width());
        Self {
            number: place.line.to_string(),
            line: format!("{front}{rest}"),
            before,
            marks: "^".repeat(marked.min(rest.width().max(1))),
        }
    }
}

fn first_columns(text: &str, most: usize) -> String {
    let mut width = 0;
    let kept: String = text
        .chars()
        .take_while(|letter| {
            width += letter.width().unwrap_or(0);
            width <= most
        })
        .collect();
    if kept.len() < text.len() { format!("{kept}...") } else { kept }
}

fn last_columns(text: &str, most: usize) -> String {
    let mut width = 0;
    let mut kept: Vec<char> = text
        .chars()
        .rev()
        .take_while(|letter| {
            width += letter.width().unwrap_or(0);
            width <= most
        })
        .collect();
    kept.reverse();
    kept.into_iter().collect()
}
