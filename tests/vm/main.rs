//! A machine with cgroup v2 and an older kernel, in qemu: what no other suite can see here.
//!
//! The kernel is Debian's, kept beside the other things that tests are made from (or that of `RCOMPOSE_TEST_KERNEL`, an unpacked
//! package); the machine's root is a busybox, the program, nft and the libraries they need. It boots twice with one disk:
//! `first.sh` and `second.sh` say what has to hold, a line each. The first boot ends as if the power were gone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The longest that the machine may run; it needs some 15 s.
const DEADLINE: Duration = Duration::from_secs(150);
const MODULES: &str = "virtio_pci virtio_blk overlay veth bridge nf_tables nft_chain_nat nft_nat nft_ct nft_masq nft_fib_inet \
                       nft_redir nft_reject_inet nft_limit";

fn sh(script: &str, arguments: &[&Path]) -> String {
    let output = Command::new("sh").args(["-euc", script, "sh"]).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("there is a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The unpacked package of Debian's smallest kernel.
fn kernel() -> PathBuf {
    if let Ok(own) = std::env::var("RCOMPOSE_TEST_KERNEL") {
        return PathBuf::from(own);
    }
    let cache = std::env::var("RCOMPOSE_TEST_CACHE").unwrap_or_else(|_| "/var/cache/rcompose-tests".to_owned());
    let fetch = "mkdir -p \"$1\"; cd \"$1\"; exec 9>kernel.lock; flock 9; [ -d kernel ] || {
        name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \\(linux-image-[0-9].*\\)/\\1/p' | head -n 1)
        rm -rf kernel.new; mkdir kernel.new; cd kernel.new; apt-get download -qq \"$name\" >/dev/null 2>&1
        dpkg-deb --extract ./*.deb .; rm ./*.deb; depmod --basedir . \"$(ls lib/modules)\" 2>/dev/null; cd ..; mv kernel.new kernel; }";
    sh(fetch, &[Path::new(&cache)]);
    Path::new(&cache).join("kernel")
}

/// Puts the machine's root together; gives it as the kernel takes it.
fn root(kernel: &Path, folder: &Path) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vm");
    let program = Path::new(env!("CARGO_BIN_EXE_rcompose"));
    let build = format!(
        "cd \"$1\"; mkdir -p root/bin root/modules root/stack/image/bin root/stack/first root/stack/second root/etc
        cd root
        for name in proc sys dev etc tmp; do mkdir -p stack/image/$name; done
        cp \"$2/init.sh\" init; chmod +x init; cp \"$2/harness.sh\" \"$2/first.sh\" \"$2/second.sh\" .
        cp \"$2/first.yaml\" stack/first/compose.yaml; cp \"$2/second.yaml\" stack/second/compose.yaml
        (cd .. && sh \"$2/layers.sh\" \"$PWD/root/layers.tar\")
        cp /bin/busybox bin/; cp /bin/busybox stack/image/bin/
        for name in $(busybox --list | grep -vx busybox); do ln -s busybox stack/image/bin/$name; done
        strip -o bin/rcompose \"$3\" 2>/dev/null || cp \"$3\" bin/rcompose
        cp \"$(command -v nft)\" bin/
        for library in $(ldd \"$3\" bin/nft | grep -o '/[^ ]*\\.so[^ ]*'); do mkdir -p .$(dirname $library); cp -L $library .$library; done
        number=100; release=$(ls \"$4/lib/modules\")
        for module in {MODULES}; do modprobe -d \"$4\" -S $release --show-depends $module; done | awk '/^insmod/ && !seen[$2]++ {{ print $2 }}' |
            while read -r file; do cp \"$file\" modules/$number-$(basename $file); number=$((number + 1)); done
        find . | cpio --create --format=newc --quiet | gzip -1 >../initrd"
    );
    sh(&build, &[folder, &own, program, kernel]);
    folder.join("initrd")
}

/// Lets the machine run one of its scripts to the end, and checks that everything held.
fn boot(kernel: &Path, initrd: &Path, disk: &Path, part: &str) {
    let run = format!(
        "timeout {} qemu-system-x86_64 -accel tcg -m 1024 -smp 2 -nographic -no-reboot -kernel \"$1\"/boot/vmlinuz-* -initrd \"$2\" \
         -drive file=\"$3\",format=raw,if=virtio -append 'console=ttyS0 quiet panic=-1 part={part}' \
         || echo 'the machine did not end by itself'",
        DEADLINE.as_secs()
    );
    let console = sh(&run, &[kernel, initrd, disk]).replace('\r', "");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vm");
    let script = std::fs::read_to_string(scripts.join(format!("{part}.sh"))).expect("the script is there");
    let common = include_str!("harness.sh");
    let checks = |text: &str| text.lines().filter(|line| line.trim_start().starts_with("check ")).count();
    let asked = checks(&script) + if script.contains("\nnothing_is_left\n") { checks(common) } else { 0 };
    let failed: Vec<&str> = console.lines().filter(|line| line.starts_with("not ok")).collect();
    let held = console.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(failed.is_empty() && held == asked, "{part}: {held} of {asked} held, {failed:#?}\n{console}");
}

#[test]
fn everything_holds_with_cgroup_v2_and_an_older_kernel_and_after_its_power_was_gone() {
    let folder = PathBuf::from(sh("mktemp --directory", &[]));
    let kernel = kernel();
    let initrd = root(&kernel, &folder);
    let disk = folder.join("disk");
    sh("truncate --size 512M \"$1\"; mke2fs -q -t ext4 \"$1\"", &[&disk]);
    for part in ["first", "second"] {
        boot(&kernel, &initrd, &disk, part);
    }
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
}
