#!/bin/busybox sh
# The first process of the virtual machine; `part` on the kernel's command line is the script it runs. Called again with a root that can be left: pivot_root refuses the first one.
if [ -z "$1" ]; then
    /bin/busybox mkdir /new
    /bin/busybox mount -t tmpfs tmpfs /new
    for folder in /*; do
        case "$folder" in /new | /dev | /proc | /sys) ;; *) /bin/busybox cp -a "$folder" /new/ ;; esac
    done
    exec /bin/busybox switch_root /new /init again
fi
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /var/lib
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
# One that the machine has no hardware for is not missed.
for module in /modules/*; do insmod "$module" 2>/dev/null; done
mount -t ext4 /dev/vda /var/lib
ip link set lo up
echo
cd /stack/first && . /harness.sh && . "/$part.sh"
# Only a script that could not be read comes back.
poweroff -f
