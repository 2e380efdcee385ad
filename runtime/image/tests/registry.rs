//! Pulling from a real registry on loopback.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcompose_image::{Digest, PullError, Reference, RegistryConfig, Store};
use rcompose_sys::atomic::TempDir;

struct Registry {
    child: Child,
    address: String,
    _folder: TempDir,
}

/// A client for sending; the TLS library wants its provider named once per process.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

impl Registry {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        // Free a moment ago; the registry has no way to take one of its own choice.
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port is free").port();
        let address = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\nlog:\n  level: error\n",
            folder.path().join("data").display()
        );
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).expect("the configuration can be written");
        let child = Command::new("docker-registry").arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self { child: child.expect("docker-registry is installed"), address, _folder: folder };
        let begin = Instant::now();
        while std::net::TcpStream::connect(&registry.address).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let client = client();
        let digest = Digest::of(bytes);
        let begun =
            client.post(format!("http://{}/v2/{name}/blobs/uploads/", self.address)).send().await.expect("an upload begins");
        let place = begun.headers()["location"].to_str().expect("a location is text").to_owned();
        let place = if place.starts_with('/') { format!("http://{}{place}", self.address) } else { place };
        let end = if place.contains('?') { '&' } else { '?' };
        let done = client.put(format!("{place}{end}digest={digest}")).body(bytes.to_vec()).send().await.expect("a blob is sent");
        assert!(done.status().is_success(), "{}", done.status());
        digest
    }

    async fn push_manifest(&self, name: &str, tag: &str, kind: &str, manifest: &serde_json::Value) {
        let url = format!("http://{}/v2/{name}/manifests/{tag}", self.address);
        let sent = client().put(url).header("content-type", kind).body(manifest.to_string()).send().await;
        let status = sent.expect("a manifest is sent").status();
        assert!(status.is_success(), "{status}");
    }

    /// An image of one layer with one file, compressed.
    async fn push(&self, name: &str, tag: &str) -> serde_json::Value {
        const KIND: &str = "application/vnd.oci.image.manifest.v1+json";
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        archive.append_data(&mut header, "hello", &b"world"[..]).expect("an archive can be made");
        let layer = archive.into_inner().expect("an archive can be made");
        let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut compressed, &layer).expect("it can be compressed");
        let compressed = compressed.finish().expect("it can be compressed");
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/hello"] },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] },
        })
        .to_string();
        let (config_digest, layer_digest) =
            (self.push_blob(name, config.as_bytes()).await, self.push_blob(name, &compressed).await);
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": KIND,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest.to_string(), "size": config.len() },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer_digest.to_string(), "size": compressed.len() }],
        });
        self.push_manifest(name, tag, KIND, &manifest).await;
        manifest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reference(text: &str) -> Reference {
    text.parse().expect("the reference is valid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_by_tag_by_digest_through_a_list_and_from_a_mirror() {
    let registry = Registry::start();
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let config = RegistryConfig::default();
    let manifest = registry.push("team/app", "1").await;
    let name = format!("{}/team/app", registry.address);
    let image = store.pull(&reference(&format!("{name}:1")), &config, |_| {}).await.unwrap();
    let (_, description, view) = store.open_image(&format!("{name}:1")).unwrap();
    assert_eq!(description.config.cmd, Some(vec!["/hello".to_owned()]));
    assert_eq!(std::fs::read(view.lower[0].join("hello")).unwrap(), b"world");

    let digest = Digest::of(manifest.to_string().as_bytes());
    let by_digest = store.pull(&reference(&format!("{name}@{digest}")), &config, |_| {}).await.unwrap();
    assert_eq!(by_digest.id, image.id);

    const LIST: &str = "application/vnd.oci.image.index.v1+json";
    let ours = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let entry = |architecture: &str, digest: &Digest| {
        serde_json::json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_string(),
            "size": manifest.to_string().len(), "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let list = serde_json::json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": [entry(ours, &digest)] });
    registry.push_manifest("team/app", "list", LIST, &list).await;
    assert_eq!(store.pull(&reference(&format!("{name}:list")), &config, |_| {}).await.unwrap().id, image.id);

    registry.push("library/redis", "7").await;
    let mirrored = RegistryConfig {
        mirrors: BTreeMap::from([("docker.io".to_owned(), vec![format!("http://{}", registry.address)])]),
        ..RegistryConfig::default()
    };
    store.pull(&reference("redis:7"), &mirrored, |_| {}).await.unwrap();
    assert!(store.resolve("redis:7").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_wrong_leaves_nothing() {
    let registry = Registry::start();
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let config = RegistryConfig::default();
    let name = |tag: &str| reference(&format!("{}/team/app:{tag}", registry.address));
    let missing = store.pull(&name("none"), &config, |_| {}).await.unwrap_err();
    assert!(matches!(missing, PullError::Refused { status: 404, .. }), "{missing:?}");
    let mut manifest = registry.push("team/app", "1").await;
    // A layer that is longer than it says.
    manifest["layers"][0]["size"] = 3.into();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    registry.push_manifest("team/app", "short", kind, &manifest).await;
    let wrong = store.pull(&name("short"), &config, |_| {}).await.unwrap_err();
    assert!(matches!(wrong, PullError::Mismatch { .. }), "{wrong:?}");
    assert!(store.list().is_empty());
    for part in ["tmp", "layers"] {
        assert_eq!(std::fs::read_dir(Path::new(folder.path()).join(part)).unwrap().count(), 0, "{part}");
    }
    let plain = RegistryConfig {
        mirrors: BTreeMap::from([("docker.io".to_owned(), vec!["http://mirror.example".to_owned()])]),
        ..RegistryConfig::default()
    };
    let refused = store.pull(&reference("redis:7"), &plain, |_| {}).await.unwrap_err();
    assert!(matches!(refused, PullError::Distrusted { .. }), "{refused:?}");
}
