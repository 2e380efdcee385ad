//! `image history`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{HistoryStep, Named};
use serde_json::json;

use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::words::{ago_text, bytes, short_id};
use crate::output::{self, Format, Listing, Row};

const STEPS: [(&str, &str); 5] =
    [("IMAGE", "ID"), ("CREATED", "CreatedSince"), ("CREATED BY", "CreatedBy"), ("SIZE", "Size"), ("COMMENT", "Comment")];
/// Letters of a command that a table shows.
const COMMAND: usize = 45;

pub(super) async fn history(
    client: &mut Client,
    name: String,
    quiet: bool,
    whole: bool,
    format: &str,
) -> Result<Exit, CommandError> {
    let format = Format::parse(format)?;
    let steps: Vec<HistoryStep> = client.post("/v1/images/history", &Named { name, force: false }).await?;
    let id = |step: &HistoryStep| match &step.id {
        Some(id) if whole => id.clone(),
        Some(id) => short_id(id),
        None => "<missing>".to_owned(),
    };
    if quiet {
        steps.iter().try_for_each(|step| output::print(&format!("{}\n", id(step))))?;
        return Ok(Exit::Success);
    }
    let rows = steps.iter().map(|step| {
        let command = step.created_by.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut = !whole && command.chars().count() > COMMAND;
        let command = if cut { command.chars().take(COMMAND - 1).chain(['\u{2026}']).collect() } else { command };
        Row::from(json!({
            "ID": id(step),
            "CreatedAt": step.created.clone().unwrap_or_default(),
            "CreatedSince": ago_text(step.created.as_deref()),
            "CreatedBy": command,
            "Size": bytes(step.size),
            "Comment": step.comment,
        }))
    });
    Listing::new(&STEPS, rows.collect()).print(&format)?;
    Ok(Exit::Success)
}
