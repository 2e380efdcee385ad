//! A machine with cgroup v2 and an older kernel, in qemu: what no other suite can see here.
//!
//! The kernel is Debian's, kept beside the other things that tests are made from; the machine's root is a busybox, the program and
//! the libraries it needs. `checks.sh` says what has to hold, a line each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The longest that the machine may run; it needs some 15 s.
const DEADLINE: Duration = Duration::from_secs(150);
const MODULES: &str =
    "overlay veth bridge nf_tables nft_chain_nat nft_nat nft_ct nft_masq nft_fib_inet nft_redir nft_reject_inet nft_limit";

fn sh(script: &str, arguments: &[&Path]) -> String {
    let output = Command::new("sh").args(["-euc", script, "sh"]).args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("there is a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The unpacked package of Debian's smallest kernel.
fn kernel() -> PathBuf {
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
        "cd \"$1\"; mkdir -p root/bin root/modules root/stack/image/bin root/etc; cd root
        for name in proc sys dev etc tmp; do mkdir -p stack/image/$name; done
        cp \"$2/init.sh\" init; chmod +x init; cp \"$2/checks.sh\" .; cp \"$2/compose.yaml\" stack/
        cp /bin/busybox bin/; cp /bin/busybox stack/image/bin/
        for name in $(busybox --list | grep -vx busybox); do ln -s busybox stack/image/bin/$name; done
        strip -o bin/rcompose \"$3\" 2>/dev/null || cp \"$3\" bin/rcompose
        for library in $(ldd \"$3\" | grep -o '/[^ ]*'); do mkdir -p .$(dirname $library); cp -L $library .$library; done
        number=100; release=$(ls \"$4/lib/modules\")
        for module in {MODULES}; do modprobe -d \"$4\" -S $release --show-depends $module; done | awk '/^insmod/ && !seen[$2]++ {{ print $2 }}' |
            while read -r file; do cp \"$file\" modules/$number-$(basename $file); number=$((number + 1)); done
        find . | cpio --create --format=newc --quiet | gzip -1 >../initrd"
    );
    sh(&build, &[folder, &own, program, kernel]);
    folder.join("initrd")
}

#[test]
fn everything_holds_with_cgroup_v2_and_an_older_kernel() {
    let folder = PathBuf::from(sh("mktemp --directory", &[]));
    let kernel = kernel();
    let initrd = root(&kernel, &folder);
    let run = format!(
        "timeout {} qemu-system-x86_64 -accel tcg -m 1024 -smp 2 -nographic -no-reboot -kernel \"$1\"/boot/vmlinuz-* -initrd \"$2\" \
         -append 'console=ttyS0 quiet panic=-1' || echo 'the machine did not end by itself'",
        DEADLINE.as_secs()
    );
    let console = sh(&run, &[&kernel, &initrd]).replace('\r', "");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    let lines: Vec<&str> = console.lines().collect();
    let failed: Vec<&&str> = lines.iter().filter(|line| line.starts_with("not ok")).collect();
    let held = lines.iter().filter(|line| line.starts_with("ok ")).count();
    let asked = include_str!("checks.sh").lines().filter(|line| line.starts_with("check ")).count();
    assert!(failed.is_empty() && held == asked, "{held} of {asked} held, {failed:#?}\n{console}");
}
