//! What of a stack others could meet, taken out of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use rcompose_model::Project;
use rcompose_model::project::{NetworkMode, PortMapping, Protocol, Service};
use rcompose_supervisor::messages::ContainerSummary;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Leaves only what is named and what that depends on; everything if nothing is named.
pub(super) fn cut(project: &mut Project, named: &[String]) {
    if named.is_empty() {
        return;
    }
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = named.to_vec();
    while let Some(name) = open.pop() {
        if let Some(service) = project.services.get(&name).filter(|_| !needed.contains(&name)) {
            open.extend(service.depends_on.keys().cloned());
            needed.insert(name);
        }
    }
    project.services.retain(|name, _| needed.contains(name));
}

/// Gives the stack a name, networks, volumes and ports of its own; gives warnings of what stays shared.
pub(super) fn separate(project: &mut Project, name: &str) -> Vec<String> {
    name.clone_into(&mut project.name);
    for (key, network) in &mut project.networks {
        network.name = format!("{name}_{key}");
        network.external = false;
        // Two copies cannot have the same addresses, nor links of the same name.
        network.ipam.clear();
        network.driver_opts.remove("com.docker.network.bridge.name");
        if network.driver.is_empty() {
            "bridge".clone_into(&mut network.driver);
        }
    }
    for (key, volume) in &mut project.volumes {
        volume.name = format!("{name}_{key}");
        volume.external = false;
        // A volume that shows a folder or a server would be the same one for everybody.
        if volume.driver_opts.get("type").map(String::as_str) != Some("tmpfs") {
            volume.driver_opts.clear();
        }
        if volume.driver.is_empty() {
            "local".clone_into(&mut volume.driver);
        }
    }
    let mut warnings = Vec::new();
    for service in project.services.values_mut() {
        separate_service(service);
        // Its fingerprint is that of the files, which say something else.
        service.config_hash = format!("{}-{name}", service.config_hash);
        if service.network_mode == Some(NetworkMode::Host) {
            warnings.push(format!("service `{}` has the host's network: two tests at once meet there", service.name));
        }
    }
    warnings
}

fn separate_service(service: &mut Service) {
    service.container_name = None;
    let asked = std::mem::take(&mut service.ports);
    for port in asked {
        publish_port(service, port.target, port.protocol);
    }
    let exposed: Vec<_> = service.expose.iter().flat_map(|text| ports_of(text)).collect();
    for (target, protocol) in exposed {
        publish_port(service, target, protocol);
    }
    for attachment in service.networks.values_mut() {
        (attachment.ipv4_address, attachment.ipv6_address) = (None, None);
        attachment.link_local_ips.clear();
    }
}

/// Publishes what the images of containers say they listen on.
pub(super) fn publish(project: &mut Project, containers: &[ContainerSummary]) {
    for container in containers {
        let Some(service) = project.services.get_mut(&container.service) else { continue };
        let before = service.ports.len();
        for (target, protocol) in container.exposed.iter().flat_map(|text| ports_of(text)) {
            publish_port(service, target, protocol);
        }
        if service.ports.len() > before {
            service.config_hash.push_str("-published");
        }
    }
}

fn publish_port(service: &mut Service, target: u16, protocol: Protocol) {
    let has_own_network = matches!(service.network_mode, None | Some(NetworkMode::Bridge));
    let is_known = service.ports.iter().any(|port| (port.target, port.protocol) == (target, protocol));
    if has_own_network && !is_known {
        service.ports.push(PortMapping {
            target,
            published: None,
            host_ip: Some(LOOPBACK),
            protocol,
            name: None,
            app_protocol: None,
            mode: "ingress".to_owned(),
        });
    }
}

/// Reads `80`, `80/tcp`, `8000-8003/udp`.
fn ports_of(text: &str) -> Vec<(u16, Protocol)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        _ => return Vec::new(),
    };
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).map(|port| (port, protocol)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rcompose_model::project::{Condition, Dependency, Network, NetworkAttachment, Volume};

    use super::*;

    #[test]
    fn nothing_of_a_copy_can_meet_another() {
        let mut project = Project { name: "shop".to_owned(), ..Project::default() };
        let outside = || Network { name: "lan".to_owned(), external: true, ..Network::default() };
        project.networks.insert("lan".to_owned(), outside());
        let folder = [("device".to_owned(), "/srv/data".to_owned())].into();
        let shared = Volume { name: "data".to_owned(), external: true, driver_opts: folder, ..Volume::default() };
        project.volumes.insert("data".to_owned(), shared);
        let fixed = NetworkAttachment { ipv4_address: Some(LOOPBACK), ..NetworkAttachment::default() };
        let web = Service {
            name: "web".to_owned(),
            container_name: Some("the-web".to_owned()),
            networks: [("lan".to_owned(), fixed)].into(),
            expose: vec!["80".to_owned(), "90-91/udp".to_owned()],
            ..Service::default()
        };
        project.services.insert("web".to_owned(), web);
        assert!(separate(&mut project, "shop-test-1").is_empty());
        let (network, volume, web) = (&project.networks["lan"], &project.volumes["data"], &project.services["web"]);
        assert_eq!((network.name.as_str(), network.external), ("shop-test-1_lan", false));
        assert_eq!((volume.name.as_str(), volume.external, volume.driver_opts.len()), ("shop-test-1_data", false, 0));
        assert_eq!((&web.container_name, web.networks["lan"].ipv4_address), (&None, None));
        let ports: Vec<_> = web.ports.iter().map(|port| (port.target, port.published, port.host_ip)).collect();
        assert_eq!(ports, [(80, None, Some(LOOPBACK)), (90, None, Some(LOOPBACK)), (91, None, Some(LOOPBACK))]);
    }

    #[test]
    fn what_is_not_needed_stays_away() {
        let mut project = Project::default();
        for (name, needs) in [("web", &["db"][..]), ("db", &["web"]), ("other", &["db"])] {
            let how = || Dependency { condition: Condition::ServiceStarted, restart: false, required: true };
            let depends_on = needs.iter().map(|name| ((*name).to_owned(), how())).collect();
            project.services.insert(name.to_owned(), Service { depends_on, ..Service::default() });
        }
        cut(&mut project, &[]);
        assert_eq!(project.services.len(), 3);
        cut(&mut project, &["web".to_owned()]);
        assert_eq!(project.services.keys().collect::<Vec<_>>(), ["db", "web"]);
    }

    #[test]
    fn the_network_of_the_host_is_shared_and_that_is_told() {
        let mut project = Project::default();
        let web = Service { name: "web".to_owned(), network_mode: Some(NetworkMode::Host), ..Service::default() };
        project.services.insert("web".to_owned(), Service { expose: vec!["80".to_owned()], ..web });
        assert_eq!(separate(&mut project, "x").len(), 1);
        assert!(project.services["web"].ports.is_empty());
    }
}
