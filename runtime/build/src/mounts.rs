//! Mounts of RUN: what they show, by content where that matters, and what they need while the step runs.

use std::path::{Path, PathBuf};

use rcompose_engine::container::{FileContent, InjectedFile, Mount as EngineMount, MountSource};
use rcompose_image::{Digest, NewLayer};
use rcompose_sys::beneath::file_type;
use rustix::fs::{FileType, Mode, OFlags};

use crate::cache::Inputs;
use crate::cache::note_use;
use crate::copy::{Arrival, Copier};
use crate::dockerfile::{Mount, MountKind, Sharing};
use crate::error::{Doing, StepError};
use crate::files::{Whence, relative};
use crate::request::SecretSource;
use crate::scheduler::CacheLock;
use crate::ssh::Agent;
use crate::stage::StageRun;
use crate::state::State;
use crate::tree::{Entry, Hashing, Tree, manifest};
use rcompose_pattern::Ignore;

/// What a step has mounted, and what has to live as long as it runs.
#[derive(Default)]
pub(crate) struct Mounted<'a> {
    pub(crate) mounts: Vec<EngineMount>,
    pub(crate) files: Vec<InjectedFile>,
    pub(crate) environment: Vec<(String, String)>,
    locks: Vec<CacheLock<'a>>,
    agents: Vec<Agent>,
}

/// A secret larger than this is none.
const MAX_SECRET: u64 = 8 << 20;

impl StageRun<'_> {
    /// Expands the mounts of an instruction, and says what of them the step depends on.
    pub(crate) fn mounts(&self, state: &State, mounts: &[Mount], inputs: &mut Inputs) -> Result<Vec<Mount>, StepError> {
        let values = state.values(&self.scope);
        let mut expanded = Vec::new();
        for mount in mounts {
            let mount = mount.expanded(self.scope.escape, &values).map_err(|error| StepError::Invalid(error.to_string()))?;
            // Of what changes by itself, and of what is secret, only that it is there.
            inputs.add("a mount", &format!("{mount:?}"));
            if mount.kind == MountKind::Bind {
                self.inputs_of_bind(&mount, inputs)?;
            }
            expanded.push(mount);
        }
        Ok(expanded)
    }

    fn inputs_of_bind(&self, mount: &Mount, inputs: &mut Inputs) -> Result<(), StepError> {
        let build = self.build;
        let origin = build.origin(mount.from.as_deref(), self.index)?;
        let source = relative(mount.source.as_deref().unwrap_or_default());
        let name = format!("what is mounted at {}", mount.target.as_deref().unwrap_or_default());
        match &origin.from {
            Whence::Layers(layers) => {
                let layers: String = layers.iter().map(Digest::hex).collect();
                inputs.add(&name, &layers);
            }
            Whence::Directory(tree) => {
                let entries = walk(tree, &source, &origin.name)?;
                let (text, digest) = manifest(&entries, false);
                build.builder.cache.keep_list(&digest, &text);
                inputs.files(&name, &digest);
            }
        }
        Ok(())
    }

    /// Has everything ready that a step mounts.
    pub(crate) fn mounted(&self, state: &State, mounts: &[Mount], new: &NewLayer) -> Result<Mounted<'_>, StepError> {
        let mut mounted = Mounted::default();
        // In one order for all, so that two steps never wait for each other.
        let mut locked: Vec<String> =
            mounts.iter().filter(|it| it.sharing == Sharing::Locked).map(|it| self.cache_name(it)).collect();
        locked.sort();
        locked.dedup();
        for name in locked {
            mounted.locks.push(self.build.builder.scheduler.lock_cache(&name, self.build.around.cancel)?);
        }
        for (number, mount) in mounts.iter().enumerate() {
            let target = mount.target.as_deref().map(|target| state.resolve(target));
            let scratch = new.folder().join(format!("mount-{number}"));
            match (mount.kind, target) {
                (MountKind::Bind, Some(target)) => self.bind(mount, target, &scratch, &mut mounted)?,
                (MountKind::Cache, Some(target)) => self.cache_mount(mount, target, &mut mounted)?,
                (MountKind::Tmpfs, Some(target)) => {
                    let options = mount.size.iter().map(|size| format!("size={size}")).collect();
                    mounted.add(target, false, MountSource::Tmpfs { options });
                }
                (MountKind::Secret, target) => self.secret(mount, target, &mut mounted)?,
                (MountKind::Ssh, target) => self.ssh(mount, target, &scratch, &mut mounted)?,
                (_, None) => return Err(StepError::Invalid("a mount needs a target".to_owned())),
            }
        }
        Ok(mounted)
    }

    fn bind(&self, mount: &Mount, target: String, scratch: &Path, mounted: &mut Mounted<'_>) -> Result<(), StepError> {
        let build = self.build;
        let origin = build.origin(mount.from.as_deref(), self.index)?;
        let tree = build.open_origin(&origin)?;
        let source = relative(mount.source.as_deref().unwrap_or_default());
        let doing = || format!("mount {} of {}", source.display(), origin.name);
        let (upper, work) = (scratch.join("upper"), scratch.join("work"));
        for folder in [&upper, &work] {
            std::fs::create_dir_all(folder).doing(doing)?;
        }
        let read_only = mount.writable != Some(true);
        let handle = match tree.root.open_path(crate::tree::dot(&source)) {
            Ok(handle) => handle,
            Err(error) if error.errno() == rustix::io::Errno::NOENT => {
                return Err(StepError::NoFile { path: source.display().to_string(), place: origin.name.clone(), hint: None });
            }
            Err(error) => return Err(error).doing(doing),
        };
        if file_type(&handle).doing(doing)? != FileType::Directory {
            let copied = scratch.join("file");
            copy_file(&tree, &source, scratch).doing(doing)?;
            mounted.add(
                target,
                read_only,
                MountSource::Bind { path: copied, create: false, propagation: String::new(), recursive: false },
            );
            return Ok(());
        }
        let (lower, subpath) = match &origin.from {
            Whence::Layers(layers) => {
                let mut lower = build.held.view(layers).lower;
                if lower.is_empty() {
                    lower.push(build.builder.cache.empty());
                }
                (lower, Some(source.display().to_string()).filter(|path| !path.is_empty()))
            }
            Whence::Directory(tree) => {
                let mut lower = Vec::new();
                if !tree.ignore.is_empty() {
                    let hidden = scratch.join("hidden");
                    std::fs::create_dir_all(&hidden).doing(doing)?;
                    hide(tree, &source, &hidden).doing(doing)?;
                    lower.push(hidden);
                }
                // The whole context, of which a part is resolved inside: a name in it cannot lead out of it.
                lower.push(tree.path.clone());
                (lower, Some(source.display().to_string()).filter(|path| !path.is_empty()))
            }
        };
        mounted.add(target, read_only, MountSource::Trees { lower, subpath, upper: Some((upper, work)) });
        Ok(())
    }

    /// Where a cache is: its id is a stranger's and never a path.
    fn cache_name(&self, mount: &Mount) -> String {
        let id = mount.id.clone().or_else(|| mount.target.clone()).unwrap_or_default();
        let namespace = self.build.request.args.get("BUILDKIT_CACHE_MOUNT_NS").map(String::as_str).unwrap_or_default();
        Digest::of(format!("{namespace}/{id}").as_bytes()).hex()[..32].to_owned()
    }

    fn cache_mount<'s>(&'s self, mount: &Mount, target: String, mounted: &mut Mounted<'s>) -> Result<(), StepError> {
        let builder = self.build.builder;
        let mut name = self.cache_name(mount);
        if mount.sharing == Sharing::Private {
            let lock = builder.scheduler.own_cache(&name);
            name.clone_from(&lock.id);
            mounted.locks.push(lock);
        }
        let path = builder.cache.mounts().join(name);
        let doing = || format!("make the cache {target}");
        note_use(&path);
        if !path.exists() {
            let folder = rcompose_sys::atomic::TempDir::below(&builder.cache.mounts()).doing(doing)?;
            self.fill_cache(mount, folder.path())?;
            let number = |text: &Option<String>, what: &str| match text {
                Some(text) => text.parse::<u32>().map_err(|_| StepError::Invalid(format!("`{what}={text}` is no number"))),
                None => Ok(0),
            };
            let (uid, gid) = (number(&mount.uid, "uid")?, number(&mount.gid, "gid")?);
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).doing(doing)?;
            let mode = mode(mount.mode.as_deref(), 0o755)?;
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(mode)).doing(doing)?;
            match rcompose_sys::atomic::publish_dir_relaxed(folder.path(), &path) {
                Ok(()) => drop(folder.into_path()),
                // Another step was faster.
                Err(error) if error.errno() == rustix::io::Errno::EXIST => {}
                Err(error) => return Err(error).doing(doing),
            }
        }
        let subpath = mount.source.clone().filter(|_| mount.from.is_none()).map(|path| relative(&path).display().to_string());
        let subpath = subpath.filter(|path| !path.is_empty());
        mounted.add(target, mount.writable == Some(false), MountSource::Trees { lower: vec![path], subpath, upper: None });
        Ok(())
    }

    /// What a new cache begins with.
    fn fill_cache(&self, mount: &Mount, folder: &Path) -> Result<(), StepError> {
        let Some(from) = mount.from.as_deref() else { return Ok(()) };
        let origin = self.build.origin(Some(from), self.index)?;
        let tree = self.build.open_origin(&origin)?;
        let source = relative(mount.source.as_deref().unwrap_or_default());
        let doing = || format!("fill a cache from {}", origin.name);
        let root = rcompose_sys::beneath::Root::open(folder).doing(doing)?;
        let mut copier = Copier::new(&root, Arrival::default());
        for entry in tree.walk(&source, &Ignore::default(), Hashing::No).doing(doing)? {
            let below = entry.path.strip_prefix(&source).unwrap_or(Path::new("")).to_owned();
            if !below.as_os_str().is_empty() {
                copier.entry(&tree, &entry, &below).doing(doing)?;
            }
        }
        copier.finish().doing(doing)
    }

    fn secret(&self, mount: &Mount, target: Option<String>, mounted: &mut Mounted<'_>) -> Result<(), StepError> {
        let named = mount.id.clone().or_else(|| mount.source.clone()).or_else(|| mount.target.clone()).unwrap_or_default();
        let id = named.rsplit('/').next().unwrap_or(&named).to_owned();
        let Some(secret) = self.build.request.secrets.get(&id) else {
            if mount.required {
                return Err(StepError::Invalid(format!("the secret `{id}` is required, and the build was not given it")));
            }
            return Ok(());
        };
        if let Some(variable) = &mount.env {
            let value = match secret {
                SecretSource::Value(value) => value.clone(),
                SecretSource::File(path) => {
                    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
                    let bytes = file.and_then(|file| rcompose_sys::beneath::read_regular(file, MAX_SECRET));
                    let bytes = bytes.doing(|| format!("read the secret `{id}`"))?;
                    String::from_utf8(bytes)
                        .map_err(|_| StepError::Invalid(format!("the secret `{id}` is no text: no variable can hold it")))?
                }
            };
            mounted.environment.push((variable.clone(), value));
            if target.is_none() {
                return Ok(());
            }
        }
        let number = |text: &Option<String>| match text {
            Some(text) => {
                text.parse::<u32>().map_err(|_| StepError::Invalid(format!("`{text}` is no number of a user or group")))
            }
            None => Ok(0),
        };
        mounted.files.push(InjectedFile {
            target: target.unwrap_or_else(|| format!("/run/secrets/{id}")),
            content: match secret {
                SecretSource::Value(value) => FileContent::Inline(value.clone()),
                SecretSource::File(path) => FileContent::HostFile(path.clone()),
            },
            uid: number(&mount.uid)?,
            gid: number(&mount.gid)?,
            mode: mode(mount.mode.as_deref(), 0o400)?,
        });
        Ok(())
    }

    fn ssh(&self, mount: &Mount, target: Option<String>, scratch: &Path, mounted: &mut Mounted<'_>) -> Result<(), StepError> {
        let id = mount.id.clone().unwrap_or_else(|| "default".to_owned());
        let Some(socket) = self.build.request.ssh.get(&id) else {
            if mount.required {
                return Err(StepError::Invalid(format!("the ssh agent `{id}` is required, and the build was not given it")));
            }
            return Ok(());
        };
        let target = target.unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{}", mounted.agents.len()));
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
        let agent = Agent::offer(socket, scratch, (number(&mount.uid), number(&mount.gid)), mode(mount.mode.as_deref(), 0o600)?);
        let agent = agent.doing(|| format!("offer the ssh agent `{id}`"))?;
        let path = agent.path().to_owned();
        mounted.agents.push(agent);
        if mounted.environment.iter().all(|(name, _)| name != "SSH_AUTH_SOCK") {
            mounted.environment.push(("SSH_AUTH_SOCK".to_owned(), target.clone()));
        }
        mounted.add(target, false, MountSource::Bind { path, create: false, propagation: String::new(), recursive: false });
        Ok(())
    }
}

impl Mounted<'_> {
    fn add(&mut self, target: String, read_only: bool, source: MountSource) {
        self.mounts.push(EngineMount { target, read_only, source });
    }
}

fn mode(text: Option<&str>, default: u32) -> Result<u32, StepError> {
    let Some(text) = text else { return Ok(default) };
    let parsed = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o7777);
    parsed.ok_or_else(|| StepError::Invalid(format!("`mode={text}` is no mode: write 0600")))
}

fn walk(tree: &Tree, source: &Path, place: &str) -> Result<Vec<Entry>, StepError> {
    match tree.walk(source, &Ignore::default(), Hashing::Yes) {
        Err(error) if error.errno() == rustix::io::Errno::NOENT => {
            Err(StepError::NoFile { path: source.display().to_string(), place: place.to_owned(), hint: None })
        }
        other => other.doing(|| format!("read {} of {place}", source.display())),
    }
}

fn copy_file(tree: &Tree, source: &Path, scratch: &Path) -> rcompose_sys::Result<()> {
    let root = rcompose_sys::beneath::Root::open(scratch)?;
    let mut copier = Copier::new(&root, Arrival::default());
    for entry in tree.walk(source, &Ignore::default(), Hashing::No)? {
        copier.entry(tree, &entry, Path::new("file"))?;
    }
    copier.finish()
}

/// Makes a layer that hides what the ignore file keeps away.
fn hide(tree: &Tree, top: &Path, layer: &Path) -> rcompose_sys::Result<()> {
    let all = Tree { root: tree.root.try_clone()?, path: tree.path.clone(), ignore: Ignore::default(), index: None };
    let shown: std::collections::BTreeSet<PathBuf> =
        tree.walk(top, &Ignore::default(), Hashing::No)?.into_iter().map(|entry| entry.path).collect();
    let root = rcompose_sys::beneath::Root::open(layer)?;
    let mut hidden: Option<PathBuf> = None;
    for entry in all.walk(top, &Ignore::default(), Hashing::No)?.iter().skip(1) {
        // What lies in something hidden is hidden with it.
        if shown.contains(&entry.path) || hidden.as_ref().is_some_and(|above| entry.path.starts_with(above)) {
            continue;
        }
        let below = &entry.path;
        let parent = root.create_dir_all(crate::tree::dot(below.parent().unwrap_or(Path::new(""))), 0o755)?;
        let name = below.file_name().unwrap_or_default();
        rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0)
            .map_err(|errno| rcompose_sys::Error::new("mknodat", format!("{below:?}, 0:0"), errno))?;
        hidden = Some(entry.path.clone());
    }
    Ok(())
}
