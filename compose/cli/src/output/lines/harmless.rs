//! Output of strangers on our terminal: colours are left, and whatever else could take the terminal over is taken out.
//!
//! Cursor movements, titles, the clipboard, other screens, character sets, and marks that turn the direction of text go without a
//! trace. A line's end ends every sequence: what was never closed cannot swallow the lines after it. What was written over the same
//! line counts as written last, as on a terminal.

/// Remembers, from one piece of a container's output to the next, where it is in a sequence and which colours are on.
#[derive(Debug, Default)]
pub(super) struct Harmless {
    state: State,
    /// Sequences of colours that are in force.
    colours: String,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and a character that one more belongs to.
    Intermediate,
    /// After ESC [, with what came so far.
    Control(String),
    /// In a text for the terminal: title, clipboard, ...
    Message,
    /// In one, after ESC.
    MessageEscape,
}

/// A whole line of a stranger, without colours.
pub(crate) fn plain_line(text: &str) -> String {
    Harmless::default().filter(text, false)
}

/// Colours that take more than this to describe are forgotten.
const LONGEST: usize = 128;

impl Harmless {
    /// What of a piece may be shown; without colours none are.
    pub(super) fn filter(&mut self, piece: &str, colours: bool) -> String {
        let (line, end) = match piece.strip_suffix('\n') {
            Some(line) => (line.trim_end_matches('\r'), "\n"),
            None => (piece, ""),
        };
        let mut shown = if colours { self.colours.clone() } else { String::new() };
        // What was begun earlier may end in what is written over.
        let (over, last) = line.rsplit_once('\r').map_or(("", line), |(over, last)| (over, last));
        over.chars().for_each(|letter| drop(self.step(letter)));
        for letter in last.chars() {
            match self.step(letter) {
                Step::Show => shown.push(letter),
                Step::Colour(sequence) if colours => shown.push_str(&sequence),
                Step::Colour(_) | Step::Nothing => {}
            }
        }
        if !end.is_empty() {
            self.state = State::Text;
        }
        if colours && !self.colours.is_empty() {
            shown.push_str("\u{1b}[0m");
        }
        shown + end
    }

    fn step(&mut self, letter: char) -> Step {
        let (state, step) = match (std::mem::take(&mut self.state), letter) {
            (State::Message, '\u{7}' | '\u{9c}') => (State::Text, Step::Nothing),
            (State::Message | State::MessageEscape, '\u{1b}') => (State::MessageEscape, Step::Nothing),
            (State::MessageEscape, '\\') => (State::Text, Step::Nothing),
            (State::Message | State::MessageEscape, _) => (State::Message, Step::Nothing),
            (_, '\u{1b}') => (State::Escape, Step::Nothing),
            (State::Escape, '[') | (State::Text, '\u{9b}') => (State::Control(String::new()), Step::Nothing),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => (State::Message, Step::Nothing),
            (State::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => (State::Message, Step::Nothing),
            (State::Escape | State::Intermediate, ' '..='/') => (State::Intermediate, Step::Nothing),
            (State::Escape | State::Intermediate, _) => (State::Text, Step::Nothing),
            (State::Control(parameters), 'm') => (State::Text, self.colour(&parameters)),
            (State::Control(mut parameters), ' '..='?') => {
                // One that is too long is none.
                parameters.push(if parameters.len() < LONGEST { letter } else { '?' });
                parameters.truncate(LONGEST + 1);
                (State::Control(parameters), Step::Nothing)
            }
            (State::Control(_), _) => (State::Text, Step::Nothing),
            (State::Text, '\t') => (State::Text, Step::Show),
            (State::Text, letter) if letter.is_control() || turns(letter) => (State::Text, Step::Nothing),
            (State::Text, _) => (State::Text, Step::Show),
        };
        self.state = state;
        step
    }

    fn colour(&mut self, parameters: &str) -> Step {
        if !parameters.bytes().all(|byte| byte.is_ascii_digit() || b";:".contains(&byte)) {
            return Step::Nothing;
        }
        let sequence = format!("\u{1b}[{parameters}m");
        if parameters.trim_matches('0').is_empty() || self.colours.len() + sequence.len() > LONGEST {
            self.colours.clear();
        }
        if !parameters.trim_matches('0').is_empty() {
            self.colours.push_str(&sequence);
        }
        Step::Colour(sequence)
    }
}

enum Step {
    Show,
    Colour(String),
    Nothing,
}

/// Marks that change the direction of text, which could turn a line and its prefix around.
fn turns(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Harmless::default().filter(text, true), expected, "{text:?}");
    }

    #[test]
    fn colours_are_left_and_do_not_run_into_the_next_line() {
        check("\u{1b}[31mred\u{1b}[0m\tx\r\n", "\u{1b}[31mred\u{1b}[0m\tx\n");
        check("\u{1b}[1;38:2:1:2:3mx\n", "\u{1b}[1;38:2:1:2:3mx\u{1b}[0m\n");
        let mut filter = Harmless::default();
        assert_eq!(filter.filter("\u{1b}[32mone\n", true), "\u{1b}[32mone\u{1b}[0m\n");
        assert_eq!(filter.filter("two\u{1b}[m\n", true), "\u{1b}[32mtwo\u{1b}[m\n");
        assert_eq!(filter.filter("three\n", true), "three\n");
        assert_eq!(Harmless::default().filter("\u{1b}[31mred\u{1b}[0m\n", false), "red\n");
    }

    #[test]
    fn nothing_else_reaches_the_terminal() {
        for hostile in [
            "\u{1b}[2J",
            "\u{1b}[10A",
            "\u{1b}[?1049h",
            "\u{1b}[?25l",
            "\u{1b}[6n",
            "\u{1b}[>4;1m",
            "\u{1b}c",
            "\u{1b}(0",
            "\u{1b}#8",
            "\u{1b}]0;title\u{7}",
            "\u{1b}]52;c;eA==\u{1b}\\",
            "\u{1b}]8;;http://x\u{9c}",
            "\u{1b}P1$r\u{1b}\\",
            "\u{1b}_x\u{1b}\\",
            "\u{9b}2J",
            "\u{9d}0;t\u{7}",
            "\u{90}q\u{9c}",
            "\u{8}",
            "\u{b}",
            "\u{c}",
            "\u{e}",
            "\u{7}",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{202e}",
            "\u{2066}",
            "\u{1b}[3\u{7};1H",
        ] {
            let shown = Harmless::default().filter(&format!("a{hostile}b\n"), true);
            assert!(
                !shown.chars().any(|letter| (letter.is_control() && letter != '\n') || turns(letter)),
                "{hostile:?}: {shown:?}"
            );
            assert!(shown.starts_with('a') && shown.ends_with('\n'), "{hostile:?}: {shown:?}");
        }
    }

    #[test]
    fn what_was_never_closed_ends_with_its_line() {
        let mut filter = Harmless::default();
        assert_eq!(filter.filter("a\u{1b}]0;never closed\n", true), "a\n");
        assert_eq!(filter.filter("b\n", true), "b\n");
        assert_eq!(filter.filter("c\u{1b}[3", true), "c");
        assert_eq!(filter.filter("1md\n", true), "\u{1b}[31md\u{1b}[0m\n");
    }

    #[test]
    fn what_is_written_over_is_not_shown() {
        check("10%\r20%\rdone\n", "done\n");
        check("\u{1b}]0;x\r\u{7}y\n", "y\n");
        check("a\r\r\n", "a\n");
    }
}
