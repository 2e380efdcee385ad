//! Rows at the bottom of a terminal that are drawn over themselves: only what differs is written, in one write a frame.
//!
//! The cursor waits at the start of the row below the block; a block that `hangs` has none below it: its last row is the last one of
//! the terminal, and the cursor stays in it.

use super::line::Line;

/// What stands on the terminal now.
#[derive(Debug, Default)]
pub(crate) struct Block {
    rows: Vec<Line>,
    columns: usize,
    hangs: bool,
}

impl Block {
    /// A block without a row below it.
    pub(crate) fn hanging() -> Self {
        Self { hangs: true, ..Self::default() }
    }

    /// What has to be written so that these rows stand there instead.
    pub(crate) fn redraw(&mut self, rows: Vec<Line>, columns: usize) -> String {
        let mut text = self.to_top(columns);
        let resized = columns != self.columns;
        if resized && !self.rows.is_empty() {
            text.push_str("\u{1b}[J");
        }
        for (number, row) in rows.iter().enumerate() {
            let stands = !resized && self.rows.get(number).is_some_and(|before| before == row);
            if !stands {
                text.push_str(row.as_str());
                text.push_str("\u{1b}[K");
            }
            let is_last = number + 1 == rows.len();
            if !(is_last && self.hangs) {
                text.push_str("\r\n");
            } else if stands {
                text.push_str(&right(row.width()));
            }
        }
        if rows.len() < self.rows.len() && !resized {
            text.push_str("\u{1b}[J");
        }
        (self.rows, self.columns) = (rows, columns);
        text
    }

    /// What has to be written so that nothing stands there, and the cursor where it began.
    pub(crate) fn erase(&mut self, columns: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let text = format!("{}\u{1b}[J", self.to_top(columns));
        self.rows.clear();
        text
    }

    /// What stands there stays, and the next block begins below it.
    pub(crate) fn leave(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// To where the block begins. A terminal that became narrower has broken its rows: each takes more of them.
    fn to_top(&self, columns: usize) -> String {
        let broken = |row: &Line| if columns < self.columns { row.width().max(1).div_ceil(columns.max(1)) } else { 1 };
        let height: usize = self.rows.iter().map(broken).sum();
        let up = height.saturating_sub(usize::from(self.hangs));
        match (self.rows.is_empty(), up) {
            (true, _) => String::new(),
            (false, 0) => "\r".to_owned(),
            (false, up) => format!("\r\u{1b}[{up}A"),
        }
    }
}

fn right(columns: usize) -> String {
    if columns == 0 { String::new() } else { format!("\u{1b}[{columns}C") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::line::style;

    fn rows(texts: &[&str]) -> Vec<Line> {
        let row = |text: &&str| {
            let mut line = Line::new(40, false);
            line.push(style::PLAIN, text);
            line
        };
        texts.iter().map(row).collect()
    }

    #[test]
    fn only_what_differs_is_written() {
        let mut block = Block::default();
        assert_eq!(block.redraw(rows(&["a", "b"]), 40), "a\u{1b}[K\r\nb\u{1b}[K\r\n");
        assert_eq!(block.redraw(rows(&["a", "c"]), 40), "\r\u{1b}[2A\r\nc\u{1b}[K\r\n");
        assert_eq!(block.redraw(rows(&["a"]), 40), "\r\u{1b}[2A\r\n\u{1b}[J");
        assert_eq!(block.erase(40), "\r\u{1b}[1A\u{1b}[J");
        assert_eq!(block.erase(40), "");
    }

    #[test]
    fn rows_that_a_narrower_terminal_broke_are_counted() {
        let mut block = Block::default();
        block.redraw(rows(&["twelve chars", "b"]), 40);
        assert_eq!(block.redraw(rows(&["x"]), 10), "\r\u{1b}[3A\u{1b}[Jx\u{1b}[K\r\n");
    }

    #[test]
    fn a_hanging_block_keeps_the_cursor_in_its_last_row() {
        let mut block = Block::hanging();
        assert_eq!(block.redraw(rows(&["menu"]), 40), "menu\u{1b}[K");
        assert_eq!(block.redraw(rows(&["menu"]), 40), "\r\u{1b}[4C");
        assert_eq!(block.erase(40), "\r\u{1b}[J");
    }
}
