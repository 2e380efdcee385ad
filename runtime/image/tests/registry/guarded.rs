//! Registries that want to know who asks: passwords, certificates of an authority of one's own, tokens.

use std::path::{Path, PathBuf};

use rcompose_image::{RegistryConfig, RegistryError, log_in, log_out};
use rcompose_sys::atomic::TempDir;

use crate::place::{Guard, Place, Registry, impatient, reference};
use crate::proxy::{Fate, Proxy};

fn with_credentials(folder: &TempDir, config: RegistryConfig) -> (PathBuf, RegistryConfig) {
    let path = folder.path().join("config.json");
    (path.clone(), RegistryConfig { credentials: Some(path), ..config })
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_certificates_of_ones_own_authority() {
    let registry = Registry::guarded(Guard { password: true, certificate: true });
    registry.push("team/app", "1").await;
    let (place, folder) = (Place::new(), TempDir::new().unwrap());
    let name = reference(&format!("{}/team/app:1", registry.address));
    let (path, config) = with_credentials(&folder, impatient());
    let stranger = place.store.pull(&name, None, &config, |_| {}).await.unwrap_err();
    // Loopback may be spoken to in the clear; that this one does not want it, it says itself.
    assert!(matches!(&stranger, RegistryError::Refused { status: 400, .. }), "{stranger:?}");
    let config = RegistryConfig { certificates: vec![registry.authority()], ..config };
    let anonymous = place.store.pull(&name, None, &config, |_| {}).await.unwrap_err();
    assert!(matches!(&anonymous, RegistryError::Anonymous { .. }), "{anonymous:?}");
    let wrong = log_in(&config, &registry.address, "me", "guess").await.unwrap_err();
    assert!(wrong.is_unauthorized(), "{wrong:?}");
    assert!(!path.exists(), "nothing is kept of what is wrong");
    log_in(&config, &registry.address, "me", "secret").await.unwrap();
    assert!(read(&path).contains("bWU6c2VjcmV0"));
    place.store.pull(&name, None, &config, |_| {}).await.unwrap();
    let other = reference(&format!("{}/team/other:2", registry.address));
    let image = place.store.resolve(&name.to_string()).unwrap();
    place.store.tag(&image.id, &other).unwrap();
    place.store.push(&other, &config, |_| {}).await.unwrap();
    assert_eq!(registry.get("team/other/manifests/2").await, registry.get("team/app/manifests/1").await);
    assert!(log_out(&config, &registry.address).await.unwrap());
    assert!(place.store.pull(&name, None, &config, |_| {}).await.unwrap_err().is_unauthorized());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_had_for_passwords_and_for_identities_and_renewed_in_time() {
    let registry = Registry::start();
    registry.push("team/app", "1").await;
    // A registry that takes tokens, the first of which is soon too old, and gives them itself.
    let proxy = Proxy::start(&registry.address, |seen, before| {
        let form = format!("{}&{}", seen.path, String::from_utf8_lossy(&seen.body));
        if seen.path.starts_with("/token") {
            let known = seen.header("authorization") == Some("Basic bWU6c2VjcmV0") || form.contains("refresh_token=identity");
            let refresh = if form.contains("offline_token=true") { r#", "refresh_token": "identity""# } else { "" };
            return match known {
                true => Fate::Answer(200, Vec::new(), format!(r#"{{"access_token": "{}{before}"{refresh}}}"#, seen.method)),
                false => Fate::Answer(401, Vec::new(), r#"{"errors":[{"message":"who are you"}]}"#.to_owned()),
            };
        }
        match seen.header("authorization") {
            Some("Bearer GET0") if seen.is_get_of_blob() => Fate::Answer(401, vec![challenge(seen)], String::new()),
            Some(value) if value.starts_with("Bearer ") => Fate::Pass,
            _ => Fate::Answer(401, vec![challenge(seen)], String::new()),
        }
    });
    let name = reference(&format!("{}/team/app:1", proxy.address));
    let tokens = |proxy: &Proxy| proxy.seen().into_iter().filter(|seen| seen.path.starts_with("/token")).collect::<Vec<_>>();

    let folder = TempDir::new().unwrap();
    let (path, config) = with_credentials(&folder, impatient());
    std::fs::write(&path, format!(r#"{{"auths": {{"{}": {{"auth": "bWU6c2VjcmV0"}}}}}}"#, proxy.address)).unwrap();
    Place::new().store.pull(&name, None, &config, |_| {}).await.unwrap();
    let asked = tokens(&proxy);
    assert_eq!(asked.len(), 2, "one more when the first was too old");
    assert!(asked[0].path.contains("scope=repository%3Ateam%2Fapp%3Apull&service=ours"), "{asked:?}");

    let wrong = log_in(&config, &proxy.address, "me", "guess").await.unwrap_err();
    assert!(wrong.is_unauthorized() && wrong.to_string().ends_with("(who are you)"), "{wrong}");
    log_in(&config, &proxy.address, "me", "secret").await.unwrap();
    assert!(read(&path).contains(r#""identitytoken": "identity""#) && !read(&path).contains("bWU6c2VjcmV0"), "{}", read(&path));
    Place::new().store.pull(&name, None, &config, |_| {}).await.unwrap();
    let last = tokens(&proxy).pop().unwrap();
    let form = String::from_utf8(last.body).unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("POST", "/token"));
    assert!(form.contains("grant_type=refresh_token") && form.contains("service=ours"), "{form}");
}

fn challenge(seen: &crate::proxy::Seen) -> (&'static str, String) {
    let host = seen.header("host").unwrap_or_default();
    ("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="ours""#))
}
