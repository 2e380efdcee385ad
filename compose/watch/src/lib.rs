//! File events to actions: what has to happen to which service when files on this machine change.
//!
//! ```text
//! rule       what `develop.watch` says, and which files it is about       temporary  names that editors use on the way
//! filter     the files that anybody wants to know of                      stamp      what is known of a file without reading it
//! batch      when a burst is over: pure, told the time                    index      what was there: finds what nobody told
//! source     events of the kernel (inotify)                               watcher    a thread that makes batches of them
//! decide     a batch to what it means for each service: pure              journal    what each container has yet to get: pure
//! ```
//! Everything is triggered by the level: an event only says where to look, and what is found there against what was known
//! decides. A lost event costs a look at everything, and nothing else.

mod batch;
mod decide;
mod filter;
mod index;
mod journal;
mod rule;
mod source;
mod stamp;
mod temporary;
mod watcher;

pub use decide::{Change, Put, Work, decide};
pub use filter::Filter;
pub use journal::{Generation, Journal};
pub use rule::{Rule, RuleError, dockerfile};
pub use stamp::{Kind, Stamp};
pub use watcher::{Batch, Report, WatchError, Watcher};
