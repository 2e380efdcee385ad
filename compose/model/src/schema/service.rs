//! A service.

use super::build::{BUILD, DEVELOP, HOOKS, START_HOOKS};
use super::deploy::{DEPLOY, GPUS};
use super::extension::RCOMPOSE;
use super::{
    BOOLEAN, COMMAND, COUNT, DISTINCT_TEXTS, DURATION, ENVIRONMENT, Effect, FILE_REFERENCE, FRACTION, Field, Form, HOSTS,
    INTEGER, Json, Merge, NUMBER, Names, OPTION, OPTIONS, PAIRS, PLAIN_BOOLEAN, SIZE, Shape, TEXT, TEXT_SHAPE, ULIMITS, Value,
    WORD, Written, field,
};
use crate::{canonical, check, unique};

pub(super) static SERVICE: Shape = Shape::fields(&FIELDS);

#[rustfmt::skip]
static FIELDS: [Field; 94] = [
    field("profiles", &PROFILES),
    field("annotations", &PAIRS),
    field("attach", &BOOLEAN).keeps_zero(),
    field("build", &BUILD),
    field("develop", &DEVELOP),
    field("blkio_config", &BLKIO).effect(Effect::NotYet),
    field("cap_add", &UNIQUE_TEXTS),
    field("cap_drop", &UNIQUE_TEXTS),
    field("cgroup_parent", &TEXT),
    field("cgroup", &CGROUP),
    field("cpu_count", &COUNT).effect(Effect::Windows),
    field("cpu_percent", &PERCENT).effect(Effect::Windows),
    field("cpu_period", &MICROSECONDS),
    field("cpu_quota", &NUMBER),
    field("cpu_rt_period", &MICROSECONDS).effect(Effect::NotYet),
    field("cpu_rt_runtime", &MICROSECONDS).effect(Effect::NotYet),
    field("cpus", &FRACTION),
    field("cpuset", &TEXT),
    field("cpu_shares", &NUMBER),
    field("command", &COMMAND).keeps_zero().json(Json::Null),
    field("configs", &CONFIGS),
    field("container_name", &CONTAINER_NAME),
    field("credential_spec", &CREDENTIAL_SPEC).effect(Effect::Windows),
    field("depends_on", &DEPENDS_ON),
    field("deploy", &DEPLOY),
    field("device_cgroup_rules", &DISTINCT_TEXTS),
    field("devices", &DEVICES),
    field("dns", &DNS),
    field("dns_opt", &DNS_OPTIONS),
    field("dns_search", &DNS_SEARCH),
    field("domainname", &TEXT),
    field("entrypoint", &COMMAND).keeps_zero().json(Json::Null),
    field("provider", &PROVIDER).effect(Effect::NotYet),
    field("environment", &ENVIRONMENT),
    field("env_file", &ENV_FILES),
    field("expose", &EXPOSE),
    field("extends", &EXTENDS),
    field("external_links", &DISTINCT_TEXTS).effect(Effect::NotYet),
    field("extra_hosts", &HOSTS),
    field("group_add", &GROUPS),
    field("gpus", &GPUS).effect(Effect::NotYet),
    field("hostname", &TEXT),
    field("healthcheck", &HEALTHCHECK),
    field("image", &TEXT),
    field("init", &BOOLEAN).keeps_zero(),
    field("ipc", &TEXT),
    field("isolation", &TEXT).effect(Effect::Windows),
    field("labels", &PAIRS),
    field("label_file", &LABEL_FILES),
    field("links", &LINKS),
    field("logging", &LOGGING),
    field("mem_limit", &SIZE),
    field("mem_reservation", &SIZE),
    field("memswap_limit", &SIZE),
    field("mem_swappiness", &SIZE),
    field("mac_address", &TEXT),
    field("models", &MODELS).effect(Effect::NotYet),
    field("network_mode", &TEXT),
    field("networks", &NETWORKS),
    field("oom_kill_disable", &BOOLEAN),
    field("oom_score_adj", &OOM_SCORE),
    field("pid", &PID),
    field("pids_limit", &NUMBER),
    field("platform", &TEXT),
    field("ports", &PORTS),
    field("privileged", &BOOLEAN),
    field("pull_policy", &PULL_POLICY),
    field("pull_refresh_after", &TEXT),
    field("read_only", &BOOLEAN),
    field("restart", &TEXT),
    field("runtime", &TEXT).effect(Effect::NotYet),
    field("scale", &INTEGER).keeps_zero(),
    field("secrets", &SECRETS),
    field("security_opt", &DISTINCT_TEXTS),
    field("shm_size", &SIZE),
    field("stdin_open", &BOOLEAN),
    field("stop_grace_period", &DURATION).keeps_zero(),
    field("stop_signal", &TEXT),
    field("storage_opt", &STORAGE_OPTIONS).effect(Effect::NotYet),
    field("sysctls", &PAIRS),
    field("tmpfs", &TMPFS),
    field("tty", &BOOLEAN),
    field("ulimits", &ULIMITS),
    field("use_api_socket", &PLAIN_BOOLEAN).effect(Effect::NotYet),
    field("user", &TEXT),
    field("userns_mode", &TEXT).effect(Effect::NotYet),
    field("uts", &TEXT),
    field("volumes", &VOLUMES),
    field("volumes_from", &DISTINCT_TEXTS),
    field("working_dir", &TEXT),
    field("pre_start", &START_HOOKS),
    field("post_start", &HOOKS),
    field("pre_stop", &HOOKS),
    // COMPAT: docker compose leaves extensions out of JSON; what changes something has to come through it.
    field("x-rcompose", &RCOMPOSE),
];

/// A list of texts in which a later one takes the place of an equal one.
static UNIQUE_TEXTS: Shape = UNIQUE_TEXTS_SHAPE;
const UNIQUE_TEXTS_SHAPE: Shape = Shape::list(&TEXT).unique(unique::key);
static PROFILES: Shape = UNIQUE_TEXTS_SHAPE;
static LINKS: Shape = UNIQUE_TEXTS_SHAPE;
static DNS_OPTIONS: Shape = Shape { merge: Merge::List, ..UNIQUE_TEXTS_SHAPE };
static DNS_SEARCH: Shape = Shape { merge: Merge::List, ..UNIQUE_TEXTS_SHAPE }.or(TEXT_SHAPE).form(Form::List);
static DNS: Shape = Shape { merge: Merge::List, ..UNIQUE_TEXTS_SHAPE }.or(TEXT_SHAPE).long(canonical::servers);
static TMPFS: Shape = Shape { merge: Merge::List, ..UNIQUE_TEXTS_SHAPE }.or(TEXT_SHAPE).form(Form::List);
static LABEL_FILES: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).merged(Merge::List).long(canonical::list);

static CGROUP: Shape = Shape::scalar(&[Written::Text], Value::Choice(&["host", "private"]));
static PERCENT: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(0, 100));
static MICROSECONDS: Shape = Shape::scalar(&[Written::Number, Written::Text], Value::Integer(0, i64::MAX));
static CONTAINER_NAME: Shape = Shape::scalar(&[Written::Text], Value::Checked(check::container_name));
static PULL_POLICY: Shape = Shape::scalar(&[Written::Text], Value::Checked(check::pull_policy));
static OOM_SCORE: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(-1000, 1000));
static PID: Shape = TEXT_SHAPE.or_null();

static BLKIO: Shape = Shape::closed(&[
    field("weight", &WEIGHT),
    field("weight_device", &WEIGHTS),
    field("device_read_bps", &RATES),
    field("device_read_iops", &RATES),
    field("device_write_bps", &RATES),
    field("device_write_iops", &RATES),
]);
static WEIGHT: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(0, 1000));
static WEIGHTS: Shape = Shape::list(&WEIGHT_DEVICE);
static WEIGHT_DEVICE: Shape = Shape::closed(&[
    field("path", &TEXT).keeps_zero().json(Json::Renamed("Path")),
    field("weight", &WEIGHT).keeps_zero().json(Json::Renamed("Weight")),
]);
static RATES: Shape = Shape::list(&RATE);
static RATE: Shape = Shape::closed(&[
    field("path", &TEXT).keeps_zero().json(Json::Renamed("Path")),
    field("rate", &RATE_VALUE).keeps_zero().json(Json::Renamed("Rate")),
]);
static RATE_VALUE: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Size(i64::MIN));

static CONFIGS: Shape = Shape::list(&FILE_REFERENCE).unique(unique::config);
static SECRETS: Shape = Shape::list(&FILE_REFERENCE).unique(unique::secret);
static CREDENTIAL_SPEC: Shape = Shape::fields(&[field("config", &TEXT), field("file", &TEXT), field("registry", &TEXT)]);

static DEPENDS_ON: Shape = Shape::named(&DEPENDENCY)
    .or(Shape::list(&TEXT))
    .merged(Merge::Names(Names::Dependency))
    .distinct()
    .long(canonical::depends_on);
static DEPENDENCY: Shape = Shape::fields(&[
    field("condition", &CONDITION).required(),
    field("restart", &BOOLEAN),
    field("required", &PLAIN_BOOLEAN).keeps_zero(),
]);
static CONDITION: Shape =
    Shape::scalar(&[Written::Text], Value::Choice(&["service_started", "service_healthy", "service_completed_successfully"]));

static DEVICES: Shape = Shape::list(&DEVICE).unique(unique::device);
static DEVICE: Shape = Shape::fields(&[field("source", &TEXT).required(), field("target", &TEXT), field("permissions", &TEXT)])
    .or(TEXT_SHAPE)
    .long(canonical::device);

static PROVIDER: Shape = Shape::fields(&[field("type", &TEXT).required(), field("options", &PROVIDER_OPTIONS)]);
static PROVIDER_OPTIONS: Shape = Shape::keys(&PROVIDER_OPTION);
static PROVIDER_OPTION: Shape = Shape::list(&PROVIDER_VALUE).or(PROVIDER_VALUE_SHAPE).form(Form::List);
static PROVIDER_VALUE: Shape = PROVIDER_VALUE_SHAPE;
const PROVIDER_VALUE_SHAPE: Shape = Shape::scalar(&[Written::Text, Written::Number, Written::Boolean], Value::Text);

static ENV_FILES: Shape =
    Shape::list(&ENV_FILE).or(TEXT_SHAPE).merged(Merge::List).unique(unique::path).long(canonical::env_files);
static ENV_FILE: Shape =
    Shape::closed(&[field("path", &TEXT).required(), field("required", &BOOLEAN).keeps_zero(), field("format", &TEXT)])
        .or(TEXT_SHAPE);

static EXPOSE: Shape = Shape::list(&WORD).unique(unique::whole).distinct();
static GROUPS: Shape = Shape::list(&WORD).distinct();
static EXTENDS: Shape =
    Shape::closed(&[field("file", &TEXT), field("service", &TEXT).required()]).or(TEXT_SHAPE).long(canonical::extends);

static HEALTHCHECK: Shape = Shape::fields(&[
    field("test", &TEST),
    field("timeout", &DURATION).keeps_zero(),
    field("interval", &DURATION).keeps_zero(),
    field("retries", &RETRIES).keeps_zero(),
    field("start_period", &DURATION).keeps_zero(),
    field("start_interval", &DURATION).keeps_zero(),
    field("disable", &BOOLEAN),
]);
static TEST: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).merged(Merge::Replace).form(Form::Probe);
static RETRIES: Shape = Shape::scalar(&[Written::Number, Written::Text], Value::Integer(0, i64::MAX));

static LOGGING: Shape = Shape::fields(&[field("driver", &TEXT), field("options", &LOG_OPTIONS)]).merged(Merge::Logging);
static LOG_OPTIONS: Shape = Shape::keys(&LOG_OPTION);
static LOG_OPTION: Shape = Shape::scalar(&[Written::Text, Written::Number], Value::Text).or_null();

static MODELS: Shape =
    Shape::named(&MODEL).or(Shape::list(&TEXT)).merged(Merge::Names(Names::Nothing)).distinct().long(canonical::names);
static MODEL: Shape = Shape::fields(&[field("endpoint_var", &TEXT), field("model_var", &TEXT)]).or_null();

static NETWORKS: Shape =
    Shape::named(&NETWORK).or(Shape::list(&TEXT)).merged(Merge::Names(Names::Nothing)).distinct().long(canonical::names);
static NETWORK: Shape = Shape::fields(&[
    field("aliases", &ALIASES),
    field("driver_opts", &OPTIONS),
    field("gw_priority", &PRIORITY),
    field("interface_name", &TEXT),
    field("ipv4_address", &TEXT),
    field("ipv6_address", &TEXT),
    field("link_local_ips", &ALIASES),
    field("mac_address", &TEXT),
    field("priority", &PRIORITY),
])
.or_null();
static ALIASES: Shape = UNIQUE_TEXTS_SHAPE;
static PRIORITY: Shape = Shape::scalar(&[Written::Number], Value::Integer(i64::MIN, i64::MAX));

static PORTS: Shape = Shape::list(&PORT).unique(unique::port).distinct().long(canonical::ports);
static PORT: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("mode", &TEXT),
    field("host_ip", &TEXT),
    field("target", &TARGET_PORT),
    field("published", &WORD_OR_INTEGER),
    field("protocol", &TEXT),
    field("app_protocol", &TEXT),
])
.or(Shape::scalar(&[Written::Text, Written::Number], Value::Text));
static TARGET_PORT: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(0, u32::MAX as i64));
static WORD_OR_INTEGER: Shape = Shape::scalar(&[Written::Text, Written::Integer], Value::Text);

static STORAGE_OPTIONS: Shape = Shape::keys(&OPTION);

static VOLUMES: Shape = Shape::list(&VOLUME).unique(unique::target).distinct();
static VOLUME: Shape = Shape::fields(&[
    field("type", &VOLUME_TYPE).required(),
    field("source", &TEXT),
    field("target", &TEXT),
    field("read_only", &BOOLEAN),
    field("consistency", &TEXT),
    field("bind", &BIND),
    field("volume", &VOLUME_OPTIONS),
    field("tmpfs", &TMPFS_OPTIONS),
    field("image", &IMAGE_OPTIONS),
])
.or(TEXT_SHAPE)
.long(canonical::volume);
static VOLUME_TYPE: Shape =
    Shape::scalar(&[Written::Text], Value::Choice(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]));
static BIND: Shape = Shape::fields(&[
    field("selinux", &SELINUX),
    field("propagation", &TEXT),
    field("create_host_path", &BOOLEAN),
    field("recursive", &RECURSIVE),
]);
static SELINUX: Shape = Shape::scalar(&[Written::Text], Value::Choice(&["z", "Z"]));
static RECURSIVE: Shape = Shape::scalar(&[Written::Text], Value::Choice(&["enabled", "disabled", "writable", "readonly"]));
static VOLUME_OPTIONS: Shape = Shape::fields(&[field("labels", &PAIRS), field("nocopy", &BOOLEAN), field("subpath", &TEXT)]);
static TMPFS_OPTIONS: Shape = Shape::fields(&[field("size", &TMPFS_SIZE), field("mode", &TMPFS_MODE)]);
static TMPFS_SIZE: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Size(0));
/// Printed as a number, unlike modes of configs and secrets.
static TMPFS_MODE: Shape = Shape::scalar(&[Written::Number, Written::Text], Value::Integer(0, u32::MAX as i64));
static IMAGE_OPTIONS: Shape = Shape::fields(&[field("subpath", &TEXT)]);
