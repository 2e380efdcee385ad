//! Pulling: by tag, by digest, through lists, from mirrors; what is wrong leaves nothing.

use std::collections::BTreeMap;

use rcompose_image::{Digest, LayerState, Platform, PullProgress, RegistryConfig, RegistryError};
use serde_json::{Value, json};

use crate::place::{LIST, Packing, Place, Registry, architecture, layer, noise, reference};
use crate::proxy::{Fate, Proxy};

fn listed(manifest: &Value, platform: Value) -> Value {
    let text = manifest.to_string();
    json!({
        "mediaType": manifest["mediaType"], "digest": Digest::of(text.as_bytes()).to_string(), "size": text.len(),
        "platform": platform,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_by_tag_by_digest_and_from_a_mirror() {
    let (registry, place) = (Registry::start(), Place::new());
    let (store, config) = (&place.store, RegistryConfig::default());
    let manifest = registry.push("team/app", "1").await;
    let name = format!("{}/team/app", registry.address);
    let image = store.pull(&reference(&format!("{name}:1")), None, &config, |_| {}).await.unwrap();
    let (_, description, view) = store.open_image(&format!("{name}:1")).unwrap();
    assert_eq!(description.config.cmd, Some(vec!["/hello".to_owned()]));
    assert_eq!(std::fs::read(view.lower[0].join("hello")).unwrap(), b"world");

    let digest = Digest::of(manifest.to_string().as_bytes());
    assert_eq!(image.digests, [format!("{name}@{digest}")]);
    let by_digest = store.pull(&reference(&format!("{name}@{digest}")), None, &config, |_| {}).await.unwrap();
    assert_eq!(by_digest.id, image.id);
    // Whatever the tag beside it stands for.
    let both = store.pull(&reference(&format!("{name}:none@{digest}")), None, &config, |_| {}).await.unwrap();
    assert_eq!(both.id, image.id);
    let other = Digest::of(b"other");
    let wrong = store.pull(&reference(&format!("{name}:1@{other}")), None, &config, |_| {}).await.unwrap_err();
    assert!(matches!(wrong, RegistryError::Refused { status: 404, .. }), "{wrong:?}");

    registry.push("library/redis", "7").await;
    let mirrored = RegistryConfig {
        mirrors: BTreeMap::from([("docker.io".to_owned(), vec![format!("http://{}", registry.address)])]),
        ..RegistryConfig::default()
    };
    store.pull(&reference("redis:7"), None, &mirrored, |_| {}).await.unwrap();
    assert!(store.resolve("redis:7").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_list_the_image_for_the_platform_is_chosen() {
    let (registry, place) = (Registry::start(), Place::new());
    let (store, config) = (&place.store, RegistryConfig::default());
    let own = registry.push("team/app", "own").await;
    let other = registry.push_layers("team/app", "other", &[(layer("hello", b"elsewhere"), Packing::None)]).await;
    let entries = [
        listed(&other, json!({ "os": "unknown", "architecture": "unknown" })),
        listed(&other, json!({ "os": "linux", "architecture": "arm", "variant": "v6" })),
        listed(&own, json!({ "os": "linux", "architecture": architecture() })),
    ];
    let list = json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": entries });
    registry.push_manifest("team/app", "list", LIST, &list).await;
    let name = reference(&format!("{}/team/app:list", registry.address));
    let pulled = |platform: &str| {
        let platform: Option<Platform> = Some(platform).filter(|it| !it.is_empty()).map(|it| it.parse().unwrap());
        let (name, config) = (name.clone(), config.clone());
        async move { store.pull(&name, platform.as_ref(), &config, |_| {}).await }
    };
    let content = |image: rcompose_image::Image| {
        let (_, _, view) = store.open_image(&image.id.to_string()).unwrap();
        std::fs::read_to_string(view.lower[0].join("hello")).unwrap()
    };
    let image = pulled("").await.unwrap();
    let digest = Digest::of(list.to_string().as_bytes());
    assert_eq!(image.digests, [format!("{}/team/app@{digest}", registry.address)], "the list is what the tag stands for");
    assert_eq!(content(image), "world");
    assert_eq!(content(pulled("linux/arm/v7").await.unwrap()), "elsewhere", "a later variant runs what an earlier one does");
    let none = pulled("linux/arm/v5").await.unwrap_err();
    assert!(
        none.to_string().ends_with(&format!("no image for linux/arm/v5: there are linux/{}, linux/arm/v6", architecture())),
        "{none}"
    );
    // One that stands alone says itself what it is for.
    let alone = reference(&format!("{}/team/app:own", registry.address));
    let riscv = "linux/riscv64".parse().unwrap();
    let error = store.pull(&alone, Some(&riscv), &config, |_| {}).await.unwrap_err();
    assert!(matches!(error, RegistryError::Platform { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_may_be_compressed_in_any_way_and_come_more_than_once() {
    let (registry, place) = (Registry::start(), Place::new());
    let large = layer("large", &noise(3 << 20, 7));
    let layers = [
        (layer("plain", b"1"), Packing::None),
        (layer("gzip", b"2"), Packing::Gzip),
        (large.clone(), Packing::Zstd),
        (layer("gzip", b"2"), Packing::Gzip),
    ];
    registry.push_layers("team/app", "1", &layers).await;
    let told = std::sync::Mutex::new(Vec::new());
    let name = reference(&format!("{}/team/app:1", registry.address));
    place.store.pull(&name, None, &RegistryConfig::default(), |at| told.lock().unwrap().push(at)).await.unwrap();
    let (_, _, view) = place.store.open_image(&name.to_string()).unwrap();
    // The one that is there twice is mounted once: an overlay refuses a directory that it has already.
    assert_eq!(view.lower.len(), 3);
    assert_eq!(std::fs::read(view.lower[1].join("large")).unwrap(), noise(3 << 20, 7));
    let told = told.into_inner().unwrap();
    let complete = told.iter().filter(|at| matches!(at, PullProgress::Layer { state: LayerState::Complete, .. })).count();
    assert_eq!(complete, 3, "{told:?}");
    let size = Packing::Zstd.pack(&large).len() as u64;
    let whole = |at: &PullProgress| matches!(at, PullProgress::Layer { done, total, .. } if done == total && *total == size);
    assert!(told.iter().any(whole), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pulls_fetch_each_blob_once() {
    let (registry, place) = (Registry::start(), Place::new());
    let shared = layer("shared", &noise(1 << 20, 1));
    for tag in ["1", "2"] {
        let layers = [(shared.clone(), Packing::Gzip), (layer("own", tag.as_bytes()), Packing::Gzip)];
        registry.push_layers("team/app", tag, &layers).await;
    }
    let proxy = Proxy::start(&registry.address, |_, _| Fate::Pass);
    let config = RegistryConfig::default();
    let names: Vec<_> =
        ["1", "2", "1", "2", "1"].iter().map(|tag| reference(&format!("{}/team/app:{tag}", proxy.address))).collect();
    let pulls = names.iter().map(|name| place.store.pull(name, None, &config, |_| {}));
    for pulled in futures_util::future::join_all(pulls).await {
        pulled.unwrap();
    }
    let mut fetched = proxy.blobs_fetched();
    fetched.sort();
    let before = fetched.len();
    fetched.dedup();
    assert_eq!((before, fetched.len()), (5, 5), "two descriptions, two layers of their own, one that both have");
    place.store.pull(&names[0], None, &config, |_| {}).await.unwrap();
    assert_eq!(proxy.blobs_fetched().len(), 5, "what is there is not fetched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_wrong_leaves_nothing() {
    let (registry, place) = (Registry::start(), Place::new());
    let (store, config) = (&place.store, RegistryConfig::default());
    let name = |tag: &str| reference(&format!("{}/team/app:{tag}", registry.address));
    let missing = store.pull(&name("none"), None, &config, |_| {}).await.unwrap_err();
    assert!(
        matches!(&missing, RegistryError::Refused { status: 404, message, .. } if message == "manifest unknown"),
        "{missing:?}"
    );
    let manifest = registry.push("team/app", "1").await;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    for size in [3, 100_000] {
        let mut manifest = manifest.clone();
        manifest["layers"][0]["size"] = size.into();
        registry.push_manifest("team/app", "size", kind, &manifest).await;
        let wrong = store.pull(&name("size"), None, &config, |_| {}).await.unwrap_err();
        assert!(matches!(wrong, RegistryError::Mismatch { .. }), "{wrong:?}");
    }
    // A layer that is another than the description says.
    let mut lying = manifest.clone();
    let swapped = Packing::Gzip.pack(&layer("other", b"x"));
    lying["layers"][0]["digest"] = registry.push_blob("team/app", &swapped).await.to_string().into();
    lying["layers"][0]["size"] = swapped.len().into();
    registry.push_manifest("team/app", "lying", kind, &lying).await;
    let wrong = store.pull(&name("lying"), None, &config, |_| {}).await.unwrap_err();
    assert!(matches!(&wrong, RegistryError::Load(rcompose_image::LoadError::Layer { .. })), "{wrong:?}");
    // One that is kept elsewhere.
    let mut foreign = manifest.clone();
    foreign["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    foreign["layers"][0]["urls"] = json!(["https://elsewhere.example/layer"]);
    registry.push_manifest("team/app", "foreign", kind, &foreign).await;
    let refused = store.pull(&name("foreign"), None, &config, |_| {}).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Foreign { .. }), "{refused:?}");
    place.check_nothing_is_left();
    let asked = RegistryConfig { foreign_layers: true, ..config.clone() };
    store.pull(&name("foreign"), None, &asked, |_| {}).await.unwrap();
    let plain = RegistryConfig {
        mirrors: BTreeMap::from([("docker.io".to_owned(), vec!["http://mirror.example".to_owned()])]),
        ..RegistryConfig::default()
    };
    let refused = store.pull(&reference("redis:7"), None, &plain, |_| {}).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Distrusted { .. }), "{refused:?}");
}
