//! Progress as records: one JSON object a line, of version 1. Fields are added, never changed.

use rcompose_supervisor::messages::{Event, ProgressStatus};
use serde_json::{Value, json};

use super::transfer;

/// The version of the records, which each names.
const VERSION: u32 = 1;

/// What an event is written as; `None` if it says nothing of a resource.
pub(super) fn record(event: &Event, dry_run: bool) -> Option<Value> {
    let percent = |done: u64, total: u64| done.saturating_mul(100).checked_div(total).unwrap_or(100);
    let mut record = match event {
        Event::Progress { id, text, status } => json!({ "id": id, "status": status, "text": text }),
        Event::Detail { id, text } => json!({ "id": id, "status": ProgressStatus::Working, "details": text }),
        Event::Hook { prefix, text } => json!({ "hook": prefix, "text": text }),
        Event::Transfer { id, done, total } => json!({
            "id": id, "status": ProgressStatus::Working, "text": transfer(*done, *total),
            "current": done, "total": total, "percent": percent(*done, *total),
        }),
        Event::Layer { id, layer, text, status, done, total } => json!({
            "id": layer, "parent_id": id, "status": status, "text": text,
            "current": done, "total": total, "percent": percent(*done, *total),
        }),
        Event::Build { service, what } => json!({ "service": service, "build": what }),
        Event::Warning { text } => json!({ "level": "warning", "msg": text }),
        Event::Plan { .. } | Event::Made { .. } | Event::Image { .. } | Event::Done | Event::Failed(_) => return None,
    };
    record["version"] = VERSION.into();
    if !matches!(event, Event::Warning { .. }) {
        record["dry-run"] = dry_run.into();
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_fields_of_docker_compose_and_a_version() {
        let event = Event::Progress { id: "Network a".to_owned(), text: "Created".to_owned(), status: ProgressStatus::Done };
        assert_eq!(
            record(&event, false).unwrap().to_string(),
            r#"{"dry-run":false,"id":"Network a","status":"Done","text":"Created","version":1}"#
        );
        let event = Event::Layer {
            id: "Image a".to_owned(),
            layer: "0123".to_owned(),
            text: "Downloading".to_owned(),
            status: ProgressStatus::Working,
            done: 50,
            total: 200,
        };
        assert_eq!(
            record(&event, true).unwrap().to_string(),
            "{\"current\":50,\"dry-run\":true,\"id\":\"0123\",\"parent_id\":\"Image a\",\"percent\":25,\"status\":\"Working\",\
             \"text\":\"Downloading\",\"total\":200,\"version\":1}"
        );
        let warning = Event::Warning { text: "w".to_owned() };
        assert_eq!(record(&warning, true).unwrap().to_string(), r#"{"level":"warning","msg":"w","version":1}"#);
    }
}
