//! `logs`.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{LogEvent, LogsRequest};

use super::{check_names, or_interrupted, ps};
use crate::arguments::Logs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::LogPrinter;
use crate::settings::World;

pub(crate) async fn logs(world: &World, arguments: Logs) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, &arguments.services)?;
    }
    let tail = match arguments.tail.as_str() {
        "all" => None,
        number => Some(
            number.parse().map_err(|_| CommandError::Usage(format!("invalid --tail `{number}`: expected a number or `all`")))?,
        ),
    };
    let request = LogsRequest {
        project: name.clone(),
        services: arguments.services,
        follow: arguments.follow,
        tail,
        since: arguments.since.as_deref().map(moment).transpose()?,
        until: arguments.until.as_deref().map(moment).transpose()?,
        until_ended: true,
    };
    let mut client = Client::connect(&world.supervisor).await?;
    let mut printer = LogPrinter::new(&world.global, &name, arguments.no_color, !arguments.no_log_prefix, arguments.timestamps);
    for container in ps::containers(&mut client, &name).await? {
        if request.services.is_empty() || request.services.contains(&container.service) {
            printer.expect(&container.name);
        }
    }
    let mut lines = client.stream("/v1/logs", &request).await?;
    or_interrupted(async {
        while let Some(event) = lines.next::<LogEvent>().await? {
            match event {
                LogEvent::Line { container, time, text, .. } => printer.line(&container, time, &text)?,
                LogEvent::Exited { container, code, restarting, .. } => printer.ended(&container, code, restarting)?,
            }
        }
        Ok(Exit::Success)
    })
    .await
}

/// A time, or how long ago: nanoseconds since 1970.
fn moment(text: &str) -> Result<i64, CommandError> {
    let invalid =
        || CommandError::Usage(format!("invalid time `{text}`: expected RFC 3339, seconds since 1970, or how long ago (`10m`)"));
    let nanoseconds = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).map_err(|_| invalid());
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return nanoseconds(time);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000_000_000).ok_or_else(invalid);
    }
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(invalid)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(invalid()),
    };
    let ago = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(invalid)?;
    let now = jiff::Timestamp::now().as_second();
    (now - ago).checked_mul(1_000_000_000).ok_or_else(invalid)
}
