//! `plan`: what `up` would do, and why.

use rcompose_plan::{Change, Fate, Kind};
use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::{Action, Event, UpOptions};
use serde_json::json;

use super::{apply_request, up};
use crate::arguments::Plan;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, words};
use crate::settings::World;

/// Shows the plan; the exit code tells whether it is empty.
pub(crate) async fn plan(world: &World, arguments: Plan) -> Result<Exit, CommandError> {
    // Looking asks no questions.
    let project = world.project(&arguments.services)?;
    let options = UpOptions {
        services: arguments.services,
        no_deps: arguments.no_deps,
        force_recreate: arguments.force_recreate,
        no_recreate: arguments.no_recreate,
        always_recreate_deps: arguments.always_recreate_deps,
        remove_orphans: arguments.remove_orphans,
        ignore_orphans: arguments.ignore_orphans,
        scale: up::scale(&arguments.scale)?,
        build: up::build_when(arguments.build, false),
        ..UpOptions::default()
    };
    let name = project.name.clone();
    let mut request = apply_request(world, "plan", &name, Some(project), Action::Up(options));
    request.dry_run = true;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut events = client.stream("/v1/apply", &request).await?;
    let mut changes = Vec::new();
    while let Some(event) = events.next::<Event>().await? {
        match event {
            Event::Plan { changes: found, .. } => changes = found,
            Event::Warning { text } => output::warn_text(&text),
            Event::Failed(failure) => return Err(CommandError::Failed(failure)),
            _ => {}
        }
    }
    let pending = changes.iter().any(|change| change.fate != Fate::Keep);
    let json = arguments.format == "json";
    output::print(&if json { document(&changes, pending) } else { text(&changes, world) })?;
    Ok(if pending { Exit::Pending } else { Exit::Success })
}

/// The shape is kept; fields are only added.
fn document(changes: &[Change], pending: bool) -> String {
    let object = |it: &Change| {
        json!({
            "kind": it.kind,
            "name": it.name,
            "service": it.service,
            "action": it.fate,
            "reason": it.cause.as_ref().map(|cause| cause.reason.to_string()),
            "place": it.cause.as_ref().and_then(|cause| cause.place.as_ref()).map(ToString::to_string),
        })
    };
    let changes: Vec<serde_json::Value> = changes.iter().map(object).collect();
    format!("{}\n", json!({ "version": 1, "pending": pending, "changes": changes }))
}

/// What changes first, then what stays.
fn text(changes: &[Change], world: &World) -> String {
    let colours = output::stdout_has_colours(&world.global);
    let (kept, changed): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(|change| change.fate == Fate::Keep);
    let named = |it: &Change| format!("{} {}", kind(it.kind), it.name);
    let width = changes.iter().map(|it| named(it).chars().count()).max().unwrap_or(0);
    let mut lines = String::new();
    for change in changed.iter().chain(&kept) {
        let (mark, word, colour) = look(change.fate);
        let reason = change.cause.as_ref().map(|cause| {
            let place = cause.place.as_ref().map(|place| format!(" ({})", words::place_from(place, &world.working_dir)));
            format!("{}{}", cause.reason, place.unwrap_or_default())
        });
        let head = output::painted(&format!("{mark} {word:<8}"), colour, colours);
        let body = format!("  {:<width$}   {}", named(change), reason.unwrap_or_default());
        lines.push_str(&format!("{head}{}\n", body.trim_end()));
    }
    lines + &summary(&changed, kept.len())
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "image",
        Kind::Network => "network",
        Kind::Volume => "volume",
        Kind::Container => "container",
    }
}

/// Mark, word and colour.
fn look(fate: Fate) -> (&'static str, &'static str, &'static str) {
    match fate {
        Fate::Pull => ("+", "pull", "32"),
        Fate::Build => ("+", "build", "32"),
        Fate::Create => ("+", "create", "32"),
        Fate::Recreate => ("~", "recreate", "33"),
        Fate::Restart => ("~", "restart", "33"),
        Fate::Start => ("+", "start", "32"),
        Fate::Stop => ("-", "stop", "31"),
        Fate::Remove => ("-", "remove", "31"),
        Fate::Keep => ("=", "keep", "2"),
    }
}

/// `1 to create, 1 to recreate; 3 stay as they are`.
fn summary(changed: &[&Change], kept: usize) -> String {
    let stay = match kept {
        0 => String::new(),
        1 => "1 stays as it is".to_owned(),
        kept => format!("{kept} stay as they are"),
    };
    if changed.is_empty() {
        return if kept == 0 { "\nNothing to do.\n".to_owned() } else { format!("\nNothing to do: {stay}.\n") };
    }
    let mut fates: Vec<Fate> = changed.iter().map(|change| change.fate).collect();
    fates.sort_unstable();
    let counts = fates.chunk_by(|one, other| one == other).map(|same| format!("{} to {}", same.len(), look(same[0]).1));
    let counts = counts.collect::<Vec<_>>().join(", ");
    if kept == 0 { format!("\n{counts}.\n") } else { format!("\n{counts}; {stay}.\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_up_in_one_line() {
        let change = |fate| Change { kind: Kind::Container, name: "a".to_owned(), service: None, fate, cause: None };
        let all = [change(Fate::Recreate), change(Fate::Create), change(Fate::Create)];
        let all: Vec<&Change> = all.iter().collect();
        assert_eq!(summary(&all, 1), "\n2 to create, 1 to recreate; 1 stays as it is.\n");
        assert_eq!(summary(&all[..1], 0), "\n1 to recreate.\n");
        assert_eq!(summary(&[], 3), "\nNothing to do: 3 stay as they are.\n");
    }
}
