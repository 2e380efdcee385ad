//! Attributes of services and of the top level, in every way in which they may be written: each becomes one canonical value, or
//! is refused with what was expected.

use crate::memory::Memory;
use crate::{check, loaded};

/// What else the attributes need to be there.
const REST: &str = "  b: {image: x}\nvolumes: {v: }\nnetworks: {n: }\nsecrets: {s: {file: ./s}}\nconfigs: {c: {content: x}}\n\
                    models: {m: {model: ai/m}, n: {model: ai/n}}\n";

/// An attribute of a service, written as `NAME: VALUE` on lines of their own.
fn attribute(text: &str) -> String {
    let name = text.split(':').next().unwrap_or_default();
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    loaded(&Memory::of(&format!("services:\n  a:\n    image: x\n{lines}{REST}")), &format!("services.a.{name}"))
}

#[test]
fn processors() {
    check(
        &[
            ("cpu_count: 2", "2"),
            ("cpu_count: '2'", "2"),
            ("cpu_count: -1", "4:16 services.a.cpu_count must be an integer of at least 0, not `-1`"),
            ("cpu_percent: 50", "50"),
            ("cpu_percent: 101", "4:18 services.a.cpu_percent must be an integer from 0 to 100, not `101`"),
            ("cpu_period: 100000", "100000"),
            ("cpu_period: '100000'", "100000"),
            ("cpu_quota: 50000", "50000"),
            ("cpu_quota: -1", "-1"),
            ("cpu_rt_period: 1000", "1000"),
            ("cpu_rt_runtime: '950'", "950"),
            ("cpu_shares: 512", "512"),
            ("cpu_shares: '512'", "512"),
            ("cpu_shares: half", "4:17 services.a.cpu_shares must be an integer, not `half`"),
            ("cpus: 1.5", "1.5"),
            ("cpus: '.5'", "0.5"),
            ("cpus: 2", "2"),
            ("cpus: many", "4:11 services.a.cpus must be a number, not `many`"),
            ("cpuset: 0-3,7", "\"0-3,7\""),
            ("cpuset: 0", "4:13 services.a.cpuset must be a string, not a number `0`"),
        ],
        attribute,
    );
}

#[test]
fn memory_and_processes() {
    check(
        &[
            ("mem_limit: 64m", "\"67108864\""),
            ("mem_limit: 1.5gb", "\"1610612736\""),
            ("mem_limit: 4096", "\"4096\""),
            ("mem_limit: 1 TiB", "\"1099511627776\""),
            ("mem_limit: 1q", "4:16 services.a.mem_limit must be a size such as `512m`, not `1q`"),
            ("mem_reservation: 1k", "\"1024\""),
            ("memswap_limit: -1", "\"-1\""),
            ("memswap_limit: '-1'", "\"-1\""),
            ("mem_swappiness: 60", "\"60\""),
            ("oom_kill_disable: true", "true"),
            ("oom_kill_disable: 'yes'", "true"),
            ("oom_kill_disable: false", "(none)"),
            ("oom_kill_disable: 1", "4:23 services.a.oom_kill_disable must be true or false, not a number `1`"),
            ("oom_score_adj: -500", "-500"),
            ("oom_score_adj: 1001", "4:20 services.a.oom_score_adj must be an integer from -1000 to 1000, not `1001`"),
            ("pids_limit: 100", "100"),
            ("pids_limit: -1", "-1"),
            ("pids_limit: '7'", "7"),
            ("shm_size: 0", "(none)"),
            ("shm_size: 64m", "\"67108864\""),
        ],
        attribute,
    );
}

#[test]
fn block_devices() {
    check(
        &[
            ("blkio_config: {weight: 300}", r#"{"weight":300}"#),
            ("blkio_config: {weight: 1001}", "4:28 services.a.blkio_config.weight must be an integer from 0 to 1000, not `1001`"),
            (
                "blkio_config: {weight_device: [{path: /dev/sda, weight: '400'}]}",
                r#"{"weight_device":[{"path":"/dev/sda","weight":400}]}"#,
            ),
            (
                "blkio_config: {device_read_bps: [{path: /dev/sda, rate: 12mb}], device_write_bps: [{path: /dev/sdb, rate: 1024}]}",
                r#"{"device_read_bps":[{"path":"/dev/sda","rate":"12582912"}],"device_write_bps":[{"path":"/dev/sdb","rate":"1024"}]}"#,
            ),
            (
                "blkio_config: {device_read_iops: [{path: /d, rate: 120}], device_write_iops: [{path: /d, rate: '30'}]}",
                r#"{"device_read_iops":[{"path":"/d","rate":"120"}],"device_write_iops":[{"path":"/d","rate":"30"}]}"#,
            ),
            (
                "blkio_config: {device_read_bps: [{path: /d, rat: 1}]}",
                "4:49 services.a.blkio_config.device_read_bps[0] additional properties 'rat' not allowed",
            ),
            ("blkio_config: {x-a: 1}", "4:20 services.a.blkio_config additional properties 'x-a' not allowed"),
        ],
        attribute,
    );
}

#[test]
fn what_watches_over_files() {
    check(
        &[
            (
                "develop: {watch: [{path: /w, action: sync+exec, target: /t, exec: {command: make all, user: u, privileged: true, \
                 working_dir: /d, environment: [A=1]}}]}",
                r#"{"watch":[{"path":"/w","action":"sync+exec","target":"/t","exec":{"command":["make","all"],"user":"u","privileged":true,"working_dir":"/d","environment":{"A":"1"}}}]}"#,
            ),
            (
                "develop: {watch: [{path: src, action: rebuild, ignore: a, include: [b, c]}]}",
                r#"{"watch":[{"path":"/p/src","action":"rebuild","include":["b","c"],"ignore":["a"]}]}"#,
            ),
            (
                "develop: {watch: [{path: ., action: sync, target: /t, initial_sync: true}]}",
                r#"{"watch":[{"path":"/p","action":"sync","target":"/t","initial_sync":true}]}"#,
            ),
            (
                "develop: {watch: [{path: ., action: sink, target: /t}]}",
                "4:41 services.a.develop.watch[0].action must be one of `rebuild`, `sync`, `restart`, `sync+restart`, \
                 `sync+exec`, not `sink`",
            ),
            ("develop: {watch: [{action: rebuild}]}", "4:23 services.a.develop.watch[0] needs `path`"),
            (
                "develop: {watch: [{path: ., action: sync+exec, target: /t, exec: {user: u}}]}",
                "4:70 services.a.develop.watch[0].exec needs `command`",
            ),
        ],
        attribute,
    );
}

#[test]
fn models_and_graphics_processors() {
    check(
        &[
            ("models: [m, n]", r#"{"m":null,"n":null}"#),
            ("models: {m: {endpoint_var: URL, model_var: NAME}}", r#"{"m":{"endpoint_var":"URL","model_var":"NAME"}}"#),
            ("models: [o]", "4:14 service \"a\" refers to undefined model o"),
            ("gpus: all", r#"[{"count":-1}]"#),
            ("gpus: some", "4:11 services.a.gpus must be one of `all`, not `some`"),
            ("gpus: [{driver: nvidia, count: 2}]", r#"[{"driver":"nvidia","count":2}]"#),
            (
                "gpus: [{device_ids: ['0', '3'], capabilities: [gpu], options: {a: 1}}]",
                r#"[{"capabilities":["gpu"],"device_ids":["0","3"],"options":{"a":"1"}}]"#,
            ),
            ("gpus: [{driver: x}]", r#"[{"driver":"x","count":-1}]"#),
            (
                "deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: all}]}}}",
                r#"{"resources":{"reservations":{"devices":[{"capabilities":["gpu"],"count":-1}]}}}"#,
            ),
            (
                "deploy: {resources: {reservations: {devices: [{count: 1}]}}}",
                "4:51 services.a.deploy.resources.reservations.devices[0] needs `capabilities`",
            ),
        ],
        attribute,
    );
    check(
        &[
            (
                "models: {m: {model: ai/m, context_size: 1024, runtime_flags: [--a, -b]}}",
                r#"{"m":{"model":"ai/m","context_size":1024,"runtime_flags":["--a","-b"]}}"#,
            ),
            ("models: {m: {name: n}}", "2:13 models.m needs `model`"),
            ("models: {m: {model: x, context_size: big}}", "2:38 models.m.context_size must be an integer, not a string `big`"),
        ],
        |text| loaded(&Memory::of(&format!("services: {{a: {{image: x}}}}\n{text}\n")), "models"),
    );
}

#[test]
fn hooks() {
    check(
        &[
            (
                "post_start: [{command: echo 'a b', user: u, privileged: 'true', working_dir: /w, environment: {A: 1}}]",
                r#"[{"command":["echo","a b"],"user":"u","privileged":true,"working_dir":"/w","environment":{"A":"1"}}]"#,
            ),
            ("pre_stop: [{command: [a, b]}, {command: c}]", r#"[{"command":["a","b"]},{"command":["c"]}]"#),
            ("pre_stop: [{user: u}]", "4:16 services.a.pre_stop[0] needs `command`"),
            ("pre_stop: [{command: a, image: x}]", "4:29 services.a.pre_stop[0] additional properties 'image' not allowed"),
            (
                "pre_start: [{command: a, per_replica: true}, {image: y}]",
                r#"[{"command":["a"],"image":"x","per_replica":true},{"image":"y"}]"#,
            ),
            ("post_start: [{command: echo 'a}]", "4:28 services.a.post_start[0].command: a quote ' is not closed"),
        ],
        attribute,
    );
}

#[test]
fn mounts() {
    check(
        &[
            (
                "volumes: [{type: bind, source: ./s, target: /t, bind: {propagation: rshared, recursive: readonly, selinux: Z}}]",
                r#"[{"type":"bind","source":"/p/s","target":"/t","bind":{"selinux":"Z","propagation":"rshared","recursive":"readonly"}}]"#,
            ),
            (
                "volumes: [{type: bind, source: /s, target: /t, bind: {create_host_path: false}}]",
                r#"[{"type":"bind","source":"/s","target":"/t","bind":{}}]"#,
            ),
            (
                "volumes: [{type: bind, source: /s, target: /t, bind: {recursive: deep}}]",
                "4:70 services.a.volumes[0].bind.recursive must be one of `enabled`, `disabled`, `writable`, `readonly`, not `deep`",
            ),
            (
                "volumes: [{type: bind, source: /s, target: /t, bind: {selinux: x}}]",
                "4:68 services.a.volumes[0].bind.selinux must be one of `z`, `Z`, not `x`",
            ),
            (
                "volumes: [{type: volume, source: v, target: /t, volume: {subpath: a/b, nocopy: true, labels: [l=1]}}]",
                r#"[{"type":"volume","source":"v","target":"/t","volume":{"labels":{"l":"1"},"nocopy":true,"subpath":"a/b"}}]"#,
            ),
            (
                "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 0o1777}}]",
                r#"[{"type":"tmpfs","target":"/t","tmpfs":{"size":"67108864","mode":1023}}]"#,
            ),
            (
                "volumes: [{type: tmpfs, target: /t, tmpfs: {mode: '0700'}}]",
                r#"[{"type":"tmpfs","target":"/t","tmpfs":{"mode":700}}]"#,
            ),
            (
                "volumes: [{type: tmpfs, target: /t, tmpfs: {size: -1}}]",
                "4:55 services.a.volumes[0].tmpfs.size must be a size of at least 0 bytes, not `-1`",
            ),
            (
                "volumes: [{type: image, source: busybox, target: /t, image: {subpath: bin}}]",
                r#"[{"type":"image","source":"busybox","target":"/t","image":{"subpath":"bin"}}]"#,
            ),
            (
                "volumes: ['./s:/t:z,rslave,ro']",
                r#"[{"type":"bind","source":"/p/s","target":"/t","read_only":true,"bind":{"selinux":"z","propagation":"rslave","create_host_path":true}}]"#,
            ),
            ("volumes: ['~/s:/t']", r#"[{"type":"bind","source":"/home/me/s","target":"/t","bind":{"create_host_path":true}}]"#),
            ("volumes: ['v:/a/../t/.']", r#"[{"type":"volume","source":"v","target":"/t","volume":{}}]"#),
            ("volumes: [{source: v, target: /t}]", "4:15 services.a.volumes[0] needs `type`"),
        ],
        attribute,
    );
}

#[test]
fn paths_that_look_like_those_of_windows() {
    check(
        &[
            (
                r"volumes: ['C:\data:/t']",
                r#"[{"type":"bind","source":"C:\\data","target":"/t","bind":{"create_host_path":true}}]"#,
            ),
            (
                r"volumes: ['c:/data:/t:ro']",
                r#"[{"type":"bind","source":"c:/data","target":"/t","read_only":true,"bind":{"create_host_path":true}}]"#,
            ),
            (
                r"volumes: ['\\host\share:/t']",
                r#"[{"type":"bind","source":"\\\\host\\share","target":"/t","bind":{"create_host_path":true}}]"#,
            ),
            (
                r"volumes: ['C:\a:D:\b']",
                r#"[{"type":"bind","source":"C:\\a","target":"D:\\b","bind":{"create_host_path":true}}]"#,
            ),
            (
                r"volumes: [{type: npipe, source: \\.\pipe\docker, target: \\.\pipe\docker}]",
                r#"[{"type":"npipe","source":"\\\\.\\pipe\\docker","target":"\\\\.\\pipe\\docker"}]"#,
            ),
            ("volumes: ['v:/t']", r#"[{"type":"volume","source":"v","target":"/t","volume":{}}]"#),
            ("isolation: hyperv", r#""hyperv""#),
            ("credential_spec: {file: c.json}", r#"{"file":"c.json"}"#),
        ],
        attribute,
    );
}

#[test]
fn builds() {
    check(
        &[
            ("build: ./b", r#"{"context":"/p/b","dockerfile":"Dockerfile"}"#),
            ("build: https://host/x.git#main:sub", r##"{"context":"https://host/x.git#main:sub","dockerfile":"Dockerfile"}"##),
            ("build: {isolation: hyperv}", r#"{"context":"/p","dockerfile":"Dockerfile","isolation":"hyperv"}"#),
            (
                "build: {no_cache: true, pull: 'true'}",
                r#"{"context":"/p","dockerfile":"Dockerfile","no_cache":true,"pull":true}"#,
            ),
            ("build: {no_cache: false}", r#"{"context":"/p","dockerfile":"Dockerfile"}"#),
            (
                "build: {cache_from: [a], cache_to: ['type=local,dest=d'], no_cache_filter: stage}",
                r#"{"context":"/p","dockerfile":"Dockerfile","cache_from":["a"],"cache_to":["type=local,dest=d"],"no_cache_filter":["stage"]}"#,
            ),
            (
                "build: {extra_hosts: {h: 1.2.3.4, i: ['[::1]', 5.6.7.8]}}",
                r#"{"context":"/p","dockerfile":"Dockerfile","extra_hosts":["h=1.2.3.4","i=5.6.7.8","i=::1"]}"#,
            ),
            (
                "build: {extra_hosts: ['h:::1', 'i=1.2.3.4']}",
                r#"{"context":"/p","dockerfile":"Dockerfile","extra_hosts":["h=::1","i=1.2.3.4"]}"#,
            ),
            (
                "build: {args: [A=1, SET, NONE], dockerfile_inline: FROM x}",
                r#"{"context":"/p","dockerfile_inline":"FROM x","args":{"A":"1","SET":"set"}}"#,
            ),
            (
                "build: {ssh: [default, k=./key], additional_contexts: [n=./d, i=docker-image://x]}",
                r#"{"context":"/p","dockerfile":"Dockerfile","ssh":["default","k=/p/key"],"additional_contexts":{"i":"docker-image://x","n":"/p/d"}}"#,
            ),
            (
                "build: {secrets: [s, {source: s, target: t, mode: 0400}], provenance: true, sbom: 'mode=max', privileged: true}",
                r#"{"context":"/p","dockerfile":"Dockerfile","provenance":"true","sbom":"mode=max","secrets":[{"source":"s"},{"source":"s","target":"t","mode":"0400"}],"privileged":true}"#,
            ),
            (
                "build: {tags: [a, b, a], platforms: [linux/amd64], shm_size: 1m, ulimits: {nofile: 5}, network: host, target: t}",
                r#"{"context":"/p","dockerfile":"Dockerfile","network":"host","target":"t","shm_size":"1048576","tags":["a","b"],"ulimits":{"nofile":5},"platforms":["linux/amd64"]}"#,
            ),
            (
                "build: {entitlements: [network.host], labels: {a: 1}}",
                r#"{"context":"/p","dockerfile":"Dockerfile","entitlements":["network.host"],"labels":{"a":"1"}}"#,
            ),
            ("build: {contxt: .}", "4:13 services.a.build additional properties 'contxt' not allowed"),
        ],
        attribute,
    );
}

#[test]
fn what_may_be_written_in_several_ways() {
    check(
        &[
            ("ports: [80]", r#"[{"mode":"ingress","target":80,"protocol":"tcp"}]"#),
            (
                "ports: ['[::1]:8080:80/udp']",
                r#"[{"mode":"ingress","host_ip":"::1","target":80,"published":"8080","protocol":"udp"}]"#,
            ),
            (
                "ports: [{target: 80, published: 8080, name: web, app_protocol: http, mode: host}]",
                r#"[{"name":"web","mode":"host","target":80,"published":"8080","protocol":"tcp","app_protocol":"http"}]"#,
            ),
            ("extra_hosts: {a: host-gateway}", r#"["a=host-gateway"]"#),
            ("depends_on: [b]", r#"{"b":{"condition":"service_started","required":true}}"#),
            (
                "depends_on: {b: {condition: service_healthy, restart: true, required: false}}",
                r#"{"b":{"condition":"service_healthy","restart":true,"required":false}}"#,
            ),
            ("dns: 1.1.1.1", r#"["1.1.1.1"]"#),
            ("dns_search: .", r#"["."]"#),
            ("tmpfs: /t:size=1m", r#"["/t:size=1m"]"#),
            (
                "devices: [/dev/a, '/dev/b:/dev/c:r', {source: /dev/d}]",
                r#"[{"source":"/dev/a","target":"/dev/a","permissions":"rwm"},{"source":"/dev/b","target":"/dev/c","permissions":"r"},{"source":"/dev/d"}]"#,
            ),
            (
                "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3, core: -1}",
                r#"{"core":-1,"nofile":{"soft":1,"hard":2},"nproc":3}"#,
            ),
            ("sysctls: [net.a=1, net.b=2]", r#"{"net.a":"1","net.b":"2"}"#),
            ("labels: [a, b=1]", r#"{"a":"","b":"1"}"#),
            ("annotations: {a: 1, b: true, c: }", r#"{"a":"1","b":"true","c":""}"#),
            ("group_add: [mail, 7]", r#"["mail","7"]"#),
            ("expose: [80, '90/udp', 1-3]", r#"["80","90/udp","1-3"]"#),
            ("secrets: [s]", r#"[{"source":"s","target":"/run/secrets/s"}]"#),
            (
                "secrets: [{source: s, target: t, uid: '1', gid: '2', mode: 0o440}]",
                r#"[{"source":"s","target":"t","uid":"1","gid":"2","mode":"0440"}]"#,
            ),
            ("configs: [c]", r#"[{"source":"c"}]"#),
            ("configs: [{source: c, target: /t, mode: '0644'}]", r#"[{"source":"c","target":"/t","mode":"0644"}]"#),
            ("networks: [n]", r#"{"n":null}"#),
            (
                "networks: {n: {aliases: [q], ipv4_address: 10.0.0.2, priority: 5, gw_priority: 1, interface_name: e, mac_address: '02:00:00:00:00:01', link_local_ips: [1.1.1.1], driver_opts: {o: 1}, ipv6_address: '::2'}}",
                r#"{"n":{"aliases":["q"],"driver_opts":{"o":"1"},"gw_priority":1,"interface_name":"e","ipv4_address":"10.0.0.2","ipv6_address":"::2","link_local_ips":["1.1.1.1"],"mac_address":"02:00:00:00:00:01","priority":5}}"#,
            ),
            (
                "logging: {driver: local, options: {max-size: 10m, max-file: 3}}",
                r#"{"driver":"local","options":{"max-file":"3","max-size":"10m"}}"#,
            ),
            ("stop_grace_period: 1m30s", "\"1m30s\""),
            ("stop_grace_period: 1.5h", "\"1h30m0s\""),
            ("stop_grace_period: 1d", "\"24h0m0s\""),
            (
                "healthcheck: {test: true x, interval: 90s, timeout: 1500ms, retries: 3, start_period: 2m, start_interval: 5s}",
                r#"{"test":["CMD-SHELL","true x"],"timeout":"1.5s","interval":"1m30s","retries":3,"start_period":"2m0s","start_interval":"5s"}"#,
            ),
            ("healthcheck: {disable: true}", r#"{"disable":true}"#),
            ("command: []", "[]"),
            ("command: sh -c 'a b' \"c\"", r#"["sh","-c","a b","c"]"#),
            ("command: null", "(none)"),
            ("storage_opt: {size: 1G}", r#"{"size":"1G"}"#),
            ("provider: {type: t, options: {a: 1, b: [x, true]}}", r#"{"type":"t","options":{"a":["1"],"b":["x","true"]}}"#),
            ("init: false", "false"),
            ("attach: 'off'", "false"),
            ("scale: 0", "0"),
            ("use_api_socket: true", "true"),
            ("pull_policy: every_12h", "\"every_12h\""),
            ("pull_policy: if_not_present", "\"missing\""),
            ("x-own: {any: [thing]}", r#"{"any":["thing"]}"#),
        ],
        attribute,
    );
}

#[test]
fn deployment() {
    check(
        &[
            (
                "deploy: {mode: global, replicas: 0, endpoint_mode: vip, labels: [a=1]}",
                r#"{"mode":"global","replicas":0,"labels":{"a":"1"},"endpoint_mode":"vip"}"#,
            ),
            (
                "deploy: {resources: {limits: {cpus: '0.5', memory: 64m, pids: 5}, reservations: {cpus: 1, memory: 1k}}}",
                r#"{"resources":{"limits":{"cpus":0.5,"memory":"67108864","pids":5},"reservations":{"cpus":1,"memory":"1024"}}}"#,
            ),
            (
                "deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}",
                r#"{"restart_policy":{"condition":"on-failure","delay":"5s","max_attempts":3,"window":"2m0s"}}"#,
            ),
            (
                "deploy: {update_config: {parallelism: 2, delay: 10s, order: start-first, failure_action: rollback, monitor: 1m, max_failure_ratio: 0.2}}",
                r#"{"update_config":{"parallelism":2,"delay":"10s","failure_action":"rollback","monitor":"1m0s","max_failure_ratio":0.2,"order":"start-first"}}"#,
            ),
            (
                "deploy: {placement: {constraints: [a==b], preferences: [{spread: s}], max_replicas_per_node: 1}}",
                r#"{"placement":{"constraints":["a==b"],"preferences":[{"spread":"s"}],"max_replicas_per_node":1}}"#,
            ),
            (
                "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}}",
                r#"{"resources":{"reservations":{"generic_resources":[{"discrete_resource_spec":{"kind":"gpu","value":2}}]}}}"#,
            ),
            (
                "deploy: {update_config: {order: any}}",
                "4:37 services.a.deploy.update_config.order must be one of `start-first`, `stop-first`, not `any`",
            ),
        ],
        attribute,
    );
}

#[test]
fn what_is_shared_between_services() {
    let top = |text: &str| {
        let section = text.split(':').next().unwrap_or_default();
        loaded(&Memory::of(&format!("name: p\nservices: {{a: {{image: x}}}}\n{text}\n")), section)
    };
    check(
        &[
            ("volumes: {v: }", r#"{"v":{"name":"p_v"}}"#),
            ("volumes: {v: {external: true}}", r#"{"v":{"name":"v","external":true}}"#),
            ("volumes: {v: {external: {name: w}}}", r#"{"v":{"name":"w","external":true}}"#),
            ("volumes: {v: {external: {name: ''}}}", r#"{"v":{"name":"v","external":true}}"#),
            ("volumes: {v: {name: ''}}", r#"{"v":{"name":"p_v"}}"#),
            (
                "volumes: {v: {driver: local, driver_opts: {type: none, o: bind, device: ./d}, labels: [a=1]}}",
                r#"{"v":{"name":"p_v","driver":"local","driver_opts":{"device":"/p/d","o":"bind","type":"none"},"labels":{"a":"1"}}}"#,
            ),
            ("secrets: {s: {environment: SET}}", r#"{"s":{"name":"p_s","environment":"SET"}}"#),
            ("secrets: {s: {file: ~/s}}", r#"{"s":{"name":"p_s","file":"/home/me/s"}}"#),
            ("configs: {c: {content: \"a ${SET}\"}}", r#"{"c":{"name":"p_c","content":"a set"}}"#),
            (
                "networks: {n: {driver: bridge, internal: true, enable_ipv4: false, enable_ipv6: true, attachable: true, ipam: {driver: default, config: [{subnet: 10.0.0.0/8, gateway: 10.0.0.1, ip_range: 10.1.0.0/16, aux_addresses: {h: 10.0.0.9}}]}}}",
                r#"{"default":{"name":"p_default"},"n":{"name":"p_n","driver":"bridge","ipam":{"driver":"default","config":[{"subnet":"10.0.0.0/8","gateway":"10.0.0.1","ip_range":"10.1.0.0/16","aux_addresses":{"h":"10.0.0.9"}}]},"internal":true,"attachable":true,"enable_ipv4":false,"enable_ipv6":true}}"#,
            ),
            ("x-top: [1, {a: null}]", r#"[1,{"a":null}]"#),
        ],
        top,
    );
}
