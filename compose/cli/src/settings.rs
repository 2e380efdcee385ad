//! What the environment says: read once, passed down.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use rcompose_model::{Code, Diagnostic, HostFiles, LoadRequest, Loaded, Project, Without};
use rcompose_supervisor::{RegistryConfig, Settings};
use serde::Deserialize;

use crate::arguments::{CommandLine, Global};
use crate::environment::{self, Environment};
use crate::error::CommandError;
use crate::output::Problems;

/// What commands need to know of the world around them.
pub(crate) struct World {
    pub(crate) global: Global,
    pub(crate) environment: Environment,
    pub(crate) working_dir: PathBuf,
    pub(crate) supervisor: Settings,
    pub(crate) problems: Problems,
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
        Ok(Self { global, environment, working_dir, supervisor, problems })
    }

    /// Loads the project, whatever is wrong with it.
    pub(crate) fn load(&self, services: &[String]) -> Loaded {
        rcompose_model::load(&self.request(services), &HostFiles)
    }

    /// The project, with what a command line says of its services merged after all files.
    pub(crate) fn project_with(&self, services: &[String], command_line: String) -> Result<Project, CommandError> {
        let request = LoadRequest { command_line: Some(command_line), ..self.request(services) };
        self.shown(rcompose_model::load(&request, &HostFiles))
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
            without: Without::default(),
            only_named: false,
            all_resources: self.global.all_resources,
        }
    }

    /// The project; warnings are shown.
    pub(crate) fn project(&self, services: &[String]) -> Result<Project, CommandError> {
        self.shown(self.load(services))
    }

    /// The project of what was loaded; warnings are shown.
    fn shown(&self, loaded: Loaded) -> Result<Project, CommandError> {
        match loaded.project {
            Some(project) => {
                self.problems.warn(&loaded.diagnostics);
                Ok(project)
            }
            None => Err(CommandError::Files(loaded.diagnostics)),
        }
    }

    /// The project's name, and the project where there are files.
    pub(crate) fn name(&self) -> Result<(String, Option<Project>), CommandError> {
        // What was made for a service that a profile switches off now is still the project's.
        let request = LoadRequest { all_resources: true, ..self.request(&[]) };
        let loaded = rcompose_model::load(&request, &HostFiles);
        if let Some(project) = loaded.project {
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
    })
}

/// `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    pools: Vec<String>,
    registries: RegistryConfig,
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
