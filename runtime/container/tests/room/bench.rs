//! Not a measurement, but a bound: a container comes and goes in a small part of a second even on a loaded machine.

use std::time::{Duration, Instant};

use crate::stage::Stage;

#[test]
fn comes_and_goes_quickly() {
    let stage = Stage::program(&["/bin/true"]);
    let begin = Instant::now();
    let container = stage.start();
    let started = begin.elapsed();
    stage.finish(&container);
    println!("create and start {started:?}, to the end {:?}", begin.elapsed());
    assert!(started < Duration::from_secs(2));
}
