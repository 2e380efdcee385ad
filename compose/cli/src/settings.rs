//! What the environment says: read once, passed down.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use rcompose_model::{Code, Diagnostic, LoadRequest, Loaded, Project, Without};
use rcompose_supervisor::lock::{self, Lock, Pins};
use rcompose_supervisor::messages::Failure;
use rcompose_supervisor::{RegistryConfig, Settings};
use serde::Deserialize;

use crate::arguments::{Command, CommandLine, Global, Progress};
use crate::environment::{self, Environment};
use crate::error::CommandError;
use crate::output::{self, Problems};
use crate::remote::{self, Questions, RemoteFiles};

/// What commands need to know of the world around them.
pub(crate) struct World {
    pub(crate) global: Global,
    pub(crate) environment: Environment,
    pub(crate) working_dir: PathBuf,
    pub(crate) supervisor: Settings,
    pub(crate) problems: Problems,
    /// How files are read, and fetched.
    pub(crate) files: RemoteFiles,
    /// Only what the lock has is used.
    locked: bool,
}

impl World {
    /// Looks around, once: what variables say instead of flags is in `line` afterwards.
    pub(crate) fn look(line: &mut CommandLine, given: &ArgMatches) -> Result<Self, CommandError> {
        let working_dir = std::env::current_dir()
            .map_err(|source| CommandError::System { doing: "find the working directory".to_owned(), source })?;
        let environment = environment::read(&mut line.global, &working_dir);
        environment::fill_in(line, given, &environment)?;
        let global = line.global.clone();
        let supervisor = roots(&global, &environment)?;
        let problems = Problems::asked(&global);
        let allowed = global.allow_path.iter().map(|path| working_dir.join(path)).collect();
        let files = RemoteFiles::new(&environment, &supervisor, &global, allowed);
        let locked = line.command.as_ref().is_some_and(Command::is_locked);
        Ok(Self { global, environment, working_dir, supervisor, problems, files, locked })
    }

    /// Loads the project, whatever is wrong with it.
    pub(crate) fn load(&self, services: &[String]) -> Loaded {
        rcompose_model::load(&self.request(services), &self.files)
    }

    /// The project, with what a command line says of its services merged after all files.
    pub(crate) fn project_with(&self, services: &[String], command_line: String) -> Result<Project, CommandError> {
        let request = LoadRequest { command_line: Some(command_line), ..self.request(services) };
        self.shown(rcompose_model::load(&request, &self.files))
    }

    pub(crate) fn request(&self, services: &[String]) -> LoadRequest {
        LoadRequest {
            files: self.global.file.clone(),
            project_name: self.global.project_name.clone(),
            project_directory: self.global.project_directory.clone(),
            env_files: self.global.env_file.clone(),
            profiles: self.global.profile.clone(),
            services: services.to_vec(),
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            command_line: None,
            allowed_paths: self.global.allow_path.clone(),
            without: Without::default(),
            only_named: false,
            all_resources: self.global.all_resources,
        }
    }

    /// The project; warnings are shown.
    pub(crate) fn project(&self, services: &[String]) -> Result<Project, CommandError> {
        self.shown(self.load(services))
    }

    /// As [`World::project`], for a command that starts something: of what is elsewhere that is asked before.
    pub(crate) fn project_to_start(&self, services: &[String], yes: bool) -> Result<Project, CommandError> {
        let questions = match (self.global.dry_run, yes) {
            (true, _) => Questions::None,
            (false, true) => Questions::Answered,
            (false, false) => Questions::Asked,
        };
        self.files.set_questions(questions);
        let project = self.project(services)?;
        let Some((reference, folder)) = self.files.main() else { return Ok(project) };
        if !matches!(self.global.progress, Progress::Quiet | Progress::Json) || questions == Questions::Asked {
            output::tell(&format!("Your compose stack {reference:?} is stored in {:?}\n", folder.display().to_string()));
        }
        if questions == Questions::Asked {
            let without = Without { interpolation: true, env_resolution: true, validation: true, ..Without::default() };
            let request = LoadRequest { without, ..self.request(services) };
            match rcompose_model::load_model(&request, &self.files) {
                (Some(model), _) => remote::agree(&reference, &model, &project)?,
                (None, problems) => return Err(CommandError::Files(problems)),
            }
        }
        Ok(project)
    }

    /// The project of what was loaded; warnings are shown.
    fn shown(&self, loaded: Loaded) -> Result<Project, CommandError> {
        let mut project = self.unpinned(loaded)?;
        let pins = self.pins(&project)?;
        lock::pin(&mut project, &pins).map_err(CommandError::Failed)?;
        Ok(project)
    }

    fn unpinned(&self, loaded: Loaded) -> Result<Project, CommandError> {
        match loaded.project {
            Some(project) => {
                self.problems.warn(&loaded.diagnostics);
                Ok(Project { compatibility: self.global.compatibility, ..project })
            }
            None => Err(CommandError::Files(loaded.diagnostics)),
        }
    }

    /// The project with the services of all profiles, whose images are named as the files name them.
    pub(crate) fn whole_project(&self) -> Result<Project, CommandError> {
        let request = LoadRequest { profiles: vec!["*".to_owned()], ..self.request(&[]) };
        self.unpinned(rcompose_model::load(&request, &self.files))
    }

    /// Where the lock of a project is.
    pub(crate) fn lock_file(&self, project: &Project) -> PathBuf {
        project.working_dir.join(lock::NAME)
    }

    /// The lock of a project, if it has one.
    pub(crate) fn lock(&self, project: &Project) -> Result<Option<Lock>, CommandError> {
        let path = self.lock_file(project);
        match std::fs::read_to_string(&path) {
            Ok(text) => match Lock::parse(&text) {
                Ok(lock) => Ok(Some(lock)),
                Err(error) => Err(CommandError::Usage(format!("{}: {error}", path.display()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CommandError::System { doing: format!("read {}", path.display()), source }),
        }
    }

    /// The digests that the images of a project are pinned to.
    pub(crate) fn pins(&self, project: &Project) -> Result<Pins, CommandError> {
        let lock = self.lock(project)?;
        if self.locked && lock.is_none() {
            let mut failure = Failure::text(format!("`--locked` uses {}, which is not there", self.lock_file(project).display()));
            failure.hint = Some("write it with `rcompose lock`".to_owned());
            return Err(CommandError::Failed(failure));
        }
        Ok(Pins { digests: lock.unwrap_or_default().images, strict: self.locked, ..Pins::default() })
    }

    /// What docker's configuration (`~/.docker/config.json`) says of how its user wants things.
    pub(crate) fn docker_setting(&self, name: &str) -> Option<String> {
        let text = std::fs::read(self.supervisor.registries.credentials.as_ref()?).ok()?;
        let settings: serde_json::Value = serde_json::from_slice(&text).ok()?;
        settings[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The project's name, and the project where there are files.
    pub(crate) fn name(&self) -> Result<(String, Option<Project>), CommandError> {
        // What was made for a service that a profile switches off now is still the project's.
        let request = LoadRequest { all_resources: true, ..self.request(&[]) };
        let loaded = rcompose_model::load(&request, &self.files);
        if let Some(mut project) = loaded.project {
            project.compatibility = self.global.compatibility;
            // What keeps a stack from coming up does not keep it from being taken away.
            if let Ok(pins) = self.pins(&project) {
                let _ = lock::pin(&mut project, &pins);
            }
            return Ok((project.name.clone(), Some(project)));
        }
        let given = self.global.project_name.clone().or_else(|| self.environment.get("COMPOSE_PROJECT_NAME").cloned());
        let no_files = |problem: &Diagnostic| problem.code == Code::NotFound;
        match given {
            Some(name) if loaded.diagnostics.iter().any(no_files) => match rcompose_model::check_project_name(&name) {
                Ok(()) => Ok((name, None)),
                Err(problem) => Err(CommandError::Files(vec![problem])),
            },
            _ => Err(CommandError::Files(loaded.diagnostics)),
        }
    }
}

fn roots(global: &Global, environment: &Environment) -> Result<Settings, CommandError> {
    let root = rustix::process::geteuid().is_root();
    let home = environment.get("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let data = || match (root, environment.get("XDG_DATA_HOME")) {
        (true, _) => PathBuf::from("/var/lib/rcompose"),
        (false, Some(folder)) => PathBuf::from(folder).join("rcompose"),
        (false, None) => home.join(".local/share/rcompose"),
    };
    let run = || match (root, environment.get("XDG_RUNTIME_DIR")) {
        (true, _) => PathBuf::from("/run/rcompose"),
        (false, Some(folder)) => PathBuf::from(folder).join("rcompose"),
        (false, None) => home.join(".local/run/rcompose"),
    };
    let mut file = configuration(root, environment, &home)?;
    if let Some(pools) = environment.get("RCOMPOSE_POOLS") {
        file.pools = pools.split(',').map(str::to_owned).collect();
    }
    let docker = environment.get("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), PathBuf::from);
    file.registries.credentials.get_or_insert_with(|| docker.join("config.json"));
    Ok(Settings {
        data_root: global.root.clone().unwrap_or_else(data),
        run_root: global.run_root.clone().unwrap_or_else(run),
        pools: file.pools,
        registries: file.registries,
        build_cache: file.disk.build_cache.as_deref().map(bytes).transpose()?,
    })
}

/// `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    pools: Vec<String>,
    registries: RegistryConfig,
    disk: DiskConfig,
}

/// What may take how much room.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DiskConfig {
    /// `20g`.
    build_cache: Option<String>,
}

fn bytes(text: &str) -> Result<u64, CommandError> {
    let invalid = || CommandError::Usage(format!("the configuration's `build-cache = {text:?}` is no size: write 512m, 20g"));
    rcompose_supervisor::parse_size(text).ok_or_else(invalid)
}

fn configuration(root: bool, environment: &Environment, home: &Path) -> Result<ConfigFile, CommandError> {
    let usual = || match (root, environment.get("XDG_CONFIG_HOME")) {
        (true, _) => PathBuf::from("/etc/rcompose/config.toml"),
        (false, Some(folder)) => Path::new(folder).join("rcompose/config.toml"),
        (false, None) => home.join(".config/rcompose/config.toml"),
    };
    let path = environment.get("RCOMPOSE_CONFIG").map_or_else(usual, PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| CommandError::Usage(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ConfigFile::default()),
        Err(source) => Err(CommandError::System { doing: format!("read {}", path.display()), source }),
    }
}
