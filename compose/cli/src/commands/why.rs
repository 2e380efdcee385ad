//! `why`: why the containers of a service were created, started and stopped as they were.

mod story;

use std::collections::BTreeMap;

use rcompose_model::Project;
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{ContainerEvent, ContainerSummary, EventsRequest};
use serde_json::json;

use super::{check_names, ps};
use crate::arguments::Why;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, words};
use crate::settings::World;
use story::{Chapter, tell};

pub(crate) async fn why(world: &World, arguments: Why) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, std::slice::from_ref(&arguments.service))?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let mut containers = ps::containers(&mut client, &name).await?;
    containers.retain(|it| it.service == arguments.service && it.number > 0);
    let events = events(&mut client, &name, &arguments.service).await?;
    let mut chapters = tell(&events, arguments.all);
    if let Some(project) = &project {
        chapters.iter_mut().for_each(|chapter| find_policy(chapter, project, &arguments.service));
    }
    if chapters.is_empty() && containers.is_empty() {
        let text = format!("nothing is known of service \"{}\" of project \"{name}\": it was never created", arguments.service);
        return Err(CommandError::Usage(text));
    }
    if arguments.format == "json" {
        output::print(&chapters.iter().map(record).collect::<String>())?;
    } else {
        output::print(&text(&chapters, &containers, world))?;
    }
    Ok(Exit::Success)
}

async fn events(client: &mut Client, project: &str, service: &str) -> Result<Vec<ContainerEvent>, CommandError> {
    let request = EventsRequest {
        project: Some(project.to_owned()),
        services: vec![service.to_owned()],
        until: i64::try_from(jiff::Timestamp::now().as_nanosecond()).ok(),
        ..EventsRequest::default()
    };
    let mut stream = client.stream("/v1/events", &request).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await? {
        events.push(event);
    }
    Ok(events)
}

/// The line of a restart policy is in the files; the container itself does not know it.
fn find_policy(chapter: &mut Chapter, project: &Project, service: &str) {
    if let Some(why) = chapter.why.as_mut().filter(|why| why.by == rcompose_supervisor::messages::Why::POLICY) {
        why.place = project.origins.find(&format!("services.{service}.restart")).cloned();
    }
}

/// The shape is kept; fields are only added.
fn record(chapter: &Chapter) -> String {
    let why = chapter.why.as_ref();
    let object = json!({
        "action": chapter.action.word(),
        "by": why.map(|why| &why.by),
        "container": chapter.name,
        "detail": chapter.detail,
        "event": chapter.event,
        "id": chapter.container,
        "number": chapter.number,
        "place": why.and_then(|why| why.place.as_ref()).map(ToString::to_string),
        "reason": why.map(|why| &why.reason),
        "time": time(chapter).to_string(),
    });
    format!("{object}\n")
}

fn text(chapters: &[Chapter], containers: &[ContainerSummary], world: &World) -> String {
    let mut replicas: BTreeMap<u32, Vec<&Chapter>> = BTreeMap::new();
    for chapter in chapters {
        replicas.entry(chapter.number).or_default().push(chapter);
    }
    for container in containers {
        replicas.entry(container.number).or_default();
    }
    let mut text = String::new();
    for (number, chapters) in replicas {
        let container = containers.iter().find(|it| it.number == number);
        let name = container.map(|it| &it.name).or(chapters.last().map(|chapter| &chapter.name));
        let state = container.map_or_else(|| "is not there any more".to_owned(), ps::status);
        text.push_str(&format!("{}: {state}\n", name.map_or("", String::as_str)));
        chapters.iter().for_each(|chapter| text.push_str(&line(chapter, world)));
        if let Some(failure) = container.and_then(|it| it.failure.as_ref()) {
            text.push_str(&format!("  could not be started: {}\n", crate::error::plain(failure)));
        }
    }
    text
}

fn line(chapter: &Chapter, world: &World) -> String {
    let local = time(chapter).to_zoned(jiff::tz::TimeZone::system());
    let reason = match &chapter.why {
        Some(why) if why.by == rcompose_supervisor::messages::Why::POLICY => why.reason.clone(),
        Some(why) => format!("by `{}`: {}", why.by, why.reason),
        None => String::new(),
    };
    let place = chapter.why.as_ref().and_then(|why| why.place.as_ref());
    let place = place.map(|place| format!(" ({})", words::place_from(place, &world.working_dir))).unwrap_or_default();
    let what = [chapter.detail.clone(), reason].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let line = format!("  {:<9}  {}  {what}{place}", chapter.action.word(), local.strftime("%Y-%m-%d %H:%M:%S"));
    format!("{}\n", line.trim_end())
}

fn time(chapter: &Chapter) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(i128::from(chapter.time)).unwrap_or_default()
}
