//! Variables in words: `$a`, `${a:-b}`, `${a#pattern}`, quotes and escapes.
//!
//! One pass without going back; what is nested inside a form is expanded by the same rules, to a limited depth.

mod pattern;

/// Values by name.
pub trait Variables {
    /// The value, if there is one. One that is empty is there.
    fn get(&self, name: &str) -> Option<String>;

    /// Takes note of a name without a value, where nothing stands for it.
    fn missing(&self, name: &str) {
        let _ = name;
    }
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// What becomes of quotes and of the escape character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// They have done their work and go.
    Removed,
    /// They are text; only `\$` is a dollar sign. For the bodies of heredocs.
    Kept,
}

/// A text that cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A form that is not closed.
    #[error("`${{` has no `}}`")]
    Unclosed,
    /// A form that means nothing.
    #[error("`{0}` is not a form of substitution")]
    Form(String),
    /// `${a:?why}` without a value.
    #[error("{name}: {text}")]
    Required {
        /// Which.
        name: String,
        /// What its author says.
        text: String,
    },
    /// Forms in forms in forms.
    #[error("substitutions are nested too deeply")]
    Depth,
    /// Values in values in values.
    #[error("the text grows beyond 1 MiB")]
    TooLong,
}

const MAX_DEPTH: u32 = 50;
const MAX_LENGTH: usize = 1 << 20;

/// Expands a word.
pub fn expand(text: &str, escape: char, quotes: Quotes, variables: &dyn Variables) -> Result<String, ExpandError> {
    let mut expander = Expander { rest: text, escape, quotes, variables, depth: 0 };
    expander.until(None)
}

/// Expands a text and splits the outcome at blanks that were not quoted.
pub fn expand_words(text: &str, escape: char, variables: &dyn Variables) -> Result<Vec<String>, ExpandError> {
    let mut all = Vec::new();
    for word in super::words::words(text, escape) {
        let expanded = expand(word.text, escape, Quotes::Removed, variables)?;
        if word.text.contains(['"', '\'']) {
            all.push(expanded);
        } else {
            all.extend(expanded.split_whitespace().map(str::to_owned));
        }
    }
    Ok(all)
}

struct Expander<'a> {
    rest: &'a str,
    escape: char,
    quotes: Quotes,
    variables: &'a dyn Variables,
    depth: u32,
}

impl Expander<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Up to an unquoted letter, which is taken; without one, to the end.
    fn until(&mut self, end: Option<char>) -> Result<String, ExpandError> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            if Some(letter) == end {
                return Ok(text);
            }
            match letter {
                '$' => text.push_str(&self.dollar()?),
                '\'' if self.quotes == Quotes::Removed => self.single(&mut text),
                '"' if self.quotes == Quotes::Removed => self.double(&mut text)?,
                letter if letter == self.escape => self.escaped(&mut text),
                letter => text.push(letter),
            }
            if text.len() > MAX_LENGTH {
                return Err(ExpandError::TooLong);
            }
        }
        if end.is_some() { Err(ExpandError::Unclosed) } else { Ok(text) }
    }

    fn escaped(&mut self, text: &mut String) {
        match (self.quotes, self.peek()) {
            (Quotes::Removed, Some(letter)) => {
                text.push(letter);
                self.next();
            }
            (Quotes::Kept, Some('$')) => {
                text.push('$');
                self.next();
            }
            (_, _) => text.push(self.escape),
        }
    }

    fn single(&mut self, text: &mut String) {
        while let Some(letter) = self.next().filter(|letter| *letter != '\'') {
            text.push(letter);
        }
    }

    fn double(&mut self, text: &mut String) -> Result<(), ExpandError> {
        while let Some(letter) = self.next() {
            match letter {
                '"' => break,
                '$' => text.push_str(&self.dollar()?),
                letter if letter == self.escape => {
                    // Only what would mean something here is escaped.
                    match self.peek() {
                        Some(next) if matches!(next, '"' | '$') || next == self.escape => {
                            text.push(next);
                            self.next();
                        }
                        _ => text.push(letter),
                    }
                }
                letter => text.push(letter),
            }
        }
        Ok(())
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.plain(&name, self.value(&name)) });
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandError::Depth);
        }
        self.next();
        let form = self.rest;
        let name = self.name();
        let described = |form: &str| ExpandError::Form(format!("${{{}", form.chars().take(40).collect::<String>()));
        if name.is_empty() {
            return Err(if form.is_empty() { ExpandError::Unclosed } else { described(form) });
        }
        let value = self.value(&name);
        let expanded = match self.next() {
            None => return Err(ExpandError::Unclosed),
            Some('}') => self.plain(&name, value),
            Some(':') => {
                let value = value.filter(|value| !value.is_empty());
                match self.next() {
                    Some(operator @ ('-' | '+' | '?')) => self.alternative(&name, value, operator)?,
                    _ => return Err(described(form)),
                }
            }
            Some(operator @ ('-' | '+' | '?')) => self.alternative(&name, value, operator)?,
            Some(operator @ ('#' | '%')) => {
                let longest = self.peek() == Some(operator);
                if longest {
                    self.next();
                }
                let pattern = self.until(Some('}'))?;
                let value = value.unwrap_or_default();
                if operator == '#' {
                    pattern::trim_start(&value, &pattern, longest)
                } else {
                    pattern::trim_end(&value, &pattern, longest)
                }
            }
            Some('/') => {
                let all = self.peek() == Some('/');
                if all {
                    self.next();
                }
                let pattern = self.until_slash()?;
                let (pattern, with) = match pattern {
                    (pattern, true) => (pattern, self.until(Some('}'))?),
                    (pattern, false) => (pattern, String::new()),
                };
                pattern::replace(&value.unwrap_or_default(), &pattern, &with, all)
            }
            Some(_) => return Err(described(form)),
        };
        self.depth -= 1;
        Ok(expanded)
    }

    /// A pattern, and whether a slash ended it rather than the form's end.
    fn until_slash(&mut self) -> Result<(String, bool), ExpandError> {
        let mut text = String::new();
        loop {
            match self.next().ok_or(ExpandError::Unclosed)? {
                '/' => return Ok((text, true)),
                '}' => return Ok((text, false)),
                '$' => text.push_str(&self.dollar()?),
                letter if letter == self.escape => {
                    // A slash that is escaped is part of the pattern; what else is escaped is the pattern's to say.
                    match self.peek() {
                        Some('/') => {}
                        _ => text.push('\\'),
                    }
                    text.extend(self.next());
                }
                letter => text.push(letter),
            }
        }
    }

    fn alternative(&mut self, name: &str, value: Option<String>, operator: char) -> Result<String, ExpandError> {
        let word = self.until(Some('}'))?;
        match (operator, value) {
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            ('?', None) => {
                let text = if word.is_empty() { "is not allowed to be unset".to_owned() } else { word };
                Err(ExpandError::Required { name: name.to_owned(), text })
            }
            (_, Some(value)) => Ok(value),
            (_, None) => Ok(String::new()),
        }
    }

    /// A value for which nothing else stands.
    fn plain(&self, name: &str, value: Option<String>) -> String {
        value.unwrap_or_else(|| {
            self.variables.missing(name);
            String::new()
        })
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name)
    }

    /// A name, or one of the parameters that shells know; empty where there is neither.
    fn name(&mut self) -> String {
        let special = |letter: char| matches!(letter, '@' | '*' | '#' | '?' | '-' | '$' | '!');
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let length = match self.peek() {
            Some(letter) if letter.is_ascii_digit() => self.rest.find(|letter: char| !letter.is_ascii_digit()),
            Some(letter) if word(letter) => self.rest.find(|letter: char| !word(letter)),
            Some(letter) if special(letter) => Some(1),
            _ => Some(0),
        };
        let (name, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let variables = |name: &str| match name {
            "a" => Some("one".to_owned()),
            "empty" => Some(String::new()),
            "path" => Some("/usr/local/lib/x.tar.gz".to_owned()),
            "twice" => Some("foo-foo".to_owned()),
            _ => None,
        };
        let found = expand(text, '\\', Quotes::Removed, &variables).unwrap_or_else(|error| format!("! {error}"));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_form_of_substitution() {
        for (text, expected) in [
            ("$a", "one"),
            ("${a}", "one"),
            ("$none", ""),
            ("x$a-y", "xone-y"),
            ("$", "$"),
            ("a$", "a$"),
            ("$.", "$."),
            ("\\$a", "$a"),
            ("'$a'", "$a"),
            ("\"$a b\"", "one b"),
            ("\"\\$a \\x\"", "$a \\x"),
            ("a\\ b", "a b"),
            ("${none:-w}", "w"),
            ("${empty:-w}", "w"),
            ("${empty-w}", ""),
            ("${none-$a}", "one"),
            ("${none:-${b:-deep}}", "deep"),
            ("${a:+w}", "w"),
            ("${empty:+w}", ""),
            ("${empty+w}", "w"),
            ("${none+w}", ""),
            ("${a:?no}", "one"),
            ("${none:?no}", "! none: no"),
            ("${empty?no}", ""),
            ("${none?}", "! none: is not allowed to be unset"),
            ("${path#*/}", "usr/local/lib/x.tar.gz"),
            ("${path##*/}", "x.tar.gz"),
            ("${path%.*}", "/usr/local/lib/x.tar"),
            ("${path%%.*}", "/usr/local/lib/x"),
            ("${path%/*}", "/usr/local/lib"),
            ("${twice/foo/bar}", "bar-foo"),
            ("${twice//foo/bar}", "bar-bar"),
            ("${twice//o}", "f-f"),
            ("${path//\\//_}", "_usr_local_lib_x.tar.gz"),
            ("${a", "! `${` has no `}`"),
            ("${", "! `${` has no `}`"),
            ("${}", "! `${}` is not a form of substitution"),
            ("${a^}", "! `${a^}` is not a form of substitution"),
            ("${a:x}", "! `${a:x}` is not a form of substitution"),
            ("${1}", ""),
            ("größe $a", "größe one"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn bodies_of_heredocs_keep_their_quotes() {
        let variables = |name: &str| (name == "a").then(|| "one".to_owned());
        let found = expand("'$a' \"$a\" \\$a \\n", '\\', Quotes::Kept, &variables).unwrap();
        assert_eq!(found, "'one' \"one\" $a \\n");
    }

    #[test]
    fn depth_has_a_limit() {
        let text = "${a:+".repeat(500) + &"}".repeat(500);
        check(&text, "! substitutions are nested too deeply");
    }
}
