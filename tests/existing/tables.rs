//! Tables that other programs made: read as sfdisk reads them, and every partition found where it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::noise;
use crate::support::judges::Judge;
use crate::support::mount::may_mount;
use crate::support::{Ability, Bench, disk, judge, lacks, text};

/// The length of the disks: room for a few partitions.
const DISK: u64 = 64 << 20;

/// Scripts of sfdisk.
const SFDISK: [&str; 8] = [
    "label: gpt\n",
    "label: gpt\n,8M\n,4M,S\n,8M\n,\n",
    // Odd numbers, out of order, with gaps, attributes and names beyond ASCII.
    "label: gpt\nlabel-id: 0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
     7: start=4096, size=2048, type=swap, name=\"s w\", attrs=\"GUID:48,59\"\n\
     2: start=16384, size=2048, name=\"根 ünï\", attrs=\"RequiredPartition LegacyBIOSBootable GUID:60,63\"\n\
     100: start=65536, size=1, type=uefi, uuid=11111111-2222-4333-8444-555555555555\n",
    "label: gpt\nfirst-lba: 64\nlast-lba: 100000\ntable-length: 24\nstart=64, size=100\nstart=2048, size=2048\n",
    "label: dos\n",
    "label: dos\nlabel-id: 0x0000002a\n,8M\n,4M,S,*\n,8M\n,\n",
    // Logical partitions among primaries, some odd.
    "label: dos\nstart=2048, size=2048, type=ef, bootable\nstart=8192, size=40000, type=5\nsize=2048\n\
     size=4096, type=82\nsize=1000, bootable\nsize=1, type=da\n",
    "label: dos\n1: start=63, size=100\n3: start=4096, size=4096, type=85\n5: start=5000, size=10\n4: start=20000, size=64\n",
];

/// Arguments of sgdisk.
const SGDISK: [&str; 5] = [
    "-n 9:2048:+10M -t 9:ef00 -c 9:hello -n 2:30000:+1M -A 2:set:2 -A 2:set:63",
    "-n 1:2048:+1M -n 2:8192:+1M -n 3:16384:+1M -d 2 -U 6F9C2E0B-7A5D-4C81-B3E8-5D2F90A417CC",
    "-S 256 -n 200:8192:+1M -c 200:far",
    "-n 1:2048:+1M -t 1:0700 -n 5:8192:+1M -n 6:16384:+1M -h 1:5",
    "-n 1:2048:+1M -n 2:8192:+1M -n 3:16384:+1M -h 3:1:2:EE",
];

/// Commands of parted.
const PARTED: [&str; 4] = [
    "mklabel gpt mkpart first ext4 1MiB 10MiB mkpart second 10MiB 63MiB set 1 esp on set 2 legacy_boot on",
    "mklabel gpt mkpart a 1MiB 2MiB mkpart b 3MiB 4MiB mkpart c 5MiB 6MiB rm 2 set 3 bios_grub on",
    "mklabel msdos mkpart primary 1MiB 10MiB mkpart extended 10MiB 60MiB mkpart logical 11MiB 20MiB \
     mkpart logical 21MiB 30MiB mkpart primary 60MiB 63MiB set 1 boot on",
    "mklabel msdos mkpart extended 1MiB 60MiB mkpart logical 2MiB 3MiB mkpart logical 4MiB 5MiB \
     mkpart logical 6MiB 7MiB rm 6 set 5 lba on",
];

/// A program that makes tables, and one table for it.
struct Made<'a> {
    judge: &'a Judge,
    script: &'a str,
}

impl Made<'_> {
    /// Has the table written to a disk.
    fn write(&self, disk: &Path) {
        let name = self.judge.program().file_name().unwrap();
        let mut command = self.judge.command();
        let words = self.script.split_whitespace();
        if name == "sfdisk" {
            let script = disk.parent().filter(|folder| *folder != Path::new("/dev"));
            let script = script
                .map_or(std::env::temp_dir(), Path::to_owned)
                .join("script");
            fs::write(&script, self.script).unwrap();
            command
                .args(["--quiet", "--no-tell-kernel", "--no-reread"])
                .arg(disk);
            command.stdin(Stdio::from(File::open(&script).unwrap()));
        } else if name == "sgdisk" {
            command.args(words).arg(disk);
        } else {
            command.arg("--script").arg(disk).args(words);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}\n{}",
            self.script,
            text(&output)
        );
    }
}

/// Every table of the collection whose maker is there.
fn for_each_table(test: impl Fn(&Made<'_>)) {
    for (name, scripts) in [
        ("sfdisk", &SFDISK[..]),
        ("sgdisk", &SGDISK),
        ("parted", &PARTED),
    ] {
        let Some(judge) = judge(name) else { continue };
        for script in scripts {
            test(&Made {
                judge: &judge,
                script,
            });
        }
    }
}

/// A partition in the MBR of a hybrid table: type, first sector, length.
type InMbr = (String, u64, u64);

fn in_mbr(partition: &Value, kind: &Value) -> InMbr {
    let number = |key: &str| partition[key].as_u64().unwrap();
    (
        kind.as_str().unwrap().to_owned(),
        number("start"),
        number("size"),
    )
}

/// Fails unless `show --json` says of a disk what `sfdisk --json` says.
fn assert_read_alike(bench: &Bench, disk: &Path, options: &[&str], script: &str) {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let theirs = parse(&sfdisk.content_with(&["--json"], disk));
    let show = [&["show", "--json", disk.to_str().unwrap()], options].concat();
    let mut ours = parse(&bench.done(&show));
    let mut described = Vec::new();
    let partitions = ours["partitiontable"].get_mut("partitions");
    for partition in partitions
        .into_iter()
        .flat_map(|list| list.as_array_mut().unwrap())
    {
        // sfdisk shows either the GPT of a hybrid table or its MBR.
        if let Some(kind) = partition.as_object_mut().unwrap().remove("mbr-type") {
            described.push(in_mbr(partition, &kind));
        }
    }
    assert_eq!(ours, theirs, "{script}");
    if described.is_empty() {
        return;
    }
    let theirs = parse(&sfdisk.content_with(&["--label-nested", "dos", "--json"], disk));
    let mut of_mbr: Vec<InMbr> = theirs["partitiontable"]["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| in_mbr(partition, &partition["type"]))
        .filter(|(kind, ..)| kind != "ee")
        .collect();
    of_mbr.sort_by_key(|(_, start, _)| *start);
    described.sort_by_key(|(_, start, _)| *start);
    assert_eq!(described, of_mbr, "{script}");
}

fn blank(bench: &Bench) -> PathBuf {
    let disk = bench.write("disk.img", "");
    File::options()
        .write(true)
        .open(&disk)
        .unwrap()
        .set_len(DISK)
        .unwrap();
    disk
}

/// Whether a partition of `sfdisk --json` holds logical ones.
fn is_extended(partition: &Value) -> bool {
    ["5", "f", "85"].contains(&partition["type"].as_str().unwrap())
}

#[test]
fn they_are_read_as_sfdisk_reads_them() {
    for_each_table(|made| {
        let bench = Bench::new();
        let disk = blank(&bench);
        made.write(&disk);
        assert_read_alike(&bench, &disk, &[], made.script);
    });
}

#[test]
fn every_partition_is_found_and_nothing_else_is_touched() {
    for_each_table(|made| {
        let bench = Bench::new();
        let disk = blank(&bench);
        made.write(&disk);
        let mut expected = fs::read(&disk).unwrap();
        let table = disk::table(&bench, &disk);
        for (seed, partition) in (1..).zip(table["partitions"].as_array().into_iter().flatten()) {
            let node = partition["node"].as_str().unwrap();
            let number = &node[disk.to_str().unwrap().len()..];
            if is_extended(partition) {
                continue;
            }
            let [start, size] = ["start", "size"]
                .map(|key| usize::try_from(partition[key].as_u64().unwrap()).unwrap() * 512);
            let new = noise(size, seed);
            bench.write("new", &new);
            bench.done(&["splice", "disk.img", number, "new", "-q"]);
            expected[start..start + size].copy_from_slice(&new);
            bench.done(&["cut", "disk.img", number, "-o", "out", "-q"]);
            assert!(
                fs::read(bench.path("out")).unwrap() == new,
                "{}",
                made.script
            );
        }
        assert!(fs::read(&disk).unwrap() == expected, "{}", made.script);
    });
}

/// A loop device with sectors of 4096 bytes, for as long as the value is there: sfdisk takes them from nothing else.
struct Loop(PathBuf);

impl Loop {
    fn new(disk: &Path) -> Option<Self> {
        if !may_mount() {
            lacks(
                Ability::LoopDevices,
                "other programs make no disk of large sectors",
            );
            return None;
        }
        let losetup = judge("losetup")?;
        let device = losetup.content_with(&["-b", "4096", "--find", "--show"], disk);
        Some(Self(PathBuf::from(device.trim())))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

#[test]
fn large_sectors_are_read_as_sfdisk_reads_them() {
    let scripts = [
        (
            "sfdisk",
            "label: gpt\n3: start=256, size=512, name=\"根\", attrs=\"GUID:59\"\n1: start=4096, size=1\n",
        ),
        (
            "sfdisk",
            "label: dos\nstart=256, size=256\nstart=1024, size=8192, type=5\nsize=256\nsize=256, type=82\n",
        ),
        (
            "sgdisk",
            "-n 9:256:+10M -t 9:ef00 -c 9:hello -n 2:8192:+1M -h 9",
        ),
        (
            "parted",
            "mklabel gpt mkpart first ext4 1MiB 10MiB mkpart second 10MiB 60MiB",
        ),
        (
            "parted",
            "mklabel msdos mkpart primary 1MiB 10MiB mkpart extended 10MiB 60MiB mkpart logical 11MiB 20MiB",
        ),
    ];
    for (name, script) in scripts {
        let bench = Bench::new();
        let disk = blank(&bench);
        let Some(device) = Loop::new(&disk) else {
            return;
        };
        let Some(judge) = judge(name) else { continue };
        Made {
            judge: &judge,
            script,
        }
        .write(&device.0);
        assert_read_alike(&bench, &device.0, &[], script);
    }
}

#[test]
fn a_partition_of_a_device_with_large_sectors_is_cut_where_the_kernel_says() {
    let bench = Bench::new();
    let spec = "disk = { table = \"mbr\", sector-size = 4096, size = \"64MiB\" }\n[[partition]]\ntype = \"linux\"\n\
                size = \"1MiB\"\nraw = [{ file = \"content\" }]\n";
    let content = noise(1 << 20, 1);
    bench.write("content", &content);
    let disk = bench.build_text(spec);
    // The file does not say it, and both would fit: that is said.
    let outcome = bench.run(&["cut", "disk.img", "1", "-o", "out"]);
    let unknown = "warning: disk.img: nothing says how long the sectors of this MBR are: 512 bytes were assumed, and 4096 \
                   would fit the disk as well\n";
    assert_eq!(outcome.stderr, unknown);
    let shown = bench.run(&["show", "disk.img"]);
    assert!(
        shown.stderr.contains("note: nothing says how long"),
        "{}",
        shown.stderr
    );
    let said = bench.run(&["cut", "disk.img", "1", "-o", "out", "--sector-size", "4096"]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    assert!(fs::read(bench.path("out")).unwrap() == content);

    let Some(device) = Loop::new(&disk) else {
        return;
    };
    let device = device.0.to_str().unwrap();
    let outcome = bench.run(&["cut", device, "1", "-o", "of-device"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    assert!(fs::read(bench.path("of-device")).unwrap() == content);
}
