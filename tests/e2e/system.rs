//! `system`: the machine, and what takes room.

use crate::archive::archive;
use crate::{SHOP, scratch};

#[test]
fn tells_what_there_is() {
    let place = scratch(SHOP);
    place.run(&["up", "-d"]).success();
    place.run(&["stop", "web"]).success();
    let info = place.run(&["system", "info"]).success();
    let lines = ["Containers: 2\n Running: 1\n Paused: 0\n Stopped: 1\n", "Networks: 1\nVolumes: 1\n", "\nData Root: /"];
    assert!(lines.iter().all(|line| info.contains(line)), "{info}");
    let counted = place.run(&["system", "info", "-f", "{{.ContainersRunning}} {{.OSType}} {{.ServerVersion}}"]).success();
    assert_eq!(counted, format!("1 linux {}\n", env!("CARGO_PKG_VERSION")));
    let json: serde_json::Value = serde_json::from_str(&place.run(&["system", "info", "-f", "json"]).success()).unwrap();
    assert!(json["NCPU"].as_u64().unwrap() > 0 && json["MemTotal"].as_u64().unwrap() > 0);
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}

#[test]
fn tells_what_takes_room() {
    let place = scratch(SHOP);
    let made = archive(&place, &["small:1"], &"x".repeat(5000));
    place.run(&["image", "load", "-i", &made.display().to_string()]).success();
    place.run(&["up", "-d"]).success();
    place.run(&["exec", "-T", "db", "sh", "-c", "head -c 8192 /dev/zero >/data/file"]).success();
    let table = place.run(&["system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}"]).success();
    assert_eq!(table, "Images|1|0\nContainers|2|2\nLocal Volumes|1|1\nBuild Cache|0|0\nLogs|1|1\n");
    let table = place.run(&["system", "df"]).success();
    assert!(table.starts_with("TYPE            TOTAL   ACTIVE   SIZE"), "{table}");
    assert!(table.contains("5kB      5kB (100%)\n") && table.contains("8.19kB   0B (0%)\n"), "{table}");
    let details = place.run(&["system", "df", "-v"]).success();
    for part in [
        "Images space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
        "shop_data     1       8.19kB",
        "\nshop ",
    ] {
        assert!(details.contains(part), "{part} is not in {details}");
    }
    place.run(&["down", "-v"]).success();
    place.check_nothing_is_left();
}
