//! Heredocs: `<<EOF`, `<<-EOF`, `<<"EOF"`, several a line, and their bodies.

use super::words::{first, words};

/// What announces a heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Of the word in the instruction's text.
    pub(super) offset: usize,
    /// The word that ends it.
    pub name: String,
    /// Variables in it are expanded: the word was not quoted.
    pub expands: bool,
    /// Tabs at the beginning of its lines are not part of it.
    pub strips_tabs: bool,
}

/// A heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// What announced it.
    pub head: Head,
    /// Its lines as they stand there.
    pub(super) body: String,
    /// The file's line that its body begins with.
    pub first: u32,
}

impl Heredoc {
    /// Its content: without tabs at the beginning of lines if that was asked for.
    pub fn content(&self) -> String {
        if !self.head.strips_tabs {
            return self.body.clone();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }

    /// As it stands behind the instruction, its end included: a shell reads it again.
    pub(super) fn verbatim(&self) -> String {
        format!("{}{}\n", self.body, self.head.name)
    }
}

/// The heredocs that an instruction announces. Only ADD, COPY and RUN have any.
pub(super) fn heads(text: &str, escape: char) -> Vec<Head> {
    let Some((keyword, end)) = first(text, escape) else { return Vec::new() };
    match keyword.text.to_ascii_uppercase().as_str() {
        "ADD" | "COPY" | "RUN" => {}
        "ONBUILD" => {
            let inner = heads(text[end..].trim_start(), escape);
            let shift = text.len() - text[end..].trim_start().len();
            return inner.into_iter().map(|head| Head { offset: head.offset + shift, ..head }).collect();
        }
        _ => return Vec::new(),
    }
    let found = words(&text[end..], escape).into_iter();
    found.filter_map(|word| head(word.text, word.offset + end, escape)).collect()
}

/// `[N]<<[-]WORD`.
pub(super) fn head(word: &str, offset: usize, escape: char) -> Option<Head> {
    let rest = word.trim_start_matches(|letter: char| letter.is_ascii_digit()).strip_prefix("<<")?;
    let (strips_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let mut name = String::new();
    let mut letters = rest.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\'' => {}
            letter if letter == escape => name.extend(letters.next()),
            letter => name.push(letter),
        }
    }
    (!name.is_empty()).then(|| Head { offset, expands: name == rest, name, strips_tabs })
}
