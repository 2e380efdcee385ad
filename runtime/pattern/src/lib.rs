//! Patterns of paths, as `.dockerignore`, COPY, `--exclude` and watch rules have them: Go's `Match` with `**`.
//!
//! [`Pattern`] is one of them, [`Ignore`] a list in which the last that matches decides. Nothing here looks at a file.
//! Matching takes the product of both lengths at most, whatever the pattern.

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// `*`: anything but a slash.
    Star,
    /// `**`: anything.
    Everything,
    /// `**/`: any number of directories.
    Directories,
    /// `?`.
    One,
    /// `[a-z]`, or not.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Letter(char),
}

/// A pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    steps: Vec<Step>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pattern: a `[` is not closed, or a `\\` ends it")]
pub struct InvalidPattern(
    /// The text.
    pub String,
);

impl Pattern {
    /// Reads a pattern. Slashes at its ends, `.` and `..` are resolved before.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let cleaned = clean(text);
        let letters: Vec<char> = cleaned.chars().collect();
        let mut steps = Vec::new();
        let mut at = 0;
        while let Some(letter) = letters.get(at) {
            at += 1;
            match letter {
                '*' if letters.get(at) == Some(&'*') => {
                    while letters.get(at) == Some(&'*') {
                        at += 1;
                    }
                    if letters.get(at) == Some(&'/') {
                        at += 1;
                        steps.push(Step::Directories);
                    } else {
                        steps.push(Step::Everything);
                    }
                }
                '*' => steps.push(Step::Star),
                '?' => steps.push(Step::One),
                '[' => {
                    let (class, next) = class(&letters, at).ok_or_else(invalid)?;
                    steps.push(class);
                    at = next;
                }
                '\\' => {
                    steps.push(Step::Letter(*letters.get(at).ok_or_else(invalid)?));
                    at += 1;
                }
                letter => steps.push(Step::Letter(*letter)),
            }
        }
        Ok(Self { steps })
    }

    /// Tells whether a text has anything that makes it more than a path.
    pub fn is_one(text: &str) -> bool {
        text.contains(['*', '?', '['])
    }

    /// Tells whether it matches a whole path, without slashes at its ends.
    pub fn matches(&self, path: &str) -> bool {
        let letters: Vec<char> = path.chars().collect();
        self.reached(&letters).last() == Some(&true)
    }

    /// Tells whether it matches a path, or a directory above it.
    pub fn matches_or_above(&self, path: &str) -> bool {
        let letters: Vec<char> = path.chars().collect();
        let reached = self.reached(&letters);
        reached.iter().enumerate().any(|(end, it)| *it && end > 0 && (end == letters.len() || letters[end] == '/'))
    }

    /// For each beginning of a path, by its number of letters, whether the whole pattern matches it.
    fn reached(&self, letters: &[char]) -> Vec<bool> {
        let mut reached = vec![false; letters.len() + 1];
        reached[0] = true;
        for step in &self.steps {
            let mut next = vec![false; letters.len() + 1];
            match step {
                Step::Everything | Step::Star => {
                    let mut open = false;
                    for end in 0..=letters.len() {
                        let passes = end > 0 && (*step == Step::Everything || letters[end - 1] != '/');
                        open = reached[end] || (open && passes);
                        next[end] = open;
                    }
                }
                Step::Directories => {
                    let mut open = false;
                    for end in 0..=letters.len() {
                        open |= end > 0 && reached[end - 1];
                        next[end] = reached[end] || (open && end > 0 && letters[end - 1] == '/');
                    }
                }
                one => (1..=letters.len()).for_each(|end| next[end] = reached[end - 1] && one.takes(letters[end - 1])),
            }
            reached = next;
        }
        reached
    }
}

impl Step {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::One => letter != '/',
            Self::Letter(own) => *own == letter,
            Self::Class { negated, ranges } => {
                letter != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != *negated
            }
            Self::Star | Self::Everything | Self::Directories => false,
        }
    }
}

/// A class from behind its `[`, and where it ends.
fn class(letters: &[char], mut at: usize) -> Option<(Step, usize)> {
    let negated = letters.get(at) == Some(&'^');
    at += usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        let one = |at: &mut usize| {
            let letter = *letters.get(*at)?;
            *at += 1;
            if letter != '\\' {
                return Some(letter);
            }
            *at += 1;
            letters.get(*at - 1).copied()
        };
        if letters.get(at)? == &']' && !ranges.is_empty() {
            return Some((Step::Class { negated, ranges }, at + 1));
        }
        let low = one(&mut at)?;
        let high = if letters.get(at) == Some(&'-') && letters.get(at + 1).is_some_and(|next| *next != ']') {
            at += 1;
            one(&mut at)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

/// Without slashes at its ends, `.` and `..`.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What of a build's context stays away: patterns in order, the last that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    /// Whether it takes back what an earlier one ignored; the pattern.
    rules: Vec<(bool, Pattern)>,
}

impl Ignore {
    /// Reads a `.dockerignore`.
    ///
    /// # Errors
    /// The first line that is no pattern, with its number.
    pub fn parse(text: &str) -> Result<Self, (u32, InvalidPattern)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (back, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            let pattern = Pattern::parse(pattern).map_err(|error| (number, error))?;
            if !pattern.steps.is_empty() {
                rules.push((back, pattern));
            }
        }
        Ok(Self { rules })
    }

    /// Rules that only keep away.
    pub fn of(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        Self { rules: patterns.into_iter().map(|pattern| (false, pattern)).collect() }
    }

    /// Tells whether a path stays away.
    pub fn ignores(&self, path: &str) -> bool {
        self.rules.iter().rev().find(|(_, pattern)| pattern.matches_or_above(path)).is_some_and(|(back, _)| !back)
    }

    /// Tells whether something below a directory that stays away may be taken back.
    pub fn may_take_back(&self) -> bool {
        self.rules.iter().any(|(back, _)| *back)
    }

    /// Tells whether nothing stays away.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_people_expect() {
        for (pattern, path, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("/a/", "a", true),
            ("*.md", "readme.md", true),
            ("*.md", "docs/readme.md", false),
            ("**/*.md", "docs/deep/readme.md", true),
            ("**/*.md", "readme.md", true),
            ("**", "a/b", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "az", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]a]x", "]x", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("./a/../b", "b", true),
            ("*", "a/b", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
        for invalid in ["[a", "a\\", "["] {
            assert!(Pattern::parse(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let ignore = Ignore::parse("# all\n*\n!src\nsrc/**/*.tmp\n!src/keep.tmp\n").unwrap();
        for (path, expected) in [
            ("readme", true),
            ("src", false),
            ("src/a.rs", false),
            ("src/x/y.tmp", true),
            ("src/keep.tmp", false),
            ("target/src/a", true),
        ] {
            assert_eq!(ignore.ignores(path), expected, "{path}");
        }
        let ignore = Ignore::parse("node_modules\n**/.git\n").unwrap();
        assert!(ignore.ignores("node_modules/x/y") && ignore.ignores("a/.git/config") && !ignore.ignores("a/node_modules"));
        assert_eq!(Ignore::parse("a\n[b").unwrap_err().0, 2);
    }

    proptest! {
        #[test]
        fn no_pattern_takes_for_ever(pattern in "[*?/a\\[\\]^\\\\-]{0,40}", path in "[a/b.]{0,80}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches_or_above(&path);
            }
        }

        #[test]
        fn a_plain_path_matches_itself_and_nothing_longer(path in "[a-z]{1,8}(/[a-z]{1,8}){0,4}") {
            let pattern = Pattern::parse(&path).unwrap();
            prop_assert!(pattern.matches(&path));
            let (longer, below) = (format!("{path}x"), format!("{path}/x"));
            prop_assert!(!pattern.matches(&longer) && pattern.matches_or_above(&below));
        }
    }
}
