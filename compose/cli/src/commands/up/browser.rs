//! Opening what a service publishes.

use std::process::{Command, Stdio};

use rcompose_supervisor::messages::{ContainerSummary, PortSummary};

/// Opens the first published port of a service; gives what to say about it.
pub(super) fn open(containers: &[ContainerSummary], service: &str) -> String {
    let ports = containers.iter().filter(|it| it.service == service).flat_map(|it| &it.ports);
    let Some(url) = ports.filter(|port| port.protocol == "tcp").map(url).next() else {
        return format!("{service} publishes no port now");
    };
    match opener() {
        Some(program) if start(&program, &url) => format!("{url} is opened"),
        _ => format!("{url} (no browser can be opened from here)"),
    }
}

fn url(port: &PortSummary) -> String {
    let scheme = if matches!(port.target_port, 443 | 8443) { "https" } else { "http" };
    let host = match port.url.as_str() {
        "0.0.0.0" | "::" | "127.0.0.1" | "::1" => "localhost".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        address => address.to_owned(),
    };
    format!("{scheme}://{host}:{}", port.published_port)
}

/// The user's browser, or the desktop's way to it, where there is a desktop.
fn opener() -> Option<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(browser) = set("BROWSER") {
        return Some(browser);
    }
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].iter().any(|name| set(name).is_some());
    desktop.then(|| "xdg-open".to_owned())
}

fn start(program: &str, url: &str) -> bool {
    let started = Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    match started {
        Ok(mut child) => {
            // It is waited for so that it leaves nothing behind.
            std::thread::spawn(move || child.wait());
            true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_a_browser_reaches() {
        let port = |url: &str, target_port| PortSummary {
            url: url.to_owned(),
            target_port,
            published_port: 9000,
            protocol: "tcp".to_owned(),
        };
        assert_eq!(url(&port("0.0.0.0", 80)), "http://localhost:9000");
        assert_eq!(url(&port("10.0.0.1", 443)), "https://10.0.0.1:9000");
        assert_eq!(url(&port("fd00::1", 80)), "http://[fd00::1]:9000");
    }
}
