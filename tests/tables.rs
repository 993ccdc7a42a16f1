//! Partition tables, and the sizes and places of partitions.

use std::fs;
use std::path::Path;

use crate::support::judges::{Judge, judge_ext4, judge_fat, judge_table};
use crate::support::{Ability, Bench, disk, judge, lacks, mount};

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn an_mbr_holds_logical_partitions() {
    let bench = Bench::with_case("demo");
    let image = bench.build_text(
        r#"
        disk = { table = "mbr", id = "0x1234abcd" }
        [[partition]]
        name = "boot"
        type = "0x0c"
        active = true
        size = "8MiB"
        filesystem = "vfat"
        content = [{ directory = "demo/esp" }]
        [[partition]]
        name = "swap"
        type = "swap"
        size = "2MiB"
        filesystem = "swap"
        [[partition]]
        name = "empty"
        type = "0x83"
        size = "1MiB"
        [[partition]]
        name = "root"
        type = "0x83"
        size = "minimum + 10%"
        filesystem = "ext4"
        content = [{ archive = "demo/rootfs.tar" }]
        [[partition]]
        name = "raw"
        type = "0xda"
        raw = [{ file = "demo/core.bin", offset = "512B" }]
        "#,
    );
    judge_table(&image, false);
    let numbers: Vec<String> = disk::parts(&bench, &image)
        .into_iter()
        .map(|part| part.name)
        .collect();
    // The fourth holds the fifth and the sixth.
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6"]);
    judge_fat(&disk::cut_out(&bench, &image, "1"));
    judge_ext4(&disk::cut_out(&bench, &image, "5"));
    let raw = fs::read(disk::cut_out(&bench, &image, "6")).unwrap();
    let core = fs::read(bench.path("demo/core.bin")).unwrap();
    assert_eq!(raw[512..512 + core.len()], core);
}

/// The partitions of the MBR alone, as sfdisk reads it: type, start and length.
fn of_mbr(image: &Path, sfdisk: &Judge) -> Vec<(String, u64, u64)> {
    let said = sfdisk.content_with(&["--label-nested", "dos", "--json"], image);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let partitions = said["partitiontable"]["partitions"].as_array().unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    partitions
        .iter()
        .map(|one| {
            let kind = one["type"].as_str().unwrap().to_owned();
            (kind, number(&one["start"]), number(&one["size"]))
        })
        .collect()
}

#[test]
fn a_hybrid_table_is_a_gpt_and_an_mbr() {
    let bench = Bench::with_case("demo");
    let image = bench.build_text(
        r#"
        disk = { table = "hybrid" }
        [[partition]]
        name = "firmware"
        type = "esp"
        mbr-type = "fat32"
        active = true
        size = "36MiB"
        filesystem = "vfat"
        content = [{ directory = "demo/esp" }]
        [[partition]]
        name = "between"
        type = "linux-generic"
        size = "1MiB"
        [[partition]]
        name = "root"
        type = "linux-generic"
        mbr-type = 0x83
        filesystem = "ext4"
        content = [{ archive = "demo/rootfs.tar" }]
        "#,
    );
    judge_table(&image, true);
    judge_fat(&disk::cut_out(&bench, &image, "firmware"));
    judge_ext4(&disk::cut_out(&bench, &image, "root"));
    assert_eq!(
        disk::shown(&bench, &image)["partitions"][2]["mbr-type"],
        "83"
    );
    let table = disk::table(&bench, &image);
    assert_eq!(table["label"], "gpt");
    let root = &table["partitions"][2];
    if let Some(sfdisk) = judge("sfdisk") {
        let (start, size) = (
            root["start"].as_u64().unwrap(),
            root["size"].as_u64().unwrap(),
        );
        assert_eq!(
            of_mbr(&image, &sfdisk),
            [
                ("ee".to_owned(), 1, 2047),
                ("c".to_owned(), 2048, 73_728),
                ("83".to_owned(), start, size),
            ]
        );
    }
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["table"], "hybrid");
    assert_eq!(record["partitions"][0]["mbr-type"], "0x0c");
    assert!(record["partitions"][1].get("mbr-type").is_none());
}

#[test]
fn sectors_may_have_4096_bytes() {
    let bench = Bench::with_case("demo");
    let image = bench.build_text(
        r#"
        disk = { sector-size = 4096, size = "512MiB" }
        [[partition]]
        name = "efi"
        type = "esp"
        size = "300MiB"
        filesystem = "vfat"
        content = [{ directory = "demo/esp" }]
        [[partition]]
        name = "root"
        type = "root-x86-64"
        size = "rest"
        filesystem = "ext4"
        content = [{ archive = "demo/rootfs.tar" }]
        "#,
    );
    assert_eq!(disk::shown(&bench, &image)["sectorsize"], 4096);
    judge_fat(&disk::cut_out(&bench, &image, "efi"));
    judge_ext4(&disk::cut_out(&bench, &image, "root"));
    judge_on_sectors_of_4096(&image);
}

/// Programs that look at partition tables learn the size of a sector from the device.
fn judge_on_sectors_of_4096(image: &Path) {
    if !mount::may_mount() {
        lacks(Ability::LoopDevices, "they have sectors of 4096 bytes");
        return;
    }
    let Some(losetup) = judge("losetup") else {
        return;
    };
    let device = losetup.content_with(&["-r", "-b", "4096", "--find", "--show"], image);
    let device = Path::new(device.trim());
    let verdict = std::panic::catch_unwind(|| judge_table(device, true));
    losetup.content_with(&["-d"], device);
    verdict.unwrap();
}

/// The smallest ext4 file system with the demo's root, in bytes.
fn smallest(bench: &Bench) -> u64 {
    bench.done(&[
        "mkfs",
        "ext4",
        "-q",
        "-o",
        "smallest.img",
        "--content",
        "demo/rootfs.tar",
    ]);
    let smallest = bench.path("smallest.img");
    judge_ext4(&smallest);
    fs::metadata(smallest).unwrap().len()
}

/// A number as people write it, digits in groups of three.
fn in_groups(number: u64) -> String {
    let digits = number.to_string();
    let mut groups: Vec<&str> = Vec::new();
    let mut rest = digits.as_str();
    while rest.len() > 3 {
        let (before, group) = rest.split_at(rest.len() - 3);
        groups.insert(0, group);
        rest = before;
    }
    groups.insert(0, rest);
    groups.join(" ")
}

#[test]
fn a_minimum_is_exact() {
    let bench = Bench::with_case("demo");
    let smallest = smallest(&bench);
    let less = format!("{}B", smallest - 512);
    let content = ["--content", "demo/rootfs.tar"];
    let outcome = bench.run(
        &[
            &["mkfs", "ext4", "-o", "less.img", "--size", &less][..],
            &content,
        ]
        .concat(),
    );
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        format!(
            "error: too small: ext4 with this content needs {} bytes, but the partition has {} (512 short); \
             make it larger, or give it the size \"minimum\"\n",
            in_groups(smallest),
            in_groups(smallest - 512)
        )
    );
    assert!(!bench.path("less.img").exists());
}

#[test]
fn sizes_are_what_was_asked_for() {
    let bench = Bench::with_case("demo");
    let smallest = smallest(&bench);
    let partition = |name: &str, size: &str| {
        format!(
            "[[partition]]\nname = \"{name}\"\ntype = \"linux-generic\"\nsize = \"{size}\"\nfilesystem = \"ext4\"\n\
             content = [{{ archive = \"demo/rootfs.tar\" }}]\n"
        )
    };
    let image = bench.build_text(&format!(
        "disk = {{ size = \"64MiB\" }}\n{}{}{}{}{}",
        partition("exact", "minimum"),
        partition("percent", "minimum + 130%"),
        partition("more", "minimum + 3MiB"),
        partition("fixed", "5MiB"),
        partition("rest", "rest"),
    ));
    judge_table(&image, true);
    let up = |bytes: u64| bytes.next_multiple_of(MEBIBYTE);
    let parts = disk::parts(&bench, &image);
    let sizes: Vec<u64> = parts[..4].iter().map(|part| part.size).collect();
    assert_eq!(
        sizes,
        [
            up(smallest),
            up((smallest * 230).div_ceil(100)),
            up(smallest + 3 * MEBIBYTE),
            5 * MEBIBYTE
        ]
    );
    let rest = &parts[4];
    assert_eq!(rest.start + rest.size, 63 * MEBIBYTE);
    for part in &parts {
        assert_eq!(part.start % MEBIBYTE, 0, "{part:?}");
        judge_ext4(&disk::cut_out(&bench, &image, &part.name));
    }
}

#[test]
fn a_partition_stands_at_its_offset_with_its_attributes() {
    let bench = Bench::new();
    let image = bench.build_text(
        r#"
        disk = { id = "0fc63daf-8483-4772-8e79-3d69d8477de4", size = "16MiB" }
        [[partition]]
        name = "one"
        type = "linux-generic"
        offset = "4MiB"
        size = "1MiB"
        number = 7
        id = "11111111-2222-4333-8444-555555555555"
        attributes = ["read-only", "no-auto"]
        [[partition]]
        name = "two"
        type = "8484680C-9521-48C6-9C11-B0720656F69E"
        offset = "9MiB"
        size = "2MiB"
        filesystem = "ext4"
        "#,
    );
    judge_table(&image, true);
    let table = disk::table(&bench, &image);
    assert_eq!(table["id"], "0FC63DAF-8483-4772-8E79-3D69D8477DE4");
    // In the order of their numbers.
    let [two, one] = &table["partitions"].as_array().unwrap()[..] else {
        panic!("{table}");
    };
    assert!(one["node"].as_str().unwrap().ends_with("disk.img7"));
    assert_eq!((&one["start"], &one["size"]), (&8192.into(), &2048.into()));
    assert_eq!(one["uuid"], "11111111-2222-4333-8444-555555555555");
    assert_eq!(one["attrs"], "GUID:60,63");
    assert_eq!((&two["start"], &two["size"]), (&18432.into(), &4096.into()));
    assert_eq!(two["type"], "8484680C-9521-48C6-9C11-B0720656F69E");
    judge_ext4(&disk::cut_out(&bench, &image, "two"));
}

/// What sfdisk reads of a disk, an MBR inside a hybrid table where `nested` is `dos`: number, type, start and length.
fn read_by_sfdisk(image: &Path, nested: &str) -> Vec<(String, String, u64, u64)> {
    let Some(sfdisk) = judge("sfdisk") else {
        return Vec::new();
    };
    let arguments: &[&str] = match nested {
        "" => &["--json"],
        nested => &["--label-nested", nested, "--json"],
    };
    // Of a backup that is missing it warns on standard error.
    let said = sfdisk.run(arguments, image).stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    let partitions = said["partitiontable"]["partitions"].as_array().unwrap();
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    partitions
        .iter()
        .map(|one| {
            let node = one["node"].as_str().unwrap();
            (
                node[image.to_str().unwrap().len()..].to_owned(),
                one["type"].as_str().unwrap().to_owned(),
                number(&one["start"]),
                number(&one["size"]),
            )
        })
        .collect()
}

fn read(number: &str, kind: &str, start: u64, size: u64) -> (String, String, u64, u64) {
    (number.to_owned(), kind.to_owned(), start, size)
}

const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

#[test]
fn the_entries_of_a_gpt_make_room_for_a_boot_loader() {
    let bench = Bench::new();
    let loader = vec![0x5a; 100 << 10];
    bench.write("spl.bin", &loader);
    let image = bench.build_text(
        r#"
        [disk]
        gpt-location = "128KiB"
        raw = [{ file = "spl.bin", offset = "8KiB" }]
        [[partition]]
        name = "root"
        type = "linux-generic"
        size = "1MiB"
        "#,
    );
    judge_table(&image, true);
    assert_eq!(read_by_sfdisk(&image, ""), [read("1", LINUX, 2048, 2048)]);
    let bytes = fs::read(&image).unwrap();
    assert!(bytes[8 << 10..(8 << 10) + loader.len()] == loader);
    bench.write("new", vec![1; 1 << 20]);
    bench.done(&["splice", "disk.img", "root", "new", "-q"]);
    judge_table(&image, true);
}

#[test]
fn a_gpt_without_backup_leaves_the_end_of_the_disk_to_partitions() {
    let bench = Bench::new();
    let image = bench.build_text(
        r#"
        disk = { gpt-backup = false, size = "4MiB" }
        [[partition]]
        name = "root"
        type = "linux-generic"
        size = "rest"
        "#,
    );
    assert_eq!(read_by_sfdisk(&image, ""), [read("1", LINUX, 2048, 6144)]);
    if let Some(sgdisk) = judge("sgdisk") {
        let said = sgdisk.content_with(&["-p"], &image);
        assert!(
            said.contains("   1            2048            8191   3.0 MiB"),
            "{said}"
        );
    }
    let shown = bench.run(&["show", "disk.img"]);
    let note = "note: the GPT has no backup at the end of the disk\n";
    assert_eq!((shown.code, &*shown.stderr), (Some(0), note));
    let bytes = vec![7; 3 << 20];
    bench.write("new", &bytes);
    bench.done(&["splice", "disk.img", "root", "new", "-q"]);
    assert!(fs::read(&image).unwrap()[1 << 20..] == bytes);
}

#[test]
fn the_extended_partition_has_any_number_and_primaries_behind_it() {
    let bench = Bench::new();
    let partition =
        |lines: &str| format!("[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n{lines}\n");
    let image = bench.build_text(&[
        "[disk]\ntable = \"mbr\"\nextended-number = 2\nextended-type = \"extended-chs\"\nboot-record-space = \"512B\"\nalignment = \"512B\"\n".to_owned(),
        partition("offset = \"1MiB\""),
        partition(""),
        partition(""),
        partition("number = 4"),
        partition("number = 3"),
    ].concat());
    judge_table(&image, false);
    assert_eq!(
        read_by_sfdisk(&image, ""),
        [
            read("1", "83", 2048, 2048),
            read("2", "5", 4096, 4098),
            read("3", "83", 10_242, 2048),
            read("4", "83", 8194, 2048),
            read("5", "83", 4097, 2048),
            read("6", "83", 6146, 2048),
        ]
    );
    bench.write("new", vec![7; 1 << 20]);
    bench.done(&["splice", "disk.img", "6", "new", "-q"]);
    assert!(
        fs::read(&image).unwrap()[6146 * 512..8194 * 512]
            .iter()
            .all(|byte| *byte == 7)
    );
}

#[test]
fn the_entry_that_protects_the_gpt_of_a_hybrid_table_has_any_number() {
    let bench = Bench::new();
    let image = bench.build_text(
        r#"
        disk = { table = "hybrid", protective-number = 3 }
        [[partition]]
        type = "esp"
        mbr-type = "fat32"
        size = "1MiB"
        [[partition]]
        type = "linux-generic"
        mbr-type = "linux"
        size = "1MiB"
        "#,
    );
    judge_table(&image, true);
    assert_eq!(
        read_by_sfdisk(&image, "dos"),
        [
            read("1", "c", 2048, 2048),
            read("2", "83", 4096, 2048),
            read("3", "ee", 1, 2047),
        ]
    );
}

#[test]
fn a_disk_without_a_table_is_what_its_partitions_are() {
    let bench = Bench::new();
    let loader = vec![0x5a; 1000];
    bench.write("loader.bin", &loader);
    let image = bench.build_text(
        r#"
        disk = { table = "none" }
        [[partition]]
        name = "loader"
        offset = 0
        raw = [{ file = "loader.bin" }]
        [[partition]]
        name = "root"
        offset = "8KiB"
        size = "2MiB"
        filesystem = "ext4"
        "#,
    );
    let bytes = fs::read(&image).unwrap();
    assert!(bytes[..1000] == loader);
    assert!(bytes[1000..8 << 10].iter().all(|byte| *byte == 0));
    judge_ext4(&bench.cut(&image, 8 << 10, 2 << 20, "root.part"));
    if let Some(sfdisk) = judge("sfdisk") {
        let said = sfdisk.run(&["--json"], &image);
        assert!(!said.status.success(), "sfdisk reads a table");
    }
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        (&record["table"], record.get("disk-id")),
        (&"none".into(), None)
    );
    assert_eq!(record["partitions"][1]["start"], 8192);
}

#[test]
fn several_partitions_may_have_one_name_in_the_gpt() {
    let bench = Bench::new();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"usr\"\ntype = \"usr-x86-64\"\nsize = \"1MiB\"\n\
         [[partition]]\nname = \"slot-a\"\ngpt-name = \"_empty\"\ntype = \"usr-x86-64\"\nsize = \"1MiB\"\n\
         [[partition]]\nname = \"slot-b\"\ngpt-name = \"_empty\"\ntype = \"usr-x86-64\"\nsize = \"1MiB\"\n",
    );
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    bench.done(&["verify", "disk.img", "image.toml"]);
    let told = bench.done(&["show", "disk.img", "--json"]);
    assert_eq!(told.matches("\"_empty\"").count(), 2, "{told}");
    if let Some(sfdisk) = judge("sfdisk") {
        let dumped = sfdisk.content_with(&["--dump"], &bench.path("disk.img"));
        let dumped = format!("{dumped:?}");
        assert_eq!(dumped.matches("_empty").count(), 2, "{dumped}");
    }
    // Another one is printed as it is read, and stands in no MBR.
    let printed = bench.done(&["convert", "image.toml"]);
    assert_eq!(
        printed.matches("gpt-name = \"_empty\"").count(),
        2,
        "{printed}"
    );
    bench.write(
        "mbr.toml",
        "[disk]\ntable = \"mbr\"\n[[partition]]\nname = \"a\"\ngpt-name = \"b\"\ntype = \"linux\"\nsize = \"1MiB\"\n",
    );
    let outcome = bench.run(&["build", "mbr.toml", "-o", "mbr.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("gpt-name"), "{}", outcome.stderr);
}
