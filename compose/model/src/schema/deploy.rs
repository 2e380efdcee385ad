//! `deploy`, and the devices that services ask for.

use super::{
    COUNT, DISTINCT_TEXTS, DURATION, Effect, FRACTION, Field, INTEGER, Json, PAIRS, SIZE_TEXT, Shape, TEXT, TEXT_SHAPE, TEXTS,
    Value, Written, field,
};
use crate::canonical;

pub(super) static DEPLOY: Shape = Shape::fields(&FIELDS).or_null();

static FIELDS: [Field; 9] = [
    field("mode", &TEXT).effect(Effect::Cluster),
    field("replicas", &REPLICAS).keeps_zero(),
    field("labels", &PAIRS).effect(Effect::Cluster),
    field("update_config", &UPDATE).effect(Effect::NotYet),
    field("rollback_config", &UPDATE).effect(Effect::Cluster),
    field("resources", &RESOURCES).json(Json::Empty),
    field("restart_policy", &RESTART_POLICY),
    field("placement", &PLACEMENT).json(Json::Empty).effect(Effect::Cluster),
    field("endpoint_mode", &TEXT).effect(Effect::Cluster),
];

static REPLICAS: Shape = INTEGER_SHAPE;
const INTEGER_SHAPE: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(i64::MIN, i64::MAX));

static UPDATE: Shape = Shape::fields(&[
    field("parallelism", &COUNT).keeps_zero(),
    field("delay", &DURATION),
    field("failure_action", &TEXT),
    field("monitor", &DURATION),
    field("max_failure_ratio", &FRACTION),
    field("order", &ORDER),
]);
static ORDER: Shape = Shape::scalar(&[Written::Text], Value::Choice(&["start-first", "stop-first"]));

static RESOURCES: Shape = Shape::fields(&[field("limits", &LIMITS), field("reservations", &RESERVATIONS)]);
static LIMITS: Shape = Shape::fields(&[field("cpus", &FRACTION), field("memory", &SIZE_TEXT), field("pids", &INTEGER)]);
static RESERVATIONS: Shape = Shape::fields(&[
    field("cpus", &FRACTION).effect(Effect::Cluster),
    field("memory", &SIZE_TEXT),
    field("devices", &DEVICES).effect(Effect::NotYet),
    field("generic_resources", &GENERIC).effect(Effect::Cluster),
]);
static GENERIC: Shape = Shape::list(&GENERIC_ITEM);
static GENERIC_ITEM: Shape = Shape::fields(&[field("discrete_resource_spec", &DISCRETE)]);
static DISCRETE: Shape = Shape::fields(&[field("kind", &TEXT).keeps_zero(), field("value", &NUMBER).keeps_zero()]);
static NUMBER: Shape = Shape::scalar(&[Written::Number, Written::Text], Value::Integer(i64::MIN, i64::MAX));

static RESTART_POLICY: Shape = Shape::fields(&[
    field("condition", &TEXT),
    field("delay", &DURATION).keeps_zero().effect(Effect::NotYet),
    field("max_attempts", &COUNT).keeps_zero(),
    field("window", &DURATION).keeps_zero().effect(Effect::NotYet),
]);

static PLACEMENT: Shape =
    Shape::fields(&[field("constraints", &TEXTS), field("preferences", &PREFERENCES), field("max_replicas_per_node", &COUNT)]);
static PREFERENCES: Shape = Shape::list(&PREFERENCE);
static PREFERENCE: Shape = Shape::fields(&[field("spread", &TEXT)]);

static DEVICES: Shape = Shape::list(&DEVICE);
static DEVICE: Shape = Shape::fields(&[
    field("capabilities", &DISTINCT_TEXTS).required(),
    field("driver", &TEXT),
    field("count", &DEVICE_COUNT),
    field("device_ids", &DISTINCT_TEXTS),
    field("options", &PAIRS),
]);
static DEVICE_COUNT: Shape = Shape::scalar(&[Written::Text, Written::Integer], Value::Count);

pub(super) static GPUS: Shape = Shape::list(&GPU)
    .or(Shape { scalar: Shape::scalar(&[Written::Text], Value::Choice(&["all"])).scalar, ..TEXT_SHAPE })
    .long(canonical::gpus);
static GPU: Shape = Shape::fields(&[
    field("capabilities", &DISTINCT_TEXTS),
    field("driver", &TEXT),
    field("count", &DEVICE_COUNT),
    field("device_ids", &DISTINCT_TEXTS),
    field("options", &PAIRS),
]);
