//! The plan: a directed acyclic graph of operations.

use std::fmt;

use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::Topo;

use crate::{Cause, Operation};

/// An operation and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is done.
    pub operation: Operation,
    /// Why.
    pub cause: Cause,
}

/// A directed acyclic graph of operations. An edge goes from what is done first to what has to wait for it.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    graph: StableDiGraph<Planned, ()>,
    warnings: Vec<String>,
}

impl Plan {
    /// Adds an operation that waits for nothing yet.
    pub fn add(&mut self, operation: Operation, cause: Cause) -> NodeIndex {
        self.graph.add_node(Planned { operation, cause })
    }

    /// Makes `later` wait for `earlier`.
    ///
    /// The callers add edges only along the dependency graph of services, which was checked for cycles before.
    pub fn order(&mut self, earlier: NodeIndex, later: NodeIndex) {
        if earlier != later {
            self.graph.update_edge(earlier, later, ());
        }
    }

    /// Adds something that the user should know although it stops nothing.
    pub fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// What the user should know although it stops nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Tells whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.graph.node_count() == 0
    }

    /// The operations and their order.
    pub fn graph(&self) -> &StableDiGraph<Planned, ()> {
        &self.graph
    }

    /// The operations that `later` waits for directly.
    pub fn before(&self, later: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.graph.neighbors_directed(later, Direction::Incoming)
    }

    /// The operations that wait directly for `earlier`.
    pub fn after(&self, earlier: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.graph.neighbors_directed(earlier, Direction::Outgoing)
    }

    /// The operations in an order in which they can be carried out one after the other.
    pub fn in_order(&self) -> Vec<NodeIndex> {
        let mut walk = Topo::new(&self.graph);
        std::iter::from_fn(|| walk.next(&self.graph)).collect()
    }
}

impl fmt::Display for Plan {
    /// One numbered line an operation, with the numbers of those that it waits for.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.in_order();
        let number = |index: NodeIndex| order.iter().position(|&other| other == index).map_or(0, |position| position + 1);
        for (position, &index) in order.iter().enumerate() {
            let Planned { operation, cause } = &self.graph[index];
            write!(out, "{}. {operation}: {cause}", position + 1)?;
            let mut earlier: Vec<_> = self.before(index).map(number).collect();
            earlier.sort_unstable();
            if !earlier.is_empty() {
                let earlier: Vec<_> = earlier.iter().map(ToString::to_string).collect();
                write!(out, " [after {}]", earlier.join(", "))?;
            }
            writeln!(out)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
    }
}
