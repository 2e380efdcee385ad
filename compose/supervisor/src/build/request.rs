//! From the build section of a service to what the builder is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rcompose_build::{BuildRequest, ContextSource, DockerfileSource, Entitlement, NamedContext, Network, SecretSource};
use rcompose_engine::image::{LayoutName, Pins, Reference};
use rcompose_engine::parse_size;
use rcompose_model::Project;
use rcompose_model::project::{FileSource, Service};
use rcompose_plan::labels;
use serde_json::Value;

use super::caches::Caches;
use crate::messages::{BuildOptions, Failure};

/// Reads the build section of a service. Gives what has no effect, too.
pub(super) fn request(
    project: &Project,
    service: &Service,
    options: &BuildOptions,
    offline: bool,
) -> Result<(BuildRequest, Vec<String>), Failure> {
    let fault = |text: String| Failure::text(format!("service `{}`: {text}", service.name));
    let build = service.build.as_ref().ok_or_else(|| fault("it has no build section".to_owned()))?;
    let section = &build.attributes;
    let mut warnings = Vec::new();
    let context = context(&project.working_dir, &build.context).map_err(fault)?;
    let reference = rcompose_plan::image_name(project, service).unwrap_or_default();
    let tags = std::iter::once(reference).chain(texts(&section["tags"]));
    let tags = tags.map(|text| text.parse::<Reference>().map_err(|error| fault(error.to_string()))).collect::<Result<_, _>>()?;
    let mut args = pairs(&section["args"]);
    args.extend(options.args.clone());
    let mut labels_of = pairs(&section["labels"]);
    let own = [
        (labels::PROJECT, project.name.clone()),
        (labels::SERVICE, service.name.clone()),
        (labels::VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    labels_of.extend(own.map(|(name, value)| (name.to_owned(), value)));
    for ignored in ["isolation", "provenance", "sbom"] {
        if !matches!(&section[ignored], Value::Null | Value::Bool(false)) {
            warnings.push(format!("service `{}`: `build.{ignored}` has no effect here", service.name));
        }
    }
    let caches =
        Caches::read(&project.working_dir, &texts(&section["cache_from"]), &texts(&section["cache_to"])).map_err(fault)?;
    for entry in &caches.ignored {
        warnings.push(format!(
            "service `{}`: the build cache `{entry}` has no effect here: registry, local and inline are known",
            service.name
        ));
    }
    let platforms = texts(&section["platforms"]);
    if platforms.len() > 1 {
        warnings.push(format!("service `{}`: built for one platform, `{}`", service.name, platforms[0]));
    }
    let mut entitlements: BTreeSet<Entitlement> = BTreeSet::new();
    for text in texts(&section["entitlements"]) {
        entitlements.insert(match text.as_str() {
            "network.host" => Entitlement::NetworkHost,
            "security.insecure" => Entitlement::SecurityInsecure,
            text if text.starts_with("device") => Entitlement::Device,
            text => return Err(fault(format!("`{text}` is no entitlement: network.host, security.insecure and device are"))),
        });
    }
    if section["privileged"] == true {
        entitlements.insert(Entitlement::SecurityInsecure);
    }
    let request = BuildRequest {
        name: format!("{}/{}", project.name, service.name),
        dockerfile: dockerfile(section, &context),
        context: Some(context),
        args,
        labels: labels_of,
        target: section["target"].as_str().map(str::to_owned),
        no_cache: options.no_cache || section["no_cache"] == true,
        no_cache_filter: texts(&section["no_cache_filter"]).into_iter().collect(),
        pull: options.pull || section["pull"] == true,
        offline,
        pins: Pins { own: built_here(project), ..options.pins.clone() },
        network: network(project, section["network"].as_str()),
        extra_hosts: hosts(&section["extra_hosts"]),
        shm_size: section["shm_size"].as_u64().or_else(|| parse_size(section["shm_size"].as_str()?)),
        ulimits: ulimits(&section["ulimits"]),
        memory: options.memory,
        entitlements,
        secrets: secrets(project, section).map_err(fault)?,
        ssh: ssh(section, options),
        contexts: contexts(project, section).map_err(fault)?,
        platform: platforms.into_iter().next().or_else(|| service.platform.clone()),
        tags,
        cache_from: caches.from,
        cache_to: caches.to,
        inline_cache: caches.inline,
    };
    Ok((request, warnings))
}

/// What no registry is asked for: the images of services that are built.
fn built_here(project: &Project) -> BTreeSet<String> {
    let built = project.services.values().filter(|service| service.build.is_some());
    let names = built.filter_map(|service| rcompose_plan::image_name(project, service)?.parse::<Reference>().ok());
    names.map(|reference| reference.to_string()).collect()
}

/// A directory of this machine, a repository, or an archive of another machine.
fn context(working_dir: &Path, text: &str) -> Result<ContextSource, String> {
    if ContextSource::is_git(text) {
        return Ok(ContextSource::Git(text.to_owned()));
    }
    if ContextSource::is_url(text) {
        return Ok(ContextSource::Archive(text.to_owned()));
    }
    if text.contains("://") {
        return Err(format!("the build context `{text}` is no directory, no git repository, and no archive by http or https"));
    }
    Ok(ContextSource::Directory(working_dir.join(text).components().collect()))
}

/// The file that says how: of a directory of the user's, wherever that is; of a repository, inside it.
fn dockerfile(section: &Value, context: &ContextSource) -> DockerfileSource {
    match (section["dockerfile_inline"].as_str(), section["dockerfile"].as_str(), context) {
        (Some(text), _, _) => DockerfileSource::Inline(text.to_owned()),
        // The usual name may be written in lower case, too.
        (None, Some("Dockerfile"), _) => DockerfileSource::Default,
        (None, Some(path), ContextSource::Directory(folder)) => DockerfileSource::File(folder.join(path)),
        (None, Some(path), ContextSource::Git(_) | ContextSource::Archive(_)) => DockerfileSource::InContext(path.to_owned()),
        (None, None, _) => DockerfileSource::Default,
    }
}

/// A mapping, or a list of `name=value`; names without a value are left out.
fn pairs(value: &Value) -> BTreeMap<String, String> {
    match value {
        Value::Object(entries) => entries.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect(),
        Value::Array(list) => list.iter().filter_map(|entry| entry.as_str()?.split_once('=')).map(owned).collect(),
        _ => BTreeMap::new(),
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

fn network(project: &Project, name: Option<&str>) -> Network {
    match name {
        None | Some("default" | "bridge" | "") => Network::Default,
        Some("none") => Network::None,
        Some("host") => Network::Host,
        Some(name) => Network::Named(project.networks.get(name).map_or_else(|| name.to_owned(), |network| network.name.clone())),
    }
}

/// `name=address`, `name:address`, or a mapping.
fn hosts(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(name, value)| texts(value).into_iter().map(move |address| (name.clone(), address)))
            .collect(),
        Value::Array(list) => {
            list.iter().filter_map(Value::as_str).filter_map(|text| text.split_once(['=', ':'])).map(owned).collect()
        }
        _ => Vec::new(),
    }
}

fn ulimits(value: &Value) -> BTreeMap<String, (i64, i64)> {
    let one = |value: &Value| match value {
        Value::Object(both) => Some((both.get("soft")?.as_i64()?, both.get("hard")?.as_i64()?)),
        single => single.as_i64().map(|limit| (limit, limit)),
    };
    value.as_object().into_iter().flatten().filter_map(|(name, limit)| Some((name.clone(), one(limit)?))).collect()
}

/// The secrets that the section names, by the id that the Dockerfile knows.
fn secrets(project: &Project, section: &Value) -> Result<BTreeMap<String, SecretSource>, String> {
    let mut secrets = BTreeMap::new();
    for entry in section["secrets"].as_array().into_iter().flatten() {
        let source = entry.as_str().or_else(|| entry["source"].as_str()).unwrap_or_default();
        let id = entry["target"].as_str().unwrap_or(source);
        let object = project.secrets.get(source).ok_or_else(|| format!("the secret `{source}` is not in the files"))?;
        let secret = match &object.source {
            FileSource::File(path) => SecretSource::File(path.clone()),
            FileSource::Content(text) => SecretSource::Value(text.clone()),
            FileSource::Environment { value: Some(value), .. } => SecretSource::Value(value.clone()),
            FileSource::Environment { variable, value: None } => {
                return Err(format!("environment variable \"{variable}\" required by secret \"{source}\" is not set"));
            }
            FileSource::External => return Err(format!("unsupported external secret {source}")),
        };
        secrets.insert(id.to_owned(), secret);
    }
    Ok(secrets)
}

/// Sockets of agents: `default`, `ID=path`, or a mapping.
fn ssh(section: &Value, options: &BuildOptions) -> BTreeMap<String, PathBuf> {
    let agent = || options.ssh_agent.clone().map(PathBuf::from);
    let mut asked: Vec<(String, Option<PathBuf>)> = match &section["ssh"] {
        Value::Object(entries) => entries.iter().map(|(id, path)| (id.clone(), path.as_str().map(PathBuf::from))).collect(),
        list => texts(list).iter().map(|text| ssh_entry(text)).collect(),
    };
    asked.extend(options.ssh.iter().map(|text| ssh_entry(text)));
    asked
        .into_iter()
        .filter_map(|(id, path)| Some((id, path.filter(|path| !path.as_os_str().is_empty()).or_else(agent)?)))
        .collect()
}

fn ssh_entry(text: &str) -> (String, Option<PathBuf>) {
    match text.split_once('=') {
        Some((id, path)) => (id.to_owned(), Some(PathBuf::from(path))),
        None => (text.to_owned(), None),
    }
}

/// `FOLDER`, `FOLDER:TAG`, `FOLDER@DIGEST`.
fn layout(working_dir: &Path, text: &str) -> Result<NamedContext, String> {
    let (folder, name) = match (text.split_once('@'), text.rsplit_once(':')) {
        (Some((folder, digest)), _) => {
            let digest = digest.parse().map_err(|_| format!("`{digest}` is no digest: sha256: and 64 hex digits"))?;
            (folder, LayoutName::Digest(digest))
        }
        (None, Some((folder, tag))) if !tag.contains('/') => (folder, LayoutName::Tag(tag.to_owned())),
        _ => (text, LayoutName::Tag("latest".to_owned())),
    };
    Ok(NamedContext::Layout { folder: working_dir.join(folder).components().collect(), name })
}

/// Contexts besides the build's own.
fn contexts(project: &Project, section: &Value) -> Result<BTreeMap<String, NamedContext>, String> {
    let mut contexts = BTreeMap::new();
    for (name, value) in pairs(&section["additional_contexts"]) {
        let named = if let Some(service) = value.strip_prefix("service:") {
            let service = project.services.get(service).filter(|service| service.build.is_some());
            let image = service.and_then(|service| rcompose_plan::image_name(project, service));
            NamedContext::Image(image.ok_or_else(|| format!("context `{name}`: `{value}` is no service that is built"))?)
        } else if let Some(image) = value.strip_prefix("docker-image://") {
            NamedContext::Image(image.to_owned())
        } else if let Some(text) = value.strip_prefix("oci-layout://") {
            layout(&project.working_dir, text).map_err(|text| format!("context `{name}`: {text}"))?
        } else if let Some(stage) = value.strip_prefix("target:") {
            NamedContext::Stage(stage.to_owned())
        } else {
            NamedContext::Files(context(&project.working_dir, &value).map_err(|text| format!("context `{name}`: {text}"))?)
        };
        contexts.insert(name, named);
    }
    Ok(contexts)
}

#[cfg(test)]
mod tests {
    use rcompose_model::project::{Build, FileObject, Network as ModelNetwork};
    use serde_json::json;

    use super::*;

    fn project(section: Value) -> Project {
        let build = Build { context: section["context"].as_str().unwrap_or(".").to_owned(), attributes: section };
        let service = Service { name: "web".to_owned(), build: Some(build), ..Service::default() };
        let mut project = Project { name: "shop".to_owned(), working_dir: "/stack".into(), ..Project::default() };
        project.services.insert("web".to_owned(), service);
        let base = Build { context: ".".to_owned(), attributes: json!({}) };
        let base = Service { name: "base".to_owned(), build: Some(base), ..Service::default() };
        project.services.insert("base".to_owned(), base);
        let secret =
            FileObject { name: "shop_token".to_owned(), source: FileSource::Content("s".to_owned()), labels: BTreeMap::new() };
        project.secrets.insert("token".to_owned(), secret);
        project.networks.insert("inner".to_owned(), ModelNetwork { name: "shop_inner".to_owned(), ..ModelNetwork::default() });
        project
    }

    fn asked(section: Value, options: &BuildOptions) -> Result<(BuildRequest, Vec<String>), Failure> {
        let project = project(section);
        request(&project, &project.services["web"], options, true)
    }

    #[test]
    fn every_attribute_reaches_the_builder() {
        let section = json!({
            "context": "app", "dockerfile": "Other", "args": { "A": "1", "B": "2" }, "labels": { "x": "y" }, "target": "t",
            "no_cache": true, "no_cache_filter": ["one"], "pull": true, "network": "inner", "shm_size": "64m",
            "extra_hosts": ["a=1.2.3.4"], "ulimits": { "nofile": { "soft": 1, "hard": 2 }, "nproc": 3 }, "privileged": true,
            "entitlements": ["network.host"], "secrets": [{ "source": "token", "target": "id" }], "ssh": ["default", "k=/s"],
            "additional_contexts": { "base": "service:base", "img": "docker-image://x:1", "dir": "./d", "git": "https://h/x.git", "lay": "oci-layout://./l:t", "tar": "https://h/x.tgz" },
            "tags": ["other:1"], "platforms": ["linux/amd64"], "isolation": "process", "cache_from": ["x", "type=gha"],
        });
        let options = BuildOptions {
            args: BTreeMap::from([("B".to_owned(), "3".to_owned())]),
            ssh_agent: Some("/agent".to_owned()),
            ..BuildOptions::default()
        };
        let (request, warnings) = asked(section, &options).unwrap();
        assert_eq!(request.context, Some(ContextSource::Directory("/stack/app".into())));
        assert_eq!(request.dockerfile, DockerfileSource::File("/stack/app/Other".into()));
        assert_eq!((request.args["A"].as_str(), request.args["B"].as_str()), ("1", "3"));
        assert_eq!((request.labels["x"].as_str(), request.labels[labels::SERVICE].as_str()), ("y", "web"));
        assert!(request.offline && request.no_cache && request.pull && request.no_cache_filter.contains("one"));
        assert_eq!((request.network, request.shm_size), (Network::Named("shop_inner".to_owned()), Some(64 << 20)));
        assert_eq!(request.extra_hosts, [("a".to_owned(), "1.2.3.4".to_owned())]);
        assert_eq!((request.ulimits["nofile"], request.ulimits["nproc"]), ((1, 2), (3, 3)));
        assert_eq!(request.entitlements, BTreeSet::from([Entitlement::NetworkHost, Entitlement::SecurityInsecure]));
        assert!(matches!(&request.secrets["id"], SecretSource::Value(value) if value == "s"));
        assert_eq!((&request.ssh["default"], &request.ssh["k"]), (&PathBuf::from("/agent"), &PathBuf::from("/s")));
        assert_eq!(request.contexts["base"], NamedContext::Image("shop-base".to_owned()));
        assert_eq!(request.contexts["img"], NamedContext::Image("x:1".to_owned()));
        assert_eq!(request.contexts["dir"], NamedContext::Files(ContextSource::Directory("/stack/d".into())));
        assert_eq!(request.contexts["git"], NamedContext::Files(ContextSource::Git("https://h/x.git".to_owned())));
        let folder = PathBuf::from("/stack/l");
        assert_eq!(request.contexts["lay"], NamedContext::Layout { folder, name: LayoutName::Tag("t".to_owned()) });
        assert_eq!(request.contexts["tar"], NamedContext::Files(ContextSource::Archive("https://h/x.tgz".to_owned())));
        assert_eq!(request.tags.iter().map(Reference::familiar).collect::<Vec<_>>(), ["shop-web:latest", "other:1"]);
        assert_eq!((request.cache_from[0].to_string().as_str(), request.cache_to.len()), ("x:latest", 0));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_service() {
        for (section, text) in [
            (json!({ "entitlements": ["root"] }), "service `web`: `root` is no entitlement"),
            (json!({ "secrets": ["none"] }), "service `web`: the secret `none` is not in the files"),
            (
                json!({ "additional_contexts": { "a": "service:none" } }),
                "service `web`: context `a`: `service:none` is no service",
            ),
            (json!({ "context": "ftp://host/x.tar.gz" }), "service `web`: the build context `ftp://host/x.tar.gz`"),
            (
                json!({ "additional_contexts": { "a": "oci-layout://x@sha256:1" } }),
                "service `web`: context `a`: `sha256:1` is no",
            ),
        ] {
            let failure = asked(section, &BuildOptions::default()).err().expect("it is refused");
            assert!(failure.message.starts_with(text), "{}", failure.message);
        }
    }
}
