//! Debian's registry in the network of a place, and what is pushed to it.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use rcompose_harness::{Scratch, wait_for};
use serde_json::{Value, json};

/// A registry that goes with its value.
pub(super) struct Registry<'a> {
    child: Child,
    place: &'a Scratch,
}

pub(super) const ADDRESS: &str = "127.0.0.1:5000";

/// Sends blobs and a manifest, both read from standard input, and prints the manifest's digest.
const PUSH: &str = r#"
import hashlib, json, sys, urllib.request
base, order = sys.argv[1], json.load(sys.stdin)
def ask(method, url, body=b"", kind="application/octet-stream"):
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind})
    return urllib.request.urlopen(request)
name = base + "/v2/" + order["name"]
for blob in order["blobs"]:
    body = blob.encode()
    place = ask("POST", name + "/blobs/uploads/").headers["Location"]
    place += ("&" if "?" in place else "?") + "digest=sha256:" + hashlib.sha256(body).hexdigest()
    ask("PUT", place, body)
body = json.dumps(order["manifest"]).encode()
ask("PUT", name + "/manifests/" + order["tag"], body, order["manifest"]["mediaType"])
print("sha256:" + hashlib.sha256(body).hexdigest(), len(body))
"#;

impl<'a> Registry<'a> {
    pub(super) fn start(place: &'a Scratch) -> Self {
        let data = place.project().join("registry");
        let settings = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {ADDRESS}\nlog:\n  level: error\n",
            data.display()
        );
        place.write("registry.yml", &settings);
        let mut words = place.command_in_network("docker-registry");
        words.arg("serve").arg(place.project().join("registry.yml"));
        let child = words.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self { child: child.expect("docker-registry is installed"), place };
        wait_for("the registry", || {
            let ask = "import socket; socket.create_connection((\"127.0.0.1\", 5000))";
            let mut python = place.command_in_network("python3");
            python.args(["-c", ask]).stderr(Stdio::null()).status().is_ok_and(|it| it.success()).then_some(())
        });
        registry
    }

    /// Sends blobs and a manifest; gives the manifest's digest and its size.
    pub(super) fn push(&self, name: &str, tag: &str, blobs: &[&str], manifest: &Value) -> (String, u64) {
        let order = json!({ "name": name, "tag": tag, "blobs": blobs, "manifest": manifest }).to_string();
        let mut python = self.place.command_in_network("python3");
        let mut child = python
            .args(["-c", PUSH, &format!("http://{ADDRESS}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python is installed");
        let text = answer(&mut child, &order);
        let (digest, size) = text.trim().split_once(' ').expect("a digest and a size");
        (digest.to_owned(), size.parse().expect("a size is a number"))
    }

    /// Pushes a stack.
    pub(super) fn push_stack(&self, name: &str, tag: &str, files: &[File<'_>]) -> (String, u64) {
        let blobs: Vec<&str> = files.iter().map(|(text, ..)| *text).chain(["{}"]).collect();
        self.push(name, tag, &blobs, &stack_manifest(files))
    }

    /// Pushes what is an image as far as its digest goes.
    pub(super) fn push_image(&self, name: &str, tag: &str) -> String {
        let config = format!("{{\"of\": \"{name}:{tag}\"}}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(&config), "size": config.len() },
            "layers": [],
        });
        self.push(name, tag, &[&config], &manifest).0
    }
}

/// Text, media type and annotations.
pub(super) type File<'a> = (&'a str, &'a str, Value);

/// A stack as `docker compose publish` describes it.
pub(super) fn stack_manifest(files: &[File<'_>]) -> Value {
    let layer = |(text, kind, annotations): &File<'_>| json!({ "mediaType": kind, "digest": sha256(text), "size": text.len(), "annotations": annotations });
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.docker.compose.project",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256("{}"), "size": 2 },
        "layers": files.iter().map(layer).collect::<Vec<_>>(),
    })
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        // It is ours, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sha256(text: &str) -> String {
    let mut sum = std::process::Command::new("sha256sum");
    let mut child = sum.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sha256sum is installed");
    format!("sha256:{}", &answer(&mut child, text)[..64])
}

/// What a program that works makes of some input.
fn answer(child: &mut Child, input: &str) -> String {
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads its input");
    drop(stdin);
    let mut text = String::new();
    child.stdout.take().expect("its output is a pipe").read_to_string(&mut text).expect("its output is text");
    assert!(child.wait().expect("it can be waited for").success(), "{input}");
    text
}
