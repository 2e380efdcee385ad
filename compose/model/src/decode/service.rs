//! A service.

mod develop;
mod lifecycle;
mod networking;
mod privileges;
mod process;
mod storage;

pub(crate) use lifecycle::policy as restart_policy;

use super::reader::Section;
use crate::load::Model;
use crate::node::Node;
use crate::problems::Problems;
use crate::project::Service;

pub(super) fn decode(model: &Model, name: &str, node: &Node, problems: &mut Problems) -> Service {
    let section = Section::new(node, format!("services.{name}"));
    let mut service = Service { name: name.to_owned(), ..Service::default() };
    process::decode(&section, &mut service, problems);
    privileges::decode(model, &section, &mut service, problems);
    service.limits = privileges::limits(&section);
    networking::decode(&section, &mut service, problems);
    storage::decode(&section, &mut service, problems);
    lifecycle::decode(&section, &mut service, problems);
    develop::decode(&section, &mut service);
    service
}
