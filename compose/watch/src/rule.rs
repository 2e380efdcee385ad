//! One rule of `develop.watch`: which files it is about, and where they go.

use std::path::{Path, PathBuf};

use rcompose_model::project::{Hook, Service, WatchAction, WatchRule};
use rcompose_pattern::{Ignore, InvalidPattern, Pattern};

use crate::temporary::is_temporary;

/// A rule that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A pattern of the rule is none.
    #[error("services.{service}.develop.watch[{number}]")]
    Pattern {
        /// Whose rule.
        service: String,
        /// Which, from 0.
        number: usize,
        /// The pattern.
        #[source]
        source: InvalidPattern,
    },
    /// A line of the file that keeps things out of the build is no pattern.
    #[error("{}:{line}", .file.display())]
    IgnoreFile {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: u32,
        /// The line.
        #[source]
        source: InvalidPattern,
    },
}

/// A rule of a service, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Whose rule.
    pub service: String,
    /// Which of its rules, from 0.
    pub number: usize,
    /// File or directory.
    pub path: PathBuf,
    /// What follows.
    pub action: WatchAction,
    /// Where in the container, without a slash at its end.
    pub target: Option<String>,
    /// Files that are there already count as changed.
    pub initial_sync: bool,
    /// What runs after `sync+exec`.
    pub exec: Option<Hook>,
    ignore: Ignore,
    include: Vec<Pattern>,
    /// What the build leaves out, and the folder that this starts from.
    left_out: Option<(PathBuf, Ignore)>,
}

impl Rule {
    /// The rules of a service. `read` gives the text of a file, if there is one.
    ///
    /// # Errors
    /// The first pattern that is none.
    pub fn of(service: &Service, read: impl Fn(&Path) -> Option<String>) -> Result<Vec<Self>, RuleError> {
        let left_out = left_out(service, read)?;
        let rules = service.watch.iter().enumerate();
        rules.map(|(number, rule)| Self::new(service, number, rule, left_out.clone())).collect()
    }

    fn new(service: &Service, number: usize, rule: &WatchRule, left_out: Option<(PathBuf, Ignore)>) -> Result<Self, RuleError> {
        let wrong = |source| RuleError::Pattern { service: service.name.clone(), number, source };
        let ignore = Ignore::parse(&rule.ignore.join("\n")).map_err(|(_, source)| wrong(source))?;
        let include = rule.include.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Self {
            service: service.name.clone(),
            number,
            path: rule.path.clone(),
            action: rule.action,
            target: rule.target.as_ref().map(|target| target.trim_end_matches('/').to_owned()),
            initial_sync: rule.initial_sync,
            exec: rule.exec.clone(),
            ignore,
            include,
            left_out,
        })
    }

    /// Tells whether a change of this path, which is a directory or not, is one for the rule.
    pub fn concerns(&self, path: &Path, directory: bool) -> bool {
        let Some(below) = self.below(path) else { return false };
        if self.keeps_out(path, &below) {
            return false;
        }
        // A directory comes and goes with what is in it, where only some files are wanted.
        self.include.is_empty() || !directory && (below.is_empty() || self.includes(&below))
    }

    /// Tells whether nothing in this directory, however deep, is one for the rule.
    pub(crate) fn passes_over(&self, directory: &Path) -> bool {
        let Some(below) = self.below(directory) else { return !self.path.starts_with(directory) };
        let certain = |ignore: &Ignore, path: &str| !path.is_empty() && ignore.ignores(path) && !ignore.may_take_back();
        is_temporary(&below) || certain(&self.ignore, &below) || self.left_out(directory, certain)
    }

    /// Where a file goes.
    pub fn target_of(&self, path: &Path) -> Option<String> {
        let (target, below) = (self.target.as_ref()?, self.below(path)?);
        Some(match (target.as_str(), below.as_str()) {
            ("", "") => "/".to_owned(),
            (target, "") => target.to_owned(),
            (target, below) => format!("{target}/{below}"),
        })
    }

    fn below(&self, path: &Path) -> Option<String> {
        path.strip_prefix(&self.path).ok().map(|below| below.to_string_lossy().into_owned())
    }

    fn includes(&self, below: &str) -> bool {
        self.include.iter().any(|pattern| pattern.matches_or_above(below))
    }

    fn keeps_out(&self, path: &Path, below: &str) -> bool {
        let ignored = |ignore: &Ignore, path: &str| !path.is_empty() && ignore.ignores(path);
        is_temporary(below) || ignored(&self.ignore, below) || self.left_out(path, ignored)
    }

    fn left_out(&self, path: &Path, decides: impl Fn(&Ignore, &str) -> bool) -> bool {
        let Some((folder, ignore)) = &self.left_out else { return false };
        path.strip_prefix(folder).is_ok_and(|below| decides(ignore, &below.to_string_lossy()))
    }
}

/// What the build of a service leaves out: the file beside its Dockerfile, or the one of its context.
fn left_out(service: &Service, read: impl Fn(&Path) -> Option<String>) -> Result<Option<(PathBuf, Ignore)>, RuleError> {
    let Some(build) = service.build.as_ref().filter(|build| build.context.starts_with('/')) else { return Ok(None) };
    let context = PathBuf::from(&build.context);
    let mut beside = dockerfile(service).unwrap_or_default().into_os_string();
    beside.push(".dockerignore");
    let files = [PathBuf::from(beside), context.join(".dockerignore")];
    let Some((file, text)) = files.into_iter().find_map(|file| read(&file).map(|text| (file, text))) else { return Ok(None) };
    let ignore = Ignore::parse(&text).map_err(|(line, source)| RuleError::IgnoreFile { file, line, source })?;
    // Paths of events have their links followed.
    let context = context.canonicalize().unwrap_or(context);
    Ok(Some((context, ignore)))
}

/// The Dockerfile of a service that is built from a folder of this machine.
pub fn dockerfile(service: &Service) -> Option<PathBuf> {
    let build = service.build.as_ref().filter(|build| build.context.starts_with('/'))?;
    if build.attributes.get("dockerfile_inline").is_some_and(|text| text.is_string()) {
        return None;
    }
    let named = build.attributes.get("dockerfile").and_then(|name| name.as_str()).unwrap_or("Dockerfile");
    Some(Path::new(&build.context).join(named))
}

#[cfg(test)]
pub(crate) mod tests {
    use rcompose_model::project::Build;

    use super::*;

    /// A rule for `/src`, which goes to `/app`.
    pub(crate) fn rule(ignore: &[&str], include: &[&str], dockerignore: Option<&str>) -> Rule {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let watch = WatchRule {
            path: "/src".into(),
            action: WatchAction::Sync,
            target: Some("/app/".to_owned()),
            ignore: texts(ignore),
            include: texts(include),
            initial_sync: false,
            exec: None,
        };
        let build = Build { context: "/src".to_owned(), attributes: serde_json::Value::Null };
        let service = Service { name: "web".to_owned(), watch: vec![watch], build: Some(build), ..Service::default() };
        let read = |path: &Path| dockerignore.filter(|_| path == Path::new("/src/.dockerignore")).map(str::to_owned);
        Rule::of(&service, read).unwrap().remove(0)
    }

    #[test]
    fn files_below_the_path_count_unless_something_keeps_them_out() {
        let check =
            |rule: &Rule, path: &str, expected: bool| assert_eq!(rule.concerns(Path::new(path), false), expected, "{path}");
        let all = rule(&[], &[], None);
        check(&all, "/src/a/b.rs", true);
        check(&all, "/srcs/a", false);
        check(&all, "/src/a/b.rs~", false);
        check(&all, "/src/.git/index", false);
        let some = rule(&["node_modules", "**/*.log", "!keep.log"], &[], Some("target\n*.md\n!README.md\n"));
        for (path, expected) in [
            ("/src/node_modules/x", false),
            ("/src/a/node_modules", true),
            ("/src/a.log", false),
            ("/src/keep.log", true),
            ("/src/target/debug", false),
            ("/src/a.md", false),
            ("/src/README.md", true),
        ] {
            check(&some, path, expected);
        }
        let included = rule(&["gen.rs"], &["**/*.rs", "assets"], None);
        check(&included, "/src/a/b.rs", true);
        check(&included, "/src/gen.rs", false);
        check(&included, "/src/a.txt", false);
        check(&included, "/src/assets/a.txt", true);
        assert!(!included.concerns(Path::new("/src/a"), true));
    }

    #[test]
    fn what_cannot_hold_anything_is_passed_over() {
        let one = rule(&["node_modules"], &[], Some("target\n"));
        for (path, expected) in [
            ("/src/node_modules", true),
            ("/src/target/x", true),
            ("/src/.git", true),
            ("/src/a", false),
            ("/", false),
            ("/other", true),
        ] {
            assert_eq!(one.passes_over(Path::new(path)), expected, "{path}");
        }
        let back = rule(&["*", "!a/b"], &[], None);
        assert!(!back.passes_over(Path::new("/src/a")), "something below is taken back");
    }

    #[test]
    fn files_go_below_the_target() {
        let one = rule(&[], &[], None);
        assert_eq!(one.target_of(Path::new("/src/a/b")).unwrap(), "/app/a/b");
        assert_eq!(one.target_of(Path::new("/src")).unwrap(), "/app");
        assert_eq!(one.target_of(Path::new("/other")), None);
    }

    #[test]
    fn a_pattern_that_is_none_names_its_rule_or_line() {
        let watch = WatchRule { ignore: vec!["[a".to_owned()], ..rule_text() };
        let service = Service { name: "web".to_owned(), watch: vec![watch], ..Service::default() };
        assert_eq!(Rule::of(&service, |_| None).unwrap_err().to_string(), "services.web.develop.watch[0]");
        let build = Build { context: "/src".to_owned(), attributes: serde_json::json!({ "dockerfile": "docker/Dev" }) };
        let service = Service { name: "web".to_owned(), watch: vec![rule_text()], build: Some(build), ..Service::default() };
        let read = |path: &Path| (path == Path::new("/src/docker/Dev.dockerignore")).then(|| "a\n[b".to_owned());
        assert_eq!(Rule::of(&service, read).unwrap_err().to_string(), "/src/docker/Dev.dockerignore:2");
    }

    fn rule_text() -> WatchRule {
        WatchRule {
            path: "/src".into(),
            action: WatchAction::Rebuild,
            target: None,
            ignore: Vec::new(),
            include: Vec::new(),
            initial_sync: false,
            exec: None,
        }
    }
}
