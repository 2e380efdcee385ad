//! What only a whole project can tell (the rules MOD-C-1 to MOD-C-17), one row each: the place that is blamed, and the words.

use crate::check;
use crate::loaded;
use crate::memory::Memory;

fn told(text: &str) -> String {
    loaded(&Memory::of(text).with("t", "a\n"), "services.a.image")
}

#[test]
fn services_say_what_they_run() {
    check(
        &[
            // MOD-C-1
            ("services: {a: {hostname: h}}", "1:12 service \"a\" has neither an image nor a build context specified"),
            ("services: {a: {image: ''}}", "1:12 service \"a\" has neither an image nor a build context specified"),
            ("services: {a: {build: .}}", "(none)"),
            ("services: {a: {provider: {type: t}}}", "(none)"),
            // MOD-C-2
            (
                "services: {a: {build: {dockerfile: f, dockerfile_inline: FROM x}}}",
                "1:58 service \"a\" declares mutually exclusive `dockerfile` and `dockerfile_inline`",
            ),
            // MOD-C-12
            (
                "services: {a: {platform: linux/arm64, build: {platforms: [linux/amd64]}}}",
                "1:58 services.a.build.platforms must include the service's platform \"linux/arm64\"",
            ),
            ("services: {a: {image: x, platform: linux/arm64, build: {platforms: [linux/arm64]}}}", "\"x\""),
            // MOD-C-13
            (
                "services: {a: {build: {additional_contexts: {c: 'service:b'}}}, b: {image: x}}",
                "1:58 service \"a\" declares non-buildable service \"b\" as additional contexts c",
            ),
            (
                "services: {a: {build: {additional_contexts: {c: 'service:c'}}}, b: {image: x}}",
                "1:55 service \"a\" declares unknown service \"c\" as additional contexts c",
            ),
        ],
        told,
    );
}

#[test]
fn names_have_to_be_declared() {
    check(
        &[
            // MOD-C-3
            (
                "services: {a: {image: x, network_mode: host, networks: [n]}}\nnetworks: {n: }",
                "1:26 service a declares mutually exclusive `network_mode` and `networks`",
            ),
            ("services: {a: {image: x, network_mode: host, networks: []}}", "\"x\""),
            // MOD-C-4
            ("services: {a: {image: x, networks: [n]}}", "1:37 service \"a\" refers to undefined network n"),
            ("services: {a: {image: x, volumes: ['v:/v']}}", "1:36 service \"a\" refers to undefined volume v"),
            ("services: {a: {image: x, configs: [c]}}", "1:36 service \"a\" refers to undefined config c"),
            ("services: {a: {image: x, secrets: [{source: s}]}}", "1:45 service \"a\" refers to undefined secret s"),
            ("services: {a: {image: x, build: {secrets: [s]}}}", "1:44 service \"a\" refers to undefined build secret s"),
            ("services: {a: {image: x, models: [m]}}", "1:35 service \"a\" refers to undefined model m"),
            ("services: {a: {image: x, depends_on: [b]}}", "1:39 service \"a\" depends on undefined service \"b\""),
            ("services: {a: {image: x, links: ['b:c']}}", "1:34 service \"a\" depends on undefined service \"b\""),
            ("services: {a: {image: x, volumes_from: ['b:ro']}}", "1:41 service \"a\" depends on undefined service \"b\""),
            ("services: {a: {image: x, network_mode: 'service:b'}}", "1:49 service \"a\" depends on undefined service \"b\""),
            ("services: {a: {image: x, pid: 'service:b'}}", "1:40 service \"a\" depends on undefined service \"b\""),
            ("services: {a: {image: x, volumes_from: ['container:b']}}", "\"x\""),
        ],
        told,
    );
}

#[test]
fn dependencies_lead_somewhere_and_not_back() {
    check(
        &[
            // MOD-C-5
            (
                "services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}",
                "1:39 dependency cycle detected: a -> b -> a",
            ),
            ("services: {a: {image: x, depends_on: [a]}}", "1:39 dependency cycle detected: a -> a"),
            (
                "services: {a: {image: x, links: [b]}, b: {image: x, ipc: 'service:a'}}",
                "1:34 dependency cycle detected: a -> b -> a",
            ),
            // MOD-C-6
            (
                "services: {a: {image: x, depends_on: [b]}, b: {image: x, profiles: [p]}}",
                "1:39 service \"a\" depends on undefined service \"b\"",
            ),
            (
                "services: {a: {image: x, depends_on: {b: {condition: service_started, required: false}}}, b: {image: x, profiles: [p]}}",
                "\"x\"",
            ),
            ("services: {a: {image: x, depends_on: {b: {condition: service_started, required: false}}}}", "\"x\""),
        ],
        told,
    );
}

#[test]
fn what_is_said_twice_is_said_the_same() {
    check(
        &[
            // MOD-C-7
            (
                "services: {a: {image: x, scale: 2, deploy: {replicas: 3}}}",
                "1:33 services.a: can't set distinct values on 'scale' and 'deploy.replicas'",
            ),
            ("services: {a: {image: x, scale: 2, deploy: {replicas: 2}}}", "\"x\""),
            (
                "services: {a: {image: x, cpus: 1, deploy: {resources: {limits: {cpus: 2}}}}}",
                "1:32 services.a: can't set distinct values on 'cpus' and 'deploy.resources.limits.cpus'",
            ),
            (
                "services: {a: {image: x, mem_limit: 1k, deploy: {resources: {limits: {memory: 2k}}}}}",
                "1:37 services.a: can't set distinct values on 'mem_limit' and 'deploy.resources.limits.memory'",
            ),
            ("services: {a: {image: x, mem_limit: 1k, deploy: {resources: {limits: {memory: '1024'}}}}}", "\"x\""),
            (
                "services: {a: {image: x, mem_reservation: 1k, deploy: {resources: {reservations: {memory: 2k}}}}}",
                "1:43 services.a: can't set distinct values on 'mem_reservation' and 'deploy.resources.reservations.memory'",
            ),
            (
                "services: {a: {image: x, pids_limit: 1, deploy: {resources: {limits: {pids: 2}}}}}",
                "1:38 services.a: can't set distinct values on 'pids_limit' and 'deploy.resources.limits.pids'",
            ),
            ("services: {a: {image: x, scale: -1}}", "1:33 services.a.scale: must be greater than or equal to 0"),
            (
                "services: {a: {image: x, deploy: {replicas: -1}}}",
                "1:45 services.a.deploy.replicas: must be greater than or equal to 0",
            ),
            // MOD-C-8
            (
                "services: {a: {image: x, container_name: cc, scale: 2}}",
                "1:26 services.a: can't set container_name and scale: 2 replicas cannot share the name \"cc\"",
            ),
            (
                "services: {a: {image: x, container_name: cc, deploy: {replicas: 2}}}",
                "1:26 services.a: can't set container_name and deploy.replicas: 2 replicas cannot share the name \"cc\"",
            ),
            (
                "services: {a: {image: x, container_name: cc}, b: {image: x, container_name: cc}}",
                "1:77 services.b: container name \"cc\" is already in use by service `a`",
            ),
            // MOD-C-9
            (
                "services: {a: {image: x, tmpfs: /t, volumes: [/t]}}",
                "1:47 services.a.volumes[0]: target /t already mounted as services.a.tmpfs[0]",
            ),
            (
                "services: {a: {image: x, tmpfs: ['/t:size=1', '/t:mode=700']}}",
                "1:47 services.a.tmpfs[1]: target /t already mounted as services.a.tmpfs[0]",
            ),
        ],
        told,
    );
}

#[test]
fn rules_of_single_attributes() {
    check(
        &[
            // MOD-C-10
            (
                "services: {a: {image: x, healthcheck: {test: [true]}}}",
                "1:47 services.a.healthcheck.test[0] must be a string, not a boolean `true`; 1:47 services.a: healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"",
            ),
            (
                "services: {a: {image: x, healthcheck: {test: [curl, x]}}}",
                "1:47 services.a: healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"",
            ),
            ("services: {a: {image: x, healthcheck: {test: [CMD, x], start_interval: 1s}}}", "\"x\""),
            // MOD-C-11
            (
                "services: {a: {image: x, develop: {watch: [{path: ., action: sync}]}}}",
                "1:44 services.a.develop.watch: target is required for non-rebuild actions",
            ),
            ("services: {a: {image: x, develop: {watch: [{path: ., action: restart}]}}}", "\"x\""),
            // MOD-C-14
            ("services: {a: {image: x}}\nsecrets: {s: {name: n}}", "2:11 secrets.s: one of file|environment must be set"),
            (
                "services: {a: {image: x}}\nsecrets: {s: {file: f, environment: E}}",
                "2:37 secrets.s: file|environment attributes are mutually exclusive",
            ),
            (
                "services: {a: {image: x}}\nconfigs: {c: {file: f, content: x}}",
                "2:33 configs.c: file|environment|content attributes are mutually exclusive",
            ),
            (
                "services: {a: {image: x}}\nvolumes: {v: {external: true, driver: local}}",
                "2:31 volumes.v: conflicting parameters \"external\" and \"driver\" specified",
            ),
            (
                "services: {a: {image: x}}\nvolumes: {v: {external: {name: a}, name: b}}",
                "2:25 volumes.v: external.name is deprecated. Please set name and external: true; 2:32 volumes.v: name and external.name conflict; only use name",
            ),
            // MOD-C-15
            (
                "services: {a: {image: x, gpus: [{count: 1, device_ids: [a]}]}}",
                "1:41 services.a: \"count\" and \"device_ids\" attributes are exclusive",
            ),
            ("services: {a: {image: x, ports: [{target: 1, host_ip: h}]}}", "1:55 services.a.ports: invalid ip address: h"),
            // MOD-C-17
            ("services: {a: {image: x, labels: {com.docker.compose.project: p}}}", "\"x\""),
            // Names
            ("services: {'a b': {image: x}}", "1:12 `a b` in services is no name: letters, digits, `.`, `_` and `-` are allowed"),
            (
                "services: {a: {image: x, container_name: x}}",
                "1:42 services.a.container_name must be a name of at least two letters, digits, `_`, `.` or `-`, the first a letter or digit, not `x`",
            ),
        ],
        told,
    );
}

#[test]
fn without_consistency_nothing_of_this_is_told() {
    use rcompose_model::{LoadRequest, Without};

    use crate::memory::request;
    let request = LoadRequest { without: Without { consistency: true, ..Without::default() }, ..request() };
    let files = Memory::of("services: {a: {networks: [n], depends_on: [b], secrets: [s]}}");
    let (model, problems) = rcompose_model::load_model(&request, &files);
    assert!(model.is_some() && problems.is_empty(), "{problems:?}");
}
