//! Files that are only in memory, and what one load of them comes to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rcompose_model::emit::{self, Dollars};
use rcompose_model::{Diagnostic, Files, LoadRequest, Model, Severity, load_model};

/// The folder of every project here.
pub(crate) const FOLDER: &str = "/p";

/// Files by path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(BTreeMap<PathBuf, String>);

impl Memory {
    /// One Compose file.
    pub(crate) fn of(compose: &str) -> Self {
        Self::default().with("compose.yaml", compose)
    }

    /// Files one after the other in one text, each behind a line `#=== NAME`; what stands before the first is the Compose
    /// file.
    #[allow(dead_code, reason = "only the fuzz target has files in one text")]
    pub(crate) fn of_sections(text: &str) -> Self {
        let mut files = Self::default();
        let (mut name, mut content) = ("compose.yaml", String::new());
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("#=== ") {
                None => content.push_str(line),
                Some(next) => {
                    files = files.with(name, &std::mem::take(&mut content));
                    name = next.trim();
                }
            }
        }
        files.with(name, &content)
    }

    /// With one more file; its name is relative to the project's folder.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.0.insert(Path::new(FOLDER).join(name), text.to_owned());
        self
    }

    /// With a text on standard input.
    #[allow(dead_code, reason = "the fuzz target reads files only")]
    #[must_use]
    pub(crate) fn with_standard_input(mut self, text: &str) -> Self {
        self.0.insert(PathBuf::from("-"), text.to_owned());
        self
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &Path) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

impl Files for Memory {
    fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String> {
        match self.0.get(path) {
            Some(text) if text.len() as u64 > limit => Err(format!("it is larger than {limit} bytes")),
            found => Ok(found.cloned()),
        }
    }

    fn read_standard_input(&self, _: u64) -> Result<String, String> {
        Ok(self.0.get(Path::new("-")).cloned().unwrap_or_default())
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn follow(&self, _: &Path) -> Option<PathBuf> {
        None
    }
}

/// A load of the project's folder in which three variables are set.
pub(crate) fn request() -> LoadRequest {
    let set = [("HOME", "/home/me"), ("SET", "set"), ("EMPTY", "")];
    LoadRequest {
        working_dir: PathBuf::from(FOLDER),
        environment: set.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        all_resources: true,
        ..LoadRequest::default()
    }
}

/// Loads files, and checks what holds for whatever they say: every problem is in a file, and what a model prints loads
/// again to a model that prints the same.
#[track_caller]
pub(crate) fn load_checked(request: &LoadRequest, files: &Memory) -> (Option<Model>, Vec<Diagnostic>) {
    let (model, problems) = load_model(request, files);
    problems.iter().for_each(|problem| check_places(problem, files));
    let has_error = problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(model.is_none(), has_error, "{problems:?}");
    if let Some(model) = &model {
        check_printed(model, request);
    }
    (model, problems)
}

/// Each place of a problem is a line of its file, and a column of that line.
#[track_caller]
fn check_places(problem: &Diagnostic, files: &Memory) {
    let places = problem.place.as_deref().into_iter().chain(problem.notes.iter().map(|note| &note.place));
    for place in places {
        let Some(text) = files.text(&place.file) else { panic!("{place} is in no file: {problem:?}") };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<&str> = text.split('\n').collect();
        let line = lines.get(place.line as usize - 1).unwrap_or_else(|| panic!("{place} is no line: {problem:?}\n{text:?}"));
        // Just behind the last letter is where something is missing.
        assert!(place.column as usize <= line.chars().count() + 1, "{place} is no column: {problem:?}\n{line:?}");
    }
    let _ = problem.to_string();
}

/// What is printed is loaded again.
#[track_caller]
fn check_printed(model: &Model, request: &LoadRequest) {
    let yaml = emit::yaml(&model.tree, Dollars::Escaped);
    let again = LoadRequest { files: Vec::new(), project_directory: None, env_files: Vec::new(), ..request.clone() };
    let (loaded, problems) = load_model(&again, &Memory::of(&yaml));
    let Some(loaded) = loaded else {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("what is printed is refused:\n{}\n{yaml}", problems.join("\n"));
    };
    assert_eq!(emit::yaml(&loaded.tree, Dollars::Escaped), yaml, "what is printed is read as something else");
    let json = |model: &Model| emit::json(&model.tree, Dollars::Escaped);
    assert_eq!(json(&loaded), json(model), "what is printed is read as something else: {yaml}");
}
