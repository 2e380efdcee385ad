# What has to hold on a machine with cgroup v2 and an older kernel.
in_a() { inside a "$1"; }

check loads_an_image_of_many_layers rcompose image load -q -i /layers.tar
check comes_up rcompose --progress plain up -d
for each in /sys/fs/cgroup/rcompose-*/*/; do [ "$(cat "$each/pids.max")" = 20 ] && cgroup=$each; done
check memory_is_limited is "$(cat "$cgroup/memory.max")" 67108864
check swap_is_limited is "$(cat "$cgroup/memory.swap.max")" 33554432
check processors_are_limited is "$(cat "$cgroup/cpu.max")" "50000 100000"
check shares_are_weights is "$(cat "$cgroup/cpu.weight")" 20
check processors_are_chosen is "$(cat "$cgroup/cpuset.cpus")" 0
check its_cgroup_is_the_root_of_what_it_sees is "$(in_a 'cat /proc/self/cgroup')" "0::/"
check its_cgroups_are_read_only holds "$(in_a 'mkdir /sys/fs/cgroup/x')" "Read-only"
check the_null_device_is_there is "$(in_a 'echo x >/dev/null && echo yes')" yes
check other_devices_are_not holds "$(in_a 'mknod /tmp/k c 1 11; cat /tmp/k')" "Operation not permitted"
check devices_that_are_asked_for_are is "$(inside d 'head -c 1 /dev/kmsg-here >/dev/null && echo yes')" yes
check it_mounts_nothing holds "$(in_a 'mount -t tmpfs x /tmp')" "denied"
check privileged_it_mounts is "$(inside p 'mount -t tmpfs x /tmp && grep -c " /tmp " /proc/mounts')" 1
check privileged_it_reads_a_disk is "$(inside p 'head -c 1 /dev/vda | wc -c')" 1
check privileged_it_writes_settings is "$(inside p 'echo 77 >/proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ip_unprivileged_port_start')" 77
check privileged_it_has_cgroups is "$(inside p 'mkdir /sys/fs/cgroup/x && rmdir /sys/fs/cgroup/x && echo yes')" yes
check many_layers_are_one_root is "$(inside l 'ls /only | wc -l')" 20
check a_volume_gets_what_many_layers_hold is "$(inside l 'cat /data/* | wc -l')" 20
check many_layers_are_mounted is "$(inside m 'ls /layers/data | wc -l; touch /layers/x 2>&1 | grep -c Read-only')" "20
1"
check names_are_found holds "$(in_a 'nslookup d 127.0.0.11')" "Address"
check processes_are_limited holds "$(in_a 'i=0; while [ $i -lt 30 ]; do sleep 9 & i=$((i+1)); done')" "can't fork"
check an_end_for_want_of_memory_is_told until_true ended b "137, out of memory)"
check a_crash_is_restarted_until_its_tries_are_over until_true ended c 1
check each_try_ran is "$(rcompose logs --no-log-prefix c | wc -l)" 3
check pauses rcompose pause a
check a_pause_holds is "$(sed -n 's/^frozen //p' "$cgroup/cgroup.events")" 1
check thaws rcompose unpause a
check a_pause_is_over is "$(cat "$cgroup/cgroup.freeze")" 0

supervisor=$(rcompose system info --format '{{.SupervisorPid}}')
first_process=$(head -n 1 "$cgroup/cgroup.procs")
id=$(rcompose ps -q a)
check the_supervisor_is_killed kill -9 "$supervisor"
check it_is_gone until_true gone "$supervisor"
check goes_on_without_its_supervisor is "$(head -n 1 "$cgroup/cgroup.procs")" "$first_process"
check another_one_answers is_not "$(rcompose system info --format '{{.SupervisorPid}}')" "$supervisor"
check it_finds_what_runs is "$(rcompose ps -q --status running a)" "$id"
check restarts rcompose restart -t 0 a
check a_restart_is_another_process is_not "$(head -n 1 "$cgroup/cgroup.procs")" "$first_process"
check runs_one_command is "$(rcompose run --rm -q -T a echo ran)" ran
check goes_away rcompose --progress plain down -v -t 0
nothing_is_left

# What the next boot is to find: the power goes a moment after the commands have answered.
cd /stack/second || exit
check another_stack_comes_up rcompose --progress plain up -d
check something_is_written rcompose exec -T always sh -c 'echo kept | dd of=/data/file conv=fsync'
check two_of_it_are_stopped rcompose stop -t 0 stopped-always stopped-unless
echo "== the end"
tell_all
echo b >/proc/sysrq-trigger
