//! The port doctor: who holds a port that is wanted, what to do about it, and which one was published instead.

use std::net::{IpAddr, SocketAddr};

use rcompose_engine::network::{PortTaken, PublishedPort};
use rcompose_plan::{ContainerRef, labels};

use super::{Run, tell};
use crate::messages::{Event, Failure};
use crate::supervisor::Supervisor;

/// Says who holds a port, if it is one of our own containers, and what to do.
pub(super) fn explain(supervisor: &Supervisor, taken: &PortTaken, failure: &mut Failure) {
    let port = taken.address.port();
    let instead = "publish another port, or let `up --ports auto` choose one";
    let (owner, what) = match (publisher(supervisor, taken.address), &taken.owner) {
        (Some(holder), _) => {
            let Holder { container, project, service } = holder;
            (
                Some(format!("container {container} of project {project}")),
                format!("stop it with `rcompose -p {project} stop {service}`"),
            )
        }
        (None, Some(owner)) => (Some(owner.clone()), "stop it".to_owned()),
        (None, None) => (None, format!("`ss -lptun sport = :{port}`, as root, may show who holds it")),
    };
    let by = owner.map(|owner| format!(" by {owner}")).unwrap_or_default();
    failure.message = format!("Bind for {} failed: port is already allocated{by}", taken.address);
    failure.hint = Some(format!("{what}, {instead}"));
}

struct Holder {
    container: String,
    project: String,
    service: String,
}

/// The container whose published port an address is.
fn publisher(supervisor: &Supervisor, address: SocketAddr) -> Option<Holder> {
    let same = |port: &PublishedPort| {
        let meets = |host: IpAddr| host.is_unspecified() || address.ip().is_unspecified() || host == address.ip();
        port.host_port == address.port() && port.host.is_none_or(meets)
    };
    supervisor.containers(None).into_iter().find_map(|container| {
        let attached = supervisor.engine.networks().attached(container.record.id.as_str())?;
        let spec = container.record.spec;
        let label = |name: &str| spec.labels.get(name).cloned().unwrap_or_default();
        let (project, service) = (label(labels::PROJECT), label(labels::SERVICE));
        attached.ports.iter().any(same).then_some(Holder { container: spec.name, project, service })
    })
}

impl Run {
    /// Tells which ports were published instead of those that were asked for.
    pub(super) async fn tell_substitutes(&self, container: &ContainerRef, id: &str) {
        if !self.substitute_ports {
            return;
        }
        let Ok(found) = self.supervisor.engine.get(id) else { return };
        let Some(attached) = self.supervisor.engine.networks().attached(id) else { return };
        let pairs = found.record.spec.ports.iter().zip(&attached.ports);
        for (asked, published) in pairs.filter_map(|(asked, published)| Some((asked.published?, published))) {
            let port = published.host_port;
            if (asked.0..=asked.1).contains(&port) {
                continue;
            }
            let wanted = if asked.0 == asked.1 { asked.0.to_string() } else { format!("{}-{}", asked.0, asked.1) };
            let text = format!("container {}: port {wanted} is taken, {port} is published instead", container.name);
            tell(&self.events, Event::Warning { text }).await;
        }
    }
}
