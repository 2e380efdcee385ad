//! The plan: a directed acyclic graph of operations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};

use crate::{Cause, Operation};

/// An operation and why it is there.
#[derive(Debug, Clone, PartialEq)]
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

    /// The operations in an order in which they can be carried out one after the other; of those that could come next, the
    /// one that was planned first.
    pub fn in_order(&self) -> Vec<NodeIndex> {
        let mut waiting: BTreeMap<NodeIndex, usize> =
            self.graph.node_indices().map(|index| (index, self.before(index).count())).collect();
        let mut ready: BTreeSet<NodeIndex> = waiting.iter().filter(|(_, count)| **count == 0).map(|(index, _)| *index).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            for later in self.after(index) {
                if let Some(count) = waiting.get_mut(&later) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(later);
                    }
                }
            }
        }
        order
    }
}

impl fmt::Display for Plan {
    /// One numbered line an operation, with the numbers of those that it waits for.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.in_order();
        let numbers: BTreeMap<NodeIndex, usize> = order.iter().copied().zip(1..).collect();
        for (position, &index) in order.iter().enumerate() {
            let Planned { operation, cause } = &self.graph[index];
            write!(out, "{}. {operation}: {cause}", position + 1)?;
            let mut earlier: Vec<_> = self.before(index).map(|index| numbers[&index]).collect();
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
