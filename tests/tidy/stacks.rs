//! Each example explains itself.

#[test]
fn every_example_has_a_compose_file_and_a_readme() {
    let folder = crate::root().join("examples/stacks");
    let mut stacks = 0;
    for entry in std::fs::read_dir(&folder).expect("there are examples").flatten() {
        let stack = entry.path();
        assert!(stack.join("compose.yaml").is_file(), "{} has no compose.yaml", stack.display());
        assert!(stack.join("README.md").is_file(), "{} has no README.md", stack.display());
        stacks += 1;
    }
    assert!(stacks >= 3, "only {stacks} examples");
}
