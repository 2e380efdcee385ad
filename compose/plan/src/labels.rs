//! The labels by which objects of a project are found again; other tools read them too.

/// Project name; on containers, networks, volumes and built images.
pub const PROJECT: &str = "com.docker.compose.project";
/// Service name; on containers and built images.
pub const SERVICE: &str = "com.docker.compose.service";
/// Number of the replica, from 1; absent on one-off containers.
pub const CONTAINER_NUMBER: &str = "com.docker.compose.container-number";
/// `True` for a container made by `run`, else `False`.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";
/// 64 hex digits; one-off containers only.
pub const SLUG: &str = "com.docker.compose.slug";
/// `pre_start`; on containers that were made for one of those commands only.
pub const HOOK: &str = "com.docker.compose.hook";
/// Fingerprint of the configuration.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// `service:condition:restart`, comma-separated.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Digest of the image used.
pub const IMAGE: &str = "com.docker.compose.image";
/// Absolute project directory.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// Absolute paths of the files, comma-separated.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// Absolute paths of `--env-file`, comma-separated.
pub const ENVIRONMENT_FILE: &str = "com.docker.compose.project.environment_file";
/// Name of the container that this one replaces.
pub const REPLACE: &str = "com.docker.compose.replace";
/// Version of the program that made the object.
pub const VERSION: &str = "com.docker.compose.version";
/// Key of a network in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// Key of a volume in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// Prefix that user labels must not have.
pub const RESERVED_PREFIX: &str = "com.docker.compose.";
