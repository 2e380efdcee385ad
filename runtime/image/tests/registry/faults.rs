//! A bad network and bad registries: what is cut or stalls goes on, what is wrong is found out, nobody is led anywhere.

use std::time::{Duration, Instant};

use rcompose_image::{RegistryConfig, RegistryError};

use crate::place::{Packing, Place, Registry, impatient, layer, noise, reference};
use crate::proxy::{Fate, Proxy};

const SIZE: usize = 2 << 20;

async fn filled() -> Registry {
    let registry = Registry::start();
    registry.push_layers("team/app", "1", &[(layer("large", &noise(SIZE, 3)), Packing::Gzip)]).await;
    registry
}

/// Pulls through a proxy; gives the store and what came of it.
async fn pull(proxy: &Proxy, config: &RegistryConfig) -> (Place, Result<(), RegistryError>) {
    let place = Place::new();
    let name = reference(&format!("{}/team/app:1", proxy.address));
    let pulled = place.store.pull(&name, None, config, |_| {}).await.map(|_| ());
    if pulled.is_ok() {
        let (_, _, view) = place.store.open_image(&name.to_string()).expect("it works");
        assert_eq!(std::fs::read(view.lower[0].join("large")).expect("it works"), noise(SIZE, 3));
    }
    assert_eq!(place.count("tmp"), 0);
    (place, pulled)
}

fn is_large(length: usize) -> bool {
    length > SIZE / 2
}

/// Where parts of the layer were asked for, in order.
fn ranges(proxy: &Proxy) -> Vec<String> {
    let asked = proxy.seen().into_iter().filter(|seen| seen.is_get_of_blob());
    asked.filter_map(|seen| seen.header("range").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cut_goes_on_where_it_was() {
    let registry = filled().await;
    assert!(is_large(SIZE));
    // Each answer ends after a part; the description is shorter than that.
    let proxy = Proxy::start(&registry.address, |seen, _| if seen.is_get_of_blob() { Fate::Cut(500_000) } else { Fate::Pass });
    pull(&proxy, &impatient()).await.1.unwrap();
    assert_eq!(ranges(&proxy), ["bytes=500000-", "bytes=1000000-", "bytes=1500000-", "bytes=2000000-"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_without_ranges_sends_all_of_it_again() {
    let registry = filled().await;
    let proxy = Proxy::start(&registry.address, |seen, before| match (seen.is_get_of_blob(), before) {
        (true, 0) => Fate::Cut(700_000),
        _ => Fate::Whole,
    });
    pull(&proxy, &impatient()).await.1.unwrap();
    assert_eq!(ranges(&proxy).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stalls_is_asked_for_again() {
    let registry = filled().await;
    let proxy = Proxy::start(&registry.address, |seen, before| match (seen.is_get_of_blob(), before) {
        (true, 0) => Fate::Stall(300_000),
        _ => Fate::Pass,
    });
    let begin = Instant::now();
    pull(&proxy, &impatient()).await.1.unwrap();
    assert!(begin.elapsed() > Duration::from_secs(1), "it waited before it lost patience");
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(ranges(&proxy), ["bytes=300000-"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_to_nothing_is_not_enough() {
    let registry = filled().await;
    let proxy = Proxy::start(&registry.address, |seen, before| match (seen.is_get_of_blob(), before) {
        (true, 0) => Fate::Drip(SIZE / 2),
        _ => Fate::Pass,
    });
    pull(&proxy, &impatient()).await.1.unwrap();
    assert_eq!(ranges(&proxy).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_registry_is_given_the_time_that_it_asks_for() {
    let registry = filled().await;
    let proxy = Proxy::start(&registry.address, |_, before| match before {
        0 => Fate::Answer(429, vec![("retry-after", "1".to_owned())], String::new()),
        1 => Fate::Answer(503, Vec::new(), String::new()),
        _ => Fate::Pass,
    });
    let begin = Instant::now();
    pull(&proxy, &impatient()).await.1.unwrap();
    // Manifest, description and layer, one after the other.
    assert!(begin.elapsed() > Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_for_ever() {
    let registry = filled().await;
    for fate in [429, 500] {
        let proxy = Proxy::start(&registry.address, move |seen, _| match seen.is_get_of_blob() {
            true => Fate::Answer(
                fate,
                vec![("retry-after", "0".to_owned())],
                r#"{"errors":[{"message":"not now\u001b[31m"}]}"#.to_owned(),
            ),
            false => Fate::Pass,
        });
        let (place, result) = pull(&proxy, &impatient()).await;
        let error = result.unwrap_err();
        assert!(
            matches!(&error, RegistryError::Refused { status, message, .. } if *status == fate && message == "not now[31m"),
            "{error:?}"
        );
        place.check_nothing_is_left();
    }
    let cut = Proxy::start(&registry.address, |seen, _| if seen.is_get_of_blob() { Fate::Cut(10) } else { Fate::Pass });
    let (place, result) = pull(&cut, &impatient()).await;
    assert!(matches!(result, Err(RegistryError::Unreachable { .. })), "{result:?}");
    place.check_nothing_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_on_the_way_is_found_out() {
    let registry = filled().await;
    let proxy = Proxy::start(&registry.address, |seen, _| if seen.is_get_of_blob() { Fate::Change } else { Fate::Pass });
    let (place, result) = pull(&proxy, &impatient()).await;
    assert!(matches!(&result, Err(RegistryError::Mismatch { why, .. }) if why == "its content has another digest"), "{result:?}");
    place.check_nothing_is_left();
    // Also of the layer alone, where what is damaged may not even be read.
    let proxy = Proxy::start(&registry.address, |seen, before| {
        let is_layer = seen.is_get_of_blob() && before == 0 && seen.header("accept").is_some();
        if is_layer { Fate::Change } else { Fate::Pass }
    });
    let (place, result) = pull(&proxy, &impatient()).await;
    assert!(matches!(&result, Err(RegistryError::Mismatch { .. })), "{result:?}");
    place.check_nothing_is_left();
    let manifest = Proxy::start(&registry.address, |_, _| Fate::Change);
    assert!(pull(&manifest, &impatient()).await.1.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_carry_no_credentials_and_lead_nowhere_inside() {
    let registry = filled().await;
    let storage = Proxy::start(&registry.address, |_, _| Fate::Pass);
    let elsewhere = storage.address.clone();
    // It wants a name, and keeps its blobs elsewhere.
    let proxy = Proxy::start(&registry.address, move |seen, _| match (seen.header("authorization"), seen.is_get_of_blob()) {
        (None, _) => Fate::Answer(401, vec![("www-authenticate", "Basic realm=x".to_owned())], String::new()),
        (Some(_), true) => Fate::Answer(307, vec![("location", format!("http://{elsewhere}{}", seen.path))], String::new()),
        _ => Fate::Pass,
    });
    let folder = rcompose_sys::atomic::TempDir::new().unwrap();
    let credentials = folder.path().join("config.json");
    std::fs::write(&credentials, format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, proxy.address)).unwrap();
    let config = RegistryConfig { credentials: Some(credentials), ..impatient() };
    pull(&proxy, &config).await.1.unwrap();
    assert!(proxy.seen().iter().any(|seen| seen.header("authorization") == Some("Basic bWU6c2VjcmV0")));
    let led = storage.seen();
    assert!(
        led.len() >= 2 && led.iter().all(|seen| seen.header("authorization").is_none() && seen.header("referer").is_none()),
        "{led:?}"
    );

    let trap = Proxy::start(&registry.address, |_, _| Fate::Pass);
    let port = trap.address.rsplit_once(':').unwrap().1.to_owned();
    for target in [format!("http://127.0.0.2:{port}/x"), format!("http://localhost:{port}/x"), "file:///etc/passwd".to_owned()] {
        let proxy = Proxy::start(&registry.address, move |seen, _| match seen.is_get_of_blob() {
            true => Fate::Answer(302, vec![("location", target.clone())], String::new()),
            false => Fate::Pass,
        });
        let (place, result) = pull(&proxy, &impatient()).await;
        assert!(matches!(result, Err(RegistryError::Distrusted { .. } | RegistryError::Refused { .. })), "{result:?}");
        place.check_nothing_is_left();
    }
    let forever = Proxy::start(&registry.address, |seen, _| match seen.is_get_of_blob() {
        true => Fate::Answer(302, vec![("location", seen.path.clone())], String::new()),
        false => Fate::Pass,
    });
    let result = pull(&forever, &impatient()).await.1;
    assert!(matches!(&result, Err(RegistryError::Distrusted { why, .. }) if why == "it redirects too often"), "{result:?}");
    assert!(trap.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_given_up_leaves_finished_layers_only() {
    let registry = Registry::start();
    let layers = [(layer("small", b"x"), Packing::Gzip), (layer("large", &noise(SIZE, 3)), Packing::Gzip)];
    let manifest = registry.push_layers("team/app", "1", &layers).await;
    let large = manifest["layers"][1]["digest"].as_str().unwrap().to_owned();
    let stalls = large.clone();
    let proxy = Proxy::start(&registry.address, move |seen, before| match seen.path.ends_with(&stalls) && before == 0 {
        true => Fate::Stall(300_000),
        false => Fate::Pass,
    });
    let place = Place::new();
    let name = reference(&format!("{}/team/app:1", proxy.address));
    {
        let config = RegistryConfig::default();
        let pull = place.store.pull(&name, None, &config, |_| {});
        tokio::pin!(pull);
        let begin = Instant::now();
        // Until the small layer is there.
        while place.count("layers") < 3 {
            assert!(begin.elapsed() < Duration::from_secs(20));
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut pull).await;
        }
    }
    let begin = Instant::now();
    while place.count("tmp") > 0 {
        assert!(begin.elapsed() < Duration::from_secs(20), "what was not finished is cleared away");
        tokio::task::yield_now().await;
    }
    let before = proxy.blobs_fetched().len();
    place.store.pull(&name, None, &impatient(), |_| {}).await.unwrap();
    let again: Vec<String> = proxy.blobs_fetched().split_off(before);
    assert!(again.iter().any(|path| path.ends_with(&large)), "{again:?}");
    let small = manifest["layers"][0]["digest"].as_str().unwrap();
    assert!(!again.iter().any(|path| path.ends_with(small)), "{again:?}");
}
