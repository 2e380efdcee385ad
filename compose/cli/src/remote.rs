//! Compose files that are elsewhere: in Git repositories, and in registries as artifacts.
//!
//! [`RemoteFiles`] reads the files of this machine, and fetches the others into a cache, each once a run. What was typed is fetched;
//! what a *file* names is fetched after asking, if the command starts something. Commands that start nothing (`config`, `ps`, `down`,
//! dry runs) do not ask: to look at a stack is what one does before agreeing to it, nothing of it is executed, and nothing is
//! written outside of the cache.
//!
//! A fetched tree may become the folder of a running stack, whose containers may write to it. So what is read as configuration is
//! compared with what was fetched, each time, and a path is opened beneath the tree's folder or not at all.

mod ask;
mod cache;
mod git;
mod oci;
mod tree;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rcompose_model::{Files, HostFiles, Place, Remote, without_credentials};
use rcompose_supervisor::Settings;

use crate::arguments::Global;
use crate::environment::{self, Environment};

pub(crate) use ask::agree;
use cache::Cache;
use tree::Tree;

/// What becomes of questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Questions {
    /// There are none: nothing is started.
    #[default]
    None,
    /// Whoever sits at the terminal is asked.
    Asked,
    /// The answer was given on the command line.
    Answered,
}

/// The files of this machine, and those that have to be fetched.
#[derive(Debug)]
pub(crate) struct RemoteFiles {
    environment: Environment,
    supervisor: Settings,
    allowed: Vec<PathBuf>,
    /// Registries of stacks that speak plain HTTP.
    insecure: Vec<String>,
    /// Nothing is asked of another machine.
    offline: bool,
    questions: Cell<Questions>,
    /// What it said, since it says it once.
    standard_input: OnceCell<Result<String, String>>,
    /// By reference.
    fetched: RefCell<BTreeMap<String, Result<Remote, String>>>,
    trees: RefCell<Vec<Tree>>,
    /// Paths that the model looked at, also where nothing is.
    looked_at: RefCell<BTreeSet<PathBuf>>,
    /// The first main file, if it was fetched: its reference, and its folder.
    main: RefCell<Option<(String, PathBuf)>>,
}

impl RemoteFiles {
    pub(crate) fn new(environment: &Environment, supervisor: &Settings, global: &Global, allowed: Vec<PathBuf>) -> Self {
        Self {
            environment: environment.clone(),
            supervisor: supervisor.clone(),
            allowed,
            insecure: global.insecure_registry.clone(),
            offline: global.offline,
            questions: Cell::default(),
            standard_input: OnceCell::new(),
            fetched: RefCell::default(),
            trees: RefCell::default(),
            looked_at: RefCell::default(),
            main: RefCell::default(),
        }
    }

    /// Says what becomes of questions from now on.
    pub(crate) fn set_questions(&self, questions: Questions) {
        self.questions.set(questions);
    }

    /// Paths that were looked at since [`RemoteFiles::look_anew`].
    pub(crate) fn looked_at(&self) -> BTreeSet<PathBuf> {
        self.looked_at.borrow().clone()
    }

    /// Forgets which paths were looked at.
    pub(crate) fn look_anew(&self) {
        self.looked_at.borrow_mut().clear();
    }

    /// The first main file that was fetched: its reference as it may be shown, and the folder where it is now.
    pub(crate) fn main(&self) -> Option<(String, PathBuf)> {
        self.main.borrow().clone()
    }

    fn fetch_new(&self, reference: &str, by: Option<&Place>) -> Result<Remote, String> {
        let shown = without_credentials(reference);
        if self.offline && !reference.starts_with("file://") {
            return Err("it is on another machine, and `--offline` forbids asking for it".to_owned());
        }
        if let Some(place) = by {
            ask::may_fetch(&shown, place, self.questions.get())?;
        }
        let cache = Cache::open(&self.environment)?;
        let (variable, artifact) = match reference.strip_prefix("oci://") {
            Some(name) => ("COMPOSE_EXPERIMENTAL_OCI_REMOTE", Some(name)),
            None => ("COMPOSE_EXPERIMENTAL_GIT_REMOTE", None),
        };
        if environment::flag(&self.environment, variable)? == Some(false) {
            return Err(format!("{variable} switches that off"));
        }
        let (tree, file) = match artifact {
            Some(name) => oci::fetch(name, &self.insecure, &cache, &self.supervisor)?,
            None => git::fetch(reference, self.is_of_a_stranger(by), &cache, &self.environment)?,
        };
        let remote = Remote { file, root: tree.root().to_owned() };
        self.trees.borrow_mut().push(tree);
        Ok(remote)
    }

    /// Whether the word that names something is one of what was fetched itself.
    fn is_of_a_stranger(&self, by: Option<&Place>) -> bool {
        by.is_some_and(|place| self.trees.borrow().iter().any(|tree| place.file.starts_with(tree.root())))
    }

    fn is_allowed(&self, path: &Path) -> bool {
        let real = HostFiles.lead(path);
        self.allowed.iter().any(|allowed| real.starts_with(HostFiles.lead(allowed)))
    }
}

impl Files for RemoteFiles {
    fn read(&self, path: &Path, limit: u64) -> Result<Option<String>, String> {
        self.looked_at.borrow_mut().insert(path.to_owned());
        let trees = self.trees.borrow();
        match trees.iter().find(|tree| path.starts_with(tree.root())) {
            Some(tree) if !self.is_allowed(path) => tree.read(path, limit),
            _ => HostFiles.read(path, limit),
        }
    }

    fn read_standard_input(&self, limit: u64) -> Result<String, String> {
        self.standard_input.get_or_init(|| HostFiles.read_standard_input(limit)).clone()
    }

    fn exists(&self, path: &Path) -> bool {
        self.looked_at.borrow_mut().insert(path.to_owned());
        HostFiles.exists(path)
    }

    fn follow(&self, path: &Path) -> Option<PathBuf> {
        HostFiles.follow(path)
    }

    fn lead(&self, path: &Path) -> PathBuf {
        HostFiles.lead(path)
    }

    fn fetch(&self, reference: &str, by: Option<&Place>) -> Result<Remote, String> {
        let known = self.fetched.borrow().get(reference).cloned();
        let remote = known.unwrap_or_else(|| self.fetch_new(reference, by));
        self.fetched.borrow_mut().insert(reference.to_owned(), remote.clone());
        if let (Ok(remote), None) = (&remote, by) {
            let folder = remote.file.parent().unwrap_or(&remote.root).to_owned();
            self.main.borrow_mut().get_or_insert_with(|| (without_credentials(reference), folder));
        }
        remote
    }
}
