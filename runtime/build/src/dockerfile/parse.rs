//! From a logical line to an instruction.

use std::time::Duration;

use super::expand::{Quotes, expand};
use super::heredoc::{self, Heredoc};
use super::instruction::{Command, Copy, CopySource, From, Healthcheck, Instruction, Kind, Run};
use super::mount;
use super::problem::{Place, Problem, Rule};
use super::source::Logical;
use super::words::{first, words};

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The flags that instructions have.
const FLAGS: [(&str, &[&str]); 5] = [
    ("ADD", &["chmod", "checksum", "chown", "exclude", "keep-git-dir", "link", "unpack"]),
    ("COPY", &["chmod", "chown", "exclude", "from", "link", "parents"]),
    ("FROM", &["platform"]),
    ("HEALTHCHECK", &["interval", "retries", "start-interval", "start-period", "timeout"]),
    ("RUN", &["device", "mount", "network", "security"]),
];

/// What of an instruction is at fault, by the offset in its text.
struct Fault {
    offset: usize,
    text: String,
    hint: Option<String>,
}

type Parsed<T> = Result<T, Fault>;

fn fault<T>(offset: usize, text: impl Into<String>) -> Parsed<T> {
    Err(Fault { offset, text: text.into(), hint: None })
}

/// Reads one instruction; `None` when it is none, which has been noted then.
pub(super) fn instruction(line: &Logical, escape: char, problems: &mut Vec<Problem>) -> Option<Instruction> {
    let mut reader = Reader { line, escape, problems, rest: 0 };
    match reader.read() {
        Ok(kind) => {
            let text = line.text.clone();
            Some(Instruction { place: line.place(0), last_line: line.last, text, kind })
        }
        Err(Fault { offset, text, hint }) => {
            problems.push(Problem { hint, ..Problem::error(line.place(offset), text) });
            None
        }
    }
}

struct Reader<'a, 'b> {
    line: &'a Logical,
    escape: char,
    problems: &'b mut Vec<Problem>,
    /// Offset of what has not been read.
    rest: usize,
}

/// A flag: its name, its value if it has one, where it stands.
type Flag = (String, Option<String>, usize);

impl<'a> Reader<'a, '_> {
    fn read(&mut self) -> Parsed<Kind> {
        let Some((keyword, end)) = first(&self.line.text, self.escape) else { return fault(0, "nothing stands here") };
        let upper = keyword.text.to_ascii_uppercase();
        self.rest = end;
        if !KEYWORDS.contains(&upper.as_str()) {
            return Err(unknown(keyword.text));
        }
        let flags = match FLAGS.iter().find(|(keyword, _)| *keyword == upper) {
            Some((_, known)) => self.flags(&upper, known)?,
            None => Vec::new(),
        };
        if self.arguments().is_empty() {
            return fault(0, format!("{upper} requires at least one argument"));
        }
        match upper.as_str() {
            "FROM" => self.from(flags),
            "RUN" => self.run(flags),
            "CMD" => Ok(Kind::Cmd(self.command())),
            "ENTRYPOINT" => Ok(Kind::Entrypoint(self.command())),
            "LABEL" => Ok(Kind::Label(self.pairs("LABEL")?)),
            "MAINTAINER" => {
                self.warn(
                    Rule::MaintainerDeprecated,
                    "MAINTAINER is deprecated: use a label such as `org.opencontainers.image.authors`",
                );
                Ok(Kind::Maintainer(self.arguments().to_owned()))
            }
            "EXPOSE" => Ok(Kind::Expose(self.arguments().to_owned())),
            "ENV" => Ok(Kind::Env(self.pairs("ENV")?)),
            "ADD" | "COPY" => self.copy(flags, upper == "ADD"),
            "VOLUME" => self.volume(),
            "USER" => Ok(Kind::User(self.single("USER")?)),
            "WORKDIR" => Ok(Kind::Workdir(self.arguments().to_owned())),
            "ARG" => self.arg(),
            "ONBUILD" => self.onbuild(),
            "STOPSIGNAL" => Ok(Kind::StopSignal(self.single("STOPSIGNAL")?)),
            "HEALTHCHECK" => self.healthcheck(flags),
            _ => match self.command() {
                Command::Exec(words) if !words.is_empty() => Ok(Kind::Shell(words)),
                _ => Err(Fault {
                    offset: self.rest,
                    text: "SHELL needs its words in JSON form".to_owned(),
                    hint: Some(r#"write SHELL ["/bin/sh", "-c"]"#.to_owned()),
                }),
            },
        }
    }

    fn arguments(&self) -> &'a str {
        self.line.text[self.rest..].trim()
    }

    /// Offset of the first argument.
    fn start(&self) -> usize {
        let rest = &self.line.text[self.rest..];
        self.rest + rest.len() - rest.trim_start().len()
    }

    fn warn(&mut self, rule: Rule, text: impl Into<String>) {
        self.problems.push(Problem::warning(self.line.place(0), rule, text));
    }

    fn unquoted(&self, text: &str) -> String {
        // Without variables only quotes and escapes go; a dollar sign stays what it is.
        let protected = text.replace('$', "\u{f8ff}");
        let expanded = expand(&protected, self.escape, Quotes::Removed, &|_: &str| None).unwrap_or(protected);
        expanded.replace('\u{f8ff}', "$")
    }

    fn flags(&mut self, keyword: &str, known: &[&str]) -> Parsed<Vec<Flag>> {
        let mut flags = Vec::new();
        let rest = &self.line.text[self.rest..];
        let base = self.rest;
        for word in words(rest, self.escape) {
            let Some(flag) = word.text.strip_prefix("--") else {
                self.rest = base + word.offset;
                return Ok(flags);
            };
            let offset = base + word.offset;
            if flag.is_empty() {
                self.rest = offset + 2;
                return Ok(flags);
            }
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(self.unquoted(value))),
                None => (flag, None),
            };
            if !known.contains(&name) {
                return unknown_flag(keyword, name, offset);
            }
            flags.push((name.to_owned(), value, offset));
        }
        self.rest = self.line.text.len();
        Ok(flags)
    }

    fn from(&mut self, flags: Vec<Flag>) -> Parsed<Kind> {
        let mut platform = None;
        for (name, value, offset) in flags {
            match name.as_str() {
                "platform" => platform = Some(value_of(&name, value, offset)?),
                _ => return unknown_flag("FROM", &name, offset),
            }
        }
        let start = self.start();
        let found = words(self.arguments(), self.escape);
        let (image, name) = match found.as_slice() {
            [image] => (image, None),
            [image, keyword, name] if keyword.text.eq_ignore_ascii_case("as") => {
                let upper = |word: &str| word.bytes().all(|byte| byte.is_ascii_uppercase());
                if upper(keyword.text) != upper(&self.line.text[..4]) {
                    self.problems.push(Problem::warning(
                        self.line.place(start + keyword.offset),
                        Rule::FromAsCasing,
                        format!("`{}` and `{}` are not written alike", keyword.text, &self.line.text[..4]),
                    ));
                }
                (image, Some((name.text, name.offset)))
            }
            _ => {
                return Err(Fault {
                    offset: start,
                    text: "FROM requires either one or three arguments".to_owned(),
                    hint: Some("write FROM image, or FROM image AS name".to_owned()),
                });
            }
        };
        if let Some((name, offset)) = name {
            let lower = name.to_ascii_lowercase();
            let valid = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_.-".contains(&letter);
            if !lower.starts_with(|letter: char| letter.is_ascii_lowercase()) || !lower.bytes().all(valid) {
                return fault(
                    start + offset,
                    format!("`{name}` cannot name a stage: letters, digits, `_`, `.` and `-`, a letter first"),
                );
            }
        }
        let name = name.map(|(name, _)| name.to_owned());
        Ok(Kind::From(From { image: image.text.to_owned(), platform, name }))
    }

    fn run(&mut self, flags: Vec<Flag>) -> Parsed<Kind> {
        let (mut mounts, mut devices) = (Vec::new(), Vec::new());
        let (mut network, mut security) = (None, None);
        for (name, value, offset) in flags {
            let value = value_of(&name, value, offset)?;
            match name.as_str() {
                "mount" => mounts.push(mount::parse(&value).or_else(|text| fault(offset, text))?),
                "network" if matches!(value.as_str(), "default" | "none" | "host") => network = Some(value),
                "network" => return fault(offset, format!("`{value}` is no network of RUN: default, none and host are")),
                "security" if matches!(value.as_str(), "sandbox" | "insecure") => security = Some(value),
                "security" => return fault(offset, format!("`{value}` is no security mode: sandbox and insecure are")),
                "device" => devices.push(value),
                _ => return unknown_flag("RUN", &name, offset),
            }
        }
        let mut command = self.command();
        let mut script = None;
        if let (Command::Shell(text), Some(only)) = (&command, self.line.heredocs.first()) {
            let alone = self.line.heredocs.len() == 1 && heredoc::head(text, 0, self.escape).is_some();
            if alone {
                script = only.body.starts_with("#!").then(|| only.clone());
                command = Command::Shell(only.content());
            } else {
                let bodies: String = self.line.heredocs.iter().map(Heredoc::verbatim).collect();
                command = Command::Shell(format!("{text}\n{bodies}"));
            }
        }
        Ok(Kind::Run(Run { command, mounts, network, security, devices, script }))
    }

    /// JSON, or a line for the shell.
    fn command(&self) -> Command {
        match json(self.arguments()) {
            Some(words) => Command::Exec(words),
            None => Command::Shell(self.arguments().to_owned()),
        }
    }

    /// `k=v k=v`, or the old `k v`.
    fn pairs(&mut self, keyword: &str) -> Parsed<Vec<(String, String)>> {
        let start = self.start();
        let arguments = self.arguments().to_owned();
        let found = words(&arguments, self.escape);
        let Some(head) = found.first() else { return fault(start, format!("{keyword} requires at least one argument")) };
        if !head.text.contains('=') {
            let value = arguments[head.text.len()..].trim();
            if value.is_empty() {
                return fault(start, format!("{keyword} must have two arguments"));
            }
            let text = format!("write `{keyword} {}={value}` instead of the old form with a blank", head.text);
            self.warn(Rule::LegacyKeyValueFormat, text);
            return Ok(vec![(head.text.to_owned(), value.to_owned())]);
        }
        let mut pairs = Vec::new();
        for word in found {
            match word.text.split_once('=') {
                Some((key, value)) if !key.is_empty() => pairs.push((key.to_owned(), value.to_owned())),
                _ => {
                    let hint = Some("a value with blanks is written in double quotes".to_owned());
                    let text = format!("`{}` has no `=`: expected name=value", word.text);
                    return Err(Fault { offset: start + word.offset, text, hint });
                }
            }
        }
        Ok(pairs)
    }

    fn copy(&mut self, flags: Vec<Flag>, add: bool) -> Parsed<Kind> {
        let keyword = if add { "ADD" } else { "COPY" };
        let mut copy = Copy { add, ..Copy::default() };
        for (name, value, offset) in flags {
            let on = |value: Option<String>| match value.as_deref() {
                None | Some("true") => Ok(true),
                Some("false") => Ok(false),
                Some(other) => fault(offset, format!("`--{name}={other}`: expected true or false")),
            };
            match (name.as_str(), add) {
                ("chown", _) => copy.chown = Some(value_of(&name, value, offset)?),
                ("chmod", _) => copy.chmod = Some(value_of(&name, value, offset)?),
                ("exclude", _) => copy.excludes.push(value_of(&name, value, offset)?),
                ("from", false) => copy.from = Some(value_of(&name, value, offset)?),
                ("checksum", true) => copy.checksum = Some(value_of(&name, value, offset)?),
                ("link", _) => copy.link = on(value)?,
                ("parents", false) => copy.parents = on(value)?,
                ("keep-git-dir", true) => copy.keep_git_dir = on(value)?,
                ("unpack", true) => copy.unpack = Some(on(value)?),
                _ => return unknown_flag(keyword, &name, offset),
            }
        }
        let start = self.start();
        let mut paths: Vec<String> = match json(self.arguments()) {
            Some(paths) => paths,
            None => words(self.arguments(), self.escape).into_iter().map(|word| word.text.to_owned()).collect(),
        };
        if paths.len() < 2 {
            return fault(start, format!("{keyword} requires at least two arguments: what is copied, and where to"));
        }
        copy.target = paths.pop().unwrap_or_default();
        let mut heredocs = self.line.heredocs.iter();
        for path in paths {
            copy.sources.push(match heredoc::head(&path, 0, self.escape) {
                Some(_) => match heredocs.next() {
                    Some(found) => CopySource::Inline(found.clone()),
                    None => CopySource::Path(path),
                },
                None => CopySource::Path(path),
            });
        }
        Ok(Kind::Copy(copy))
    }

    fn volume(&mut self) -> Parsed<Kind> {
        let paths = json(self.arguments());
        let paths =
            paths.unwrap_or_else(|| words(self.arguments(), self.escape).iter().map(|word| word.text.to_owned()).collect());
        if paths.iter().any(|path| path.trim().is_empty()) {
            return fault(self.start(), "the path of a volume cannot be empty");
        }
        Ok(Kind::Volume(paths))
    }

    fn single(&self, keyword: &str) -> Parsed<String> {
        match words(self.arguments(), self.escape).as_slice() {
            [word] => Ok(word.text.to_owned()),
            [_, second, ..] => fault(self.start() + second.offset, format!("{keyword} takes one argument")),
            [] => fault(self.start(), format!("{keyword} requires an argument")),
        }
    }

    fn arg(&self) -> Parsed<Kind> {
        let mut arguments = Vec::new();
        for word in words(self.arguments(), self.escape) {
            let (name, value) = match word.text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.text, None),
            };
            if name.is_empty() {
                return fault(self.start() + word.offset, "the name of an argument cannot be empty");
            }
            arguments.push((self.unquoted(name), value));
        }
        Ok(Kind::Arg(arguments))
    }

    fn onbuild(&mut self) -> Parsed<Kind> {
        let arguments = self.arguments().to_owned();
        let start = self.start();
        let keyword = arguments.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "ONBUILD" => return fault(start, "ONBUILD ONBUILD is not allowed"),
            "FROM" | "MAINTAINER" => return fault(start, format!("{keyword} is not allowed in ONBUILD")),
            _ => {}
        }
        // Looked at now, where the file can be named; carried out by whoever builds on it.
        let mut line = Logical::of_text(&arguments, self.line.place(start));
        line.heredocs.clone_from(&self.line.heredocs);
        instruction(&line, self.escape, self.problems);
        let bodies: String = self.line.heredocs.iter().map(Heredoc::verbatim).collect();
        Ok(Kind::Onbuild(if bodies.is_empty() { arguments } else { format!("{arguments}\n{bodies}") }))
    }

    fn healthcheck(&mut self, flags: Vec<Flag>) -> Parsed<Kind> {
        let mut check = Healthcheck::default();
        let with_flags = !flags.is_empty();
        for (name, value, offset) in flags {
            let value = value_of(&name, value, offset)?;
            let time = || match duration(&value) {
                Some(time) if time.is_zero() || time >= Duration::from_millis(1) => Ok(Some(time)),
                _ => fault(offset, format!("`{value}` is no time: write 30s, 1m30s, 500ms")),
            };
            match name.as_str() {
                "interval" => check.interval = time()?,
                "timeout" => check.timeout = time()?,
                "start-period" => check.start_period = time()?,
                "start-interval" => check.start_interval = time()?,
                "retries" => match value.parse() {
                    Ok(count) => check.retries = Some(count),
                    Err(_) => return fault(offset, format!("`{value}` is no number of retries")),
                },
                _ => return unknown_flag("HEALTHCHECK", &name, offset),
            }
        }
        let start = self.start();
        let arguments = self.arguments().to_owned();
        let keyword = arguments.split_whitespace().next().unwrap_or_default();
        match keyword.to_ascii_uppercase().as_str() {
            "NONE" if arguments.len() == 4 && !with_flags => Ok(Kind::Healthcheck(Healthcheck::default())),
            "NONE" => fault(start, "HEALTHCHECK NONE takes no arguments"),
            "CMD" => {
                let rest = arguments[3..].trim();
                if rest.is_empty() {
                    return fault(start, "HEALTHCHECK CMD needs a command");
                }
                check.command = Some(json(rest).map_or_else(|| Command::Shell(rest.to_owned()), Command::Exec));
                Ok(Kind::Healthcheck(check))
            }
            _ => fault(start, format!("unknown type `{keyword}` of HEALTHCHECK: CMD and NONE are")),
        }
    }
}

fn value_of(name: &str, value: Option<String>, offset: usize) -> Parsed<String> {
    value.map_or_else(|| fault(offset, format!("--{name} needs a value")), Ok)
}

fn unknown_flag<T>(keyword: &str, name: &str, offset: usize) -> Parsed<T> {
    fault(offset, format!("unknown flag `--{name}` of {keyword}"))
}

fn unknown(word: &str) -> Fault {
    let upper = word.to_ascii_uppercase();
    let near = KEYWORDS.iter().find(|keyword| distance(keyword, &upper) <= 2);
    Fault {
        offset: 0,
        text: format!("unknown instruction `{}`", word.chars().take(40).collect::<String>()),
        hint: near.map(|keyword| format!("did you mean {keyword}?")),
    }
}

/// Letters that differ, beginning with the same one; larger than anything near for words of other lengths.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 1 || one.bytes().next() != other.bytes().next() {
        return usize::MAX;
    }
    let common = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let tail = one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
    one.len().max(other.len()).saturating_sub(common + tail)
}

/// An array of texts in JSON; anything else is a line for the shell.
fn json(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { None }
}

/// `1h2m3.5s`, `500ms`, `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let value: f64 = rest[..digits].parse().ok()?;
        let unit =
            rest[digits..].find(|letter: char| letter.is_ascii_digit() || letter == '.').map_or(rest.len(), |end| digits + end);
        let factor = match &rest[digits..unit] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += value * factor;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok()).flatten()
}

/// Reads an instruction that an image keeps for those who build on it.
pub(super) fn trigger(text: &str, escape: char, place: Place, problems: &mut Vec<Problem>) -> Option<Instruction> {
    let mut noted = Vec::new();
    let (_, lines) = super::source::read(text.as_bytes(), &mut noted);
    let line = lines.into_iter().next()?;
    let found = instruction(&line, escape, &mut noted);
    problems.extend(noted.into_iter().filter(Problem::is_error).map(|problem| Problem { place, ..problem }));
    found.map(|found| Instruction { place, last_line: place.line, ..found })
}
