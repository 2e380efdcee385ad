//! The watcher on real files: what editors and tools do to them, and what is told of it.

mod editors;
mod place;
mod trees;
