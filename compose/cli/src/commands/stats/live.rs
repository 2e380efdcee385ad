//! The table of `stats` on a terminal: drawn over itself, in one write, with the columns that there is room for.

use rcompose_supervisor::messages::ContainerStats;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{COLUMNS, row};
use crate::error::CommandError;
use crate::output::{self, Table};

/// A table on a terminal, whose cursor is back when the value goes.
pub(super) struct Live {
    /// Lines that stand there.
    drawn: usize,
    columns: usize,
}

/// Columns, and the spaces between them: the first of these that fits is shown.
const LAYOUTS: [(&[(&str, &str)], usize); 5] = [
    (&COLUMNS, 3),
    (
        &[
            ("NAME", "Name"),
            ("CPU %", "CPUPerc"),
            ("MEM USAGE / LIMIT", "MemUsage"),
            ("MEM %", "MemPerc"),
            ("NET I/O", "NetIO"),
            ("BLOCK I/O", "BlockIO"),
            ("PIDS", "PIDs"),
        ],
        2,
    ),
    (
        &[
            ("NAME", "Name"),
            ("CPU %", "CPUPerc"),
            ("MEMORY", "Memory"),
            ("MEM %", "MemPerc"),
            ("NET I/O", "NetIO"),
            ("BLOCK I/O", "BlockIO"),
            ("PIDS", "PIDs"),
        ],
        2,
    ),
    (
        &[
            ("NAME", "Name"),
            ("CPU %", "CPUPerc"),
            ("MEMORY", "Memory"),
            ("MEM %", "MemPerc"),
            ("NET I/O", "NetIO"),
            ("PIDS", "PIDs"),
        ],
        2,
    ),
    (&[("NAME", "Name"), ("CPU %", "CPUPerc"), ("MEMORY", "Memory"), ("PIDS", "PIDs")], 2),
];

impl Live {
    pub(super) fn begin() -> Self {
        Self { drawn: 0, columns: 0 }
    }

    pub(super) fn draw(&mut self, containers: &[ContainerStats]) -> Result<(), CommandError> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        // A serial line has a size of nothing.
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) = size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let lines = lines(containers, columns, rows);
        let mut frame = String::from("\u{1b}[?25l");
        if self.drawn > 0 && columns < self.columns {
            // Lines that the terminal has broken are more than were drawn.
            frame.push_str("\u{1b}[H\u{1b}[2J");
        } else if self.drawn > 0 {
            frame.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        lines.iter().for_each(|line| frame.push_str(&format!("{line}\u{1b}[K\n")));
        // What stood below, if there are fewer now.
        frame.push_str("\u{1b}[J");
        (self.drawn, self.columns) = (lines.len(), columns);
        output::print(&frame)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        let _ = output::print("\u{1b}[?25h");
    }
}

/// What fits into so many columns and rows.
fn lines(containers: &[ContainerStats], columns: usize, rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(3).max(1);
    let shown = &containers[..containers.len().min(room)];
    let table = |(headings, spaces): &(&[(&str, &str)], usize)| {
        let mut table = Table::new(&headings.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());
        for it in shown {
            let mut fields = row(it, false).fields;
            fields["Memory"] = fields["MemUsage"].as_str().and_then(|text| text.split(" / ").next()).into();
            table.row(headings.iter().map(|(_, field)| fields[*field].as_str().unwrap_or_default().to_owned()).collect());
        }
        table.render_apart(*spaces)
    };
    let fits = |text: &String| text.lines().all(|line| line.width() <= columns);
    let narrowest = || table(&LAYOUTS[LAYOUTS.len() - 1]);
    let text = LAYOUTS.iter().map(table).find(fits).unwrap_or_else(narrowest);
    let mut lines: Vec<String> = text.lines().map(|line| cut(line, columns)).collect();
    if shown.len() < containers.len() {
        lines.push(cut(&format!("... {} more", containers.len() - shown.len()), columns));
    }
    lines
}

fn cut(line: &str, columns: usize) -> String {
    let mut width = 0;
    let fits = |letter: &char| {
        width += letter.width().unwrap_or(0);
        width <= columns
    };
    line.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str) -> ContainerStats {
        ContainerStats {
            id: "0123456789abcdef".to_owned(),
            name: name.to_owned(),
            cpu_percent: 12.345,
            memory: 100 << 20,
            memory_limit: 8 << 30,
            pids: 3,
            ..ContainerStats::default()
        }
    }

    #[test]
    fn shows_the_columns_that_there_is_room_for() {
        let all = [container("shop-database-1"), container("shop-web-1")];
        for columns in [160, 100, 80, 60, 40, 10] {
            let lines = lines(&all, columns, 24);
            assert_eq!(lines.len(), 3);
            assert!(lines.iter().all(|line| line.width() <= columns), "{lines:#?}");
        }
        assert!(lines(&all, 160, 24)[0].starts_with("CONTAINER ID   NAME"));
        assert_eq!(lines(&all, 80, 24)[1], "shop-database-1  12.35%  100MiB / 8GiB      1.22%  0B / 0B  0B / 0B    3");
        assert_eq!(lines(&all, 80, 4)[2], "... 1 more");
    }
}
