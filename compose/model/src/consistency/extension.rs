//! Whether `x-rcompose` of a service fits to the rest of it.

use crate::Diagnostic;
use crate::diagnostic::Code;
use crate::node::Node;
use crate::problems::Problems;

/// What a probe may look at.
const KINDS: [&str; 3] = ["http", "tcp", "log"];

pub(super) fn check(name: &str, service: &Node, problems: &mut Problems) {
    let Some((key, probe)) = service.get("x-rcompose").and_then(Node::mapping).and_then(|it| it.get_key_value("probe")) else {
        return;
    };
    let asked: Vec<_> = probe.mapping().into_iter().flatten().filter(|(key, _)| KINDS.contains(&key.name.as_str())).collect();
    match asked.as_slice() {
        [_] => {}
        [] => {
            let message = format!("services.{name}.x-rcompose.probe looks at nothing");
            let problem = Diagnostic::error(Code::MissingKey, message).at(&key.spot).on(&key.name);
            problems.push(problem.with_help("say what is looked at: one of `http`, `tcp` and `log`"));
        }
        [(first, _), (second, _), ..] => {
            let message =
                format!("services.{name}.x-rcompose.probe declares mutually exclusive `{}` and `{}`", first.name, second.name);
            let problem = Diagnostic::error(Code::Conflict, message).at(&second.spot).on(&second.name);
            problems.push(problem.with_help("remove all but one"));
        }
    }
    if let Some((healthcheck, _)) = service.mapping().and_then(|entries| entries.get_key_value("healthcheck")) {
        let message = format!("service \"{name}\" declares mutually exclusive `healthcheck` and `x-rcompose.probe`");
        let problem = Diagnostic::error(Code::Conflict, message).at(&key.spot).on(&key.name);
        let problem = problem.with_note("and `healthcheck` here", &healthcheck.spot);
        problems.push(problem.with_help("remove one of the two: a container has one health check"));
    }
}
