//! Who depends on whom: the graph of services, its order, its cycles.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use rcompose_model::Project;
use rcompose_model::project::Condition;

use crate::PlanError;
use crate::error::MissingDependency;
use crate::observed::Observed;

/// One edge of the graph: what a service waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The dependency.
    pub service: String,
    /// When it counts as there.
    pub condition: Condition,
    /// Whether a restart of it restarts the dependent.
    pub restart: bool,
    /// Whether its failure is an error.
    pub required: bool,
}

/// The dependencies of each service. Free of cycles.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    edges: BTreeMap<String, Vec<Edge>>,
}

impl Dependencies {
    /// Reads the graph from the files.
    ///
    /// # Errors
    /// A cycle, and a required dependency that is undefined or disabled. An optional one that is not there is left out.
    pub fn of_project(project: &Project) -> Result<Self, PlanError> {
        let mut edges = BTreeMap::new();
        for (name, service) in &project.services {
            let mut of_service = Vec::new();
            for (dependency, how) in &service.depends_on {
                if project.services.contains_key(dependency) {
                    of_service.push(Edge {
                        service: dependency.clone(),
                        condition: how.condition,
                        restart: how.restart,
                        required: how.required,
                    });
                } else if how.required {
                    return Err(missing(project, name, dependency));
                }
            }
            edges.insert(name.clone(), of_service);
        }
        let graph = Self { edges };
        match graph.find_cycle() {
            None => Ok(graph),
            Some(path) => {
                let place = project.origins.find(&format!("services.{}.depends_on.{}", path[0], path[1])).cloned();
                Err(PlanError::Cycle { path, place })
            }
        }
    }

    /// Remembers the graph from the containers that exist, when there are no files.
    ///
    /// Edges that would close a cycle (containers made by different versions of the files) are ignored.
    pub fn of_observed(observed: &Observed) -> Self {
        let mut graph = Self::default();
        for container in observed.containers.iter().filter(|container| !container.one_off) {
            let edges = container.depends_on.iter().map(|dependency| Edge {
                service: dependency.service.clone(),
                condition: dependency.condition,
                restart: dependency.restart,
                required: true,
            });
            graph.edges.insert(container.service.clone(), edges.collect());
        }
        let known: BTreeSet<_> = graph.edges.keys().cloned().collect();
        for edges in graph.edges.values_mut() {
            edges.retain(|edge| known.contains(&edge.service));
        }
        while let Some(path) = graph.find_cycle() {
            if let Some(edges) = graph.edges.get_mut(&path[0]) {
                edges.retain(|edge| edge.service != path[1]);
            }
        }
        graph
    }

    /// What `service` depends on directly.
    pub fn of(&self, service: &str) -> &[Edge] {
        self.edges.get(service).map_or(&[], Vec::as_slice)
    }

    /// The services that depend directly on each service, with the edge.
    pub fn dependents(&self) -> BTreeMap<&str, Vec<(&str, &Edge)>> {
        let mut dependents: BTreeMap<&str, Vec<(&str, &Edge)>> = BTreeMap::new();
        for (service, edges) in &self.edges {
            for edge in edges {
                dependents.entry(&edge.service).or_default().push((service, edge));
            }
        }
        dependents
    }

    /// The given services and everything that they depend on.
    pub fn with_dependencies<'a>(&'a self, services: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        reach(services, |service| self.of(service).iter().map(|edge| edge.service.as_str()).collect())
    }

    /// The given services and everything that depends on them.
    pub fn with_dependents<'a>(&'a self, services: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let dependents = self.dependents();
        reach(services, |service| {
            dependents.get(service).map(|of| of.iter().map(|(name, _)| *name).collect()).unwrap_or_default()
        })
    }

    /// All services, each after everything that it depends on; ties by name.
    pub fn in_order(&self) -> Vec<&str> {
        let mut waiting: BTreeMap<&str, usize> = self.edges.iter().map(|(name, edges)| (name.as_str(), edges.len())).collect();
        let dependents = self.dependents();
        let mut ready: BTreeSet<&str> = waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(service) = ready.pop_first() {
            order.push(service);
            for (dependent, _) in dependents.get(service).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(dependent);
                    }
                }
            }
        }
        order
    }

    /// Finds services that wait for each other, as a path whose last element is its first.
    fn find_cycle(&self) -> Option<Vec<String>> {
        let mut graph = DiGraph::<&str, ()>::new();
        let nodes: BTreeMap<&str, NodeIndex> = self.edges.keys().map(|name| (name.as_str(), graph.add_node(name))).collect();
        for (service, edges) in &self.edges {
            for edge in edges {
                if let Some(&target) = nodes.get(edge.service.as_str()) {
                    graph.add_edge(nodes[service.as_str()], target, ());
                }
            }
        }
        let component = kosaraju_scc(&graph)
            .into_iter()
            .find(|component| component.len() > 1 || graph.contains_edge(component[0], component[0]))?;
        Some(walk_cycle(&graph, &component))
    }
}

/// Walks inside a strongly connected component until a node comes again.
fn walk_cycle(graph: &DiGraph<&str, ()>, component: &[NodeIndex]) -> Vec<String> {
    let members: BTreeSet<NodeIndex> = component.iter().copied().collect();
    let mut path: Vec<NodeIndex> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = component.iter().copied().min_by_key(|&node| graph[node]).unwrap_or(component[0]);
    while seen.insert(at) {
        path.push(at);
        at = graph
            .neighbors(at)
            .filter(|next| members.contains(next))
            .min_by_key(|&next| graph[next])
            .expect("every node of a strongly connected component has a successor inside it");
    }
    let start = path.iter().position(|&node| node == at).expect("the walk ended on a node that it had seen");
    let mut names: Vec<String> = path[start..].iter().map(|&node| graph[node].to_owned()).collect();
    names.push(graph[at].to_owned());
    names
}

fn reach<'a>(from: impl IntoIterator<Item = &'a str>, next: impl Fn(&str) -> Vec<&'a str>) -> BTreeSet<&'a str> {
    let mut todo: Vec<&str> = from.into_iter().collect();
    let mut reached = BTreeSet::new();
    while let Some(service) = todo.pop() {
        if reached.insert(service) {
            todo.extend(next(service));
        }
    }
    reached
}

fn missing(project: &Project, service: &str, dependency: &str) -> PlanError {
    let disabled = project.disabled_services.iter().any(|name| name == dependency);
    PlanError::MissingDependency {
        service: service.to_owned(),
        dependency: dependency.to_owned(),
        why: if disabled { MissingDependency::Disabled } else { MissingDependency::Undefined },
        place: project.origins.find(&format!("services.{service}.depends_on.{dependency}")).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Dependencies {
        let edge = |name: &&str| Edge {
            service: (*name).to_owned(),
            condition: Condition::ServiceStarted,
            restart: false,
            required: true,
        };
        Dependencies { edges: edges.iter().map(|(name, of)| ((*name).to_owned(), of.iter().map(edge).collect())).collect() }
    }

    #[test]
    fn orders_dependencies_before_dependents() {
        let graph = graph(&[("web", &["db", "cache"]), ("db", &[]), ("cache", &["db"])]);
        assert_eq!(graph.in_order(), ["db", "cache", "web"]);
    }

    #[test]
    fn shows_a_cycle_as_a_path() {
        let graph = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
        assert_eq!(graph.find_cycle(), Some(vec!["b".to_owned(), "c".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn shows_a_service_that_waits_for_itself() {
        assert_eq!(graph(&[("a", &["a"])]).find_cycle(), Some(vec!["a".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn takes_a_long_chain_without_recursion() {
        let names: Vec<String> = (0..100_000).map(|number| format!("s{number}")).collect();
        let edges = names.windows(2).map(|pair| {
            let edge = Edge { service: pair[1].clone(), condition: Condition::ServiceStarted, restart: false, required: true };
            (pair[0].clone(), vec![edge])
        });
        let mut graph = Dependencies { edges: edges.collect() };
        graph.edges.insert(names[names.len() - 1].clone(), Vec::new());
        assert_eq!(graph.find_cycle(), None);
        assert_eq!(graph.in_order().len(), names.len());
    }

    #[test]
    fn reaches_both_ways() {
        let graph = graph(&[("web", &["db"]), ("db", &[]), ("other", &[])]);
        assert_eq!(graph.with_dependencies(["web"]), BTreeSet::from(["db", "web"]));
        assert_eq!(graph.with_dependents(["db"]), BTreeSet::from(["db", "web"]));
    }
}
