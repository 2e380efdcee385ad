//! The rows of a live view: one a resource, its parts below it while it is under way. Pure; time comes in.

use std::time::{Duration, Instant};

use rcompose_supervisor::messages::ProgressStatus;

use crate::output::line::{Line, columns, style};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// A spinner turns by one in this time.
const TURN: Duration = Duration::from_millis(80);

/// All rows of a command.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    id: String,
    /// The row that it is a part of.
    parent: Option<String>,
    text: String,
    details: String,
    status: ProgressStatus,
    began: Instant,
    ended: Option<Instant>,
}

impl Row {
    fn is_working(&self) -> bool {
        self.ended.is_none()
    }

    /// What has to be seen comes first when there is no room for everything.
    fn urgency(&self) -> u8 {
        match (self.status, self.is_working(), &self.parent) {
            (ProgressStatus::Error, ..) => 4,
            (ProgressStatus::Warning, ..) => 3,
            (_, true, None) => 2,
            (_, true, Some(_)) => 1,
            _ => 0,
        }
    }
}

impl Rows {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn are_working(&self) -> bool {
        self.rows.iter().any(Row::is_working)
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// A resource changes; what it was made of is of no interest once it is done.
    pub(super) fn update(&mut self, id: &str, text: &str, status: ProgressStatus, now: Instant) {
        let ended = (status != ProgressStatus::Working).then_some(now);
        if ended.is_some() {
            self.rows.retain(|row| row.parent.as_deref() != Some(id));
        }
        match self.rows.iter_mut().find(|row| row.id == id && row.parent.is_none()) {
            Some(row) => {
                // How it came to stand still is worth knowing afterwards.
                if row.text != text && row.text != "Stopping" && status != ProgressStatus::Error {
                    row.details.clear();
                }
                (row.text, row.status, row.ended) = (text.to_owned(), status, ended);
            }
            None => self.rows.push(Row {
                id: id.to_owned(),
                parent: None,
                text: text.to_owned(),
                details: String::new(),
                status,
                began: now,
                ended,
            }),
        }
    }

    /// More about what a resource is doing.
    pub(super) fn detail(&mut self, id: &str, details: &str) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.id == id && row.parent.is_none()) {
            details.clone_into(&mut row.details);
        }
    }

    /// A row below another one; tells whether it says something new.
    pub(super) fn update_part(&mut self, parent: &str, id: &str, text: &str, status: ProgressStatus, now: Instant) -> bool {
        let ended = (status != ProgressStatus::Working).then_some(now);
        let is_it = |row: &Row| row.id == id && row.parent.as_deref() == Some(parent);
        if let Some(row) = self.rows.iter_mut().find(|row| is_it(row)) {
            let is_new = row.text != text;
            (row.text, row.status, row.ended) = (text.to_owned(), status, ended.and(row.ended).or(ended));
            return is_new;
        }
        let row = Row {
            id: id.to_owned(),
            parent: Some(parent.to_owned()),
            text: text.to_owned(),
            details: String::new(),
            status,
            began: now,
            ended,
        };
        let above = self.rows.iter().rposition(|row| row.id == parent || row.parent.as_deref() == Some(parent));
        self.rows.insert(above.map_or(self.rows.len(), |above| above + 1), row);
        true
    }

    /// The frame: a header and the rows that fit, the most urgent ones in their order.
    pub(super) fn frame(&self, title: &str, size: (usize, usize), colour: bool, now: Instant) -> Vec<Line> {
        // The last column stays free: a full row would leave the cursor on the edge, where terminals disagree.
        let (width, height) = (size.0.saturating_sub(1), size.1);
        let whole = || self.rows.iter().filter(|row| row.parent.is_none());
        let done = whole().filter(|row| !row.is_working()).count();
        let mut header = Line::new(width, colour);
        header.push(style::PLAIN, &format!("[+] {title} {done}/{}", whole().count()));
        let mut lines = vec![header];
        let shown = self.shown(height.saturating_sub(3).max(1));
        let widest = shown.iter().map(|row| columns(&row.id) + indent(row)).max().unwrap_or(0).min(width * 3 / 5);
        lines.extend(shown.iter().map(|row| line(row, widest, width, colour, now)));
        if shown.len() < self.rows.len() {
            let mut more = Line::new(width, colour);
            more.push(style::DIM, &format!(" ... {} more", self.rows.len() - shown.len()));
            lines.push(more);
        }
        lines
    }

    fn shown(&self, room: usize) -> Vec<&Row> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        // Of equals the newest.
        order.sort_by_key(|at| (std::cmp::Reverse(self.rows[*at].urgency()), std::cmp::Reverse(*at)));
        order.truncate(room);
        order.sort_unstable();
        order.into_iter().map(|at| &self.rows[at]).collect()
    }
}

fn indent(row: &Row) -> usize {
    if row.parent.is_some() { 2 } else { 0 }
}

fn line(row: &Row, widest: usize, width: usize, colour: bool, now: Instant) -> Line {
    let past = row.ended.unwrap_or(now).saturating_duration_since(row.began);
    let (mark, paint) = match row.status {
        ProgressStatus::Working => {
            let turns = now.saturating_duration_since(row.began).as_millis() / TURN.as_millis();
            (SPINNER[usize::try_from(turns % 10).unwrap_or(0)], style::BLUE)
        }
        ProgressStatus::Done => ("✔", style::GREEN),
        ProgressStatus::Warning => ("⚠", style::YELLOW),
        ProgressStatus::Error => ("✘", style::RED),
    };
    let time = format!(" {:.1}s", past.as_secs_f32());
    let mut line = Line::new(width, colour);
    line.reserve(columns(&time));
    line.push(paint, &format!(" {mark} "));
    line.push(style::PLAIN, &" ".repeat(indent(row)));
    line.push_padded(style::PLAIN, &row.id, widest.saturating_sub(indent(row)));
    line.push(paint, &format!("  {}", row.text));
    if !row.details.is_empty() {
        line.push(style::DIM, &format!("  {}", row.details));
    }
    line.release(columns(&time));
    line.push_right(style::DIM, &time);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProgressStatus::{Done, Error, Working};

    fn text(rows: &Rows, size: (usize, usize), now: Instant) -> String {
        rows.frame("up", size, false, now).iter().map(|line| format!("{}\n", line.as_str().trim_end())).collect()
    }

    #[test]
    fn parts_stand_below_their_resource_until_it_is_done() {
        let now = Instant::now();
        let mut rows = Rows::default();
        rows.update("Image a", "Pulling", Working, now);
        rows.update("Image b", "Pulling", Working, now);
        assert!(rows.update_part("Image a", "1", "Downloading", Working, now));
        assert!(!rows.update_part("Image a", "1", "Downloading", Working, now));
        assert!(rows.update_part("Image a", "2", "Waiting", Working, now));
        assert!(rows.update_part("Image a", "1", "Pull complete", Done, now));
        assert_eq!(
            text(&rows, (40, 20), now),
            "[+] up 0/2\n ⠋ Image a  Pulling                0.0s\n ✔   1      Pull complete          0.0s\n \
             ⠋   2      Waiting                0.0s\n ⠋ Image b  Pulling                0.0s\n"
        );
        rows.update("Image a", "Pulled", Done, now + Duration::from_millis(1500));
        assert_eq!(
            text(&rows, (40, 20), now),
            "[+] up 1/2\n ✔ Image a  Pulled                 1.5s\n ⠋ Image b  Pulling                0.0s\n"
        );
    }

    #[test]
    fn what_is_urgent_is_shown_when_not_everything_fits() {
        let now = Instant::now();
        let mut rows = Rows::default();
        rows.update("Container a", "Error exit 1", Error, now);
        for number in 0..30 {
            rows.update(&format!("Container {number}"), "Started", Done, now);
        }
        rows.update("Container z", "Waiting", Working, now);
        assert_eq!(
            text(&rows, (50, 7), now),
            "[+] up 31/32\n ✘ Container a   Error exit 1                0.0s\n ✔ Container 28  Started                     0.0s\n \
             ✔ Container 29  Started                     0.0s\n ⠋ Container z   Waiting                     0.0s\n ... 28 more\n"
        );
    }

    #[test]
    fn no_row_is_wider_than_the_terminal() {
        let now = Instant::now();
        let mut rows = Rows::default();
        rows.update("Container 日本語-データベース-1", "Waiting", Working, now);
        rows.detail("Container 日本語-データベース-1", "プローブ失敗: connection refused by somebody far away");
        rows.update("Container short", "Error a message\nof two lines \u{1b}[2J", Error, now);
        for width in [20, 40, 60, 80, 120, 200] {
            for line in rows.frame("up", (width, 24), true, now) {
                assert!(line.width() < width, "{} in {width}: {}", line.width(), line.as_str());
                assert!(!line.as_str().contains("\u{1b}[2J") && !line.as_str().contains('\n'));
            }
        }
    }
}
