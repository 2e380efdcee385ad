//! Directories, links, bursts, and what happens when the kernel has lost count.

use std::fs::{create_dir, create_dir_all, remove_dir_all, rename, write};

use crate::place::Place;

fn sorted(batches: Vec<Vec<String>>) -> Vec<String> {
    let mut all = batches.concat();
    all.sort();
    all
}

#[test]
fn new_directories_are_watched_however_deep() {
    let place = Place::new(|_| ());
    create_dir_all(place.path("a/b/c")).unwrap();
    place.write("a/b/c/x", "1");
    assert_eq!(sorted(place.told_until_end()), ["+a", "+a/b", "+a/b/c", "+a/b/c/x"]);
    place.write("a/b/c/x", "22");
    assert_eq!(place.told(), ["~a/b/c/x"]);
}

#[test]
fn a_tree_that_is_moved_in_out_and_around_is_known_under_its_name() {
    let place = Place::new(|place| {
        create_dir_all(place.outside("tree/deep")).unwrap();
        write(place.outside("tree/deep/x"), "1").unwrap();
    });
    rename(place.outside("tree"), place.path("one")).unwrap();
    assert_eq!(place.told(), ["+one", "+one/deep", "+one/deep/x"]);
    rename(place.path("one"), place.path("two")).unwrap();
    assert_eq!(place.told(), ["-one/deep/x", "-one/deep", "-one", "+two", "+two/deep", "+two/deep/x"]);
    place.write("two/deep/x", "22");
    assert_eq!(place.told(), ["~two/deep/x"]);
    rename(place.path("two"), place.outside("tree")).unwrap();
    assert_eq!(place.told(), ["-two/deep/x", "-two/deep", "-two"]);
    write(place.outside("tree/deep/x"), "333").unwrap();
    assert!(place.told_until_end().is_empty());
}

#[test]
fn two_directories_may_swap_their_names() {
    let place = Place::new(|place| {
        for name in ["a", "b"] {
            create_dir(place.path(name)).unwrap();
            place.write(&format!("{name}/of-{name}"), "1");
        }
    });
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, place.path("a"), rustix::fs::CWD, place.path("b"), flags).unwrap();
    assert_eq!(sorted(place.told_until_end()), ["+a/of-b", "+b/of-a", "-a/of-a", "-b/of-b"]);
    place.write("a/of-b", "22");
    assert_eq!(place.told(), ["~a/of-b"]);
}

#[test]
fn what_is_ignored_is_not_even_watched() {
    let place = Place::new(|place| create_dir_all(place.path("node_modules/x")).unwrap());
    place.write("node_modules/x/y", "1");
    create_dir_all(place.path(".git/objects")).unwrap();
    place.write(".git/objects/z", "1");
    assert!(place.told_until_end().is_empty());
}

#[test]
fn links_are_told_as_links() {
    let place = Place::new(|_| ());
    std::os::unix::fs::symlink("/nowhere", place.path("link")).unwrap();
    assert_eq!(sorted(place.told_until_end()), ["+link"]);
}

#[test]
fn the_watched_directory_itself_may_go_and_come_back() {
    let place = Place::new(|place| place.write("x", "1"));
    remove_dir_all(place.path("")).unwrap();
    assert_eq!(place.told(), ["-x", "-"]);
    create_dir(place.path("")).unwrap();
    place.write("x", "1");
    assert_eq!(sorted(place.told_until_end()), ["+", "+x"]);
}

/// A checkout: files are removed and written anew, thousands of them.
#[test]
fn a_burst_is_told_in_few_batches_and_whole() {
    let count = 10_000;
    let name = |number: usize| format!("d{}/f{number}", number % 100);
    let place = Place::new(|place| {
        (0..100).for_each(|number| create_dir(place.path(&format!("d{number}"))).unwrap());
        (0..count).for_each(|number| place.write(&name(number), "1"));
    });
    for number in 0..count {
        std::fs::remove_file(place.path(&name(number))).unwrap();
        place.write(&name(number), "22");
    }
    let batches = place.told_until_end();
    let mut told: Vec<&String> = batches.iter().flatten().collect();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count);
    assert!(batches.len() <= 12, "{}", batches.len());
}

#[test]
fn after_an_overflow_everything_is_looked_at() {
    let place = Place::new(|place| {
        for name in ["stays", "changes", "goes"] {
            place.write(name, "1");
        }
    });
    place.write("changes", "22");
    place.write("comes", "1");
    std::fs::remove_file(place.path("goes")).unwrap();
    place.watcher.rescan();
    assert_eq!(sorted(place.told_until_end()), ["+comes", "-goes", "~changes"]);
    place.write("stays", "22");
    assert_eq!(place.told(), ["~stays"]);
}

/// More than the kernel keeps: while the report waits nothing is read.
#[test]
fn nothing_is_lost_when_the_kernel_loses_count() {
    let limit: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let place = Place::new(|_| ());
    place.watcher.rescan();
    for number in 0..limit / 3 + 1000 {
        place.write(&format!("f{}", number % 2000), &number.to_string());
    }
    let told = sorted(place.told_until_end());
    let mut names: Vec<&str> = told.iter().map(|text| &text[1..]).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2000);
}
