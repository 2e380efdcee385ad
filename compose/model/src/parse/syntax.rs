//! What a parser's complaint means to someone who wrote a Compose file.

use crate::diagnostic::{Code, nearest};
use crate::node::Spot;
use crate::{Diagnostic, lines};

/// The longest name that is seen for one where nothing else says that it is, characters.
const MAX_KEY: usize = 1_024;

/// Makes a diagnostic of what the parser said, at the place where the writer slipped.
pub(super) fn explain(text: &str, complaint: &str, spot: &Spot) -> Diagnostic {
    let at = spot.line.saturating_sub(1) as usize;
    let lines: Vec<&str> = lines::of(text).collect();
    tab(&lines, at, spot)
        .or_else(|| unclosed_quote(&lines, complaint, spot))
        .or_else(|| unknown_anchor(text, &lines, complaint, at, spot))
        .or_else(|| colon_in_value(&lines, complaint, at, spot))
        .or_else(|| long_name(&lines, at, spot))
        .or_else(|| indentation(&lines, complaint, at, spot))
        .unwrap_or_else(|| Diagnostic::error(Code::Syntax, format!("invalid YAML: {complaint}")).at(spot))
}

fn moved(spot: &Spot, line: usize, column: usize) -> Spot {
    let number = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
    Spot { line: number(line), column: number(column), ..spot.clone() }
}

/// A tab where an indentation is, on the line of the complaint or just above.
fn tab(lines: &[&str], at: usize, spot: &Spot) -> Option<Diagnostic> {
    let indented_by_tab = |line: &&str| line.trim_start_matches(' ').starts_with('\t') && !line.trim().is_empty();
    let found = (at.saturating_sub(1)..=at + 1).find(|line| lines.get(*line).is_some_and(indented_by_tab))?;
    let column = lines[found].len() - lines[found].trim_start_matches(' ').len();
    Some(
        Diagnostic::error(Code::Syntax, "invalid YAML: a tab where spaces belong")
            .at(&moved(spot, found, column))
            .on("\t")
            .with_help("indent with spaces: YAML takes no tabs"),
    )
}

/// A quote that is still open at the end of its line, where the complaint is about what follows.
fn unclosed_quote(lines: &[&str], complaint: &str, spot: &Spot) -> Option<Diagnostic> {
    let before_complaint = (0..(spot.line as usize).min(lines.len())).rev();
    let is_about_quotes = complaint.contains("quote") || complaint.contains("key") || complaint.contains("end");
    let (line, column) = before_complaint.take(if is_about_quotes { 200 } else { 0 }).find_map(|line| {
        let content = lines[line];
        let value_at = value_start(content)?;
        let quote = content[value_at..].chars().next().filter(|first| matches!(first, '"' | '\''))?;
        let inside = &content[value_at + 1..];
        closing(inside, quote).is_none().then(|| (line, content[..value_at].chars().count()))
    })?;
    let rest: String = lines[line].chars().skip(column + 1).collect();
    Some(
        Diagnostic::error(Code::Syntax, "invalid YAML: a quote that is not closed")
            .at(&moved(spot, line, column))
            .on(rest.trim_end())
            .with_help("close the quote at the end of the value"),
    )
}

/// Where the value of `key: value` or `- value` begins, in bytes.
fn value_start(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    let mut start = indent;
    while let Some(rest) = line[start..].strip_prefix("- ") {
        start = line.len() - rest.trim_start().len();
    }
    if line[start..].starts_with(['"', '\'']) {
        return Some(start);
    }
    let colon = line[start..].find(": ")? + start;
    let value = line[colon + 1..].trim_start();
    (!value.is_empty()).then(|| line.len() - value.len())
}

fn closing(inside: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, letter)| {
        if std::mem::take(&mut escaped) {
            return None;
        }
        escaped = quote == '"' && letter == '\\';
        (letter == quote).then_some(at)
    })
}

fn unknown_anchor(text: &str, lines: &[&str], complaint: &str, at: usize, spot: &Spot) -> Option<Diagnostic> {
    if !complaint.contains("anchor") {
        return None;
    }
    let line = lines.get(at)?;
    let star = line.char_indices().skip((spot.column as usize).saturating_sub(1)).find(|(_, letter)| *letter == '*');
    let star = star.map(|(at, _)| at).or_else(|| line.find('*'))?;
    let name = word_at(&line[star + 1..]);
    let anchors: Vec<&str> = text.split('&').skip(1).map(word_at).filter(|anchor| !anchor.is_empty()).collect();
    let problem = Diagnostic::error(Code::Undefined, format!("no anchor `&{name}` for this alias"))
        .at(&moved(spot, at, line[..star].chars().count()))
        .on(format!("*{name}"));
    Some(match nearest(name, anchors) {
        Some(near) => problem.with_help(format!("did you mean `*{near}`?")),
        None => problem.with_help(format!("write `&{name}` before the value that is meant, above this line")),
    })
}

fn word_at(text: &str) -> &str {
    let end = text.find(|letter: char| letter.is_whitespace() || ",[]{}".contains(letter)).unwrap_or(text.len());
    &text[..end]
}

/// `key: value: more`.
fn colon_in_value(lines: &[&str], complaint: &str, at: usize, spot: &Spot) -> Option<Diagnostic> {
    if !(complaint.contains("mapping values") || complaint.contains("mapping value")) {
        return None;
    }
    let line = lines.get(at)?;
    let value = value_start(line)?;
    let colon = line[value..].find(": ")? + value;
    Some(
        Diagnostic::error(Code::Syntax, "invalid YAML: a colon and a space inside a value that has no quotes")
            .at(&moved(spot, at, line[..colon].chars().count()))
            .on(":")
            .with_help("put the value in quotes"),
    )
}

/// A name that is too long to be seen for one.
fn long_name(lines: &[&str], at: usize, spot: &Spot) -> Option<Diagnostic> {
    let line = lines.get(at)?;
    let name = word_at(line.trim_start()).strip_suffix(':')?;
    let text = format!("invalid YAML: a name of more than {MAX_KEY} characters");
    let problem = Diagnostic::error(Code::Syntax, text).at(&moved(spot, at, line.len() - line.trim_start().len()));
    (name.chars().count() > MAX_KEY).then(|| problem.with_help("write `? NAME`, and `: VALUE` on the next line"))
}

/// A line whose indentation fits none of those above it.
fn indentation(lines: &[&str], complaint: &str, at: usize, spot: &Spot) -> Option<Diagnostic> {
    let about = ["key", "indent", "block", "mapping values"].iter().any(|word| complaint.contains(word));
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let line = lines.get(at).filter(|line| about && content(line))?;
    let own = indent(line);
    let mut above = lines[..at].iter().rev().filter(|line| content(line)).map(|line| indent(line));
    let previous = above.next()?;
    if own == previous || above.any(|other| other == own) && own < previous {
        return None;
    }
    let word = word_at(line.trim_start()).trim_end_matches(':');
    let text = format!("invalid YAML: `{word}` is indented by {own} spaces, which fits no line above");
    Some(
        Diagnostic::error(Code::Syntax, text)
            .at(&moved(spot, at, own))
            .on(word)
            .with_help(format!("indent it as its siblings are: the line above has {previous} spaces")),
    )
}
