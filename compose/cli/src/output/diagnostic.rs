//! Problems with the files: as text with the line in question, as a record a line, or as SARIF for editors and CI.

use anstyle::{AnsiColor, Style};
use rcompose_model::{Code, Diagnostic, Excerpt, Place, Severity};
use serde_json::{Value, json};

use crate::arguments::Diagnostics;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

fn style(severity: Severity) -> Style {
    let color = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    color.on_default().bold()
}

/// All of them, in one of the forms; empty if there are none.
pub(crate) fn render(problems: &[Diagnostic], format: Diagnostics, colored: bool) -> String {
    match format {
        Diagnostics::Text if colored => problems.iter().map(colored_text).collect(),
        Diagnostics::Text => problems.iter().map(|problem| format!("{problem}\n")).collect(),
        Diagnostics::Json => problems.iter().map(|problem| format!("{}\n", record(problem))).collect(),
        Diagnostics::Sarif => format!("{:#}\n", sarif(problems)),
    }
}

fn colored_text(problem: &Diagnostic) -> String {
    let mark = style(problem.severity);
    let mut text = String::new();
    if let Some(place) = &problem.place {
        text.push_str(&format!("{BOLD}{place}: {BOLD:#}"));
    }
    text.push_str(&format!("{mark}{}:{mark:#} {BOLD}{}{BOLD:#}\n", problem.severity, problem.message));
    if let (Some(place), Some(line)) = (&problem.place, &problem.excerpt) {
        text.push_str(&excerpt(line, place, problem.focus.as_deref(), mark));
    }
    for note in &problem.notes {
        text.push_str(&format!("{DIM}note:{DIM:#} {}: {}\n", note.place, note.text));
        if let Some(line) = &note.excerpt {
            text.push_str(&excerpt(line, &note.place, None, DIM));
        }
    }
    if let Some(help) = &problem.help {
        let hint = AnsiColor::Cyan.on_default().bold();
        text.push_str(&format!("{hint}hint:{hint:#} {help}\n"));
    }
    text
}

fn excerpt(line: &str, place: &Place, focus: Option<&str>, mark: Style) -> String {
    let Excerpt { number, line, before, marks } = Excerpt::new(line, place, focus);
    let margin = " ".repeat(number.len());
    format!("{DIM}{margin} |{DIM:#}\n{DIM}{number} |{DIM:#} {line}\n{DIM}{margin} |{DIM:#} {before}{mark}{marks}{mark:#}\n")
}

/// A record of version 1: fields are added, never changed.
fn record(problem: &Diagnostic) -> Value {
    let place = |place: &Place| json!({"file": place.file, "line": place.line, "column": place.column});
    json!({
        "version": 1,
        "severity": problem.severity.to_string(),
        "code": problem.code.name(),
        "message": problem.message,
        "place": problem.place.as_deref().map(place),
        "text": problem.focus,
        "excerpt": problem.excerpt,
        "notes": problem.notes.iter().map(|note| json!({"text": note.text, "place": place(&note.place)})).collect::<Vec<_>>(),
        "hint": problem.help,
    })
}

/// SARIF 2.1.0, with one run.
fn sarif(problems: &[Diagnostic]) -> Value {
    let location = |place: &Place, text: Option<&str>| {
        let mut region = json!({"startLine": place.line, "startColumn": place.column});
        if let Some(text) = text {
            region["endColumn"] = json!(place.column as usize + text.lines().next().unwrap_or_default().chars().count());
        }
        let file = place.file.display().to_string();
        let uri = if file.starts_with('/') { format!("file://{}", file.replace(' ', "%20")) } else { file };
        json!({"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}})
    };
    let result = |problem: &Diagnostic| {
        let text = match &problem.help {
            Some(help) => format!("{}\nhint: {help}", problem.message),
            None => problem.message.clone(),
        };
        let related: Vec<Value> = problem
            .notes
            .iter()
            .map(|note| {
                let mut related = location(&note.place, None);
                related["message"] = json!({"text": note.text});
                related
            })
            .collect();
        json!({
            "ruleId": problem.code.name(),
            "level": problem.severity.to_string(),
            "message": {"text": text},
            "locations": problem.place.iter().map(|place| location(place, problem.focus.as_deref())).collect::<Vec<_>>(),
            "relatedLocations": related,
        })
    };
    let mut codes: Vec<Code> = Vec::new();
    for problem in problems {
        if !codes.contains(&problem.code) {
            codes.push(problem.code);
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rcompose",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": codes.iter().map(|code| json!({"id": code.name()})).collect::<Vec<_>>(),
            }},
            "results": problems.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}
