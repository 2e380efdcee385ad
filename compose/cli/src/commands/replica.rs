//! Which container of a service a command is about.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::ContainerSummary;

use super::ps;
use crate::error::CommandError;

/// The containers of a service, lowest number first; those that `run` has made only if they are wanted, and last.
///
/// # Errors
/// There is none.
pub(super) async fn of_service(
    client: &mut Client,
    project: &str,
    service: &str,
    with_one_offs: bool,
) -> Result<Vec<ContainerSummary>, CommandError> {
    let mut all = ps::containers(client, project).await?;
    all.retain(|it| it.service == service && (with_one_offs || it.number > 0));
    all.sort_by_key(|it| (it.number == 0, it.number));
    if all.is_empty() { Err(CommandError::Usage(format!("no container found for service \"{service}\""))) } else { Ok(all) }
}

/// The container of a service with a number; of 0 the first.
pub(super) async fn one(client: &mut Client, project: &str, service: &str, index: u32) -> Result<ContainerSummary, CommandError> {
    let all = of_service(client, project, service, false).await?;
    let found = all.into_iter().find(|it| index == 0 || it.number == index);
    found.ok_or_else(|| CommandError::Usage(format!("no container #{index} found for service \"{service}\"")))
}
