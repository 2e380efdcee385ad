//! The top of a file: networks, volumes, configs, secrets, models, and what it includes.

use super::service::SERVICE;
use super::{
    BOOLEAN, Effect, Field, Json, Mapping, Merge, OPTIONS, PAIRS, Shape, TEXT, TEXT_OR_TEXTS, TEXT_SHAPE, TEXTS, Value, Written,
    field,
};
use crate::{canonical, unique};

/// A whole file.
pub(crate) static TOP: Shape = Shape::fields(&FIELDS);

static FIELDS: [Field; 9] = [
    field("version", &TEXT),
    field("name", &TEXT),
    field("include", &INCLUDES),
    field("services", &SERVICES).keeps_zero().json(Json::Empty),
    field("networks", &NETWORKS),
    field("volumes", &VOLUMES),
    field("secrets", &SECRETS),
    field("configs", &CONFIGS),
    field("models", &MODELS).json(Json::Hidden),
];

static INCLUDES: Shape = Shape::list(&INCLUDE);
static INCLUDE: Shape =
    Shape::closed(&[field("path", &TEXT_OR_TEXTS), field("project_directory", &TEXT), field("env_file", &TEXT_OR_TEXTS)])
        .or(TEXT_SHAPE);

static SERVICES: Shape = Shape::named(&SERVICE);
static NETWORKS: Shape = Shape::named(&NETWORK);
static VOLUMES: Shape = Shape::named(&VOLUME);
static SECRETS: Shape = Shape::named(&SECRET);
static CONFIGS: Shape = Shape::named(&CONFIG);
static MODELS: Shape = Shape::named(&MODEL);

/// Another's, not ours to make: `true`, or the old way with a name.
static EXTERNAL: Shape =
    Shape::scalar(&[Written::Boolean, Written::Text], Value::Boolean).or(Shape { mapping: Some(OLD_EXTERNAL), ..TEXT_SHAPE });
const OLD_EXTERNAL: Mapping = Mapping::Fields(&[field("name", &TEXT)]);

static NETWORK: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("driver", &TEXT),
    field("driver_opts", &OPTIONS),
    field("ipam", &IPAM).json(Json::Empty),
    field("external", &EXTERNAL),
    field("internal", &BOOLEAN),
    field("attachable", &BOOLEAN).effect(Effect::Cluster),
    field("labels", &PAIRS),
    field("enable_ipv4", &BOOLEAN).keeps_zero(),
    field("enable_ipv6", &BOOLEAN).keeps_zero(),
])
.or_null()
.long(canonical::external);

static IPAM: Shape =
    Shape::fields(&[field("driver", &TEXT), field("config", &POOLS), field("options", &TEXT_OPTIONS).json(Json::Hidden)]);
static POOLS: Shape = Shape::list(&POOL).merged(Merge::Subnets);
static POOL: Shape = Shape::fields(&[
    field("subnet", &TEXT),
    field("gateway", &TEXT),
    field("ip_range", &TEXT),
    field("aux_addresses", &TEXT_OPTIONS),
]);
static TEXT_OPTIONS: Shape = Shape::keys(&TEXT).unique(unique::key);

static VOLUME: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("driver", &TEXT),
    field("driver_opts", &OPTIONS),
    field("external", &EXTERNAL),
    field("labels", &PAIRS),
])
.or_null()
.long(canonical::external);

static SECRET: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("file", &TEXT),
    field("environment", &TEXT),
    field("external", &EXTERNAL),
    field("labels", &PAIRS),
    field("driver", &TEXT).effect(Effect::Cluster),
    field("driver_opts", &OPTIONS).effect(Effect::Cluster),
    field("template_driver", &TEXT).effect(Effect::Cluster),
])
.long(canonical::external);

static CONFIG: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("file", &TEXT),
    field("environment", &TEXT),
    field("content", &TEXT),
    field("external", &EXTERNAL),
    field("labels", &PAIRS),
    field("template_driver", &TEXT).effect(Effect::Cluster),
])
.long(canonical::external);

static MODEL: Shape = Shape::fields(&[
    field("name", &TEXT),
    field("model", &TEXT).required(),
    field("context_size", &CONTEXT_SIZE),
    field("runtime_flags", &TEXTS),
]);
static CONTEXT_SIZE: Shape = Shape::scalar(&[Written::Integer], Value::Integer(0, i64::MAX));
