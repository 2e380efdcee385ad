//! What holds of every plan.

use std::collections::BTreeMap;

use petgraph::algo::is_cyclic_directed;
use proptest::prelude::*;
use rcompose_model::project::{Condition, Dependency, Project, Service};
use rcompose_plan::observed::{Observed, State};
use rcompose_plan::{Down, Operation, Plan, Up, down, up};

use crate::stack::{container, project, running, service};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn projects() -> impl Strategy<Value = Project> {
    let edges = prop::collection::vec((0..5_usize, 0..5_usize, 0..3_u8, any::<bool>()), 0..8);
    let scales = prop::collection::vec(0..4_u32, 5);
    (edges, scales).prop_map(|(edges, scales)| {
        let mut services: Vec<Service> =
            NAMES.iter().zip(scales).map(|(name, scale)| Service { scale, ..service(name) }).collect();
        for (from, to, condition, restart) in edges.into_iter().filter(|(from, to, ..)| from > to) {
            let condition = [Condition::ServiceStarted, Condition::ServiceHealthy, Condition::ServiceCompletedSuccessfully]
                [usize::from(condition)];
            services[from].depends_on.insert(NAMES[to].to_owned(), Dependency { condition, restart, required: true });
        }
        project(services)
    })
}

fn worlds(project: Project) -> impl Strategy<Value = (Project, Observed)> {
    prop::collection::vec((0..5_usize, 1..5_u32, 0..4_u8, any::<bool>()), 0..10).prop_map(move |present| {
        let mut world = Observed { containers: Vec::new(), ..running(&project) };
        let mut by_name = BTreeMap::new();
        for (which, number, state, outdated) in present {
            let mut container = container(&project, &project.services[NAMES[which]], number);
            container.state = [State::Created, State::Running { healthy: None }, State::Exited { code: 1 }, State::Removing]
                [usize::from(state)];
            if outdated {
                container.config_hash = "old".to_owned();
            }
            by_name.insert(container.name.clone(), container);
        }
        world.containers = by_name.into_values().collect();
        (project.clone(), world)
    })
}

/// Carries a plan out on paper.
fn apply(plan: &Plan, project: &Project, world: &Observed) -> Observed {
    let mut world = world.clone();
    for index in plan.in_order() {
        let at = |world: &Observed, name: &str| world.containers.iter().position(|it| it.name == name);
        match &plan.graph()[index].operation {
            Operation::CreateContainer { service, number, name, .. } => {
                let mut made = container(project, &project.services[service], *number);
                made.id = format!("{:f<64}", made.id.trim_end_matches('0'));
                made.name.clone_from(name);
                made.state = State::Created;
                world.containers.push(made);
            }
            Operation::RenameContainer { container, name } => {
                let position = at(&world, &container.name).expect("only what exists is renamed");
                assert!(at(&world, name).is_none(), "a name is free before it is given");
                world.containers[position].name.clone_from(name);
            }
            Operation::StartContainer { container, .. } => {
                let position = at(&world, &container.name).expect("only what exists is started");
                world.containers[position].state = State::Running { healthy: Some(true) };
            }
            Operation::StopContainer { container, .. } => {
                let position = at(&world, &container.name).expect("only what exists is stopped");
                world.containers[position].state = State::Exited { code: 143 };
            }
            Operation::RemoveContainer { container, .. } => {
                let position = at(&world, &container.name).expect("only what exists is removed");
                assert!(!world.containers[position].state.is_alive(), "only what is stopped is removed");
                world.containers.remove(position);
            }
            _ => {}
        }
    }
    world
}

proptest! {
    #[test]
    fn a_plan_can_be_carried_out_and_leaves_nothing_to_do((project, world) in projects().prop_flat_map(worlds)) {
        let plan = up(&project, &world, &Up::default()).unwrap();
        prop_assert!(!is_cyclic_directed(plan.graph()));
        let after = apply(&plan, &project, &world);
        for service in project.services.values() {
            prop_assert_eq!(after.replicas(&service.name).count(), service.scale as usize);
        }
        let again = up(&project, &after, &Up::default()).unwrap();
        prop_assert!(again.is_empty(), "first:\n{}\nthen:\n{}", plan, again);
    }

    #[test]
    fn down_leaves_no_container((project, world) in projects().prop_flat_map(worlds)) {
        let plan = down("shop", Some(&project), &world, &Down::default()).unwrap();
        prop_assert!(!is_cyclic_directed(plan.graph()));
        prop_assert!(apply(&plan, &project, &world).containers.is_empty());
    }
}
