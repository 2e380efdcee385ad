//! One row of a terminal: as wide as it may be and never wider, whatever it is made of.

use unicode_width::UnicodeWidthChar;

/// Text of at most so many columns, styled where colours are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    width: usize,
    room: usize,
    colour: bool,
}

/// Attributes of text, as `ESC [ ... m` takes them.
pub(crate) mod style {
    pub(crate) const PLAIN: &str = "";
    pub(crate) const BOLD: &str = "1";
    pub(crate) const DIM: &str = "2";
    pub(crate) const REVERSE: &str = "7";
    pub(crate) const RED: &str = "31";
    pub(crate) const GREEN: &str = "32";
    pub(crate) const YELLOW: &str = "33";
    pub(crate) const BLUE: &str = "34";
    pub(crate) const CYAN: &str = "36";
}

/// Columns that a text takes. Sequences of joined emoji count as their parts: what is told apart here is never wider on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

impl Line {
    pub(crate) fn new(room: usize, colour: bool) -> Self {
        Self { room, colour, ..Self::default() }
    }

    /// Adds text, cut to the room that is left; control characters are no text.
    pub(crate) fn push(&mut self, style: &str, text: &str) {
        let text = self.fitting(text, self.room - self.width);
        if text.is_empty() {
            return;
        }
        self.width += columns(&text);
        if self.colour && !style.is_empty() {
            self.text.push_str(&format!("\u{1b}[{style}m{text}\u{1b}[0m"));
        } else {
            self.text.push_str(&text);
        }
    }

    /// Adds text that takes exactly so many columns.
    pub(crate) fn push_padded(&mut self, style: &str, text: &str, width: usize) {
        let text = self.fitting(text, width.min(self.room - self.width));
        let gap = width.saturating_sub(columns(&text));
        self.push(style, &text);
        self.push(style::PLAIN, &" ".repeat(gap));
    }

    /// Adds text at the right end; what is in its way gives way.
    pub(crate) fn push_right(&mut self, style: &str, text: &str) {
        let gap = self.room.saturating_sub(self.width + columns(text));
        self.push(style::PLAIN, &" ".repeat(gap));
        self.push(style, text);
    }

    /// Takes the last columns away from what may still be added.
    pub(crate) fn reserve(&mut self, columns: usize) {
        self.room = self.room.saturating_sub(columns).max(self.width);
    }

    /// Gives columns back that were reserved.
    pub(crate) fn release(&mut self, columns: usize) {
        self.room += columns;
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    fn fitting(&self, text: &str, room: usize) -> String {
        let shown = |letter: &char| !letter.is_control();
        let total: usize = text.chars().filter(shown).map(|letter| letter.width().unwrap_or(0)).sum();
        if total <= room {
            return text.chars().filter(shown).collect();
        }
        let mut result = String::new();
        let mut width = 0;
        for letter in text.chars().filter(shown) {
            let next = width + letter.width().unwrap_or(0);
            if next + 1 > room {
                break;
            }
            result.push(letter);
            width = next;
        }
        if room > 0 {
            result.push('…');
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(room: usize, text: &str, expected: &str, width: usize) {
        let mut line = Line::new(room, false);
        line.push(style::RED, text);
        assert_eq!((line.as_str(), line.width()), (expected, width), "{text:?} in {room}");
    }

    #[test]
    fn what_is_too_wide_is_cut_at_a_character() {
        check(5, "hello", "hello", 5);
        check(4, "hello", "hel…", 4);
        check(5, "日本語", "日本…", 5);
        check(4, "日本語", "日…", 3);
        check(1, "日本語", "…", 1);
        check(0, "hello", "", 0);
        check(20, "a\u{1b}[2J\u{7}b\nc", "a[2Jbc", 6);
    }

    #[test]
    fn ends_stand_at_the_edge_and_colours_take_no_room() {
        let mut line = Line::new(12, true);
        line.reserve(5);
        line.push(style::GREEN, "a long text");
        line.release(5);
        line.push_right(style::DIM, "1.2s");
        assert_eq!(line.as_str(), "\u{1b}[32ma long…\u{1b}[0m \u{1b}[2m1.2s\u{1b}[0m");
        assert_eq!(line.width(), 12);
    }
}
