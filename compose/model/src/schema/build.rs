//! `build`, and what watches over it: `develop`.

use super::{
    BOOLEAN, ENVIRONMENT, Effect, Field, Form, HOSTS, Json, Merge, PAIRS, PAIRS_SHAPE, PLAIN_BOOLEAN, SIZE, Shape, TEXT,
    TEXT_OR_TEXTS, TEXT_SHAPE, TEXTS, ULIMITS, Value, Written, field,
};
use crate::{canonical, unique};

pub(super) static BUILD: Shape = Shape::fields(&FIELDS).or(TEXT_SHAPE).merged(Merge::Build).long(canonical::build);

static FIELDS: [Field; 25] = [
    field("context", &TEXT),
    field("dockerfile", &TEXT),
    field("dockerfile_inline", &TEXT),
    field("entitlements", &TEXTS),
    field("args", &ENVIRONMENT),
    field("provenance", &SWITCH),
    field("sbom", &SWITCH),
    field("ssh", &SSH),
    field("labels", &PAIRS),
    field("cache_from", &TEXTS),
    field("cache_to", &TEXTS),
    field("no_cache", &BOOLEAN),
    field("no_cache_filter", &TEXT_OR_TEXTS),
    field("additional_contexts", &CONTEXTS),
    field("pull", &BOOLEAN),
    field("extra_hosts", &HOSTS),
    field("isolation", &TEXT).effect(Effect::Windows),
    field("network", &TEXT),
    field("target", &TEXT),
    field("secrets", &SECRETS),
    field("shm_size", &SIZE),
    field("tags", &TAGS),
    field("ulimits", &ULIMITS),
    field("platforms", &TEXTS),
    field("privileged", &BOOLEAN),
];

/// True or false, or options of an attestation.
static SWITCH: Shape = Shape::scalar(&[Written::Text, Written::Boolean], Value::Text);
static SSH: Shape = Shape { merge: Merge::Usual, unique: None, ..PAIRS_SHAPE }.long(canonical::ssh).form(Form::Keys);
static CONTEXTS: Shape = PAIRS_SHAPE.long(canonical::contexts);
static SECRETS: Shape = Shape::list(&super::FILE_REFERENCE);
static TAGS: Shape = Shape::list(&TEXT).unique(unique::key);

pub(super) static DEVELOP: Shape = Shape::fields(&[field("watch", &WATCH)]).or_null();
static WATCH: Shape = Shape::list(&TRIGGER);
static TRIGGER: Shape = Shape::fields(&[
    field("path", &TEXT).required(),
    field("action", &ACTION).required(),
    field("target", &TEXT),
    field("exec", &HOOK).json(Json::Empty),
    field("include", &PATTERNS),
    field("ignore", &PATTERNS),
    field("initial_sync", &PLAIN_BOOLEAN),
]);
static ACTION: Shape =
    Shape::scalar(&[Written::Text], Value::Choice(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]));
static PATTERNS: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).distinct().long(canonical::list);

/// A command at a point of a container's life.
pub(super) static HOOK: Shape = Shape::fields(&[
    field("command", &super::COMMAND).required().keeps_zero().json(Json::Null),
    field("user", &TEXT),
    field("privileged", &BOOLEAN),
    field("working_dir", &TEXT),
    field("environment", &ENVIRONMENT),
]);

/// A container that runs before the service's.
pub(super) static START_HOOK: Shape = Shape::fields(&[
    field("command", &super::COMMAND).keeps_zero().json(Json::Null),
    field("image", &TEXT),
    field("user", &TEXT),
    field("privileged", &BOOLEAN),
    field("working_dir", &TEXT),
    field("environment", &ENVIRONMENT),
    field("per_replica", &BOOLEAN),
]);

pub(super) static HOOKS: Shape = Shape::list(&HOOK);
pub(super) static START_HOOKS: Shape = Shape::list(&START_HOOK);
