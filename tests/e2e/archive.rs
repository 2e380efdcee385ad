//! A small image in an archive, as `docker save` writes it.

use std::path::PathBuf;
use std::process::Command;

use rcompose_harness::Scratch;

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes an archive of one image with one layer, in which is the file `/content`; gives its path.
pub(crate) fn archive(place: &Scratch, tags: &[&str], content: &str) -> PathBuf {
    let folder = place.project().join(format!("image-{}", tags.join("-").replace([':', '/'], "_")));
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::create_dir_all(folder.join("layer")).expect("the folder of the project can be written");
    std::fs::write(folder.join("layer/content"), content).expect("the folder of the project can be written");
    output_of("tar", &["-C", &path("layer"), "--mtime=@0", "--sort=name", "-cf", &path("layer.tar"), "."]);
    let digest = output_of("sha256sum", &[&path("layer.tar")])[..64].to_owned();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-02T03:04:05Z",
        "config": { "Cmd": ["/bin/none"], "Env": ["A=1"], "ExposedPorts": { "80/tcp": {} }, "Labels": { "made": "here" } },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("the folder of the project can be written");
    let manifest = serde_json::json!([{ "Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"] }]);
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).expect("the folder of the project can be written");
    output_of("tar", &["-C", &path(""), "-cf", &path("image.tar"), "config.json", "manifest.json", "layer.tar"]);
    folder.join("image.tar")
}

/// What is in an archive.
pub(crate) fn members(archive: &std::path::Path) -> Vec<String> {
    output_of("tar", &["-tf", &archive.display().to_string()]).lines().map(str::to_owned).collect()
}
