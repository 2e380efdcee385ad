//! What the next engine finds, whatever happened to the one before.

use rcompose_engine::State;
use rustix::process::{Pid, Signal};

use crate::host::{Host, bind, endpoint, volume};

#[test]
fn what_runs_is_taken_over_with_its_network_its_output_and_its_end() {
    let mut host = Host::new();
    host.network("net");
    let mut spec = host.shell("one", "echo ready; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo done; exit 5");
    spec.networks = vec![endpoint("net", &[])];
    let id = host.start(spec);
    host.wait_for_output(&id, "ready");
    let before = (host.engine().get(&id).unwrap().pid, host.engine().networks().attached(&id));
    host.restart();
    assert_eq!((host.engine().get(&id).unwrap().pid, host.engine().networks().attached(&id)), before);
    assert_eq!(host.exec(&id, "nslookup one 127.0.0.11 >/dev/null; touch /tmp/go").0, 0);
    assert_eq!(host.wait(&id).code, 5);
    assert_eq!(host.output(&id), "ready\ndone\n");
    host.finish();
}

#[test]
fn an_end_that_nobody_saw_is_known() {
    let mut host = Host::new();
    let mut spec = host.shell("one", "while [ ! -e /mnt/go ]; do sleep 0.01; done; exit 6");
    spec.mounts = vec![bind(&host.path("shared"), "/mnt")];
    let id = host.start(spec);
    let ended = host.engine().ended(&id).unwrap();
    host.restart_after(|host| {
        std::fs::write(host.path("shared/go"), "").unwrap();
        assert!(rcompose_sys::process::pidfd_wait(&ended, Some(std::time::Duration::from_secs(10))).unwrap());
    });
    match host.engine().get(&id).unwrap().state {
        State::Exited(record) => assert_eq!(record.code, 6),
        other => panic!("{other:?}"),
    }
    host.finish();
}

#[test]
fn a_container_whose_monitor_was_killed_has_ended_and_nobody_knows_how() {
    let mut host = Host::new();
    let id = host.start(host.shell("one", "sleep 1000"));
    kill_monitor(&host, &id);
    assert_eq!(host.wait(&id).code, 255);
    let id = host.start(host.shell("two", "sleep 1000"));
    let init = host.engine().get(&id).unwrap().pid.and_then(Pid::from_raw).unwrap();
    let init = rcompose_sys::process::pidfd_open(init).unwrap();
    let ended = host.engine().ended(&id).unwrap();
    kill_monitor(&host, &id);
    host.restart_after(|_| drop(rcompose_sys::process::pidfd_wait(&ended, None)));
    match host.engine().get(&id).unwrap().state {
        State::Exited(record) => assert_eq!(record.code, 255),
        other => panic!("{other:?}"),
    }
    let gone = rcompose_sys::process::pidfd_wait(&init, Some(std::time::Duration::from_secs(10))).unwrap();
    assert!(gone, "its processes are gone");
    host.finish();
}

fn kill_monitor(host: &Host, id: &str) {
    let pid = host.engine().get(id).expect("it is there").pid.expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let monitor = status.lines().find_map(|line| Pid::from_raw(line.strip_prefix("PPid:\t")?.parse().ok()?));
    rustix::process::kill_process(monitor.expect("it has a parent"), Signal::KILL).expect("the test is root");
}

#[test]
fn what_was_half_made_or_half_removed_goes_and_what_is_damaged_stays_aside() {
    let mut host = Host::new();
    let mut spec = host.shell("removed", "true");
    spec.mounts = vec![volume("", "/content")];
    let removed = host.engine().create(spec, None).unwrap();
    let damaged = host.create(host.shell("damaged", "true"));
    let kept = host.create(host.shell("kept", "true"));
    let containers = host.path("data/containers");
    host.restart_after(|_| {
        let record = containers.join(removed.id.as_str()).join("container.json");
        let text = std::fs::read_to_string(&record).unwrap();
        std::fs::write(&record, text.replace("\"removing\":null", "\"removing\":{\"volumes\":true}")).unwrap();
        std::fs::write(containers.join(&damaged).join("container.json"), "").unwrap();
        std::fs::create_dir_all(containers.join("rcompose-half-made/upper")).unwrap();
    });
    assert!(host.engine().find("removed").is_none() && host.engine().find("damaged").is_none());
    assert!(host.engine().find(&kept).is_some());
    assert!(host.engine().volumes().get(&removed.anonymous_volumes[0]).is_err(), "the removal is finished as it was asked for");
    assert!(containers.join(&damaged).join("upper").exists(), "nothing is thrown away because it cannot be read");
    assert!(!containers.join("rcompose-half-made").exists());
    std::fs::remove_dir_all(containers.join(&damaged)).unwrap();
    host.finish();
}
