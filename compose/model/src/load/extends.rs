//! `extends`: a service on another one, of the same file or of another.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Stop;
use super::document::{Loader, brought};
use super::files::{self, clean, relative};
use crate::diagnostic::Code;
use crate::merge::{self, settle_tags};
use crate::node::{Mapping, Node, Road, Spot};
use crate::paths::{self, Base};
use crate::schema::TOP;
use crate::trail::Trail;
use crate::variables::Variables;
use crate::{Diagnostic, interpolate};

/// The longest chain of services that extend each other.
const MAX_CHAIN: usize = 100;

/// A service that extends another, on the way that is being walked.
struct Link {
    file: PathBuf,
    service: String,
    spot: Spot,
}

/// Where services are looked up.
struct Scope {
    file: PathBuf,
    /// `None`: those of the document itself.
    services: Option<Rc<Node>>,
}

/// What a service extends.
struct Target {
    service: String,
    file: Option<(String, Spot)>,
    spot: Spot,
}

/// Puts every service of a document on what it extends.
pub(super) fn apply(loader: &mut Loader<'_>, tree: &mut Node, folder: &Path, variables: &Variables) -> Result<(), Stop> {
    let Some(services) = tree.get("services").and_then(Node::mapping) else { return Ok(()) };
    let extending: Vec<String> = services
        .iter()
        .filter(|(_, service)| service.get("extends").is_some_and(|it| !it.is_null()))
        .map(|(key, _)| key.name.clone())
        .collect();
    let file = tree.spot.file.to_path_buf();
    for name in extending {
        let scope = Scope { file: file.clone(), services: None };
        let mut resolving = Resolving { loader, tree, folder, variables, chain: Vec::new() };
        let resolved = resolving.service(&name, &scope)?;
        let service = tree.get_mut("services").and_then(|services| services.get_mut(&name));
        if let (Some(service), Some(resolved)) = (service, resolved) {
            *service = resolved;
        }
    }
    Ok(())
}

struct Resolving<'a, 'l> {
    loader: &'a mut Loader<'l>,
    tree: &'a Node,
    folder: &'a Path,
    variables: &'a Variables,
    chain: Vec<Link>,
}

impl Resolving<'_, '_> {
    /// A service with everything that it extends below it; `None` if that cannot be told, which has been told.
    fn service(&mut self, name: &str, scope: &Scope) -> Result<Option<Node>, Stop> {
        let services = scope.services.as_deref().unwrap_or_else(|| self.tree.get("services").unwrap_or(self.tree));
        let Some(service) = services.get(name) else { return Ok(None) };
        let Some(extends) = service.get("extends").filter(|it| !it.is_null()) else { return Ok(Some(service.clone())) };
        let service = service.clone();
        let Some(target) = read_target(extends) else { return Ok(Some(service)) };
        let next = match &target.file {
            Some((file, spot)) => match self.file(file, spot)? {
                Some(next) => next,
                None => return Ok(None),
            },
            None => Scope { file: scope.file.clone(), services: scope.services.clone() },
        };
        if let Some(problem) = self.repeats(name, scope, &target) {
            self.loader.problems.push(problem);
            return Ok(None);
        }
        self.chain.push(Link { file: scope.file.clone(), service: name.to_owned(), spot: target.spot.clone() });
        let known = next.services.as_deref().unwrap_or_else(|| self.tree.get("services").unwrap_or(self.tree));
        if known.get(&target.service).is_none() {
            let names = known.mapping().into_iter().flat_map(|entries| entries.keys()).map(|key| key.name.as_str());
            let text =
                format!("cannot extend service \"{name}\": service \"{}\" not found in {}", target.service, next.file.display());
            let problem = Diagnostic::error(Code::Undefined, text).at(&target.spot).on(&target.service);
            self.loader.problems.push(problem.with_nearest(&target.service, names));
            return Ok(None);
        }
        let base = self.service(&target.service, &next)?;
        self.chain.pop();
        let Some(mut base) = base.filter(|base| base.mapping().is_some()) else { return Ok(Some(service)) };
        // What the base says of merging is said to its own file.
        settle_tags(&mut base);
        let base = brought(base, Road::Extends, &target.spot);
        let shape = TOP.below("services").and_then(|services| services.below(name));
        let services = Trail::TOP.key("services");
        let mut merged = merge::merge(base, service, shape, &services.key(name), self.loader.problems);
        merged.remove("extends");
        Ok(Some(merged))
    }

    fn repeats(&self, name: &str, scope: &Scope, target: &Target) -> Option<Diagnostic> {
        if self.chain.len() >= MAX_CHAIN {
            let text = format!("service \"{name}\" extends more than {MAX_CHAIN} others, one after another");
            return Some(Diagnostic::error(Code::Limit, text).at(&target.spot));
        }
        let begin = self.chain.iter().position(|link| link.service == name && link.file == scope.file)?;
        let names: Vec<&str> = self.chain[begin..].iter().map(|link| link.service.as_str()).chain([name]).collect();
        let mut problem =
            Diagnostic::error(Code::Cycle, format!("services extend each other in a circle: {}", names.join(" -> ")));
        problem = problem.at(&self.chain[begin].spot).on("extends");
        for link in &self.chain[begin + 1..] {
            problem = problem.with_note(format!("`{}` extends the next", link.service), &link.spot);
        }
        Some(problem.with_help("remove one of these `extends`"))
    }

    /// The services of another file, read once.
    fn file(&mut self, name: &str, spot: &Spot) -> Result<Option<Scope>, Stop> {
        // A file that is extended has its paths made relative to the folder of the document.
        let joined =
            if paths::is_remote(name) || Path::new(name).is_absolute() { PathBuf::from(name) } else { self.folder.join(name) };
        let path = clean(&files::fetched(joined, self.loader.files)?.path);
        let services = match self.loader.extended.get(&path) {
            Some(services) => services.clone(),
            None => {
                let services = Rc::new(self.read(&path, spot)?);
                self.loader.extended.insert(path.clone(), services.clone());
                services
            }
        };
        if services.mapping().is_none() {
            let text = format!("cannot extend a service of {}: it has no services", path.display());
            self.loader.problems.push(Diagnostic::error(Code::Undefined, text).at(spot).on(name));
            return Ok(None);
        }
        Ok(Some(Scope { file: path, services: Some(services) }))
    }

    fn read(&mut self, path: &Path, spot: &Spot) -> Result<Node, Stop> {
        let mut all = Node::mapping_at(Mapping::new(), spot);
        for mut tree in self.loader.documents(path, Some(spot))? {
            if tree.mapping().is_none() {
                continue;
            }
            if !self.loader.request.without.interpolation {
                interpolate::tree(&mut tree, self.variables, &mut self.loader.unset, self.loader.problems);
            }
            all = merge::merge(all, tree, Some(&TOP), &Trail::TOP, self.loader.problems);
        }
        self.loader.make_canonical(&mut all);
        let way = relative(self.folder, &paths::folder_of(path)).display().to_string();
        let home = self.variables.get("HOME").map(str::to_owned);
        paths::resolve(&mut all, &Base { folder: &way, home: home.as_deref(), files: self.loader.files });
        Ok(all.remove("services").unwrap_or_else(|| Node::null_at(spot)))
    }
}

fn read_target(extends: &Node) -> Option<Target> {
    if let Some(text) = extends.text() {
        return Some(Target { service: text.to_owned(), file: None, spot: extends.spot.clone() });
    }
    let service = extends.get("service")?;
    let file = extends.get("file").and_then(|file| Some((file.text()?.to_owned(), file.spot.clone())));
    Some(Target { service: service.text()?.to_owned(), file, spot: service.spot.clone() })
}
