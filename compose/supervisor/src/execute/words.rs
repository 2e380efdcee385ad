//! What operations are called while they run, and when they are done.

use rcompose_plan::{ContainerRef, Operation};

/// The resource of an operation, and the words for it while it runs and when it is done.
pub(super) fn words(operation: &Operation) -> (String, &'static str, &'static str) {
    let container = |it: &ContainerRef| format!("Container {}", it.name);
    match operation {
        // An image that is there is not worth a line.
        Operation::EnsureImage { reference, .. } | Operation::BuildImage { reference, .. } => {
            (format!("Image {reference}"), "", "")
        }
        Operation::PushImage { reference } => (format!("Image {reference}"), "Pushing", "Pushed"),
        Operation::CreateNetwork { name, .. } => (format!("Network {name}"), "Creating", "Created"),
        Operation::RemoveNetwork { name } => (format!("Network {name}"), "Removing", "Removed"),
        Operation::CreateVolume { name, .. } => (format!("Volume {name}"), "Creating", "Created"),
        Operation::RemoveVolume { name } => (format!("Volume {name}"), "Removing", "Removed"),
        Operation::RemoveImage { reference } => (format!("Image {reference}"), "Removing", "Removed"),
        Operation::CreateContainer { replaces: Some(old), .. } => (container(old), "Recreate", "Recreated"),
        Operation::CreateContainer { name, .. } => (format!("Container {name}"), "Creating", "Created"),
        Operation::CreateOneOff { one_off, .. } => (format!("Container {}", one_off.name), "Creating", "Created"),
        Operation::RenameContainer { container: it, .. } => (container(it), "", ""),
        Operation::Prepare { container: it, .. } => (format!("Service {}", it.service), "Preparing", "Prepared"),
        Operation::StartContainer { container: it, .. } => (container(it), "Starting", "Started"),
        Operation::StopContainer { container: it, .. } => (container(it), "Stopping", "Stopped"),
        Operation::KillContainer { container: it, .. } => (container(it), "Killing", "Killed"),
        Operation::PauseContainer { container: it } => (container(it), "", "Paused"),
        Operation::UnpauseContainer { container: it } => (container(it), "", "Unpaused"),
        Operation::RemoveContainer { container: it, .. } => (container(it), "Removing", "Removed"),
        Operation::Await { service, .. } => (format!("Service {service}"), "", ""),
    }
}
