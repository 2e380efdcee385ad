//! Containers where calls are missing that Linux 5.10 does not have: a filter answers them as that kernel would.

use rcompose_container::spec::Mount;
use rcompose_sys::seccomp::{self, Instruction};

use crate::exec::exec;
use crate::stage::{Stage, mount};

const MOUNT_SETATTR: u32 = 442;
const CLOSE_RANGE: u32 = 436;

/// Runs `work` on a thread to which, and to whatever it starts, the kernel looks older.
fn on_linux_5_10(work: impl FnOnce() + Send + 'static) {
    let statement = |code, operand| Instruction { code, jump_true: 0, jump_false: 0, operand };
    let equal = |operand, jump_true, jump_false| Instruction { code: 0x15, jump_true, jump_false, operand };
    let (load, answer, allow, refuse) = (0x20, 0x06, 0x7fff_0000, 0x0005_0000);
    let (no_such_call, invalid) = (refuse | 38, refuse | 22);
    let (offset_of_number, offset_of_flags, close_on_exec) = (0, 32, 4);
    let filter = [
        statement(load, offset_of_number),
        equal(MOUNT_SETATTR, 3, 0),
        equal(CLOSE_RANGE, 0, 3),
        statement(load, offset_of_flags),
        equal(close_on_exec, 2, 1),
        statement(answer, no_such_call),
        statement(answer, allow),
        statement(answer, invalid),
    ];
    let thread = std::thread::spawn(move || {
        seccomp::load(&filter).expect("tests run as root");
        work();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn an_older_kernel_hides_and_protects_the_same() {
    on_linux_5_10(|| {
        let mut stage = Stage::shell(
            "exec 2>&1; wc -c </proc/keys; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/hostname; touch /sys/x; touch /sys/fs/cgroup/x; \
             touch /x; ls /proc/self/fd | wc -l",
        );
        stage.spec.root.as_mut().unwrap().readonly = true;
        stage.linux().init = true;
        let (_, text) = stage.run();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((&lines[..2], lines.last().copied()), (["0", "0"].as_slice(), Some("4")), "{text}");
        assert_eq!(text.matches("Read-only file system").count(), 4, "{text}");
    });
}

#[test]
fn an_older_kernel_makes_binds_read_only_with_what_is_below() {
    on_linux_5_10(|| {
        let mut stage = Stage::shell(
            "exec 2>&1; cat /data/file /data/inner/file; touch /data/new /data/inner/new; touch /rw/new && echo written; \
             grep -E ' /data| /rw' /proc/self/mountinfo",
        );
        for folder in ["host", "host/inner"] {
            std::fs::create_dir_all(stage.path(folder)).unwrap();
            rustix::mount::mount("tmpfs", stage.path(folder), "tmpfs", rustix::mount::MountFlags::NODEV, None::<&std::ffi::CStr>)
                .unwrap();
            std::fs::write(stage.path(folder).join("file"), "content\n").unwrap();
        }
        let source = Some(stage.path("host"));
        stage.spec.mounts.push(Mount { source: source.clone(), ..mount("/data", "bind", &["rbind", "ro", "noexec"]) });
        stage.spec.mounts.push(Mount { source, ..mount("/rw", "bind", &["rbind", "rw", "rprivate"]) });
        let container = stage.start();
        assert!(container.wait(Some(std::time::Duration::from_secs(20))).unwrap());
        for folder in ["host/inner", "host"] {
            rustix::mount::unmount(stage.path(folder), rustix::mount::UnmountFlags::empty()).unwrap();
        }
        let (_, text) = stage.finish(&container);
        assert!(text.starts_with("content\ncontent\n") && text.contains("written"), "{text}");
        assert_eq!(text.matches("Read-only file system").count(), 2, "{text}");
        let table: Vec<&str> = text.lines().filter(|line| line.contains(" - tmpfs ")).collect();
        let held = |line: &&&str| line.contains(" /data") && line.contains("ro,nodev,noexec");
        assert_eq!(table.iter().filter(held).count(), 2, "{text}");
        let free = |line: &&&str| line.contains(" /rw") && line.contains("rw,nodev") && !line.contains("shared:");
        assert_eq!(table.iter().filter(free).count(), 2, "{text}");
    });
}

#[test]
fn an_older_kernel_lets_nothing_of_the_host_into_other_processes() {
    on_linux_5_10(|| {
        let stage = Stage::shell("echo ready; cat /dev/zero >/dev/null");
        let container = stage.start();
        stage.wait_for_output("ready");
        assert_eq!(exec(&stage, &["ls", "/proc/self/fd"], None).unwrap(), ("0\n1\n2\n3\n".to_owned(), Some(0)));
        container.kill_all().unwrap();
        stage.finish(&container);
    });
}
