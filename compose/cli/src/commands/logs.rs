//! `logs`.

use futures_util::FutureExt;
use rcompose_supervisor::client::{Client, Lines};
use rcompose_supervisor::messages::{LogEvent, LogsRequest};

use super::{check_names, or_interrupted, ps};
use crate::arguments::Logs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{LogForm, LogPrinter, Piece};
use crate::settings::World;
use crate::terminal::Stream;

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
    if arguments.index > 0 && arguments.services.len() != 1 {
        return Err(CommandError::Usage("`--index` needs the name of one service".to_owned()));
    }
    // A service that is not attached to is not shown either, unless it is asked for.
    let services = match &project {
        Some(project) if arguments.services.is_empty() && project.services.values().any(|service| !service.attach) => {
            project.services.values().filter(|service| service.attach).map(|service| service.name.clone()).collect()
        }
        _ => arguments.services,
    };
    let request = LogsRequest {
        project: name.clone(),
        services,
        index: arguments.index,
        follow: arguments.follow,
        tail,
        since: arguments.since.as_deref().map(moment).transpose()?,
        until: arguments.until.as_deref().map(moment).transpose()?,
        until_ended: true,
        cards: false,
    };
    let mut client = Client::connect(&world.supervisor).await?;
    let (no_color, prefix, timestamps) = (arguments.no_color, !arguments.no_log_prefix, arguments.timestamps);
    let mut printer = LogPrinter::new(&world.global, &name, LogForm { no_color, prefix, timestamps });
    for container in ps::containers(&mut client, &name).await? {
        let wanted = request.services.is_empty() || request.services.contains(&container.service);
        if wanted && (request.index == 0 || request.index == container.number) {
            printer.expect(&container.name);
        }
    }
    let mut lines = client.stream("/v1/logs", &request).await?;
    or_interrupted(async {
        // What comes at once is written at once.
        while let Some(event) = next_or_idle(&mut lines, || printer.flush()).await? {
            match event {
                LogEvent::Line { container, time, text, .. } => {
                    printer.line(Piece { container: &container, time, text: &text, to: Stream::Stdout })?;
                }
                LogEvent::Exited { container, code, restarting, .. } => printer.ended(&container, code, restarting),
                LogEvent::Failed(_) => {}
            }
        }
        printer.flush()?;
        Ok(Exit::Success)
    })
    .await
}

/// The next event; `idle` is called before it is waited for.
///
/// # Cancel safety
/// What has been read of a line stays in the stream's buffer.
pub(crate) async fn next_or_idle(
    lines: &mut Lines,
    idle: impl FnOnce() -> Result<(), CommandError>,
) -> Result<Option<LogEvent>, CommandError> {
    if let Some(ready) = lines.next().now_or_never() {
        return Ok(ready?);
    }
    idle()?;
    Ok(lines.next().await?)
}

/// A time, or how long ago: nanoseconds since 1970.
pub(super) fn moment(text: &str) -> Result<i64, CommandError> {
    let invalid = || {
        let forms = "expected a time (2026-01-02T15:04:05Z, 2026-01-02), seconds since 1970, or how long ago (1h30m)";
        CommandError::Usage(format!("invalid time `{text}`: {forms}"))
    };
    let nanoseconds = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).map_err(|_| invalid());
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return nanoseconds(time);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let time = jiff::SignedDuration::try_from_secs_f64(seconds).ok().and_then(|it| jiff::Timestamp::from_duration(it).ok());
        return nanoseconds(time.ok_or_else(invalid)?);
    }
    if let Ok(local) = text.parse::<jiff::civil::DateTime>() {
        let zoned = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|_| invalid())?;
        return nanoseconds(zoned.timestamp());
    }
    let ago = duration(text).ok_or_else(invalid)?;
    nanoseconds(jiff::Timestamp::now().checked_sub(ago).map_err(|_| invalid())?)
}

/// Reads `1h30m`, `1.5h`, `10ms`.
fn duration(text: &str) -> Option<jiff::SignedDuration> {
    let mut total = jiff::SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        let after = &rest[unit_at..];
        let unit_length = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let seconds = match &after[..unit_length] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(jiff::SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &after[unit_length..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_go_writes_them() {
        for (text, milliseconds) in [("1h30m", 5_400_000), ("1.5h", 5_400_000), ("250ms", 250), ("2d", 172_800_000)] {
            assert_eq!(duration(text).map(|it| it.as_millis()), Some(milliseconds), "{text}");
        }
        for text in ["", "h", "1", "1x", "-1h", "1h 2m"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn reads_times_in_every_form() {
        let second = 1_000_000_000;
        assert_eq!(moment("1970-01-01T00:00:10Z").unwrap(), 10 * second);
        assert_eq!(moment("10.5").unwrap(), 10 * second + second / 2);
        assert!(moment("2026-01-02").is_ok() && moment("2026-01-02T10:00:00").is_ok());
        assert!(moment("yesterday").is_err());
    }
}
