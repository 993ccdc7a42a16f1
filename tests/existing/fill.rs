//! A file system made in a partition of a disk that exists.

use std::fs;

use super::{assert_rest_is, lived_in, noise, place};
use crate::support::bench::assert_same_bytes;
use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::{Bench, disk};

const SEED: &str = "6f9c2e0b7a5d4c81b3e85d2f90a417cc";

/// What goes into the partitions of [`spec`]: `esp`, `swap` and `root`.
const ESP: [&str; 6] = [
    "--filesystem",
    "vfat",
    "--label",
    "UEFI",
    "--content",
    "demo/esp",
];
const SWAP: [&str; 2] = ["--filesystem", "swap"];
const ROOT: [&str; 8] = [
    "--filesystem",
    "ext4",
    "--content",
    "demo/rootfs.tar",
    "--content",
    "demo/overlay,owner=0:0,exclude=*.orig",
    "--option",
    "reserved-blocks=1%",
];

/// A disk with three file systems between others, for a kind of table.
fn spec(disk: &str, kinds: [&str; 3], more: &str) -> String {
    let [esp, swap, root] = kinds;
    format!(
        r#"
        disk = {{ seed = "{SEED}", {disk} }}
        [[partition]]
        name = "before"
        type = "{root}"
        size = "1MiB"
        [[partition]]
        name = "esp"
        type = "{esp}"
        size = "40MiB"
        {more}
        filesystem = "vfat"
        label = "UEFI"
        content = [{{ directory = "demo/esp" }}]
        [[partition]]
        name = "between"
        type = "{root}"
        size = "3MiB"
        [[partition]]
        name = "swap"
        type = "{swap}"
        size = "2MiB"
        filesystem = "swap"
        [[partition]]
        name = "root"
        type = "{root}"
        size = "minimum + 20%"
        filesystem = "ext4"
        options = {{ reserved-blocks = "1%" }}
        content = [
            {{ archive = "demo/rootfs.tar" }},
            {{ directory = "demo/overlay", owner = "0:0", exclude = ["*.orig"] }},
        ]
        "#
    )
}

/// Builds the disk, fills the three partitions with noise, and has each made anew; that must give the same bytes.
fn assert_filled_as_built(text: &str, selectors: [&str; 3], options: &[&str]) {
    let bench = Bench::with_case("demo");
    let built = bench.build_text(text);
    fs::copy(&built, bench.path("old.img")).unwrap();
    let names = bench.names();
    for (selector, fill) in selectors.into_iter().zip([&ESP[..], &SWAP, &ROOT]) {
        let chosen = [&["old.img", selector][..], options].concat();
        bench.done(&[&["cut"], &chosen[..], &["-o", "part"]].concat());
        let length = usize::try_from(fs::metadata(bench.path("part")).unwrap().len()).unwrap();
        bench.write("part", noise(length, 7));
        bench.done(&[&["splice"], &chosen[..], &["part"]].concat());
        fs::remove_file(bench.path("part")).unwrap();
        let seed = ["--seed", SEED];
        let said = bench.done(&[&["fill"], &chosen[..], fill, &seed].concat());
        assert!(said.starts_with("old.img: partition "), "{said}");
    }
    assert_eq!(bench.names(), names, "something was left");
    assert_same_bytes(&built, &bench.path("old.img"));
}

#[test]
fn a_gpt() {
    let text = spec("", ["esp", "swap", "root-x86-64"], "");
    assert_filled_as_built(&text, ["esp", "4", "name:root"], &[]);
}

#[test]
fn a_gpt_of_large_sectors() {
    let text = spec("sector-size = 4096", ["esp", "swap", "root-x86-64"], "");
    assert_filled_as_built(&text, ["number:2", "swap", "root"], &[]);
}

#[test]
fn logical_partitions_of_an_mbr() {
    let text = spec(
        "table = \"mbr\", id = \"0x1234abcd\"",
        ["0x0c", "0x82", "0x83"],
        "",
    );
    assert_filled_as_built(&text, ["2", "1234abcd-05", "6"], &[]);
}

#[test]
fn an_mbr_of_large_sectors() {
    let text = spec(
        "table = \"mbr\", sector-size = 4096",
        ["0x0c", "0x82", "0x83"],
        "",
    );
    assert_filled_as_built(&text, ["2", "5", "6"], &["--sector-size", "4096"]);
}

#[test]
fn a_hybrid_table() {
    let text = spec(
        "table = \"hybrid\"",
        ["esp", "swap", "root-x86-64"],
        "mbr-type = \"0x0c\"",
    );
    assert_filled_as_built(&text, ["esp", "swap", "root"], &[]);
}

#[test]
fn what_is_filled_is_sound_and_the_rest_is_as_it_was() {
    let bench = Bench::with_case("demo");
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    let two = place(&bench, &image, "two");
    let fill = |more: &[&str]| bench.done(&[&["fill", "disk.img", "two", "-q"], more].concat());

    fill(&[
        "--filesystem",
        "ext4",
        "--content",
        "demo/rootfs.tar",
        "--expect-size",
        "4MiB",
    ]);
    judge_table(&image, true);
    judge_ext4(&disk::cut_out(&bench, &image, "two"));
    assert_rest_is(&image, &before, two.clone());

    fill(&["--filesystem", "fat16", "--label", "AGAIN"]);
    judge_fat(&disk::cut_out(&bench, &image, "two"));
    assert_rest_is(&image, &before, two);
}

#[test]
fn the_record_says_what_was_made_where() {
    let bench = Bench::with_case("demo");
    lived_in(&bench);
    let fill = [
        "fill",
        "disk.img",
        "2",
        "--filesystem",
        "ext4",
        "--atomic",
        "never",
        "--json",
        "-",
    ];
    let record: serde_json::Value = serde_json::from_str(&bench.done(&fill)).unwrap();
    assert_eq!(record["table"], "gpt");
    assert_eq!(record["atomic"], false);
    let partitions = record["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 1);
    assert_eq!(partitions[0]["name"], "two");
    assert_eq!(
        (&partitions[0]["start"], &partitions[0]["size"]),
        (&(2 << 20).into(), &(4 << 20).into())
    );
    assert_eq!(partitions[0]["filesystem"]["kind"], "ext4");
}

#[test]
fn a_file_system_that_does_not_fit_changes_nothing() {
    let bench = Bench::with_case("demo");
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    bench.write("noise", noise(2 << 20, 4));
    let names = bench.names();
    let content = ["--filesystem", "ext4", "--content", "noise"];
    let outcome = bench.run(&[&["fill", "disk.img", "one"][..], &content].concat());
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome
            .stderr
            .starts_with("error: partition 'one': too small: ext4 with this content needs "),
        "{}",
        outcome.stderr
    );
    assert!(fs::read(&image).unwrap() == before);
    assert_eq!(bench.names(), names);
}
