//! Real registries on loopback: plain, with passwords, with certificates of an authority of our own; and images to fill them with.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcompose_image::{Digest, Reference, RegistryConfig, Store};
use rcompose_sys::atomic::TempDir;
use serde_json::{Value, json};

/// `me` and `secret`, as the registry wants to have them written.
const PASSWORDS: &str = "me:$2y$04$ADY60S5k1s7yP9kTR36sJeozVGQtdBBuRkYJX.DP.b5GC/QyyZbW2\n";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const LIST: &str = "application/vnd.oci.image.index.v1+json";

/// How a registry is guarded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Guard {
    pub(crate) password: bool,
    pub(crate) certificate: bool,
}

/// An address that nobody else takes. A port that was free a moment ago is no such thing: another registry, or just a connection
/// that somebody opens, may have it by the time that ours listens, and then this test would talk to a stranger.
fn own_address() -> String {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(5000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    // Connections come from 127.0.0.1; a process number is unique on this machine, and has 22 bits.
    format!("127.{}.{middle}.{low}:{}", 64 + high, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A registry that goes with its value.
pub(crate) struct Registry {
    child: Child,
    pub(crate) address: String,
    guard: Guard,
    folder: TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::guarded(Guard::default())
    }

    pub(crate) fn guarded(guard: Guard) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let at = folder.path().display();
        let address = own_address();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {at}/data\nlog:\n  level: error\n\
             http:\n  addr: {address}\n"
        );
        if guard.certificate {
            certify(&folder, &address);
            config += &format!("  tls:\n    certificate: {at}/own.pem\n    key: {at}/own.key\n");
        }
        if guard.password {
            std::fs::write(folder.path().join("passwords"), PASSWORDS).expect("a file can be written");
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {at}/passwords\n");
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, config).expect("the configuration can be written");
        let child = Command::new("docker-registry").arg("serve").arg(&path).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut registry = Self { child: child.expect("docker-registry is installed"), address, guard, folder };
        let begin = Instant::now();
        while std::net::TcpStream::connect(&registry.address).is_err() {
            let ended = registry.child.try_wait().expect("it can be asked for");
            assert!(ended.is_none(), "the registry ended at once: {ended:?}");
            assert!(begin.elapsed() < Duration::from_secs(20), "the registry does not listen");
            std::thread::yield_now();
        }
        registry
    }

    /// The authority that its certificate is of.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn url(&self, rest: &str) -> String {
        format!("{}://{}/v2/{rest}", if self.guard.certificate { "https" } else { "http" }, self.address)
    }

    fn request(&self, method: reqwest::Method, url: String) -> reqwest::RequestBuilder {
        // The TLS library wants its provider named once per process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder();
        if self.guard.certificate {
            let pem = std::fs::read(self.authority()).expect("the authority has a certificate");
            client = client.add_root_certificate(reqwest::Certificate::from_pem(&pem).expect("it is one"));
        }
        let request = client.build().expect("a client can be made").request(method, url);
        if self.guard.password { request.basic_auth("me", Some("secret")) } else { request }
    }

    /// What it answers to a question.
    pub(crate) async fn get(&self, rest: &str) -> (u16, Vec<u8>) {
        let request = self.request(reqwest::Method::GET, self.url(rest)).header("accept", format!("{IMAGE}, {LIST}"));
        let response = request.send().await.expect("the registry answers");
        (response.status().as_u16(), response.bytes().await.expect("the registry answers").to_vec())
    }

    pub(crate) async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let begun = self.request(reqwest::Method::POST, self.url(&format!("{name}/blobs/uploads/"))).send().await;
        let begun = begun.expect("an upload begins");
        let place = begun.headers()["location"].to_str().expect("a location is text").to_owned();
        let place = if place.starts_with('/') { self.url(place.trim_start_matches("/v2/")) } else { place };
        let end = if place.contains('?') { '&' } else { '?' };
        let put = self.request(reqwest::Method::PUT, format!("{place}{end}digest={digest}")).body(bytes.to_vec());
        let done = put.send().await.expect("a blob is sent");
        assert!(done.status().is_success(), "{}", done.status());
        digest
    }

    pub(crate) async fn push_manifest(&self, name: &str, tag: &str, kind: &str, manifest: &Value) {
        let put = self.request(reqwest::Method::PUT, self.url(&format!("{name}/manifests/{tag}")));
        let status = put.header("content-type", kind).body(manifest.to_string()).send().await.expect("it is sent").status();
        assert!(status.is_success(), "{status}");
    }

    /// Pushes an image of layers, each with its media type.
    pub(crate) async fn push_layers(&self, name: &str, tag: &str, layers: &[(Vec<u8>, Packing)]) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|(layer, _)| Digest::of(layer).to_string()).collect();
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": { "Cmd": ["/hello"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string();
        let digest = self.push_blob(name, config.as_bytes()).await;
        let mut descriptors = Vec::new();
        for (layer, packing) in layers {
            let packed = packing.pack(layer);
            let digest = self.push_blob(name, &packed).await;
            descriptors.push(json!({ "mediaType": packing.media_type(), "digest": digest.to_string(), "size": packed.len() }));
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "layers": descriptors,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest.to_string(), "size": config.len() },
        });
        self.push_manifest(name, tag, IMAGE, &manifest).await;
        manifest
    }

    /// Pushes an image of one layer with one file, compressed.
    pub(crate) async fn push(&self, name: &str, tag: &str) -> Value {
        self.push_layers(name, tag, &[(layer("hello", b"world"), Packing::Gzip)]).await
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority, and a certificate of it for an address.
fn certify(folder: &TempDir, address: &str) {
    let openssl = |words: &str| {
        let done = Command::new("openssl").args(words.split(' ')).current_dir(folder.path()).stderr(Stdio::null()).status();
        assert!(done.expect("openssl is installed").success(), "openssl {words}");
    };
    let (host, _) = address.split_once(':').expect("it has a port");
    std::fs::write(folder.path().join("names"), format!("subjectAltName=IP:{host}")).expect("a file can be written");
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout authority.key -out authority.pem -days 2 -subj /CN=ours",
    );
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=registry");
    openssl("x509 -req -in own.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out own.pem -days 2 -extfile names");
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    fn media_type(self) -> String {
        let base = "application/vnd.oci.image.layer.v1.tar";
        match self {
            Self::None => base.to_owned(),
            Self::Gzip => format!("{base}+gzip"),
            Self::Zstd => format!("{base}+zstd"),
        }
    }

    pub(crate) fn pack(self, layer: &[u8]) -> Vec<u8> {
        match self {
            Self::None => layer.to_vec(),
            Self::Gzip => {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                std::io::Write::write_all(&mut packed, layer).expect("it can be compressed");
                packed.finish().expect("it can be compressed")
            }
            Self::Zstd => ruzstd::encoding::compress_to_vec(layer, ruzstd::encoding::CompressionLevel::Fastest),
        }
    }
}

/// A layer with one file.
pub(crate) fn layer(path: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    archive.append_data(&mut header, path, content).expect("an archive can be made");
    archive.into_inner().expect("an archive can be made")
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(crate) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A store of its own.
pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        Self { store: Store::open(folder.path()).expect("a store can be opened"), folder }
    }

    /// What lies in a folder of the store.
    pub(crate) fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.folder.path().join(folder)).expect("the store has it").count()
    }

    pub(crate) fn check_nothing_is_left(&self) {
        assert!(self.store.list().is_empty());
        for part in ["tmp", "layers", "trash"] {
            assert_eq!(self.count(part), 0, "{part}");
        }
    }
}

/// Stalls end soon.
pub(crate) fn impatient() -> RegistryConfig {
    RegistryConfig { stall_seconds: Some(1), ..RegistryConfig::default() }
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().expect("the reference is valid")
}
