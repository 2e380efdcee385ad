//! How editors save: each is one change of the file that people see, and of nothing else.

use std::fs::{File, OpenOptions, remove_file, rename, write};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use crate::place::Place;

#[track_caller]
fn check(save: impl FnOnce(&Place)) {
    let place = Place::new(|place| place.write("a.c", "old"));
    save(&place);
    assert_eq!(place.told(), ["~a.c"]);
    let more = place.told_until_end();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn vim_renames_the_old_one_and_writes_a_new_one() {
    check(|place| {
        write(place.path("4913"), "").unwrap();
        remove_file(place.path("4913")).unwrap();
        rename(place.path("a.c"), place.path("a.c~")).unwrap();
        let mut new = File::create(place.path("a.c")).unwrap();
        new.write_all(b"new").unwrap();
        new.set_permissions(PermissionsExt::from_mode(0o644)).unwrap();
        drop(new);
        remove_file(place.path("a.c~")).unwrap();
    });
}

#[test]
fn emacs_locks_backs_up_and_writes() {
    check(|place| {
        std::os::unix::fs::symlink("me@here.1", place.path(".#a.c")).unwrap();
        write(place.path("#a.c#"), "half").unwrap();
        rename(place.path("a.c"), place.path("a.c~")).unwrap();
        write(place.path("a.c"), "new").unwrap();
        remove_file(place.path("#a.c#")).unwrap();
        remove_file(place.path(".#a.c")).unwrap();
    });
}

#[test]
fn an_atomic_save_renames_a_new_file_over_the_old_one() {
    check(|place| {
        write(place.path(".a.c.tmp-1234"), "new").unwrap();
        rename(place.path(".a.c.tmp-1234"), place.path("a.c")).unwrap();
    });
}

#[test]
fn jetbrains_swaps_two_files() {
    check(|place| {
        write(place.path("a.c___jb_tmp___"), "new").unwrap();
        rename(place.path("a.c"), place.path("a.c___jb_old___")).unwrap();
        rename(place.path("a.c___jb_tmp___"), place.path("a.c")).unwrap();
        remove_file(place.path("a.c___jb_old___")).unwrap();
    });
}

#[test]
fn a_file_that_is_truncated_and_written_is_told_when_it_is_closed() {
    check(|place| {
        let mut file = OpenOptions::new().write(true).truncate(true).open(place.path("a.c")).unwrap();
        file.write_all(b"ne").unwrap();
        file.write_all(b"w").unwrap();
    });
}

#[test]
fn a_file_that_stays_open_is_told_too() {
    let place = Place::new(|place| place.write("log", "one"));
    let mut file = OpenOptions::new().append(true).open(place.path("log")).unwrap();
    file.write_all(b"two").unwrap();
    assert_eq!(place.told(), ["~log"]);
}

#[test]
fn a_file_that_is_only_read_is_not_told() {
    let place = Place::new(|place| place.write("a.c", "old"));
    assert_eq!(std::fs::read_to_string(place.path("a.c")).unwrap(), "old");
    assert!(place.told_until_end().is_empty());
}
