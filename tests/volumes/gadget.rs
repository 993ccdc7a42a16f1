//! snapd's gadgets.

use std::fs;
use std::path::Path;

use super::build_twice;
use crate::support::bench::assert_same_bytes;
use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::{Bench, Listing, disk, judge, reading, text};

const GADGET: &str = "gadget/meta/gadget.yaml";

/// The images of the gadget's volumes, in `out`.
fn built() -> Bench {
    let bench = Bench::with_case("gadget");
    bench.create_folder("out");
    let outcome = bench.run(&["build", GADGET, "-o", "out"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for note in [
        "note: gadget/meta/gadget.yaml:13: `update` says how a device is updated, and makes no difference to an image\n",
        "note: gadget/meta/gadget.yaml:40: `min-size` makes no difference: the structure gets its `size`\n",
    ] {
        assert_eq!(
            outcome.stderr.matches(note).count(),
            1,
            "{}",
            outcome.stderr
        );
    }
    bench
}

#[test]
fn each_volume_becomes_an_image() {
    let bench = built();
    let names = crate::support::bench::names(&bench.path("out"));
    assert_eq!(names, ["extra.img", "pc.img"]);
    judge_table(&bench.path("out/pc.img"), true);
    judge_table(&bench.path("out/extra.img"), false);
    let pc = disk::table(&bench, &bench.path("out/pc.img"));
    assert_eq!(pc["id"], "6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF");
    let extra = disk::table(&bench, &bench.path("out/extra.img"));
    assert_eq!(extra["id"], "0x0000001f");
    assert_eq!(extra["partitions"][0]["bootable"], true);
    assert_eq!(extra["partitions"][0]["type"], "c");
}

#[test]
fn structures_lie_where_they_are_put() {
    let bench = built();
    let parts = disk::parts(&bench, &bench.path("out/pc.img"));
    let places: Vec<(&str, u64, u64)> = parts
        .iter()
        .map(|part| (part.name.as_str(), part.start >> 20, part.size >> 20))
        .collect();
    assert_eq!(
        places,
        [
            ("BIOS Boot", 1, 1),
            ("ubuntu-seed", 2, 40),
            ("ubuntu-data", 48, 8)
        ]
    );
    let length = fs::metadata(bench.path("out/pc.img")).unwrap().len();
    assert_eq!(length, 57 << 20);
}

#[test]
fn images_and_addresses_are_written_as_they_are() {
    let bench = built();
    let image = bench.path("out/pc.img");
    let read = |offset, length| fs::read(bench.cut(&image, offset, length, "cut")).unwrap();
    // The address of sector 2048 lies in the boot code.
    let mut boot = fs::read(bench.path("gadget/pc-boot.img")).unwrap();
    boot[92..96].copy_from_slice(&2048_u32.to_le_bytes());
    assert_eq!(read(0, 440), boot);
    let core = fs::read(bench.path("gadget/pc-core.img")).unwrap();
    assert_eq!(read(1 << 20, 3000), core);
    let firmware = fs::read(bench.path("gadget/firmware.bin")).unwrap();
    let bare = read(44 << 20, 1 << 20);
    let mut expected = vec![0; 1 << 20];
    // The second one lies behind the room of the first.
    for offset in [512, 1536] {
        expected[offset..offset + firmware.len()].copy_from_slice(&firmware);
    }
    assert_eq!(bare, expected);
}

#[test]
fn file_systems_hold_files_and_directories() {
    let bench = built();
    let image = bench.path("out/pc.img");
    let seed = disk::cut_out(&bench, &image, "ubuntu-seed");
    judge_fat(&seed);
    for (from, to) in [
        ("grubx64.efi", "EFI/boot/grubx64.efi"),
        ("shim.efi.signed", "EFI/boot/shim.efi.signed"),
        ("grub/grub.cfg", "grub/grub.cfg"),
        ("grub/grub.cfg", "EFI/ubuntu/grub.cfg"),
    ] {
        let Some(mtype) = judge("mtype") else {
            break;
        };
        let mut command = mtype.command();
        command.arg("-i").arg(&seed).arg(format!("::{to}"));
        let expected = fs::read_to_string(bench.path("gadget").join(from)).unwrap();
        assert_eq!(text(&command.output().unwrap()), expected, "{to}");
    }
    judge_ext4(&disk::cut_out(&bench, &image, "ubuntu-data"));
    let extra = bench.path("out/extra.img");
    judge_fat(&disk::cut_out(&bench, &extra, "1"));
    judge_ext4(&disk::cut_out(&bench, &extra, "2"));
}

#[test]
fn each_volume_is_the_same_from_toml() {
    let bench = built();
    for volume in ["pc", "extra"] {
        let toml = bench.done(&["convert", GADGET, "--volume", volume]);
        bench.write("volume.toml", &toml);
        let image = bench.build("volume.toml", "volume.img");
        assert_same_bytes(&image, &bench.path(format!("out/{volume}.img")));
        assert_eq!(bench.done(&["convert", "volume.toml"]), toml);
    }
}

#[test]
fn a_gadget_is_found_from_within() {
    let bench = built();
    let mut command = bench.cellblock();
    command
        .current_dir(bench.path("gadget/meta"))
        .args(["build", "gadget.yaml", "-q", "--volume", "pc", "-o"])
        .arg(bench.path("within.img"));
    crate::support::Outcome::of(&mut command).done();
    assert_same_bytes(&bench.path("within.img"), &bench.path("out/pc.img"));
    // A tree that is no snap yet has the file at its top.
    fs::rename(bench.path(GADGET), bench.path("gadget/gadget.yaml")).unwrap();
    let args = [
        "build",
        "gadget/gadget.yaml",
        "-q",
        "--volume",
        "pc",
        "-o",
        "top.img",
    ];
    bench.done(&args);
    assert_same_bytes(&bench.path("top.img"), &bench.path("out/pc.img"));
}

#[test]
fn content_may_be_added_by_the_name_of_its_volume() {
    let bench = built();
    bench.write("more/etc/hostname", "pc\n");
    bench.create_folder("filled");
    bench.done(&[
        "build",
        GADGET,
        "-q",
        "-o",
        "filled",
        "--content",
        "pc/ubuntu-data=more",
        "--content",
        "data=more",
    ]);
    for (image, partition) in [("filled/pc.img", "ubuntu-data"), ("filled/extra.img", "2")] {
        let file = disk::cut_out(&bench, &bench.path(image), partition);
        judge_ext4(&file);
        let expected = Listing::of_directory(&bench.path("more"));
        reading::assert_ext4_holds(&bench, &file, expected);
    }
}

#[test]
fn the_record_of_several_volumes_is_a_list() {
    let bench = Bench::with_case("gadget");
    let record = bench.done(&["build", GADGET, "-q", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let images: Vec<_> = record
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["image"].as_str().unwrap())
        .collect();
    assert_eq!(images, ["pc.img", "extra.img"]);
}

/// A gadget of one volume `pc` with an MBR or GPT and these structures.
fn gadget(schema: &str, structures: &[&str]) -> String {
    let mut lines =
        format!("volumes:\n  pc:\n    bootloader: grub\n    schema: {schema}\n    structure:\n");
    for structure in structures {
        lines += &format!("      - {structure}\n");
    }
    lines
}

#[test]
fn a_root_file_system_is_appended_where_there_is_none() {
    let bench = Bench::new();
    let boot = "{name: boot, type: 0C, filesystem: vfat, filesystem-label: system-boot, size: 5M, content: [{source: config.txt, target: .}]}";
    bench.write("gadget.yaml", gadget("mbr", &[boot]));
    bench.write("config.txt", "arm_64bit=1\n");
    bench.write("root/etc/hostname", "w\n");
    let image = build_twice(&bench, "gadget.yaml", &["--content", "writable=root"]);
    let table = disk::table(&bench, &image);
    let partitions = table["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 2);
    assert_eq!(partitions[0]["bootable"], true);
    assert_eq!(partitions[1]["type"], "83");
    let boot = disk::cut_out(&bench, &image, "1");
    judge_fat(&boot);
    let root = disk::cut_out(&bench, &image, "2");
    judge_ext4(&root);
    if let Some(blkid) = judge("blkid") {
        let said = |tag: &str, of: &Path| {
            let said = blkid.content_with(&["-p", "-o", "value", "-s", tag], of);
            said.trim().to_owned()
        };
        assert_eq!(said("LABEL", &root), "writable");
        // Too small for FAT32.
        assert_eq!(said("VERSION", &boot), "FAT12");
    }
    if let Some(mdir) = judge("mdir") {
        let listing = mdir
            .command()
            .args(["-b", "-i"])
            .arg(&boot)
            .arg("::")
            .output();
        let listed = text(&listing.unwrap());
        assert!(listed.contains("config.txt"), "{listed}");
    }
}

#[test]
fn structures_without_names_sizes_of_no_sectors_and_addresses_of_bare_ones() {
    let bench = Bench::new();
    let structures = [
        "{name: mbr, type: mbr, size: 440}",
        "{name: blob, type: bare, offset: 1M, size: 700, offset-write: mbr+92}",
        "{type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, size: 1000}",
        "{type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, size: 1000}",
    ];
    bench.write("gadget.yaml", gadget("gpt", &structures));
    let image = build_twice(&bench, "gadget.yaml", &["--without-root"]);
    let bytes = fs::read(&image).unwrap();
    assert_eq!(bytes[92..96], 2048_u32.to_le_bytes());
    let table = disk::table(&bench, &image);
    let partitions = table["partitions"].as_array().unwrap();
    let starts: Vec<_> = partitions.iter().map(|it| it["start"].as_u64()).collect();
    assert_eq!(starts, [Some(2050), Some(2052)]);
    for partition in partitions {
        let name = partition.get("name").and_then(|name| name.as_str());
        assert!(matches!(name, None | Some("")), "{partition}");
        assert_eq!(partition["size"], 2);
    }
}

#[test]
fn content_comes_from_the_kernel_and_the_root_file_system() {
    let bench = Bench::new();
    let content = "[{source: $kernel:dtbs/dtbs/, target: /dtbs}, {source: 'rootfs:/boot/vmlinuz', target: ./}]";
    let boot = format!("{{name: boot, type: 0C, filesystem: vfat, size: 5M, content: {content}}}");
    bench.write("meta/gadget.yaml", gadget("mbr", &[&boot]));
    bench.write("kernel/dtbs/one.dtb", "dtb");
    bench.write("root/boot/vmlinuz", "kernel");
    let more = ["--kernel", "kernel", "--rootfs", "root", "--without-root"];
    let lost = ["build", "meta/gadget.yaml", "-o", "root/boot/vmlinuz"];
    let outcome = bench.run(&[&lost[..], &more].concat());
    let message = "error: root/boot/vmlinuz: is both the image and the source";
    assert!(outcome.stderr.starts_with(message), "{}", outcome.stderr);
    let image = build_twice(&bench, "meta/gadget.yaml", &more);
    let boot = disk::cut_out(&bench, &image, "1");
    judge_fat(&boot);
    if let Some(mdir) = judge("mdir") {
        let listing = mdir
            .command()
            .args(["-/", "-b", "-i"])
            .arg(&boot)
            .arg("::")
            .output();
        let listed = text(&listing.unwrap());
        assert!(
            listed.contains("dtbs/one.dtb") && listed.contains("vmlinuz"),
            "{listed}"
        );
    }
}

#[test]
fn a_volume_of_an_emmc_is_left_out_with_a_note() {
    let bench = Bench::new();
    let disk = gadget(
        "gpt",
        &["{name: a, type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, size: 1M}"],
    );
    let flash = "  flash:\n    schema: emmc\n    structure:\n      - {name: boot0, content: [{image: boot.bin}]}\n";
    bench.write("gadget.yaml", disk + flash);
    let outcome = bench.run(&["build", "gadget.yaml", "--without-root", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let note = "note: gadget.yaml:8: the hardware partitions of an eMMC are in no image: this volume is left out\n";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    judge_table(&bench.path("disk.img"), true);
}

/// As ubuntu-image calls it in a GPT; an MBR has no names.
#[test]
fn a_root_file_system_without_a_name_is_called_writable() {
    let bench = Bench::new();
    let root = "{role: system-data, type: '83,0FC63DAF-8483-4772-8E79-3D69D8477DE4', filesystem: ext4, size: 8M}";
    bench.write("gadget.yaml", gadget("gpt", &[root]));
    let image = build_twice(&bench, "gadget.yaml", &[]);
    let table = disk::table(&bench, &image);
    assert_eq!(table["partitions"][0]["name"], "writable");
}

/// A label of a boot partition is free, and FAT shows labels in capitals.
#[test]
fn what_snapd_takes_of_labels_is_taken() {
    let bench = Bench::new();
    let linux = "type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4";
    let structures = [
        format!(
            "{{name: a, role: system-seed, {linux}, filesystem: vfat, filesystem-label: UBUNTU-SEED, size: 4M}}"
        ),
        format!(
            "{{name: b, role: system-boot, {linux}, filesystem: ext4, filesystem-label: boot, size: 4M}}"
        ),
        format!("{{name: c, role: system-data, {linux}, filesystem: ext4, size: 4M}}"),
    ];
    let structures: Vec<&str> = structures.iter().map(String::as_str).collect();
    bench.write("gadget.yaml", gadget("gpt", &structures));
    bench.done(&["build", "gadget.yaml", "-q", "-o", "seeded.img"]);
    // Without a seed, these two labels are like any other.
    let structures = ["ubuntu-boot", "ubuntu-save"]
        .map(|label| format!("{{{linux}, filesystem: ext4, filesystem-label: {label}, size: 4M}}"));
    let structures: Vec<&str> = structures.iter().map(String::as_str).collect();
    bench.write("gadget.yaml", gadget("gpt", &structures));
    bench.done(&[
        "build",
        "gadget.yaml",
        "-q",
        "--without-root",
        "-o",
        "plain.img",
    ]);
}
