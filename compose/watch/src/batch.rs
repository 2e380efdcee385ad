//! When a burst is over. Pure: the time comes with every call.
//!
//! A file that was written as a whole is due at once, with a moment's grace for its neighbours; the more there are, the longer the
//! grace, so that a checkout of thousands is one batch. What is being written, or just went (an editor may be about to put the
//! new one in its place), is waited for a little longer.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is known of a touched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// It is as it is to be: closed after writing, renamed to its name, a link, a directory.
    Whole,
    /// Its attributes changed, which says nothing of whether somebody is writing.
    Attributes,
    /// Somebody writes.
    Partial,
    /// It is gone.
    Gone,
}

/// How long the end of a write is waited for, and how long if it goes on and on.
const WRITING: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(500));
/// How long the successor of a file that went is waited for.
const SUCCESSOR: Duration = Duration::from_millis(30);
/// What is due is never held longer.
const LONGEST: Duration = Duration::from_secs(1);
/// So long after a batch the next change is taken for one of the same burst.
const BURST: Duration = Duration::from_millis(250);
const GRACE_IN_BURST: Duration = Duration::from_millis(50);

/// What was touched and not looked at yet.
#[derive(Debug, Default)]
pub(crate) struct Batcher {
    whole: BTreeSet<PathBuf>,
    /// The first and the last of `whole`.
    span: Option<(Instant, Instant)>,
    /// When each is due, and when it was touched first.
    slow: HashMap<PathBuf, (Instant, Instant)>,
    taken: Option<Instant>,
}

/// How long neighbours are waited for.
fn grace(count: usize) -> Duration {
    Duration::from_millis(match count {
        0..=2 => 2,
        3..=16 => 8,
        17..=128 => 25,
        _ => 50,
    })
}

impl Batcher {
    pub(crate) fn touch(&mut self, path: &Path, touch: Touch, now: Instant) {
        let first = self.slow.get(path).map_or(now, |(_, first)| *first);
        match touch {
            Touch::Attributes if self.slow.contains_key(path) => {}
            Touch::Whole | Touch::Attributes => {
                self.slow.remove(path);
                self.whole.insert(path.to_owned());
                self.span = Some((self.span.map_or(now, |(first, _)| first), now));
            }
            Touch::Partial => self.wait(path, first, (now + WRITING.0).min(first + WRITING.1)),
            Touch::Gone => self.wait(path, first, now + SUCCESSOR),
        }
    }

    fn wait(&mut self, path: &Path, first: Instant, until: Instant) {
        self.whole.remove(path);
        self.slow.insert(path.to_owned(), (until, first));
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let slow = self.slow.values().map(|(due, _)| *due).min();
        let whole = self.span.filter(|_| !self.whole.is_empty()).map(|(first, last)| {
            let in_burst = self.taken.is_some_and(|taken| first < taken + BURST);
            let grace = if in_burst && self.whole.len() > 2 { GRACE_IN_BURST } else { grace(self.whole.len()) };
            (last + grace).min(first + LONGEST)
        });
        match (slow, whole) {
            // What went is told with what came, if that does not make it late.
            (Some(slow), Some(whole)) if slow > whole => Some(whole),
            (Some(slow), Some(whole)) => Some(whole.min(slow + GRACE_IN_BURST)),
            (one, other) => one.or(other),
        }
    }

    /// Takes what is due.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<PathBuf> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.taken = Some(now);
        self.span = None;
        let mut paths = std::mem::take(&mut self.whole);
        self.slow.retain(|path, (due, _)| {
            let stays = *due > now;
            if !stays {
                paths.insert(path.clone());
            }
            stays
        });
        paths.into_iter().collect()
    }

    /// Everything is looked at anyway.
    pub(crate) fn clear(&mut self) {
        (self.whole, self.span, self.slow) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    /// Plays touches by their milliseconds; gives when what came out.
    fn play(touches: &[(u64, &str, Touch)]) -> Vec<(u64, Vec<String>)> {
        let (start, mut batcher, mut out) = (Instant::now(), Batcher::default(), Vec::new());
        let mut take = |batcher: &mut Batcher, now: Instant| {
            let names: Vec<String> = batcher.take(now).iter().map(|path| path.display().to_string()).collect();
            if !names.is_empty() {
                out.push((u64::try_from((now - start).as_millis()).unwrap(), names));
            }
        };
        for (moment, path, touch) in touches {
            while let Some(due) = batcher.due().filter(|due| *due < at(start, *moment)) {
                take(&mut batcher, due);
            }
            batcher.touch(Path::new(path), *touch, at(start, *moment));
        }
        while let Some(due) = batcher.due() {
            take(&mut batcher, due);
        }
        out
    }

    #[test]
    fn a_single_save_goes_at_once() {
        assert_eq!(play(&[(0, "a", Touch::Partial), (1, "a", Touch::Whole)]), [(3, vec!["a".to_owned()])]);
        assert_eq!(play(&[(0, "a", Touch::Whole)]), [(2, vec!["a".to_owned()])]);
        let twice = play(&[(0, "a", Touch::Whole), (20, "a", Touch::Whole)]);
        assert_eq!(twice, [(2, vec!["a".to_owned()]), (22, vec!["a".to_owned()])]);
    }

    #[test]
    fn a_file_that_is_replaced_is_never_missing_in_between() {
        // vim: the old one becomes a backup, the new one is written.
        let vim = [(0, "a", Touch::Gone), (3, "a", Touch::Partial), (6, "a", Touch::Attributes), (9, "a", Touch::Whole)];
        assert_eq!(play(&vim), [(11, vec!["a".to_owned()])]);
        assert_eq!(play(&[(0, "a", Touch::Gone)]), [(30, vec!["a".to_owned()])]);
    }

    #[test]
    fn a_burst_is_one_batch() {
        let names: Vec<String> = (0..3000).map(|number| format!("{number}")).collect();
        let touches: Vec<(u64, &str, Touch)> =
            names.iter().zip(0_u64..).map(|(name, number)| (number / 10, name.as_str(), Touch::Whole)).collect();
        let out = play(&touches);
        assert_eq!((out.len(), out[0].1.len()), (1, 3000));
        assert!(out[0].0 <= 350, "{}", out[0].0);
    }

    #[test]
    fn a_file_that_is_always_written_to_is_seen_now_and_then() {
        let touches: Vec<(u64, &str, Touch)> = (0..200).map(|number| (number * 10, "log", Touch::Partial)).collect();
        let out = play(&touches);
        assert!((4..=6).contains(&out.len()), "{out:?}");
    }

    proptest! {
        /// Whatever comes in comes out, at most a second and a bit later, and nothing else does.
        #[test]
        fn nothing_is_lost_or_held(touches in proptest::collection::vec((0..400_u64, 0..6_u8, 0..4_u8), 1..60)) {
            let names = ["a", "b", "c", "d", "e", "f"];
            let mut touches: Vec<(u64, &str, Touch)> = touches.into_iter().map(|(moment, name, touch)| {
                let touch = [Touch::Whole, Touch::Attributes, Touch::Partial, Touch::Gone][usize::from(touch)];
                (moment, names[usize::from(name)], touch)
            }).collect();
            touches.sort_by_key(|(moment, ..)| *moment);
            let out = play(&touches);
            for (moment, name, _) in &touches {
                let seen = out.iter().find(|(when, names)| when >= moment && names.iter().any(|it| it == name));
                prop_assert!(seen.is_some_and(|(when, _)| when - moment <= 1600), "{name} at {moment}: {out:?}");
            }
        }
    }
}
