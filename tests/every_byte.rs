//! Every byte that counts is compared, by `verify` and `diff`: those under a hash tree, behind a file system, and those that are missing.

use std::fs;

use serde_json::Value;

use crate::support::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("root/etc/motd", "hello\n");
    bench
}

/// Under a hash tree every byte counts, those that no file has as well.
#[test]
fn what_a_hash_tree_is_of_is_compared_byte_by_byte() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"2MiB\"\nfilesystem = \"erofs\"\n\
         content = [{ directory = \"root\" }]\n\
         [[partition]]\nname = \"tree\"\ntype = \"root-x86-64-verity\"\nverity = { of = \"root\" }\n",
    );
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert!(told.contains("root: equal, byte by byte"), "{told}");
    let image = fs::read(bench.path("disk.img")).unwrap();
    // Behind the file system, and in its superblock, which is then refused.
    for at in [(3 << 20) - 1, (1 << 20) + 1024 + 40] {
        let mut other = image.clone();
        other[at] ^= 1;
        bench.write("other.img", other);
        let outcome = bench.run(&["verify", "other.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        let told = format!(
            "root: different, compared byte by byte\n~ partition: bytes others from byte {} on\n",
            at - (1 << 20)
        );
        assert!(outcome.stdout.contains(&told), "{}", outcome.stdout);
    }
}

/// What is behind a hash tree in its data's partition is zeros.
#[test]
fn what_is_behind_a_tree_in_one_partition_is_compared() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"4MiB\"\nraw = [{ file = \"root/etc/motd\" }]\n\
         verity = { behind = true }\n",
    );
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    bench.done(&["verify", "disk.img", "image.toml"]);
    let mut image = fs::read(bench.path("disk.img")).unwrap();
    let last = (5 << 20) - 1;
    image[last] ^= 1;
    bench.write("other.img", image);
    let outcome = bench.run(&["verify", "other.img", "image.toml"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    let told = format!("others from byte {} on", last - (1 << 20));
    assert!(outcome.stdout.contains(&told), "{}", outcome.stdout);
}

#[test]
fn a_disk_of_large_sectors_without_a_gpt_is_verified_by_what_says_their_size() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[disk]\ntable = \"mbr\"\nsector-size = 4096\n[[partition]]\nname = \"root\"\ntype = \"linux\"\nsize = \"16MiB\"\n\
         filesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]\n",
    );
    let record = ["--json", "record.json"];
    bench.done(
        &[
            &["build", "image.toml", "-q", "-o", "disk.img"],
            &record[..],
        ]
        .concat(),
    );
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert!(told.contains("root: equal, path by path"), "{told}");
    let told = bench.done(&["verify", "disk.img", "--record", "record.json"]);
    assert!(told.contains("root: equal, by its digest"), "{told}");
}

#[test]
fn an_image_that_is_cut_off_is_told_with_what_is_missing() {
    let bench = bench();
    bench.write("root/large", "0123456789".repeat(200_000));
    bench.write("raw.bin", "raw");
    for table in ["gpt", "mbr", "none"] {
        let others = "[[partition]]\nname = \"raw\"\ntype = \"linux\"\nsize = \"1MiB\"\nraw = [{ file = \"raw.bin\" }]\n\
                      [[partition]]\nname = \"late\"\ntype = \"linux\"\nsize = \"1MiB\"\nfilesystem = \"ext2\"\n";
        let (others, kind) = match table {
            "none" => ("", "offset = 0\n"),
            _ => (others, "type = \"linux\"\n"),
        };
        bench.write(
            "image.toml",
            format!(
                "[disk]\ntable = \"{table}\"\n[[partition]]\nname = \"root\"\n{kind}size = \"8MiB\"\nfilesystem = \"ext4\"\n\
                 content = [{{ directory = \"root\" }}]\n{others}"
            ),
        );
        let record = ["--json", "record.json"];
        bench.done(
            &[
                &["build", "image.toml", "-q", "-o", "disk.img"],
                &record[..],
            ]
            .concat(),
        );
        let image = fs::read(bench.path("disk.img")).unwrap();
        let whole = image.len();
        // In a table's last sectors or a partition, behind the first superblock, and in the middle of the first partition.
        let mut lengths = vec![whole - 512, (1 << 20) + 4096, 2 << 20];
        if table != "none" {
            lengths.extend([(9 << 20) + 100, 10 << 20]);
        }
        for length in lengths {
            bench.write("other.img", &image[..length]);
            for against in [&["image.toml"][..], &["--record", "record.json"]] {
                let outcome = bench.run(&[&["verify", "other.img"], against].concat());
                let told = format!(
                    "{table}, {length}, {against:?}: {}{}",
                    outcome.stdout, outcome.stderr
                );
                assert_eq!(outcome.code, Some(1), "{told}");
                let size = format!("~ image: size {whole} -> {length}\n");
                assert!(outcome.stdout.contains(&size), "{told}");
                let is_cut = table == "none" || length < 9 << 20;
                let start = if table == "none" { 0 } else { 1 << 20 };
                let cut_off = format!(
                    "cut off: the image ends behind {} of 8388608",
                    length.saturating_sub(start)
                );
                assert_eq!(outcome.stdout.contains(&cut_off), is_cut, "{told}");
                assert!(!outcome.stderr.contains("failed to fill"), "{told}");
            }
        }
    }
}

/// A hash tree and what corrects errors are bytes of no file.
#[test]
fn what_follows_a_file_system_in_its_partition_differs() {
    let bench = Bench::new();
    bench.write("root/file", "content");
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nfilesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]\n\
         verity = { behind = true, fec-roots = 2 }\n",
    );
    let record = [
        "build",
        "image.toml",
        "-q",
        "-o",
        "disk.img",
        "--json",
        "record.json",
    ];
    bench.done(&record);
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let root = &record["partitions"][0];
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let (start, size) = (number(&root["start"]), number(&root["size"]));
    let image = fs::read(bench.path("disk.img")).unwrap();
    for at in [number(&root["verity"]["hash-offset"]), size - 1] {
        let mut other = image.clone();
        other[start + at] ^= 1;
        bench.write("other.img", other);
        let outcome = bench.run(&["diff", "disk.img", "other.img"]);
        assert_eq!(outcome.code, Some(1), "{at}: {}", outcome.stderr);
        let told = format!("~ partition 1 'root': behind the file system from byte {at} on\n");
        assert_eq!(outcome.stdout, told);
    }
}

/// The bytes behind the last block of a file system are nobody's, and zeros in both.
#[test]
fn file_systems_of_two_sizes_in_one_partition_differ_in_nothing_behind_them() {
    let bench = Bench::new();
    bench.write("root/file", "content");
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"8MiB\"\nraw = [{ file = \"made.img\" }]\n",
    );
    for (size, image) in [("4MiB", "one.img"), ("6MiB", "two.img")] {
        let mkfs = ["mkfs", "ext4", "-q", "--size", size, "--content", "root"];
        let same = [
            "--uuid",
            "11111111-2222-4333-8444-555555555555",
            "-o",
            "made.img",
        ];
        bench.done(&[&mkfs[..], &same].concat());
        bench.done(&["build", "image.toml", "-q", "-o", image]);
        fs::remove_file(bench.path("made.img")).unwrap();
    }
    let outcome = bench.run(&["diff", "one.img", "two.img"]);
    assert!(
        !outcome.stdout.contains("behind"),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    let mut other = fs::read(bench.path("two.img")).unwrap();
    other[(1 << 20) + (7 << 20)] = 1;
    bench.write("other.img", other);
    let outcome = bench.run(&["diff", "two.img", "other.img"]);
    let told = format!("behind the file system from byte {} on", 7 << 20);
    assert!(
        outcome.stdout.contains(&told),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
}

/// A file system at a place that was merely guessed.
#[test]
fn that_sectors_may_be_larger_is_said_where_nothing_is_found_on_an_mbr() {
    let bench = bench();
    let spec = |content: &str, size: &str| {
        format!(
            "[disk]\ntable = \"mbr\"\nsector-size = {size}\n[[partition]]\nname = \"root\"\ntype = \"linux\"\nsize = \"16MiB\"\n\
             filesystem = \"ext4\"\ncontent = [{content}]\n"
        )
    };
    bench.write("image.toml", spec("{ directory = \"root\" }", "4096"));
    bench.done(&["build", "image.toml", "-q", "-o", "large.img"]);
    let from = "{ image = \"large.img\", partition = \"1\" }";
    bench.write("image.toml", spec(from, "512"));
    let outcome = bench.run(&["build", "image.toml", "-o", "new.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let told = "`cellblock cut --sector-size 4096`";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    // That is what to do.
    let cut = [
        "cut",
        "large.img",
        "1",
        "--sector-size",
        "4096",
        "-o",
        "one.img",
    ];
    bench.done(&cut);
    bench.write("image.toml", spec("{ image = \"one.img\" }", "512"));
    bench.done(&["build", "image.toml", "-q", "-o", "new.img"]);
    let said = ["ls", "large.img:1", "--sector-size", "4096"];
    assert!(bench.done(&said).contains("etc"));
    let outcome = bench.run(&["ls", "large.img:1"]);
    assert!(
        outcome.stderr.contains("--sector-size 4096"),
        "{}",
        outcome.stderr
    );
}
