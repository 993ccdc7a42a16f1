//! The time that a file system is stamped with, and what the record says of it.

use serde_json::Value;

use crate::support::bench::{Outcome, set_time};
use crate::support::judges::{judge_ext4, judge_fat};
use crate::support::{Bench, judge};

/// Makes a disk with one file system from `content`; its time, and where that is from.
fn built(bench: &Bench, filesystem: &str, disk: &str, content: &str, epoch: &str) -> (i64, String) {
    let spec = format!(
        "[disk]\n{disk}\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"4MiB\"\n\
         filesystem = \"{filesystem}\"\ncontent = [{content}]\n"
    );
    bench.write("image.toml", spec);
    let mut command = bench.cellblock();
    command
        .args(["build", "image.toml", "-o", "disk.img", "--json", "-"])
        .env("SOURCE_DATE_EPOCH", epoch);
    let record: Value = serde_json::from_str(&Outcome::of(&mut command).done()).unwrap();
    let filesystem = &record["partitions"][0]["filesystem"];
    let from = filesystem["time-from"].as_str().unwrap().to_owned();
    (filesystem["time"].as_i64().unwrap(), from)
}

const TEXT: &str = "{ text = \"hello\", to = \"/hello.txt\" }";
const FILE: &str = "{ file = \"file\", to = \"/file\", owner = \"0:0\" }";

#[test]
fn the_record_says_where_the_time_is_from() {
    let bench = Bench::new();
    let file = bench.write("file", "content");
    set_time(&file, 1_000_000_000, 0);
    let given = "time = 1200000000";
    let both = format!("{TEXT}, {FILE}");
    for filesystem in ["ext4", "vfat"] {
        for (disk, content, epoch, time, from) in [
            (given, &*both, "1100000000", 1_200_000_000, "given"),
            ("", &*both, "1100000000", 1_100_000_000, "environment"),
            ("", &*both, "", 1_000_000_000, "newest-file"),
            ("", TEXT, "", 315_532_800, "fallback"),
            ("", "", "", 315_532_800, "fallback"),
        ] {
            let found = built(&bench, filesystem, disk, content, epoch);
            assert_eq!(found, (time, from.to_owned()), "{filesystem}: {content}");
        }
    }
}

#[test]
fn content_without_any_time_is_of_1980() {
    let bench = Bench::new();
    built(&bench, "vfat", "", TEXT, "");
    let part = crate::support::disk::cut_out(&bench, &bench.path("disk.img"), "data");
    judge_fat(&part);
    if let Some(mdir) = judge("mdir") {
        let listed = mdir.content_with(&["-i"], &part);
        let line = listed
            .lines()
            .find(|line| line.to_lowercase().starts_with("hello"))
            .unwrap();
        assert!(line.contains("1980-01-01"), "{listed}");
    }
    built(&bench, "ext4", "", TEXT, "");
    let part = crate::support::disk::cut_out(&bench, &bench.path("disk.img"), "data");
    judge_ext4(&part);
    if let Some(debugfs) = judge("debugfs") {
        let shown = debugfs.content_with(&["-R", "stat /hello.txt"], &part);
        assert!(shown.contains("mtime: 0x12cea600"), "{shown}");
    }
}

/// The clock decides no byte, but whoever reads a clock finds such an image wrong: e2fsck, for one.
#[test]
fn a_newest_file_from_the_future_is_warned_of() {
    const FUTURE: i64 = 7_000_000_000;
    let bench = Bench::new();
    let file = bench.write("file", "content");
    let build = |disk: &str, epoch: &str| {
        let spec = format!(
            "[disk]\n{disk}\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"4MiB\"\n\
             filesystem = \"ext4\"\ncontent = [{TEXT}, {FILE}]\n"
        );
        bench.write("image.toml", spec);
        let mut command = bench.cellblock();
        command.args(["build", "image.toml", "-o", "disk.img"]);
        let outcome = Outcome::of(command.env("SOURCE_DATE_EPOCH", epoch));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stderr
    };
    set_time(&file, FUTURE, 0);
    let said = build("", "");
    let begin = "warning: data: the newest file, /file, is ";
    let end = "set another one with time, --time or SOURCE_DATE_EPOCH\n";
    assert!(said.starts_with(begin) && said.ends_with(end), "{said}");
    let part = crate::support::disk::cut_out(&bench, &bench.path("disk.img"), "data");
    if let Some(e2fsck) = judge("e2fsck") {
        let found = e2fsck.run(&["-fn"], &part);
        let found = crate::support::text(&found);
        assert!(found.contains("in the future"), "{found}");
    }
    // Where the time is from elsewhere there is nothing to say.
    assert_eq!(build("time = 1200000000", ""), "");
    assert_eq!(build("", "1100000000"), "");
    set_time(&file, 1_000_000_000, 0);
    assert_eq!(build("", ""), "");
}

#[test]
fn a_given_time_is_the_latest_unless_a_source_keeps_its_times() {
    let bench = Bench::new();
    for (name, time) in [("old", 1_000_000_000), ("new", 1_300_000_000)] {
        set_time(&bench.write(name, name), time, 0);
    }
    let Some(debugfs) = judge("debugfs") else {
        return;
    };
    let source = |name: &str, more: &str| {
        format!("{{ file = \"{name}\", to = \"/{name}\", owner = \"0:0\"{more} }}")
    };
    for (more, new) in [
        ("", 1_200_000_000_u32),
        (", times = \"keep\"", 1_300_000_000),
    ] {
        let content = format!("{}, {}", source("old", more), source("new", more));
        built(&bench, "ext4", "time = 1200000000", &content, "");
        let part = crate::support::disk::cut_out(&bench, &bench.path("disk.img"), "data");
        judge_ext4(&part);
        for (name, time) in [("old", 1_000_000_000), ("new", new)] {
            let shown = debugfs.content_with(&["-R", &format!("stat /{name}")], &part);
            assert!(
                shown.contains(&format!("mtime: {time:#010x}")),
                "{more}: {shown}"
            );
        }
    }
}

/// As genimage writes 2000-01-01, taken for seconds.
#[test]
fn a_time_that_a_format_cannot_have_is_refused_with_its_seconds() {
    const LATE: &str = "+20000101000000";
    let bench = Bench::new();
    bench.write("one/hello.txt", "hello");
    let counted_by_ext =
        "1970-01-01 to 2446-05-10 but for what e2fsck doubts, 2310-04-04 to 2378-04-22";
    for (kind, more, counted) in [
        ("ext4", &[][..], counted_by_ext),
        (
            "ext2",
            &["--option", "inode-size=128"],
            "1970-01-01 to 2038-01-19 in inodes of 128 bytes",
        ),
        ("squashfs", &[], "1970-01-01 to 2106-02-07"),
        (
            "erofs",
            &["--option", "features=48bit"],
            "1970-01-01 to 2106-02-07 with the feature 48bit",
        ),
        (
            "vfat",
            &["--drop", "permissions"],
            "1980-01-01 to 2107-12-31",
        ),
    ] {
        for content in [&[][..], &["--content", "one"]] {
            let line = [
                "mkfs", kind, "--time", LATE, "--size", "8MiB", "-o", "out.img",
            ];
            let outcome = bench.run(&[&line[..], more, content].concat());
            assert_eq!(outcome.code, Some(2), "{kind}: {}", outcome.stderr);
            let told = format!(
                "error: the time that the file system is stamped with, 20000101000000 seconds after 1970, is outside what \
                 {kind} can count, {counted}; give another time, --time or SOURCE_DATE_EPOCH\n"
            );
            assert_eq!(outcome.stderr, told);
            assert!(!bench.path("out.img").exists());
        }
    }
}

/// How large an inode is may depend on whether it has that time.
#[test]
fn what_is_measured_has_the_time_that_is_given() {
    let bench = Bench::new();
    for index in 0..300 {
        let path = format!("many/{index}");
        bench.write(&path, "x");
        set_time(&bench.path(&path), 1_000_000_000, 0);
    }
    for kind in ["erofs", "ext4"] {
        for time in ["1000000000", "1200000000"] {
            let line = [
                "mkfs",
                kind,
                "--content",
                "many",
                "--time",
                time,
                "-o",
                "out.img",
            ];
            bench.run(&line).done();
        }
    }
}

/// As in a store of Nix, where everything is of 1970.
#[test]
fn files_older_than_a_format_counts_are_dated_to_its_first_time_or_refused_with_a_way_out() {
    let bench = Bench::new();
    bench.write("one/hello.txt", "hello");
    set_time(&bench.path("one/hello.txt"), 0, 0);
    let made = |kind: &str, name: &str| {
        let drop = "owners,permissions";
        bench.run(&[
            "mkfs",
            kind,
            "--content",
            "one",
            "--drop",
            drop,
            "--time",
            "0",
            "-o",
            name,
            "--verify",
        ])
    };
    let outcome = made("vfat", "fat.img");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(
            "dated before 1980-01-01 or after 2107-12-31, which is all that FAT counts: 1;"
        ),
        "{}",
        outcome.stderr
    );
    judge_fat(&bench.path("fat.img"));
    set_time(&bench.path("one/hello.txt"), -1, 0);
    let outcome = made("squashfs", "squash.img");
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(
            "/hello.txt: its modification time is outside what squashfs can count, 1970-01-01 to 2106-02-07; date it anew, \
             with touch or the metadata of its source"
        ),
        "{}",
        outcome.stderr
    );
}
