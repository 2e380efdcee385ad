//! Padded columns.

use unicode_width::UnicodeWidthStr;

/// Rows under a heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|text| (*text).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        // What a stranger named is not to move the cursor.
        let clean = |text: String| text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect();
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// Columns as wide as their widest cell, three spaces apart.
    pub(crate) fn render(&self) -> String {
        self.render_apart(3)
    }

    /// As [`Table::render`], so many spaces apart.
    pub(crate) fn render_apart(&self, spaces: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(width - cell.width() + spaces));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_by_what_a_terminal_shows() {
        let mut table = Table::new(&["NAME", "X"]);
        table.row(vec!["日本".to_owned(), "1".to_owned()]);
        table.row(vec!["a\u{1b}b".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(), "NAME   X\n日本   1\na\u{fffd}b    2\n");
    }
}
