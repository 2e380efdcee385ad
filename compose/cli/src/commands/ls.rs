//! `ls`: the projects.

use rcompose_supervisor::client::Client;
use rcompose_supervisor::messages::ProjectSummary;
use regex_lite::Regex;
use serde_json::json;

use super::filter::Filters;
use crate::arguments::Ls;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{self, Table};
use crate::settings::World;

pub(crate) async fn ls(world: &World, arguments: &Ls) -> Result<Exit, CommandError> {
    let filters = Filters::parse(&arguments.filter, &["name"])?;
    let patterns = filters.patterns("name")?;
    let mut client = Client::connect(&world.supervisor).await?;
    let mut projects: Vec<ProjectSummary> = client.get("/v1/projects").await?;
    projects.retain(|project| {
        let runs = ["running", "paused", "restarting"].iter().any(|state| project.status.contains(state));
        let named = patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_match(&project.name));
        (arguments.all || runs) && named
    });
    output::print(&text(&projects, arguments))?;
    Ok(Exit::Success)
}

fn text(projects: &[ProjectSummary], arguments: &Ls) -> String {
    if arguments.quiet {
        return projects.iter().map(|project| format!("{}\n", project.name)).collect();
    }
    if arguments.format == "json" {
        let object = |it: &ProjectSummary| json!({ "Name": it.name, "Status": it.status, "ConfigFiles": it.config_files });
        return format!("{}\n", projects.iter().map(object).collect::<serde_json::Value>());
    }
    let mut table = Table::new(&["NAME", "STATUS", "CONFIG FILES"]);
    projects.iter().for_each(|it| table.row(vec![it.name.clone(), it.status.clone(), it.config_files.clone()]));
    table.render()
}

impl Filters {
    fn patterns(&self, key: &str) -> Result<Vec<Regex>, CommandError> {
        let pattern = |text: &String| {
            Regex::new(text).map_err(|error| CommandError::Usage(format!("invalid filter `{key}={text}`: {error}")))
        };
        self.values(key).iter().map(pattern).collect()
    }
}
