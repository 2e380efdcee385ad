//! DOT and Mermaid: text that others draw.

use super::picture::{Edge, Picture};
use super::svg::{colours, escaped};

pub(super) fn dot(picture: &Picture) -> String {
    let mut text = format!("digraph {} {{\n    node [shape=box, style=\"rounded,filled\"];\n", quoted(&picture.name));
    for service in &picture.services {
        let (fill, line) = colours(service.mood);
        let label = format!("{}\\n{}", service.name, service.state);
        text.push_str(&format!("    {} [label=\"{label}\", fillcolor=\"{fill}\", color=\"{line}\"];\n", quoted(&service.name)));
    }
    for service in &picture.services {
        for edge in &service.waits_for {
            let mut attributes = Vec::new();
            attributes.extend(edge.until.map(|until| format!("label=\"{until}\"")));
            attributes.extend((!edge.required).then(|| "style=dashed".to_owned()));
            let attributes = if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
            let to = &picture.services[edge.to].name;
            text.push_str(&format!("    {} -> {}{attributes};\n", quoted(&service.name), quoted(to)));
        }
    }
    text.push_str("}\n");
    text
}

/// Names of services have letters, digits, dots, dashes and underscores.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

pub(super) fn mermaid(picture: &Picture) -> String {
    let mut text = "flowchart TD\n".to_owned();
    for (place, service) in picture.services.iter().enumerate() {
        text.push_str(&format!("    s{place}[\"{}<br/>{}\"]\n", escaped(&service.name), escaped(&service.state)));
    }
    for (place, service) in picture.services.iter().enumerate() {
        for edge in &service.waits_for {
            text.push_str(&format!("    s{place} {} s{}\n", line(edge), edge.to));
        }
    }
    for (place, service) in picture.services.iter().enumerate() {
        let (fill, line) = colours(service.mood);
        text.push_str(&format!("    style s{place} fill:{fill},stroke:{line},color:#000\n"));
    }
    text
}

fn line(edge: &Edge) -> String {
    let line = if edge.required { "-->" } else { "-.->" };
    edge.until.map_or_else(|| line.to_owned(), |until| format!("{line}|{until}|"))
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Mood, Node};
    use super::*;

    fn picture() -> Picture {
        let web = vec![Edge { to: 1, until: Some("healthy"), required: true }, Edge { to: 2, until: None, required: false }];
        let node =
            |name: &str, mood, state: &str, waits_for| Node { name: name.to_owned(), mood, state: state.to_owned(), waits_for };
        let services = vec![
            node("web", Mood::Good, "running", web),
            node("db", Mood::Bad, "exited (1)", Vec::new()),
            node("mail", Mood::Absent, "not created", Vec::new()),
        ];
        Picture { name: "shop".to_owned(), services }
    }

    #[test]
    fn edges_say_what_is_waited_for() {
        insta::assert_snapshot!(dot(&picture()), @r##"
        digraph "shop" {
            node [shape=box, style="rounded,filled"];
            "web" [label="web\nrunning", fillcolor="#dcf5dc", color="#2e8b57"];
            "db" [label="db\nexited (1)", fillcolor="#f8d7da", color="#b22222"];
            "mail" [label="mail\nnot created", fillcolor="#f0f0f0", color="#888888"];
            "web" -> "db" [label="healthy"];
            "web" -> "mail" [style=dashed];
        }
        "##);
        insta::assert_snapshot!(mermaid(&picture()), @r##"
        flowchart TD
            s0["web<br/>running"]
            s1["db<br/>exited (1)"]
            s2["mail<br/>not created"]
            s0 -->|healthy| s1
            s0 -.-> s2
            style s0 fill:#dcf5dc,stroke:#2e8b57,color:#000
            style s1 fill:#f8d7da,stroke:#b22222,color:#000
            style s2 fill:#f0f0f0,stroke:#888888,color:#000
        "##);
    }
}
