//! `events`: what happens to containers, as it happens.

use std::collections::BTreeMap;

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{ContainerEvent, EventsRequest};
use serde_json::json;

use super::{check_names, logs, or_interrupted};
use crate::arguments::Events;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::settings::World;

pub(crate) async fn events(world: &World, arguments: Events) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let request = EventsRequest {
        project: Some(name),
        services: arguments.services,
        since: arguments.since.as_deref().map(logs::moment).transpose()?,
        until: arguments.until.as_deref().map(logs::moment).transpose()?,
        ..EventsRequest::default()
    };
    or_interrupted(follow(world, request, arguments.json)).await
}

/// Shows events until their time is over; when the supervisor goes, its successor is asked for those after the last one.
async fn follow(world: &World, mut request: EventsRequest, json: bool) -> Result<Exit, CommandError> {
    let begin = jiff::Timestamp::now();
    loop {
        let mut client = Client::connect(&world.supervisor).await?;
        let mut events = client.stream("/v1/events", &request).await?;
        loop {
            match events.next::<ContainerEvent>().await {
                Ok(Some(event)) => {
                    output::print(&if json { record(&event) } else { line(&event) })?;
                    request.after = Some(event.id);
                }
                Ok(None) if request.until.is_some() => return Ok(Exit::Success),
                Ok(None) | Err(ClientError::Connection(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if request.since.is_none() && request.after.is_none() {
            request.since = i64::try_from(begin.as_nanosecond()).ok();
        }
    }
}

/// In docker compose's shape, with the event's own id and its reason beside it.
fn record(event: &ContainerEvent) -> String {
    let mut object = json!({
        "action": event.what.word(),
        "attributes": event.attributes(),
        "event": event.id,
        "id": event.container,
        "service": event.service,
        "time": time(event).to_string(),
        "type": "container",
    });
    if let Some(why) = &event.why {
        object["why"] = json!({ "by": why.by, "reason": why.reason, "place": why.place.as_ref().map(ToString::to_string) });
    }
    format!("{object}\n")
}

fn line(event: &ContainerEvent) -> String {
    let attributes: BTreeMap<String, String> = event.attributes();
    let attributes: Vec<String> = attributes.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let local = time(event).to_zoned(jiff::tz::TimeZone::system());
    let text = format!(
        "{} container {} {} ({})",
        local.strftime("%Y-%m-%d %H:%M:%S.%6f"),
        event.what.word(),
        event.container,
        attributes.join(", ")
    );
    // What a stranger named is not to move the cursor, and an event is one line.
    let clean: String = text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect();
    format!("{clean}\n")
}

fn time(event: &ContainerEvent) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(event.time)).unwrap_or_default()
}
