//! Specs and command lines that are wrong: exit code 2, and the line.

use super::{PARTITION, assert_refused, filesystem};
use crate::support::Bench;
use crate::support::bench::{Outcome, program};

#[test]
fn offsets_that_overlap_are_refused() {
    let next = PARTITION.replace("data", "next");
    assert_refused(
        &Bench::new(),
        &format!("{PARTITION}size = \"2MiB\"\n\n{next}size = \"1MiB\"\noffset = \"2MiB\"\n"),
        2,
        "\
error: partition 'next' (number 2): its offset of 2 097 152 bytes overlaps partition 'data' (number 1), which ends at 3 145 728 bytes: write 3145728 or more, or leave the offset out
  --> image.toml:10:10
   |
 1 | [[partition]]
   | ------------- the other one
...
10 | offset = \"2MiB\"
   |          ^^^^^^ here",
    );
}

#[test]
fn offsets_out_of_order_are_refused() {
    let next = PARTITION.replace("data", "next");
    assert_refused(
        &Bench::new(),
        &format!(
            "{PARTITION}size = \"2MiB\"\noffset = \"8MiB\"\n\n{next}size = \"1MiB\"\noffset = \"2MiB\"\n"
        ),
        2,
        "\
error: partition 'next' (number 2): its offset of 2 097 152 bytes lies before partition 'data' (number 1), which starts at 8 388 608 bytes: partitions are listed in the order of the disk
  --> image.toml:11:10
   |
 5 | offset = \"8MiB\"
   |          ------ the other one
...
11 | offset = \"2MiB\"
   |          ^^^^^^ here",
    );
}

#[test]
fn an_unknown_key_is_refused() {
    assert_refused(
        &Bench::new(),
        &filesystem("vfat", "lable = \"X\"\n"),
        2,
        "\
error: partition 'data': unknown key `lable`
 --> image.toml:6:1
  |
6 | lable = \"X\"
  | ^^^^^ did you mean `label`?
  |
  = help: the keys here are name, gpt-name, type, size, offset, number, id, attributes, mbr-type, active, filesystem, selinux, label, uuid, content, options, drop, raw, verity, verity-signature",
    );
}

#[test]
fn an_unknown_file_system_is_refused() {
    assert_refused(
        &Bench::new(),
        &filesystem("btrfs", ""),
        2,
        "\
error: partition 'data': unknown file system `btrfs`
 --> image.toml:5:14
  |
5 | filesystem = \"btrfs\"
  |              ^^^^^^^ no guest makes this
  |
  = help: the file systems are erofs, ext2, ext3, ext4, fat12, fat16, fat32, squashfs, swap, vfat; a formatter of your own is named in [guests]",
    );
}

#[test]
fn a_disk_too_small_for_its_partitions_is_refused() {
    assert_refused(
        &Bench::new(),
        &format!("disk = {{ size = \"2MiB\" }}\n{PARTITION}size = \"2MiB\"\n"),
        2,
        "\
error: partition 'data' (number 1): the disk of 2 097 152 bytes is too small: the partitions and the table need 4 194 304 bytes (2 097 152 bytes short)
 --> image.toml:1:17
  |
1 | disk = { size = \"2MiB\" }
  |                 ^^^^^^ here
2 | [[partition]]
  | ------------- the other one",
    );
}

#[test]
fn a_raw_file_too_large_for_its_partition_is_refused() {
    let bench = Bench::new();
    bench.write("big", vec![b'x'; 3_000_000]);
    assert_refused(
        &bench,
        &format!("{PARTITION}size = \"1MiB\"\nraw = [{{ file = \"big\" }}]\n"),
        2,
        "\
error: partition 'data' (number 1): big ends at 3 000 000 bytes, but the partition at 1 048 576 bytes (1 951 424 bytes short)
 --> image.toml:5:17
  |
5 | raw = [{ file = \"big\" }]
  |                 ^^^^^ here",
    );
}

#[test]
fn units_that_can_be_misunderstood_are_refused() {
    assert_refused(
        &Bench::new(),
        &format!("{PARTITION}size = \"1MB\"\nfilesystem = \"ext4\"\n"),
        2,
        "\
error: partition 'data': size: `1MB` has the unit `MB`, which is ambiguous: write \"1MiB\" (powers of 1024)
 --> image.toml:4:8
  |
4 | size = \"1MB\"
  |        ^^^^^ this value",
    );
}

#[test]
fn what_is_no_toml_is_refused() {
    assert_refused(
        &Bench::new(),
        &format!("{PARTITION}size =\n"),
        2,
        "\
error: not valid TOML: string values must be quoted, expected literal string
 --> image.toml:4:7
  |
4 | size =
  |       ^ here",
    );
}

#[test]
fn a_spec_that_is_not_there_is_named() {
    let bench = Bench::new();
    let outcome = bench.run(&["build", "absent.toml"]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: absent.toml: No such file or directory (os error 2)\n"
    );
    assert!(bench.names().is_empty());
}

#[test]
fn a_command_line_that_is_wrong_ends_with_2() {
    let bench = Bench::new();
    for line in [
        &["frobnicate"][..],
        &[],
        &["build"],
        &["build", "image.toml", "--jobs", "0"],
        &["mkfs", "ext4"],
        &["mkfs", "ext4", "-o", "x.img", "--size", "1GB"],
        &["mkfs", "btrfs", "-o", "x.img"],
        &["mkfs", "ext4", "-o", "x.img", "--content", "absent"],
        &["mkfs", "ext4", "-o", "x.img", "--size", "rest"],
    ] {
        let outcome = bench.run(line);
        assert_eq!(outcome.code, Some(2), "{line:?}: {}", outcome.stderr);
        assert!(!outcome.stderr.is_empty(), "{line:?}");
    }
    assert!(bench.names().is_empty());
}

#[test]
fn a_folder_without_a_spec_is_told_how_one_begins() {
    for command in ["build", "plan", "derive"] {
        let outcome = Bench::new().run(&[command]);
        let expected = "error: there is no image.toml here: name a spec, or write one to begin with by `cellblock init`\n";
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (Some(2), expected),
            "{command}"
        );
    }
}

/// The exit code is the same wherever what is wrong was named.
#[test]
fn what_was_named_wrong_is_the_same_failure_everywhere() {
    let bench = Bench::new();
    bench.write("noise", vec![0xa5; 1 << 20]);
    bench.write("image.toml", filesystem("ext4", ""));
    bench.build("image.toml", "disk.img");
    for line in [
        "show absent",
        "ls absent",
        "cat absent:/a",
        "cp absent .",
        "tree absent",
        "du absent",
        "stat absent",
        "tar absent -o a.tar",
        "diff absent disk.img",
        "export absent -o a.qcow2",
        "cut absent 1 -o a",
        "splice absent 1 noise",
        "splice disk.img 1 absent",
        "fill absent 1 ext4",
        "repair absent",
        "guests absent.wasm",
        "convert absent",
        "build absent",
        "plan absent",
        "verify-build absent",
        "mkfs ext4 -o a --content absent",
        // What is there, and is no disk or file system.
        "show noise",
        "ls noise",
        "cut noise 1 -o a",
        "splice noise 1 image.toml",
        "fill noise 1 ext4",
        "repair noise",
        // What does not fit.
        "mkfs ext4 -o a --size 10KiB",
        "fill disk.img 1 ext4 --content noise --content noise,to=/a --content noise,to=/b",
        "splice disk.img 1 large",
    ] {
        bench.write("large", vec![1; 3 << 20]);
        let arguments: Vec<&str> = line.split(' ').collect();
        let outcome = bench.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{line}");
    }
}

#[test]
fn a_spec_without_an_end_is_refused_and_one_through_a_pipe_is_read() {
    let bench = Bench::new();
    let outcome = bench.run(&["build", "/dev/zero", "-o", "disk.img"]);
    let expected = "error: /dev/zero: it has more than the 16777216 bytes that a spec may have\n";
    assert_eq!((outcome.code, &*outcome.stderr), (Some(2), expected));
    bench.write("image.toml", format!("{PARTITION}size = \"1MiB\"\n"));
    for spec in ["-", "/dev/stdin"] {
        let mut command = std::process::Command::new("sh");
        let line = "cat image.toml | \"$0\" build \"$1\" -q -o disk.img";
        command.args(["-c", line]).arg(program()).arg(spec);
        Outcome::of(command.current_dir(bench.folder())).done();
    }
}

#[test]
fn standard_input_that_is_named_twice_is_told_with_its_line() {
    let bench = Bench::new();
    let of = |name: &str| {
        let partition = PARTITION.replace("data", name);
        format!("{partition}filesystem = \"ext4\"\ncontent = [{{ archive = \"-\" }}]\n")
    };
    bench.write("image.toml", format!("{}{}", of("one"), of("two")));
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    for said in ["error: standard input is named twice", "image.toml:10:"] {
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    let make = ["mkfs", "ext4", "-o", "a", "--content", "archive:-"];
    let outcome = bench.run(&[&make[..], &["--content", "archive:-,to=/b"]].concat());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let said = "error: standard input is named twice";
    assert!(outcome.stderr.starts_with(said), "{}", outcome.stderr);
}
