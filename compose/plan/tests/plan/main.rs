//! Decisions and their order: a project and what exists in, the plan's text out.

mod changes;
mod down;
mod images;
mod lifecycle;
mod properties;
mod stack;
mod up;
