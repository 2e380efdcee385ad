//! Templates of `--format`: what scripts use of Go's, and a clear error for the rest.
//!
//! ```text
//! template = text and {{ pipeline }};  pipeline = call | call | ...
//! call     = . | .Field.Field | "text" | 12 | json x | upper x | lower x | len x | join list sep | index x key | .Label "key"
//! ```
//! `\t` and `\n` in the text are a tab and an end of line, as Docker has it.

use serde_json::Value;

/// A template that has been read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Action(Vec<Vec<Word>>),
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    /// `.A.B`; empty is `.`.
    Field(Vec<String>),
    Literal(Value),
    Name(String),
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("template: `{{{{` without `}}}}`")]
    Open,
    #[error("template: `{0}` is not understood")]
    Word(String),
    #[error("template: `{0}` is not supported: fields, json, upper, lower, len, join and index are")]
    Unsupported(String),
    #[error("template: no field `{name}`: there are {known}")]
    Field { name: String, known: String },
    #[error("template: `{name}` does not take {given}")]
    Argument { name: String, given: String },
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Action(pipeline(action)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills the template in; `labels` is what `.Label` looks at.
    pub(crate) fn fill(&self, value: &Value, labels: &Value) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Action(calls) => {
                    let mut result = None;
                    for call in calls {
                        result = Some(evaluate(call, result, value, labels)?);
                    }
                    text.push_str(&shown(&result.unwrap_or_default()));
                }
            }
        }
        Ok(text)
    }

    /// The first field of each action: what the headings of a table are made of.
    pub(crate) fn headings(&self, heading: impl Fn(&str) -> String) -> String {
        let field = |calls: &Vec<Vec<Word>>| {
            calls.iter().flatten().find_map(|word| match word {
                Word::Field(path) => path.first().map(|name| heading(name)),
                _ => None,
            })
        };
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Action(calls) => field(calls).unwrap_or_default(),
        };
        self.parts.iter().map(part).collect()
    }
}

fn pipeline(action: &str) -> Result<Vec<Vec<Word>>, TemplateError> {
    let mut calls = vec![Vec::new()];
    let mut rest = action.trim();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '|' => {
                calls.push(Vec::new());
                rest = rest[1..].trim_start();
                continue;
            }
            '"' | '`' => {
                let end = closing_quote(&rest[1..], first).ok_or_else(|| TemplateError::Word(rest.to_owned()))? + 2;
                (literal(&rest[..end])?, &rest[end..])
            }
            _ => {
                let end = rest.find(|it: char| it.is_whitespace() || it == '|').unwrap_or(rest.len());
                (word(&rest[..end])?, &rest[end..])
            }
        };
        if let Some(call) = calls.last_mut() {
            call.push(word);
        }
        rest = after.trim_start();
    }
    if calls.iter().any(Vec::is_empty) {
        return Err(TemplateError::Word(format!("{{{{{action}}}}}")));
    }
    Ok(calls)
}

fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped && quote == '"';
        ends.then_some(at)
    })
}

fn literal(quoted: &str) -> Result<Word, TemplateError> {
    let text = match quoted.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(raw) => raw.to_owned(),
        // The escapes of Go that are used in templates are those of JSON; a tab has been made of `\t` already.
        None => serde_json::from_str(&quoted.replace('\t', "\\t").replace('\n', "\\n"))
            .map_err(|_| TemplateError::Word(quoted.to_owned()))?,
    };
    Ok(Word::Literal(Value::String(text)))
}

fn word(text: &str) -> Result<Word, TemplateError> {
    let known = ["json", "upper", "lower", "len", "join", "index"];
    if let Some(path) = text.strip_prefix('.') {
        let names: Vec<String> = path.split('.').filter(|_| !path.is_empty()).map(str::to_owned).collect();
        let valid = |name: &String| !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_');
        return if names.iter().all(valid) { Ok(Word::Field(names)) } else { Err(TemplateError::Word(text.to_owned())) };
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Word::Literal(number.into()));
    }
    if known.contains(&text) { Ok(Word::Name(text.to_owned())) } else { Err(TemplateError::Unsupported(text.to_owned())) }
}

/// One call; what came out of the call before it in the pipeline is its last argument.
fn evaluate(call: &[Word], before: Option<Value>, value: &Value, labels: &Value) -> Result<Value, TemplateError> {
    let (first, rest) = call.split_first().expect("no call of a pipeline is empty");
    let mut arguments = Vec::new();
    for word in rest {
        arguments.push(match word {
            Word::Literal(value) => value.clone(),
            Word::Field(path) => field(value, path)?,
            Word::Name(name) => return Err(TemplateError::Unsupported(format!("{name} inside a call"))),
        });
    }
    arguments.extend(before);
    match (first, arguments.as_slice()) {
        (Word::Literal(value), []) => Ok(value.clone()),
        (Word::Field(path), [Value::String(key)]) if path[..] == ["Label"] => Ok(labels.get(key).cloned().unwrap_or("".into())),
        (Word::Field(path), []) => field(value, path),
        (Word::Name(name), arguments) => function(name, arguments),
        (_, arguments) => Err(argument("a value", arguments)),
    }
}

fn argument(name: &str, arguments: &[Value]) -> TemplateError {
    let given = arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    TemplateError::Argument { name: name.to_owned(), given: if given.is_empty() { "nothing".to_owned() } else { given } }
}

fn function(name: &str, arguments: &[Value]) -> Result<Value, TemplateError> {
    let result = match (name, arguments) {
        ("json", [value]) => value.to_string().into(),
        ("upper", [value]) => shown(value).to_uppercase().into(),
        ("lower", [value]) => shown(value).to_lowercase().into(),
        ("len", [Value::Array(items)]) => items.len().into(),
        ("len", [Value::Object(entries)]) => entries.len().into(),
        ("len", [Value::String(text)]) => text.len().into(),
        ("join", [Value::Array(items), Value::String(separator)]) => {
            items.iter().map(shown).collect::<Vec<_>>().join(separator).into()
        }
        ("index", [Value::Object(entries), Value::String(key)]) => entries.get(key).cloned().unwrap_or_default(),
        ("index", [Value::Array(items), Value::Number(at)]) => {
            let item = at.as_u64().and_then(|at| items.get(usize::try_from(at).ok()?));
            item.cloned().ok_or_else(|| argument(name, arguments))?
        }
        _ => return Err(argument(name, arguments)),
    };
    Ok(result)
}

/// Follows a path. A first field that is not there is a mistake; deeper down, where keys are free, it is no value.
fn field(value: &Value, path: &[String]) -> Result<Value, TemplateError> {
    let mut found = value;
    for (depth, name) in path.iter().enumerate() {
        match found.get(name) {
            Some(inner) => found = inner,
            None if depth > 0 => return Ok("<no value>".into()),
            None => {
                let known = value.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default();
                return Err(TemplateError::Field { name: name.clone(), known });
            }
        }
    }
    Ok(found.clone())
}

/// As Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}:{}", shown(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let value = json!({
            "Name": "web", "Size": 12, "Env": ["A=1", "B=2"], "Config": { "Labels": { "a.b": "c" }, "Cmd": null }, "On": true,
        });
        let filled = Template::parse(template).and_then(|it| it.fill(&value, &json!({ "key": "value" })));
        assert_eq!(filled.unwrap_or_else(|error| error.to_string()), expected, "{template}");
    }

    #[test]
    fn fills_in_what_scripts_use() {
        check("{{.Name}}", "web");
        check(r"{{ .Name }}\t{{.Size}}\n", "web\t12\n");
        check("{{json .Config}}", r#"{"Cmd":null,"Labels":{"a.b":"c"}}"#);
        check("{{.Config.Labels}} {{.Env}} {{.Config.Cmd}} {{.On}}", "map[a.b:c] [A=1 B=2] <nil> true");
        check(r#"{{index .Config.Labels "a.b"}}{{index .Env 1}}"#, "cB=2");
        check(r#"{{.Label "key"}}{{.Label "none"}}"#, "value");
        check(r#"{{join .Env ", " | upper}} {{len .Env}}"#, "A=1, B=2 2");
        check("{{.Config.None.Deeper}}", "<no value>");
        check(
            "{{json .}}",
            &json!({"Name":"web","Size":12,"Env":["A=1","B=2"],"Config":{"Labels":{"a.b":"c"},"Cmd":null},"On":true}).to_string(),
        );
    }

    #[test]
    fn says_what_it_does_not_know() {
        check("{{.Nam}}", "template: no field `Nam`: there are Config, Env, Name, On, Size");
        check(
            "{{range .Env}}x{{end}}",
            "template: `range` is not supported: fields, json, upper, lower, len, join and index are",
        );
        check("{{.Name", "template: `{{` without `}}`");
        check("{{}}", "template: `{{}}` is not understood");
        check("{{index .Env 7}}", r#"template: `index` does not take ["A=1","B=2"] 7"#);
        check("{{\"open}}", "template: `\"open` is not understood");
    }

    #[test]
    fn makes_headings_of_fields() {
        let template = Template::parse("{{.Name}}\t{{json .Env}}").unwrap();
        assert_eq!(template.headings(str::to_uppercase), "NAME\tENV");
    }
}
