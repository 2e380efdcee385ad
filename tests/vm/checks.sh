# What has to hold on a machine with cgroup v2; each check is a line that begins with `ok` or `not ok`.
check() {
    name=$1
    shift
    if text=$("$@" 2>&1); then echo "ok $name"; else echo "not ok $name: $text"; fi
}
holds() { case "$1" in *"$2"*) ;; *) echo "no \`$2\` in: $1"; return 1 ;; esac; }
is() { [ "$1" = "$2" ] || { echo "\`$1\` is not \`$2\`"; return 1; }; }
until_true() { i=0; until "$@" >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 200 ] || { "$@"; return 1; }; sleep 0.1; done; }
in_a() { rcompose exec -T a sh -c "$1" 2>&1; }
status() { rcompose ps -a "$1"; }
ended() { holds "$(status "$1")" "Exited ($2"; }

check comes_up rcompose --progress plain up -d
cgroup=$(dirname /sys/fs/cgroup/rcompose-*/*/memory.max)
for each in /sys/fs/cgroup/rcompose-*/*/; do [ "$(cat "$each/pids.max")" = 20 ] && cgroup=$each; done
check memory_is_limited is "$(cat "$cgroup/memory.max")" 67108864
check processors_are_limited is "$(cat "$cgroup/cpu.max")" "50000 100000"
check shares_are_weights is "$(cat "$cgroup/cpu.weight")" 20
check processors_are_chosen is "$(cat "$cgroup/cpuset.cpus")" 0
check its_cgroup_is_the_root_of_what_it_sees is "$(in_a 'cat /proc/self/cgroup')" "0::/"
check its_cgroups_are_read_only holds "$(in_a 'mkdir /sys/fs/cgroup/x')" "Read-only"
check the_null_device_is_there is "$(in_a 'echo x >/dev/null && echo yes')" yes
check other_devices_are_not holds "$(in_a 'mknod /tmp/k c 1 11; cat /tmp/k')" "Operation not permitted"
check devices_that_are_asked_for_are is "$(rcompose exec -T d sh -c 'head -c 1 /dev/kmsg-here >/dev/null && echo yes' 2>&1)" yes
check names_are_found holds "$(in_a 'nslookup d 127.0.0.11')" "Address"
check processes_are_limited holds "$(in_a 'i=0; while [ $i -lt 30 ]; do sleep 9 & i=$((i+1)); done')" "can't fork"
check an_end_for_want_of_memory_is_told until_true ended b "137, out of memory)"
check a_crash_is_restarted until_true is "$(sleep 1; rcompose logs --no-log-prefix c | wc -l)" 3
check pauses rcompose pause a
check a_pause_is_seen is "$(cat "$cgroup/cgroup.freeze")" 1
check thaws rcompose unpause a
kill -9 "$(cat /run/rcompose/supervisor.pid 2>/dev/null || pgrep -f 'supervisor --settings')"
check goes_on_without_its_supervisor holds "$(status a)" "Up "
check restarts rcompose restart -t 0 a
check runs_one_command is "$(rcompose run --rm -q -T a echo ran)" ran
check goes_away rcompose --progress plain down -v -t 0
check no_cgroup_is_left is "$(ls -d /sys/fs/cgroup/rcompose-* 2>/dev/null)" ""
check no_link_is_left is "$(ls /sys/class/net)" lo
check no_directory_is_left is "$(ls /run/rcompose/containers /run/rcompose/netns /var/lib/rcompose/containers | grep -v :)" ""
