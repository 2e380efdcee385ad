//! What the Compose specification allows, attribute by attribute, and what becomes of it: one table, in the order in which
//! `config` prints. Reading, merging, checking and writing all walk a tree and this table side by side.

mod build;
mod deploy;
mod extension;
mod resource;
mod service;

use std::borrow::Cow;

use crate::node::Node;
use crate::problems::Problems;
use crate::trail::Trail;

pub(crate) use resource::TOP;

/// What a value may be, and how it is treated. A value that may be written in several ways has several of the first three.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// As a single value.
    pub(crate) scalar: Option<Scalar>,
    /// As a list, of what.
    pub(crate) list: Option<&'static Shape>,
    /// As a mapping, of what.
    pub(crate) mapping: Option<Mapping>,
    /// Whether nothing at all is fine.
    pub(crate) null: bool,
    /// How two of it come together.
    pub(crate) merge: Merge,
    /// What makes items of the list the same: the later one takes the place of the earlier one.
    pub(crate) unique: Option<Unique>,
    /// Whether equal items of the list are an error.
    pub(crate) distinct: bool,
    /// Makes the long form of a short one.
    pub(crate) long: Option<Long>,
    /// What it is in the end, however it was written.
    pub(crate) form: Form,
}

/// What a value is in the end, however it was written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    AsIs,
    /// A list, also of one thing.
    List,
    /// A list of words; a text is cut into them.
    Words,
    /// A list that says how it is run; a text is for the shell.
    Probe,
    /// A mapping of names to texts.
    Pairs,
    /// A mapping of names to texts or nothing.
    Environment,
    /// A list of `name=address`.
    Hosts,
    /// A list of `id` and `id=path`.
    Keys,
}

/// Makes the long form of a short one; what is wrong with the short one is told.
pub(crate) type Long = fn(&mut Node, &Trail<'_>, &mut Problems);

/// The key of an item, if it has one.
pub(crate) type Unique = fn(&Node) -> Option<Cow<'_, str>>;

/// A single value: how it may be written, and what it means.
#[derive(Clone, Copy)]
pub(crate) struct Scalar {
    /// What may be written.
    pub(crate) accepts: &'static [Written],
    /// What it becomes.
    pub(crate) value: Value,
}

/// How a single value may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Text,
    Integer,
    Number,
    Boolean,
}

/// What a single value means.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// A text.
    Text,
    /// A text of which only these are known.
    Choice(&'static [&'static str]),
    /// A text that has to pass a check; otherwise what was expected is told.
    Checked(fn(&str) -> Result<(), &'static str>),
    Boolean,
    /// Within bounds.
    Integer(i64, i64),
    /// A fraction, of single precision.
    Fraction,
    /// Bytes, at least so many; printed as a text.
    Size(i64),
    Duration,
    /// Permission bits; printed as octal text.
    Mode,
    /// A number, or `all`.
    Count,
}

/// What a mapping holds.
#[derive(Clone, Copy)]
pub(crate) enum Mapping {
    /// These, and extensions.
    Fields(&'static [Field]),
    /// These alone.
    Closed(&'static [Field]),
    /// Whatever the user names, with names of services and the like.
    Named(&'static Shape),
    /// Whatever keys.
    Keys(&'static Shape),
}

/// An attribute.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    /// Whether it has to be there.
    pub(crate) required: bool,
    /// Whether zero, false and empty are printed: they say something.
    pub(crate) keeps_zero: bool,
    /// What JSON shows of it beyond what is there.
    pub(crate) json: Json,
    /// Why it changes nothing here, if it does not.
    pub(crate) effect: Effect,
}

/// What the JSON of `config` shows beyond what is there. Scripts rely on it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Json {
    AsIs,
    /// `null` where it is not there.
    Null,
    /// `{}` where it is not there.
    Empty,
    /// Nothing, though it is there. COMPAT: docker compose forgets it, and scripts compare.
    Hidden,
    /// Nothing if it is empty, though YAML has to say so. COMPAT: docker compose prints what it then refuses to read.
    IfAny,
    /// Under another name.
    Renamed(&'static str),
}

/// Whether an attribute changes anything on one Linux host.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Effect {
    Full,
    /// Not yet.
    NotYet,
    /// Meaningful on a cluster only.
    Cluster,
    /// Meaningful on Windows only.
    Windows,
}

/// How two values of one attribute come together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Merge {
    /// Mappings by key, lists appended, single values replaced.
    Usual,
    /// The later one replaces the earlier one.
    Replace,
    /// Both as lists, a mapping as `KEY=value` by key; appended.
    List,
    /// As `List`; what is there already is not added.
    Hosts,
    /// A text is the `context` of a mapping.
    Build,
    /// A list is a mapping with these values.
    Names(Names),
    /// Options come together if the driver is the same.
    Logging,
    /// Items of one subnet come together.
    Subnets,
}

/// The value that a name of a list has in a mapping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Names {
    Nothing,
    Dependency,
}

impl Shape {
    const NONE: Self = Self {
        scalar: None,
        list: None,
        mapping: None,
        null: false,
        merge: Merge::Usual,
        unique: None,
        distinct: false,
        long: None,
        form: Form::AsIs,
    };

    pub(crate) const fn scalar(accepts: &'static [Written], value: Value) -> Self {
        Self { scalar: Some(Scalar { accepts, value }), ..Self::NONE }
    }

    pub(crate) const fn list(item: &'static Shape) -> Self {
        Self { list: Some(item), ..Self::NONE }
    }

    pub(crate) const fn fields(fields: &'static [Field]) -> Self {
        Self { mapping: Some(Mapping::Fields(fields)), ..Self::NONE }
    }

    pub(crate) const fn closed(fields: &'static [Field]) -> Self {
        Self { mapping: Some(Mapping::Closed(fields)), ..Self::NONE }
    }

    pub(crate) const fn keys(value: &'static Shape) -> Self {
        Self { mapping: Some(Mapping::Keys(value)), ..Self::NONE }
    }

    pub(crate) const fn named(value: &'static Shape) -> Self {
        Self { mapping: Some(Mapping::Named(value)), ..Self::NONE }
    }

    /// Or as this one may be written.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            scalar: if self.scalar.is_some() { self.scalar } else { other.scalar },
            list: if self.list.is_some() { self.list } else { other.list },
            mapping: if self.mapping.is_some() { self.mapping } else { other.mapping },
            null: self.null || other.null,
            ..self
        }
    }

    pub(crate) const fn or_null(self) -> Self {
        Self { null: true, ..self }
    }

    pub(crate) const fn merged(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }

    pub(crate) const fn unique(self, unique: Unique) -> Self {
        Self { unique: Some(unique), ..self }
    }

    pub(crate) const fn distinct(self) -> Self {
        Self { distinct: true, ..self }
    }

    pub(crate) const fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    pub(crate) const fn long(self, long: Long) -> Self {
        Self { long: Some(long), ..self }
    }

    /// What a key of this mapping holds.
    pub(crate) fn below(&self, key: &str) -> Option<&'static Shape> {
        match self.mapping? {
            Mapping::Fields(fields) | Mapping::Closed(fields) => find(fields, key).map(|(_, field)| field.shape),
            Mapping::Named(shape) | Mapping::Keys(shape) => Some(shape),
        }
    }
}

impl Field {
    pub(crate) const fn new(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, shape, required: false, keeps_zero: false, json: Json::AsIs, effect: Effect::Full }
    }

    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(crate) const fn keeps_zero(self) -> Self {
        Self { keeps_zero: true, ..self }
    }

    pub(crate) const fn json(self, json: Json) -> Self {
        Self { json, ..self }
    }

    pub(crate) const fn effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }
}

/// Finds a field, and its place in the table.
pub(crate) fn find(fields: &'static [Field], name: &str) -> Option<(usize, &'static Field)> {
    // Most names differ in length or in the first letter: that is told without a call.
    let first = name.as_bytes().first();
    let is_it = |field: &Field| field.name.len() == name.len() && field.name.as_bytes().first() == first && field.name == name;
    fields.iter().enumerate().find(|(_, field)| is_it(field))
}

const fn field(name: &'static str, shape: &'static Shape) -> Field {
    Field::new(name, shape)
}

use Written::{Boolean, Integer, Number, Text};

static TEXT: Shape = Shape::scalar(&[Text], Value::Text);
/// A text that may be written as a number.
static WORD: Shape = Shape::scalar(&[Text, Number], Value::Text);
static BOOLEAN: Shape = Shape::scalar(&[Boolean, Text], Value::Boolean);
static PLAIN_BOOLEAN: Shape = Shape::scalar(&[Boolean], Value::Boolean);
static INTEGER: Shape = Shape::scalar(&[Integer, Text], Value::Integer(i64::MIN, i64::MAX));
static COUNT: Shape = Shape::scalar(&[Integer, Text], Value::Integer(0, i64::MAX));
static NUMBER: Shape = Shape::scalar(&[Number, Text], Value::Integer(i64::MIN, i64::MAX));
static FRACTION: Shape = Shape::scalar(&[Number, Text], Value::Fraction);
static SIZE: Shape = Shape::scalar(&[Number, Text], Value::Size(i64::MIN));
static SIZE_TEXT: Shape = Shape::scalar(&[Text], Value::Size(i64::MIN));
static DURATION: Shape = Shape::scalar(&[Text], Value::Duration);
static MODE: Shape = Shape::scalar(&[Number, Text], Value::Mode);
static TEXTS: Shape = Shape::list(&TEXT);
static DISTINCT_TEXTS: Shape = Shape::list(&TEXT).distinct();
static TEXT_OR_TEXTS: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).distinct().form(Form::List);
const TEXT_SHAPE: Shape = Shape::scalar(&[Text], Value::Text);
/// A value of `KEY=value`.
static PAIR: Shape = Shape::scalar(&[Text, Number, Boolean], Value::Text).or_null();
/// `KEY=value`, as a list or a mapping.
static PAIRS: Shape = PAIRS_SHAPE;
const PAIRS_SHAPE: Shape =
    Shape::list(&TEXT).or(Shape::keys(&PAIR)).merged(Merge::List).unique(crate::unique::key).distinct().form(Form::Pairs);
/// As `PAIRS`; a name alone stands for what the environment says.
static ENVIRONMENT: Shape = PAIRS_SHAPE.form(Form::Environment);
static OPTIONS: Shape = Shape::keys(&OPTION);
static OPTION: Shape = Shape::scalar(&[Text, Number], Value::Text);
static COMMAND: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).or_null().merged(Merge::Replace).form(Form::Words);
static HOSTS: Shape = Shape::list(&TEXT).or(Shape::keys(&HOST)).merged(Merge::Hosts).distinct().form(Form::Hosts);
static HOST: Shape = Shape::list(&TEXT).or(TEXT_SHAPE).form(Form::List);
static ULIMITS: Shape = Shape::keys(&ULIMIT);
static ULIMIT: Shape = Shape::scalar(&[Integer, Text], Value::Integer(-1, i64::MAX))
    .or(Shape::fields(&[
        field("soft", &ULIMIT_VALUE).required().keeps_zero(),
        field("hard", &ULIMIT_VALUE).required().keeps_zero(),
    ]))
    .merged(Merge::Replace);
static ULIMIT_VALUE: Shape = Shape::scalar(&[Integer, Text], Value::Integer(-1, i64::MAX));
/// A config or secret that a service uses.
static FILE_REFERENCE: Shape = Shape::fields(&[
    field("source", &TEXT),
    field("target", &TEXT),
    field("uid", &TEXT),
    field("gid", &TEXT),
    field("mode", &MODE).keeps_zero(),
])
.or(TEXT_SHAPE)
.long(crate::canonical::file_reference);
