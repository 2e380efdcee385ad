//! Where lines go that stay: batches of one write each, above a block at the bottom of the terminal if there is one.

use std::io::Write;

use super::block::Block;
use super::line::Line;
use crate::error::CommandError;
use crate::terminal::Stream;

/// So many bytes are written though more may come.
const FULL: usize = 64 * 1024;

/// Both outputs, and what stands below them.
#[derive(Debug)]
pub(crate) struct Stage {
    out: Output,
    err: Output,
    block: Block,
    bottom: Vec<Line>,
    changed: bool,
}

#[derive(Debug)]
struct Output {
    is_terminal: bool,
    pending: String,
    /// The last line has not ended.
    open: bool,
}

impl Output {
    fn new(stream: Stream) -> Self {
        Self { is_terminal: stream.is_terminal(), pending: String::new(), open: false }
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            out: Output::new(Stream::Stdout),
            err: Output::new(Stream::Stderr),
            block: Block::hanging(),
            bottom: Vec::new(),
            changed: false,
        }
    }

    pub(crate) fn is_terminal(&self, stream: Stream) -> bool {
        self.output(stream).is_terminal
    }

    fn output(&self, stream: Stream) -> &Output {
        match stream {
            Stream::Stdout => &self.out,
            Stream::Stderr => &self.err,
        }
    }

    /// Adds to what the next flush writes. Two outputs on one terminal are one: else a block would be in the way of one of them.
    pub(crate) fn say(&mut self, stream: Stream, text: &str) {
        let both = self.out.is_terminal && self.err.is_terminal;
        let output = if stream == Stream::Stderr && !both { &mut self.err } else { &mut self.out };
        output.pending.push_str(text);
        output.open = if text.is_empty() { output.open } else { !text.ends_with('\n') };
    }

    /// Ends a line that is open, so that another one can begin.
    pub(crate) fn end_line(&mut self, stream: Stream) {
        if self.is_open(stream) {
            self.say(stream, "\n");
        }
    }

    pub(crate) fn is_open(&self, stream: Stream) -> bool {
        let both = self.out.is_terminal && self.err.is_terminal;
        if both { self.out.open } else { self.output(stream).open }
    }

    /// Tells whether what was said should not wait any longer.
    pub(crate) fn is_full(&self) -> bool {
        self.out.pending.len() + self.err.pending.len() > FULL
    }

    /// Has other rows stand at the bottom from the next flush on.
    pub(crate) fn set_bottom(&mut self, rows: Vec<Line>) {
        self.bottom = rows;
        self.changed = true;
    }

    /// Writes what was said.
    ///
    /// # Errors
    /// Whoever read the output went away.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        if !self.err.pending.is_empty() {
            super::tell(&std::mem::take(&mut self.err.pending));
        }
        let is_quiet = self.out.pending.is_empty();
        if is_quiet && !self.changed {
            return Ok(());
        }
        self.changed = false;
        if self.bottom.is_empty() && self.block.is_empty() {
            return super::print(&std::mem::take(&mut self.out.pending));
        }
        let (columns, _) = Stream::Stdout.size();
        let mut text = String::new();
        if !is_quiet {
            text.push_str(&self.block.erase(columns));
            text.push_str(&std::mem::take(&mut self.out.pending));
            if std::mem::replace(&mut self.out.open, false) {
                text.push('\n');
            }
        }
        if self.bottom.is_empty() {
            text.push_str(&self.block.erase(columns));
        } else {
            text.push_str(&self.block.redraw(self.bottom.clone(), columns));
        }
        super::print(&text)
    }

    /// Takes the rows at the bottom away.
    pub(crate) fn clear_bottom(&mut self) -> Result<(), CommandError> {
        self.set_bottom(Vec::new());
        self.flush()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.block.is_empty() {
            // Nobody is left to be told.
            let text = self.block.erase(Stream::Stdout.size().0);
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
        }
    }
}
