//! Patterns of shells in substitutions: `*`, `?`, and what a backslash takes literally.

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Any,
    One,
    Letter(char),
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        steps.push(match letter {
            '*' => Step::Any,
            '?' => Step::One,
            '\\' => Step::Letter(letters.next().unwrap_or('\\')),
            letter => Step::Letter(letter),
        });
    }
    steps
}

/// For each beginning of the text, by its number of letters, whether the whole pattern matches it. Time is the product of both
/// lengths, whatever the pattern.
fn matching_prefixes(steps: &[Step], text: &[char]) -> Vec<bool> {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for step in steps {
        match step {
            Step::Any => {
                let first = reached.iter().position(|it| *it).unwrap_or(reached.len());
                reached.iter_mut().skip(first).for_each(|it| *it = true);
            }
            Step::One | Step::Letter(_) => {
                for end in (0..=text.len()).rev() {
                    let fits = |letter: char| matches!(step, Step::One) || *step == Step::Letter(letter);
                    reached[end] = end > 0 && reached[end - 1] && fits(text[end - 1]);
                }
            }
        }
    }
    reached
}

/// Without the shortest or longest beginning that matches.
pub(super) fn trim_start(text: &str, pattern: &str, longest: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let matched = matching_prefixes(&steps(pattern), &letters);
    let mut lengths = matched.iter().enumerate().filter(|(_, it)| **it).map(|(length, _)| length);
    let cut = if longest { lengths.next_back() } else { lengths.next() };
    letters[cut.unwrap_or(0)..].iter().collect()
}

/// Without the shortest or longest end that matches.
pub(super) fn trim_end(text: &str, pattern: &str, longest: bool) -> String {
    let letters: Vec<char> = text.chars().rev().collect();
    let mut reversed = steps(pattern);
    reversed.reverse();
    let matched = matching_prefixes(&reversed, &letters);
    let mut lengths = matched.iter().enumerate().filter(|(_, it)| **it).map(|(length, _)| length);
    let cut = if longest { lengths.next_back() } else { lengths.next() };
    letters[cut.unwrap_or(0)..].iter().rev().collect()
}

/// With the first, or every, longest match replaced. An empty match replaces nothing.
pub(super) fn replace(text: &str, pattern: &str, with: &str, all: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let steps = steps(pattern);
    // What cannot match anywhere is not looked for at every place of a long text.
    if steps.is_empty() || letters.len().saturating_mul(letters.len()).saturating_mul(steps.len()) > 1 << 30 {
        return text.to_owned();
    }
    let mut replaced = String::new();
    let mut at = 0;
    let mut done = false;
    while at < letters.len() {
        let length = if done { None } else { matching_prefixes(&steps, &letters[at..]).iter().rposition(|it| *it) };
        match length.filter(|length| *length > 0) {
            Some(length) => {
                replaced.push_str(with);
                at += length;
                done = !all;
            }
            None => {
                replaced.push(letters[at]);
                at += 1;
            }
        }
    }
    replaced
}
