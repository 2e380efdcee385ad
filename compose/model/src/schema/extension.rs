//! What `x-rcompose` of a service adds to the specification.

use super::{BOOLEAN, DURATION, Shape, TEXT, Value, Written, field};
use crate::check;

pub(super) static RCOMPOSE: Shape = Shape::closed(&[field("probe", &PROBE), field("restart_on_unhealthy", &BOOLEAN)]);

/// A health check that needs no program in the container.
static PROBE: Shape = Shape::closed(&[
    field("http", &URL),
    field("tcp", &PORT),
    field("log", &TEXT),
    field("timeout", &DURATION).keeps_zero(),
    field("interval", &DURATION).keeps_zero(),
    field("retries", &RETRIES).keeps_zero(),
    field("start_period", &DURATION).keeps_zero(),
    field("start_interval", &DURATION).keeps_zero(),
]);
static URL: Shape = Shape::scalar(&[Written::Text], Value::Checked(check::probe_url));
static PORT: Shape = Shape::scalar(&[Written::Integer, Written::Text], Value::Integer(1, 65_535));
static RETRIES: Shape = Shape::scalar(&[Written::Number, Written::Text], Value::Integer(0, i64::MAX));
