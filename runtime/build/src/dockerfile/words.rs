//! Words of an instruction, with their quotes and escapes still in them.

/// A part of a text, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

/// Splits at blanks that are neither quoted nor escaped.
pub(super) fn words(text: &str, escape: char) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = Scanner { text, position: 0, escape };
    while let Some(word) = rest.next_word() {
        words.push(word);
    }
    words
}

/// The first word and what follows it.
pub(super) fn first(text: &str, escape: char) -> Option<(Word<'_>, usize)> {
    let mut scanner = Scanner { text, position: 0, escape };
    let word = scanner.next_word()?;
    Some((word, scanner.position))
}

struct Scanner<'a> {
    text: &'a str,
    position: usize,
    escape: char,
}

impl<'a> Scanner<'a> {
    fn next_word(&mut self) -> Option<Word<'a>> {
        let rest = &self.text[self.position..];
        let offset = self.position + (rest.len() - rest.trim_start().len());
        if offset == self.text.len() {
            return None;
        }
        let mut quote = None;
        let mut escaped = false;
        for (index, letter) in self.text[offset..].char_indices() {
            if std::mem::take(&mut escaped) {
                continue;
            }
            match quote {
                // Between single quotes nothing is escaped.
                Some('\'') if letter != '\'' => {}
                Some(open) if letter == open => quote = None,
                _ if letter == self.escape => escaped = true,
                None if matches!(letter, '"' | '\'') => quote = Some(letter),
                None if letter.is_whitespace() => {
                    self.position = offset + index;
                    return Some(Word { offset, text: &self.text[offset..self.position] });
                }
                _ => {}
            }
        }
        self.position = self.text.len();
        Some(Word { offset, text: &self.text[offset..] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        for (text, expected) in [
            ("", vec![]),
            ("  a  b ", vec!["a", "b"]),
            (r#"a="b c" d"#, vec![r#"a="b c""#, "d"]),
            (r"a\ b c", vec![r"a\ b", "c"]),
            (r"'a\' b'", vec![r"'a\'", "b'"]),
            (r#""a\" b" c"#, vec![r#""a\" b""#, "c"]),
            (r#""open  end"#, vec![r#""open  end"#]),
        ] {
            let found: Vec<&str> = words(text, '\\').into_iter().map(|word| word.text).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
