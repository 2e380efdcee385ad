# Each check is a line that begins with `ok` or `not ok`.
check() {
    name=$1
    shift
    if text=$("$@" 2>&1); then echo "ok $name"; else echo "not ok $name: $text"; fi
}
holds() { case "$1" in *"$2"*) ;; *) echo "no \`$2\` in: $1"; return 1 ;; esac; }
is() { [ "$1" = "$2" ] || { echo "\`$1\` is not \`$2\`"; return 1; }; }
is_not() { [ "$1" != "$2" ] || { echo "it is \`$1\` still"; return 1; }; }
until_true() { i=0; until "$@" >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 200 ] || { "$@"; return 1; }; sleep 0.1; done; }
inside() { rcompose exec -T "$1" sh -c "$2" 2>&1; }
status() { rcompose ps -a "$1"; }
ended() { holds "$(status "$1")" "Exited ($2"; }
runs() { holds "$(status "$1")" "Up "; }
# One that has ended and was not collected yet has no program any more.
gone() { ! readlink "/proc/$1/exe"; }
# A machine that is reset takes with it what the console has not sent yet.
tell_all() { stty -F /dev/console sane; }
mounts() { cut -d' ' -f4,5 /proc/self/mountinfo | sort; }

mounts_before=$(mounts)
nothing_is_left() {
    check no_cgroup_is_left is "$(ls -d /sys/fs/cgroup/rcompose-* 2>/dev/null)" ""
    check no_link_is_left is "$(ls /sys/class/net)" lo
    check no_rule_is_left is "$(nft list ruleset 2>&1)" ""
    check no_mount_is_left is "$(mounts)" "$mounts_before"
    check no_monitor_is_left is "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -o 'rcompose [m]onitor')" ""
    check no_directory_is_left is "$(ls /run/rcompose/containers /run/rcompose/netns /var/lib/rcompose/containers /var/lib/rcompose/volumes | grep -v :)" ""
}
