//! A command line cut into words, as a shell would, but without one.

/// Why a text cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unbalanced(pub(crate) char);

/// Cuts a text into words: quotes hold words together, a backslash takes the next character as it is.
pub(crate) fn split(text: &str) -> Result<Vec<String>, Unbalanced> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(inside) => word.push(inside),
                        None => return Err(Unbalanced('\'')),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(Unbalanced('"')),
                        },
                        Some(inside) => word.push(inside),
                        None => return Err(Unbalanced('"')),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_as_a_shell_does() {
        let words = |text: &str| split(text).map(|words| words.join("|"));
        assert_eq!(words("sh -c 'echo \"$A\" x'").as_deref(), Ok("sh|-c|echo \"$A\" x"));
        assert_eq!(words(r#"a\ b "c \"d\"" ''"#).as_deref(), Ok("a b|c \"d\"|"));
        assert_eq!(words("a 'b"), Err(Unbalanced('\'')));
    }
}
