//! `alpha viz`: DOT of the files alone, in the shape that `docker compose` gives it.

use rcompose_model::Project;
use rcompose_model::project::Service;

use super::svg::escaped;
use crate::arguments::Viz;

pub(super) fn draw(project: &Project, arguments: &Viz) -> String {
    let indent = if arguments.spaces { " " } else { "\t" }.repeat(arguments.indentation_size);
    let mut text = format!("digraph \"{}\" {{\n{indent}layout=dot;\n", project.name);
    for service in project.services.values() {
        let label = format!("<font point-size=\"15\">{}</font>{}", service.name, details(service, arguments));
        text.push_str(&format!("{indent}\"{}\" [style=\"filled\" label=<{label}>];\n", service.name));
    }
    text.push('\n');
    for service in project.services.values() {
        for dependency in service.depends_on.keys().filter(|name| project.services.contains_key(*name)) {
            text.push_str(&format!("{indent}\"{}\" -> \"{dependency}\";\n", service.name));
        }
    }
    text.push_str("}\n");
    text
}

fn details(service: &Service, arguments: &Viz) -> String {
    let mut text = String::new();
    let mut add = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines: String = lines.iter().map(|line| format!("<br/>{}", escaped(line))).collect();
            text.push_str(&format!("<font point-size=\"10\"><br/><br/><b>{title}:</b>{lines}</font>"));
        }
    };
    if arguments.networks {
        add("Networks", service.networks.keys().cloned().collect());
    }
    if arguments.ports {
        add("Ports", service.ports.iter().map(port).collect());
    }
    if arguments.image {
        add("Image", service.image.iter().cloned().collect());
    }
    text
}

fn port(port: &rcompose_model::project::PortMapping) -> String {
    let host = port.host_ip.map(|address| format!("{address}:")).unwrap_or_default();
    let published = match port.published {
        Some((first, last)) if first == last => first.to_string(),
        Some((first, last)) => format!("{first}-{last}"),
        None => String::new(),
    };
    let protocol = format!("{:?}", port.protocol).to_lowercase();
    format!("{host}{published}:{} ({protocol}, {})", port.target, port.mode)
}
