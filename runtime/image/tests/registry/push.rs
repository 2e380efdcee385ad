//! Pushing: what came goes out byte for byte, what was made here is sent once, and a cut costs little.

use rcompose_image::{Digest, LayerState, PullProgress, RegistryConfig, RegistryError};
use serde_json::{Value, json};

use crate::place::{Packing, Place, Registry, impatient, layer, noise, reference};
use crate::proxy::{Fate, Proxy};

/// Pulls `from` and gives it another name.
async fn pulled_as(place: &Place, from: &str, to: &str) {
    let image = place.store.pull(&reference(from), None, &impatient(), |_| {}).await.expect("it works");
    place.store.tag(&image.id, &reference(to)).expect("it works");
}

/// States that layers came to.
async fn push(place: &Place, name: &str) -> (rcompose_image::Pushed, Vec<LayerState>) {
    let told = std::sync::Mutex::new(std::collections::BTreeMap::new());
    let tell = |at: PullProgress| {
        if let PullProgress::Layer { layer, state, .. } = at {
            told.lock().expect("nobody panics with it").insert(layer, state);
        }
    };
    let pushed = place.store.push(&reference(name), &impatient(), tell).await.expect("it works");
    assert_eq!(place.count("tmp"), 0);
    (pushed, told.into_inner().expect("it was whole").into_values().collect())
}

/// Everything that a manifest names, as it is in a registry.
async fn contents(registry: &Registry, repository: &str, tag: &str) -> Vec<Vec<u8>> {
    let (status, manifest) = registry.get(&format!("{repository}/manifests/{tag}")).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&manifest));
    let parsed: Value = serde_json::from_slice(&manifest).expect("it works");
    let mut all = vec![manifest];
    for descriptor in parsed["layers"].as_array().expect("it works").iter().chain([&parsed["config"]]) {
        let digest = descriptor["digest"].as_str().expect("it works");
        let (status, blob) = registry.get(&format!("{repository}/blobs/{digest}")).await;
        assert_eq!((status, Digest::of(&blob).to_string().as_str()), (200, digest));
        all.push(blob);
    }
    all
}

const EVERY: [Packing; 3] = [Packing::None, Packing::Gzip, Packing::Zstd];

fn layers() -> Vec<(Vec<u8>, Packing)> {
    EVERY.iter().zip(1..).map(|(packing, seed)| (layer(&format!("{packing:?}"), &noise(200_000, seed)), *packing)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pulled_goes_elsewhere_byte_for_byte() {
    let (registry, other, place) = (Registry::start(), Registry::start(), Place::new());
    registry.push_layers("team/app", "1", &layers()).await;
    let (from, to) = (format!("{}/team/app:1", registry.address), format!("{}/copy/app:2", other.address));
    pulled_as(&place, &from, &to).await;
    let (pushed, states) = push(&place, &to).await;
    assert_eq!((pushed.renewed.len(), states), (0, vec![LayerState::Pushed; 3]));
    assert!(contents(&other, "copy/app", "2").await == contents(&registry, "team/app", "1").await);
    let image = place.store.resolve(&to).unwrap();
    assert_eq!(
        image.digests,
        [format!("{}/copy/app@{}", other.address, pushed.digest), format!("{}/team/app@{}", registry.address, pushed.digest)]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(push(&place, &to).await.1, [LayerState::Exists; 3], "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_registry_nothing_is_sent() {
    let (registry, place) = (Registry::start(), Place::new());
    registry.push_layers("team/app", "1", &layers()).await;
    let proxy = Proxy::start(&registry.address, |_, _| Fate::Pass);
    let (from, to) = (format!("{}/team/app:1", proxy.address), format!("{}/other/app:1", proxy.address));
    pulled_as(&place, &from, &to).await;
    assert_eq!(push(&place, &to).await.1, [LayerState::Mounted; 3]);
    assert!(contents(&registry, "other/app", "1").await == contents(&registry, "team/app", "1").await);
    let sent: Vec<_> = proxy.seen().into_iter().filter(|seen| seen.method == "PATCH").collect();
    assert_eq!(sent.len(), 1, "the description has no place that is known: {sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_nobody_has_any_more_is_made_anew() {
    let (other, place) = (Registry::start(), Place::new());
    let to = format!("{}/copy/app:1", other.address);
    let id = {
        let registry = Registry::start();
        registry.push_layers("team/app", "1", &layers()).await;
        pulled_as(&place, &format!("{}/team/app:1", registry.address), &to).await;
        place.store.resolve(&to).unwrap().id
    };
    let (pushed, _) = push(&place, &to).await;
    assert_eq!(pushed.renewed.len(), 2, "what was not compressed is put together again");
    let again = Place::new();
    let pulled = again.store.pull(&reference(&to), None, &impatient(), |_| {}).await.unwrap();
    assert_eq!(pulled.id, id, "the image is the same");
    assert_eq!(pulled.digests, [format!("{}/copy/app@{}", other.address, pushed.digest)]);
}

/// An image that came from no registry.
fn loaded(place: &Place, name: &str, content: &[u8]) {
    let layer = layer("file", content);
    let config = json!({
        "architecture": crate::place::architecture(), "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] },
    });
    let manifest = json!([{ "Config": "c", "RepoTags": [name], "Layers": ["l"] }]);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in
        [("c", config.to_string().into_bytes()), ("l", layer), ("manifest.json", manifest.to_string().into_bytes())]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice()).expect("it works");
    }
    let archive = archive.into_inner().expect("it was whole");
    tokio::task::block_in_place(|| place.store.load(archive.as_slice())).expect("it works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_where_the_registry_has_got_to() {
    let registry = Registry::start();
    let cut = std::sync::atomic::AtomicBool::new(false);
    let proxy = Proxy::start(&registry.address, move |seen, before| match (seen.method.as_str(), before) {
        ("PATCH", _) if seen.body.len() > 1_000_000 && !cut.swap(true, std::sync::atomic::Ordering::Relaxed) => {
            Fate::CutRequest(400_000)
        }
        ("PUT", 0) if seen.path.contains("/manifests/") => Fate::Answer(503, Vec::new(), String::new()),
        _ => Fate::Pass,
    });
    let (place, again) = (Place::new(), Place::new());
    let name = format!("{}/team/app:1", proxy.address);
    loaded(&place, &name, &noise(3 << 20, 9));
    let (pushed, states) = push(&place, &name).await;
    assert_eq!(states, [LayerState::Pushed]);
    let by_digest = reference(&format!("{}/team/app@{}", registry.address, pushed.digest));
    let pulled = again.store.pull(&by_digest, None, &impatient(), |_| {}).await.unwrap();
    assert_eq!(pulled.id, place.store.resolve(&name).unwrap().id);
    assert!(
        proxy.seen().iter().any(|seen| seen.method == "GET" && seen.path.contains("/uploads/")),
        "it was asked how far it is"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_led_nowhere_with_credentials() {
    let registry = Registry::start();
    let storage = Proxy::start(&registry.address, |_, _| Fate::Pass);
    let elsewhere = storage.address.clone();
    let address = registry.address.clone();
    let proxy = Proxy::start(&registry.address, move |seen, _| {
        if seen.header("authorization").is_none() {
            return Fate::Answer(401, vec![("www-authenticate", "Basic realm=x".to_owned())], String::new());
        }
        if seen.method != "POST" {
            return Fate::Pass;
        }
        // The session is one of the registry's own; only its address leads elsewhere.
        let session = std::net::TcpStream::connect(&address).and_then(|mut stream| {
            use std::io::{Read, Write};
            write!(stream, "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", seen.path)?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text.lines().find_map(|line| line.strip_prefix("Location: http://x").map(str::to_owned)).unwrap_or_default())
        });
        Fate::Answer(202, vec![("location", format!("http://{elsewhere}{}", session.unwrap()))], String::new())
    });
    let (place, folder) = (Place::new(), rcompose_sys::atomic::TempDir::new().unwrap());
    let credentials = folder.path().join("config.json");
    std::fs::write(&credentials, format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, proxy.address)).unwrap();
    let config = RegistryConfig { credentials: Some(credentials), ..impatient() };
    let name = format!("{}/team/app:1", proxy.address);
    loaded(&place, &name, b"x");
    place.store.push(&reference(&name), &config, |_| {}).await.unwrap();
    assert!(!storage.seen().is_empty() && storage.seen().iter().all(|seen| seen.header("authorization").is_none()));
    assert_eq!(registry.get("team/app/manifests/1").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_pushed_is_said_before_anything_is_sent() {
    let place = Place::new();
    let config = RegistryConfig::default();
    let digest = Digest::of(b"x");
    let error = place.store.push(&reference(&format!("reg.example/a@{digest}")), &config, |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::NoTag(_)), "{error:?}");
    let error = place.store.push(&reference("reg.example/a:1"), &config, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("No such image"), "{error}");
}
