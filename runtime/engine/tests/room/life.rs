//! Created, started, ended, started again, removed.

use rcompose_engine::container::{Limits, Security};
use rcompose_engine::{EngineError, State};
use rustix::process::Signal;

use crate::host::{Host, chain};

#[test]
fn a_container_is_created_runs_ends_and_goes() {
    let host = Host::new();
    let id = host.create(host.shell("one", "echo hello; exit 3"));
    assert_eq!(host.engine().get(&id).unwrap().state, State::Created);
    host.engine().start(&id).unwrap();
    let ended = host.wait(&id);
    assert_eq!((ended.code, ended.oom_killed), (3, false));
    assert_eq!(host.output(&id), "hello\n");
    assert_eq!(host.engine().get(&id).unwrap().state, State::Exited(ended));
    host.engine().remove(&id, true).unwrap();
    assert!(host.engine().find("one").is_none());
    host.finish();
}

#[test]
fn a_command_that_is_not_there_says_so_and_leaves_nothing_behind() {
    let host = Host::new();
    for (program, code) in [("/no/such/program", 127), ("/etc/passwd", 126)] {
        let mut spec = host.shell("one", "");
        spec.command = Some(vec![program.to_owned()]);
        let id = host.create(spec);
        let error = host.engine().start(&id).unwrap_err();
        assert_eq!(error.exit_code(), code, "{}", chain(&error));
        let container = host.engine().get(&id).unwrap();
        let (kept, text) = container.record.failure.clone().unwrap();
        assert!(kept == code && text.contains(program), "{text}");
        assert!(container.pid.is_none());
        assert_eq!(container.state, State::Created, "it never ran");
        host.engine().remove(&id, true).unwrap();
    }
    host.finish();
}

#[test]
fn a_name_belongs_to_one_container() {
    let host = Host::new();
    let id = host.create(host.shell("one", ""));
    assert!(matches!(host.engine().create(host.shell("one", ""), None), Err(EngineError::NameTaken(_))));
    host.create(host.shell("two", ""));
    assert!(matches!(host.engine().rename(&id, "two"), Err(EngineError::NameTaken(_))));
    host.engine().rename(&id, "three").unwrap();
    host.create(host.shell("one", ""));
    assert_eq!(host.engine().find("three").unwrap().record.id.as_str(), id);
    assert_eq!(host.engine().find(&id[..12]).unwrap().record.spec.name, "three");
    host.finish();
}

#[test]
fn what_runs_is_not_removed_and_a_second_start_is_none() {
    let host = Host::new();
    let id = host.start(host.shell("one", "sleep 1000"));
    assert!(matches!(host.engine().remove(&id, true), Err(EngineError::StillRunning(_))));
    let pid = host.engine().get(&id).unwrap().pid;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| host.engine().start(&id).unwrap());
        }
    });
    assert_eq!(host.engine().get(&id).unwrap().pid, pid);
    assert_eq!(host.stop(&id).code, 137);
    assert!(matches!(host.engine().signal(&id, Signal::TERM), Err(EngineError::NotRunning(_))));
    host.finish();
}

#[test]
fn many_starts_at_once_make_one_container() {
    let host = Host::new();
    let id = host.create(host.shell("one", "echo run; sleep 1000"));
    let engine = host.engine();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| engine.start(&id).unwrap());
        }
    });
    host.wait_for_output(&id, "run");
    assert_eq!(host.output(&id), "run\n");
    host.finish();
}

#[test]
fn many_containers_are_made_at_once() {
    let host = Host::new();
    host.network("net");
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        let host = &host;
        for number in 0..20 {
            let mut spec = host.shell(&format!("many-{number}"), "sleep 1000");
            spec.networks = vec![crate::host::endpoint("net", &[])];
            let engine = host.engine();
            let namespace = rustix::fs::open("/proc/thread-self/ns/net", rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
            let namespace = namespace.unwrap();
            scope.spawn(move || {
                rcompose_sys::namespace::enter(&namespace, rcompose_sys::namespace::Kinds::NETWORK).unwrap();
                let id = engine.create(spec, None).unwrap().id.to_string();
                engine.start(&id).unwrap_or_else(|error| panic!("{}", chain(&error)));
            });
        }
    });
    println!("20 containers on a network: {:?}", begun.elapsed());
    assert_eq!(host.engine().list().iter().filter(|it| it.state == State::Running).count(), 20);
    host.finish();
}

#[test]
fn a_restart_keeps_what_the_container_wrote_and_is_quick() {
    let host = Host::new();
    host.network("net");
    let mut spec = host.shell("one", "echo run >> /tmp/runs; cat /tmp/runs; echo --; exit 1");
    spec.networks = vec![crate::host::endpoint("net", &[])];
    let id = host.start(spec);
    host.wait(&id);
    let address = host.engine().networks().attached(&id).unwrap().addresses;
    let begun = std::time::Instant::now();
    host.engine().start(&id).unwrap();
    println!("restart: {:?}", begun.elapsed());
    assert_eq!(host.engine().networks().attached(&id).unwrap().addresses, address);
    host.wait(&id);
    assert_eq!(host.output(&id), "run\n--\nrun\nrun\n--\n");
    host.finish();
}

#[test]
fn a_late_disconnection_takes_nothing_from_what_runs_again() {
    let host = Host::new();
    host.network("net");
    let mut spec = host.shell("one", "echo ready; sleep 1000");
    spec.networks = vec![crate::host::endpoint("net", &[])];
    let id = host.start(spec);
    host.stop(&id);
    std::thread::scope(|scope| {
        scope.spawn(|| host.engine().disconnect(&id));
        host.engine().start(&id).unwrap();
    });
    host.engine().disconnect(&id);
    assert!(host.engine().networks().attached(&id).is_some());
    assert!(host.exec(&id, "nslookup one 127.0.0.11").1.contains("172.30."));
    host.finish();
}

#[test]
fn signals_pauses_and_commands_reach_a_container() {
    let host = Host::new();
    let id = host.start(host.shell("one", "trap 'echo caught; exit 7' TERM; echo ready; while true; do sleep 0.01; done"));
    host.wait_for_output(&id, "ready");
    assert!(host.engine().handles(&id, Signal::TERM) && !host.engine().handles(&id, Signal::HUP));
    assert_eq!(host.exec(&id, "echo from exec; exit 4"), (4, "from exec\n".to_owned()));
    let begun = std::time::Instant::now();
    assert_eq!(host.exec(&id, "true").0, 0);
    println!("exec: {:?}", begun.elapsed());
    assert!(!host.engine().processes(&id).unwrap().is_empty());
    assert!(host.engine().figures(&id).unwrap().cgroup.pids > 0);
    host.engine().set_paused(&id, true).unwrap();
    host.engine().set_paused(&id, false).unwrap();
    host.engine().signal(&id, Signal::TERM).unwrap();
    assert_eq!(host.wait(&id).code, 7);
    assert!(host.output(&id).ends_with("caught\n"));
    host.finish();
}

#[test]
fn the_defaults_are_those_that_stacks_expect() {
    let host = Host::new();
    let command = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|Seccomp:|NoNewPrivs' /proc/self/status; cat /proc/self/oom_score_adj; \
                   umask; pwd; test -e /.dockerenv && echo env; id -u; head -c1 /proc/keys | wc -c; echo 1 > /proc/sys/kernel/printk";
    let (_, output) = host.run(host.shell("one", command));
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "Seccomp:\t2",
        "NoNewPrivs:\t0",
        "\n0\n0022\n/\nenv\n0\n0\n",
        "Read-only file system",
    ] {
        assert!(output.contains(line), "no `{line}` in {output}");
    }
    host.finish();
}

#[test]
fn limits_hold_and_an_end_by_them_is_told() {
    let host = Host::new();
    let mut spec = host.shell("one", "x=x; while true; do x=$x$x$x$x; done");
    spec.limits = Limits { memory: Some(16 << 20), memory_swap: Some(16 << 20), pids: Some(20), ..Limits::default() };
    let id = host.start(spec);
    let ended = host.wait(&id);
    assert!(ended.oom_killed, "{ended:?}");
    assert_eq!(ended.code, 137);
    host.finish();
}

#[test]
fn a_privileged_container_may_do_everything_and_sees_the_devices() {
    let host = Host::new();
    let mut spec = host.shell("one", "grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp && echo mounted; ls /dev");
    spec.security = Security { privileged: true, ..Security::default() };
    let (code, output) = host.run(spec);
    assert!(code == 0 && output.contains("Seccomp:\t0") && output.contains("mounted"), "{output}");
    let null = output.lines().any(|line| line == "null");
    let more = ["kmsg", "mem", "loop-control", "fuse", "rtc0", "vda", "sda"];
    let here: Vec<_> = more.iter().filter(|name| std::path::Path::new("/dev").join(name).exists()).collect();
    assert!(null && here.iter().all(|name| output.lines().any(|line| line == **name)), "{output}");
    host.finish();
}
