//! The program as people and scripts use it: arguments, output, exit codes, signals.

mod answers;
mod archive;
mod build;
mod config;
mod debug;
mod environment;
mod events;
mod failures;
mod files;
mod hooks;
mod hostile;
mod image;
mod life;
mod line;
mod lists;
mod lock;
mod looking;
mod mishaps;
mod network;
mod probe;
mod registry;
mod remote;
mod run;
mod system;
mod terminal;
mod test;
mod trees;
mod ui;
mod volume;
mod watch;

use rcompose_harness::Scratch;

/// A scratch place with a stack of the host's own programs.
pub(crate) fn scratch(compose: &str) -> Scratch {
    let scratch = Scratch::new(env!("CARGO_BIN_EXE_rcompose"));
    scratch.write("compose.yaml", compose);
    scratch
}

/// Two services, one of which waits for the other, with a volume.
pub(crate) const SHOP: &str = r#"
name: shop
services:
  web:
    image: rootfs:/
    init: true
    command: [sh, -c, "echo web is up; exec sleep infinity"]
    depends_on: [db]
  db:
    image: rootfs:/
    init: true
    command: [sh, -c, "echo db is up; exec sleep infinity"]
    volumes: ["data:/data"]
volumes:
  data:
"#;
