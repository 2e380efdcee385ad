//! `top`.

use rcompose_supervisor::client::{Client, ClientError};
use rcompose_supervisor::messages::{ContainerSummary, ProcessSummary};

use super::{check_names, ps};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Table};
use crate::settings::World;

pub(crate) async fn top(world: &World, services: &[String]) -> Result<Exit, CommandError> {
    let (name, project) = world.name()?;
    if let Some(project) = &project {
        check_names(project, services)?;
    }
    let mut client = Client::connect(&world.supervisor).await?;
    let mut table = Table::new(&["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let users = Users::of_this_machine();
    let mut rows = 0;
    for it in ps::containers(&mut client, &name).await? {
        let wanted = services.is_empty() || services.contains(&it.service);
        if !wanted || !matches!(it.state.as_str(), "running" | "paused") {
            continue;
        }
        let processes: Result<Vec<ProcessSummary>, _> = client.get(&format!("/v1/containers/{}/processes", it.id)).await;
        let processes = match processes {
            // One that ended between the two questions has none.
            Err(ClientError::Refused(_)) => Vec::new(),
            other => other?,
        };
        rows += processes.len();
        processes.into_iter().for_each(|process| table.row(row(&it, process, &users)));
    }
    if rows > 0 {
        output::print(&table.render())?;
    }
    Ok(Exit::Success)
}

fn row(container: &ContainerSummary, process: ProcessSummary, users: &Users) -> Vec<String> {
    let time = process.cpu_time;
    vec![
        container.service.clone(),
        container.number.to_string(),
        users.name(process.uid),
        process.pid.to_string(),
        process.parent.to_string(),
        process.cpu_percent.to_string(),
        start_time(process.started),
        process.terminal,
        format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60),
        process.command,
    ]
}

/// As ps(1): the time of day, or the day if it was another one.
fn start_time(seconds: i64) -> String {
    let zone = jiff::tz::TimeZone::system();
    let local = |time: jiff::Timestamp| time.to_zoned(zone.clone());
    let started = local(jiff::Timestamp::from_second(seconds).unwrap_or_default());
    let same_day = started.date() == local(jiff::Timestamp::now()).date();
    started.strftime(if same_day { "%H:%M" } else { "%b%d" }).to_string()
}

/// Names of the host's users: a process's number is the host's.
struct Users(String);

impl Users {
    fn of_this_machine() -> Self {
        Self(std::fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    fn name(&self, uid: u32) -> String {
        let number = uid.to_string();
        let named = self.0.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1) == Some(&number)).then(|| name.to_owned())
        });
        named.unwrap_or(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_where_the_host_knows_them() {
        let users = Users("root:x:0:0:root:/root:/bin/sh\nmail:x:8:8::/:/bin/false\n".to_owned());
        assert_eq!((users.name(8), users.name(999)), ("mail".to_owned(), "999".to_owned()));
    }
}
