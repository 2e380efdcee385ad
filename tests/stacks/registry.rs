//! A real registry in the network of a place, with images of real services, under the names that Docker Hub has for them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcompose_harness::{Scratch, wait_for};

/// A registry that goes with its value.
pub(crate) struct Registry {
    child: Child,
}

const PORT: u16 = 5000;

impl Registry {
    /// Starts one, fills it, and makes it the mirror of docker.io for every command in the place.
    pub(crate) fn start(place: &mut Scratch) -> Self {
        let folder = place.project();
        let address = format!("{}:{PORT}", Ipv4Addr::LOCALHOST);
        let data = folder.join("registry");
        let settings = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\nlog:\n  level: error\n",
            data.display()
        );
        place.write("registry.yml", &settings);
        let mut words = place.command_in_network("docker-registry");
        words.arg("serve").arg(folder.join("registry.yml"));
        let child = words.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self { child: child.expect("docker-registry is installed") };
        wait_for("the registry", || {
            let ask = format!("import socket; socket.create_connection((\"127.0.0.1\", {PORT}))");
            place
                .command_in_network("python3")
                .args(["-c", &ask])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|it| it.success())
                .then_some(())
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/stacks/images.py");
        let cache = std::env::var("RCOMPOSE_TEST_CACHE").unwrap_or_else(|_| "/var/cache/rcompose-tests".to_owned());
        // Packages come over the host's network, images are pushed in the place's.
        let made = Command::new("python3").arg(&script).arg(&cache).status();
        assert!(made.is_ok_and(|status| status.success()), "a root file system can be made from packages");
        place.inside(&["python3", &script.to_string_lossy(), &cache, &address]);
        place.write("config.toml", &format!("[registries]\nmirrors = {{ \"docker.io\" = [\"http://{address}\"] }}\n"));
        place.set("RCOMPOSE_CONFIG", &folder.join("config.toml").to_string_lossy());
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
