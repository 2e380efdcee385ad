//! One document after another to one tree.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Files, LoadRequest, Stop, extends};
use crate::diagnostic::Code;
use crate::interpolate::{self, Unset};
use crate::node::{Node, Road, Spot};
use crate::schema::TOP;
use crate::trail::Trail;
use crate::variables::Variables;
use crate::{Diagnostic, canonical, check, merge, parse, unique};

/// How many files one load reads, those that are read again counted again.
const MAX_FILES: usize = 2_000;
/// How many values one load reads.
const MAX_VALUES: usize = 2_000_000;

/// Reads files and puts them together.
pub(super) struct Loader<'a> {
    pub(super) request: &'a LoadRequest,
    pub(super) files: &'a dyn Files,
    pub(super) problems: &'a mut Vec<Diagnostic>,
    /// Names that were asked for and are not set.
    pub(super) unset: Unset,
    /// Files that services extend, by path, as they were read.
    pub(super) extended: HashMap<PathBuf, Rc<Node>>,
    read: usize,
    values: usize,
}

impl<'a> Loader<'a> {
    pub(super) fn new(request: &'a LoadRequest, files: &'a dyn Files, problems: &'a mut Vec<Diagnostic>) -> Self {
        Self { request, files, problems, unset: Unset::new(), extended: HashMap::new(), read: 0, values: 0 }
    }

    /// Reads the documents of a file; `asked` is what names it, for messages.
    pub(super) fn documents(&mut self, path: &Path, asked: Option<&Spot>) -> Result<Vec<Node>, Stop> {
        let fault = |code: Code, text: String| {
            let problem = Diagnostic::error(code, text);
            Box::new(match asked {
                Some(spot) => problem.at(spot),
                None => problem,
            })
        };
        self.read += 1;
        if self.read > MAX_FILES {
            return Err(fault(Code::Limit, format!("more than {MAX_FILES} files are read, each time counted that one is named")));
        }
        let unreadable = |why: &str| fault(Code::File, format!("open {}: {why}", path.display()));
        let text = if path == Path::new("-") {
            self.files.read_standard_input(parse::MAX_BYTES).map_err(|why| unreadable(&why))?
        } else {
            match self.files.read(path, parse::MAX_BYTES) {
                Ok(Some(text)) => text,
                Ok(None) => return Err(unreadable("no such file or directory")),
                Err(why) => return Err(unreadable(&why)),
            }
        };
        let (documents, values) = parse::parse_counted(&text, path)?;
        self.values += values;
        if self.values > MAX_VALUES {
            return Err(fault(Code::Limit, format!("the files come to more than {MAX_VALUES} values")));
        }
        Ok(documents)
    }

    /// Lays one document on what was read before; relative paths are relative to `folder`.
    pub(super) fn document(
        &mut self,
        merged: Option<Node>,
        mut tree: Node,
        folder: &Path,
        variables: &Variables,
        including: &[PathBuf],
    ) -> Result<Option<Node>, Stop> {
        if tree.is_null() {
            return Ok(merged);
        }
        if tree.mapping().is_none() {
            let text = format!("top-level object must be a mapping, not {}", tree.describe());
            return Err(Box::new(Diagnostic::error(Code::WrongType, text).at(&tree.spot)));
        }
        if !self.request.without.interpolation {
            interpolate::tree(&mut tree, variables, &mut self.unset, self.problems);
        }
        self.include(&mut tree, folder, variables, including)?;
        extends::apply(self, &mut tree, folder, variables)?;
        if !self.request.without.validation {
            check::shapes(&tree, &TOP, &Trail::TOP, self.problems);
        }
        self.take_version(&mut tree);
        let mut all = match merged {
            Some(base) => merge::merge(base, tree, Some(&TOP), &Trail::TOP, self.problems),
            None => tree,
        };
        self.make_canonical(&mut all);
        Ok(Some(all))
    }

    /// Long forms, with what is the same in lists only once, before and after: a range of ports may show what a text hid.
    pub(super) fn make_canonical(&mut self, tree: &mut Node) {
        unique::enforce(tree, &TOP);
        canonical::apply(tree, &TOP, &Trail::TOP, self.problems);
        unique::enforce(tree, &TOP);
    }

    fn take_version(&mut self, tree: &mut Node) {
        let place = tree.mapping().and_then(|entries| entries.get_key_value("version")).map(|(key, _)| key.spot.clone());
        let Some(spot) = place else { return };
        tree.remove("version");
        let text = format!(
            "{}: the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion",
            spot.file.display()
        );
        self.problems.push(Diagnostic::warning(Code::Deprecated, text).at(&spot).on("version"));
    }
}

/// Says of a value that it came by `extends` or `include`.
pub(super) fn brought(mut node: Node, road: Road, by: &Spot) -> Node {
    node.bring(road, by);
    node
}
