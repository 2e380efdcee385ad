//! `config --variables`: what the files ask for, where they ask, where it was set, and what that shadows.

use rcompose_model::variables::{Declared, Source, Variable, declared};
use rcompose_model::{Model, Place};
use serde_json::{Map, Value, json};

use super::load;
use crate::arguments::Config;
use crate::error::CommandError;
use crate::output::Table;
use crate::settings::World;

pub(super) fn variables(world: &World, arguments: &Config) -> Result<String, CommandError> {
    let model = load(world, arguments, true)?;
    let declared = declared(&model.tree);
    if arguments.format.as_deref() == Some("json") {
        let record = |(name, it): (&String, &Declared)| (name.clone(), record(name, it));
        return Ok(format!("{:#}\n", Value::Object(declared.iter().map(record).collect::<Map<_, _>>())));
    }
    let mut table =
        Table::new(&["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE", "VALUE", "SET BY", "SHADOWS", "USED AT"]);
    for (name, it) in &declared {
        let set = model.variables.variable(name);
        table.row(vec![
            name.clone(),
            it.required.to_string(),
            it.default.clone(),
            it.alternate.clone(),
            set.map_or_else(|| "(not set)".to_owned(), |set| masked(name, &set.value)),
            set.map_or_else(String::new, |set| source(&model, &set.source)),
            set.map_or_else(String::new, |set| shadowed(&model, name, set)),
            it.uses.iter().map(|place| short(&model, place)).collect::<Vec<_>>().join(", "),
        ]);
    }
    Ok(table.render())
}

/// As docker compose gives it.
fn record(name: &str, it: &Declared) -> Value {
    json!({"Name": name, "DefaultValue": it.default, "PresenceValue": it.alternate, "Required": it.required})
}

fn shadowed(model: &Model, name: &str, set: &Variable) -> String {
    let shown = |(from, value): &(Source, String)| format!("{} ({})", source(model, from), masked(name, value));
    set.shadowed.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn source(model: &Model, source: &Source) -> String {
    match source {
        Source::File(place) => {
            let path = place.file.strip_prefix(&model.directory).unwrap_or(&place.file);
            format!("{}:{}", path.display(), place.line)
        }
        other => other.to_string(),
    }
}

fn short(model: &Model, place: &Place) -> String {
    let path = place.file.strip_prefix(&model.directory).unwrap_or(&place.file);
    format!("{}:{}:{}", path.display(), place.line, place.column)
}

/// A value, unless its name says that it is a secret.
fn masked(name: &str, value: &str) -> String {
    const SECRETS: [&str; 8] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE", "PWD_", "AUTH"];
    let name = name.to_ascii_uppercase();
    if !value.is_empty() && SECRETS.iter().any(|word| name.contains(word)) { "****".to_owned() } else { value.to_owned() }
}
