//! What follows when a file changes.

use crate::decode::reader::Section;
use crate::node::Node;
use crate::project::{Service, WatchAction, WatchRule};

pub(super) fn decode(section: &Section<'_>, service: &mut Service) {
    if let Some(develop) = section.below("develop") {
        service.watch = develop.items("watch").iter().filter_map(rule).collect();
    }
}

/// What is not there was told before.
fn rule(node: &Node) -> Option<WatchRule> {
    let entry = Section::new(node, "watch");
    let action = match entry.string("action")?.as_str() {
        "sync" => WatchAction::Sync,
        "restart" => WatchAction::Restart,
        "sync+restart" => WatchAction::SyncRestart,
        "sync+exec" => WatchAction::SyncExec,
        _ => WatchAction::Rebuild,
    };
    Some(WatchRule {
        path: entry.string("path")?.into(),
        action,
        target: entry.string("target"),
        ignore: entry.strings("ignore"),
        include: entry.strings("include"),
        // Its older name is an extension.
        initial_sync: entry.flag("initial_sync") || entry.flag("x-initialSync"),
        exec: entry.below("exec").map(|hook| super::lifecycle::hook(&hook)),
    })
}
