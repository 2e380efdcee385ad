//! Named points at which a process can be made to die, so that tests see what a `kill -9` in just that moment leaves behind.
//!
//! `RCOMPOSE_FAILPOINTS=image.layer.published:2` kills the process with SIGKILL when it passes that point for the second time.
//! Programs that are built for use have no such points.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where to die, and how often to pass before.
struct Armed {
    name: String,
    left: AtomicUsize,
}

fn armed() -> &'static [Armed] {
    static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
    ARMED.get_or_init(|| std::env::var("RCOMPOSE_FAILPOINTS").map(|text| parse(&text)).unwrap_or_default())
}

fn parse(text: &str) -> Vec<Armed> {
    let armed = |word: &str| {
        let (name, times) = word.split_once(':').unwrap_or((word, "1"));
        Armed { name: name.to_owned(), left: AtomicUsize::new(times.parse().unwrap_or(1)) }
    };
    text.split(',').filter(|word| !word.is_empty()).map(armed).collect()
}

/// Dies here if a test wants it.
pub fn point(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    for point in armed().iter().filter(|point| point.name == name) {
        if point.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nothing may run after this: no destructor, no flush.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_points_with_and_without_a_count() {
        let armed = parse("one,two:3");
        let shown: Vec<_> = armed.iter().map(|it| (it.name.as_str(), it.left.load(Ordering::Relaxed))).collect();
        assert_eq!(shown, [("one", 1), ("two", 3)]);
        point("of nobody");
    }
}
