//! imagecraft's project files.

use std::fs;
use std::path::Path;

use super::build_twice;
use crate::support::bench::{assert_same_bytes, case};
use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::{Bench, Judge, disk, judge, reading, text};

/// The keys that every project file has beside its disk.
pub(super) const PROJECT: &str =
    "name: pc\nbase: bare\nbuild-base: ubuntu@24.04\nplatforms: {amd64: }\nparts: {}\n";

/// A project file of one volume `pc` with these lines for `schema` and `structure`.
pub(super) fn project(schema: &str, structures: &[&str], root: &str) -> String {
    let mut lines = format!("volumes:\n  pc:\n    schema: {schema}\n    structure:\n");
    for structure in structures {
        lines += &format!("      - {structure}\n");
    }
    lines
        + &format!(
            "filesystems:\n  default:\n    - {{mount: /, device: (volume/pc/{root})}}\n{PROJECT}"
        )
}

/// A bench with the tutorial's project file, and a tree for each of its partitions.
fn tutorial() -> Bench {
    let bench = Bench::new();
    fs::copy(
        case("imagecraft/imagecraft.yaml"),
        bench.path("imagecraft.yaml"),
    )
    .unwrap();
    bench.write("root/etc/hostname", "minimal\n");
    bench.write("root/.hidden/deep/file", "content");
    bench.write("esp/EFI/BOOT/BOOTX64.EFI", "MZ");
    bench.write("esp/.only-dots", "kept");
    bench
}

/// The same with smaller partitions.
fn small() -> Bench {
    let bench = tutorial();
    let file = fs::read_to_string(bench.path("imagecraft.yaml")).unwrap();
    let file = file.replace("size: 3G", "size: 8M");
    bench.write("imagecraft.yaml", file.replace("size: 256M", "size: 36M"));
    bench
}

const CONTENT: [&str; 4] = ["--content", "rootfs=root", "--content", "efi=esp"];

/// What sfdisk makes of a script, with the size that the image must have.
fn sfdisk_makes(sfdisk: &Judge, bench: &Bench, bytes: u64, script: &str) -> serde_json::Value {
    let path = bench.path("reference.img");
    fs::File::create(&path).unwrap().set_len(bytes).unwrap();
    bench.write("script", script);
    let output = sfdisk
        .command()
        .arg("--quiet")
        .arg(&path)
        .stdin(fs::File::open(bench.path("script")).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    places(&sfdisk_shows(sfdisk, &path))
}

fn sfdisk_shows(sfdisk: &Judge, image: &Path) -> serde_json::Value {
    let output = sfdisk.run(&["--json"], image);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Of what sfdisk shows, all that does not differ by chance.
fn places(shown: &serde_json::Value) -> serde_json::Value {
    let partitions = shown["partitiontable"]["partitions"].as_array().unwrap();
    partitions
        .iter()
        .map(|partition| {
            let mut partition = partition.clone();
            let fields = partition.as_object_mut().unwrap();
            fields.remove("uuid");
            fields.remove("node");
            partition
        })
        .collect()
}

fn assert_laid_as_by_sfdisk(bench: &Bench, image: &Path, script: &str) {
    let bytes = fs::metadata(image).unwrap().len();
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let expected = sfdisk_makes(&sfdisk, bench, bytes, script);
    assert_eq!(places(&sfdisk_shows(&sfdisk, image)), expected);
}

#[test]
fn the_tutorial_builds_unchanged() {
    let bench = tutorial();
    let image = build_twice(&bench, "imagecraft.yaml", &CONTENT);
    assert_eq!(
        fs::metadata(&image).unwrap().len(),
        (1 << 20) + (3 << 30) + (256 << 20) + 34 * 512
    );
    judge_table(&image, true);
    assert_laid_as_by_sfdisk(
        &bench,
        &image,
        "label: gpt\nunit: sectors\nsector-size: 512\n\
         start=2048, name=\"rootfs\", size=6291456, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
         start=6293504, name=\"efi\", size=524288, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, bootable\nwrite\n",
    );
    let root = disk::cut_out(&bench, &image, "rootfs");
    judge_ext4(&root);
    let expected = crate::support::listing::Listing::of_directory(&bench.path("root"));
    reading::assert_ext4_holds(&bench, &root, expected);
    let esp = disk::cut_out(&bench, &image, "efi");
    judge_fat(&esp);
    let expected = crate::support::listing::Listing::of_directory(&bench.path("esp"));
    reading::assert_fat_holds(&bench, &esp, expected);
    if let Some(blkid) = judge("blkid") {
        for (partition, label) in [(&root, "root"), (&esp, "uefi")] {
            let said = blkid.content_with(&["-p", "-o", "value", "-s", "LABEL"], partition);
            assert_eq!(said.trim(), label);
        }
    }
}

#[test]
fn primed_directories_are_found() {
    let bench = small();
    let expected = build_twice(&bench, "imagecraft.yaml", &CONTENT);
    // With a directory for each partition, and as the build system leaves them.
    for (root, esp) in [
        ("plain/rootfs", "plain/efi"),
        ("work/prime", "work/partitions/volume/disk/efi/prime"),
    ] {
        for (from, to) in [("root", root), ("esp", esp)] {
            bench.create_folder(Path::new(to).parent().unwrap().to_str().unwrap());
            fs::rename(bench.path(from), bench.path(to)).unwrap();
        }
        let top = root.split('/').next().unwrap();
        let args = [
            "build",
            "imagecraft.yaml",
            "--prime",
            top,
            "-q",
            "-o",
            "primed.img",
        ];
        bench.done(&args);
        assert_same_bytes(&expected, &bench.path("primed.img"));
        // The content of one partition may come from elsewhere.
        fs::rename(bench.path(esp), bench.path("esp")).unwrap();
        bench.done(&[&args[..], &["--content", "efi=esp"]].concat());
        assert_same_bytes(&expected, &bench.path("primed.img"));
        fs::rename(bench.path(root), bench.path("root")).unwrap();
    }
}

#[test]
fn the_image_is_named_after_the_volume() {
    let bench = small();
    bench.done(&["build", "imagecraft.yaml", "-q"]);
    bench.create_folder("out");
    bench.done(&["build", "imagecraft.yaml", "-q", "-o", "out"]);
    assert_same_bytes(&bench.path("disk.img"), &bench.path("out/disk.img"));
}

#[test]
fn an_mbr_has_three_primary_and_the_rest_logical() {
    let bench = Bench::new();
    let structures: Vec<String> = ["one", "two", "three", "four", "five"]
        .iter()
        .map(|name| match *name {
            "one" => {
                "{name: one, role: system-boot, type: 0C, filesystem: fat16, size: 16M}".into()
            }
            "two" => {
                "{name: two, role: system-seed, type: '83', filesystem: ext3, size: 8M}".into()
            }
            // No whole number of sectors: 1954 of them.
            "three" => {
                "{name: three, role: system-data, type: '83', filesystem: ext4, size: 1000000}"
                    .into()
            }
            name => format!(
                "{{name: {name}, role: system-save, type: '83', filesystem: ext4, size: 4 M}}"
            ),
        })
        .collect();
    let structures: Vec<&str> = structures.iter().map(String::as_str).collect();
    bench.write("imagecraft.yaml", project("mbr", &structures, "three"));
    let image = build_twice(&bench, "imagecraft.yaml", &[]);
    judge_table(&image, false);
    let bytes = (1 << 20) + (24 << 20) + 1954 * 512 + 2 * (5 << 20);
    assert_eq!(fs::metadata(&image).unwrap().len(), bytes);
    assert_laid_as_by_sfdisk(
        &bench,
        &image,
        "label: dos\nunit: sectors\n\
         start=2048, size=32768, type=0C, bootable\n\
         start=34816, size=16384, type=83\n\
         start=51200, size=1954, type=83\n\
         start=53154, size=20480, type=05\n\
         start=55202, size=8192, type=83\n\
         start=65442, size=8192, type=83\nwrite\n",
    );
    judge_fat(&disk::cut_out(&bench, &image, "1"));
    for number in ["2", "3", "5", "6"] {
        judge_ext4(&disk::cut_out(&bench, &image, number));
    }
}

#[test]
fn a_hybrid_table_describes_partitions_twice() {
    let bench = Bench::new();
    let boot = "type: '0C,C12A7328-F81F-11D2-BA4B-00A0C93EC93B', filesystem: vfat, size: 40M";
    let data = "type: '83,0FC63DAF-8483-4772-8E79-3D69D8477DE4', filesystem: ext4, size: 8M";
    let id = "id: 6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF";
    let structures = [
        format!("{{name: ubuntu-seed, role: system-seed, {boot}}}"),
        format!("{{name: ubuntu-boot, role: system-boot, {boot}, {id}}}"),
        format!("{{name: ubuntu-save, role: system-save, {data}}}"),
        format!("{{name: ubuntu-data, role: system-data, {data}}}"),
    ];
    let structures: Vec<&str> = structures.iter().map(String::as_str).collect();
    bench.write(
        "imagecraft.yaml",
        project("'mbr,gpt'", &structures, "ubuntu-data"),
    );
    let outcome = bench.run(&["build", "imagecraft.yaml"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains(
            "note: imagecraft.yaml:8: this partition stands in the GPT alone: the MBR beside it has room for the first 3"
        ),
        "{}",
        outcome.stderr
    );
    let image = build_twice(&bench, "imagecraft.yaml", &[]);
    let table = disk::shown(&bench, &image);
    let partitions = table["partitions"].as_array().unwrap();
    let of_mbr: Vec<_> = partitions
        .iter()
        .map(|partition| partition["mbr-type"].as_str())
        .collect();
    assert_eq!(of_mbr, [Some("c"), Some("c"), Some("83"), None]);
    assert_eq!(
        partitions[1]["uuid"],
        "6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF"
    );
    judge_fat(&disk::cut_out(&bench, &image, "ubuntu-boot"));
    judge_ext4(&disk::cut_out(&bench, &image, "ubuntu-data"));
}

#[test]
fn partitions_may_have_numbers_of_their_own() {
    let bench = Bench::new();
    let linux = "type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, filesystem: ext4, size: 4M";
    let first = format!("{{name: rootfs, role: system-data, {linux}, partition-number: 128}}");
    let second = format!("{{name: data1, role: system-save, {linux}, partition-number: 13}}");
    bench.write(
        "imagecraft.yaml",
        project("gpt", &[&first, &second], "rootfs"),
    );
    let image = build_twice(&bench, "imagecraft.yaml", &[]);
    judge_table(&image, true);
    let parts = disk::parts(&bench, &image);
    assert_eq!(
        parts.iter().map(|part| part.start).collect::<Vec<_>>(),
        [5 << 20, 1 << 20]
    );
}

#[test]
fn anchors_and_merges_are_followed() {
    let bench = Bench::new();
    let linux = "type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4";
    let first =
        format!("&common {{name: rootfs, role: system-data, {linux}, filesystem: ext4, size: 4M}}");
    let second = "{<<: *common, name: more, role: system-save}";
    bench.write(
        "imagecraft.yaml",
        project("gpt", &[&first, second], "rootfs"),
    );
    let merged = build_twice(&bench, "imagecraft.yaml", &[]);
    let first = first.strip_prefix("&common ").unwrap();
    let second = first
        .replace("rootfs", "more")
        .replace("system-data", "system-save");
    bench.write("plain.yaml", project("gpt", &[first, &second], "rootfs"));
    bench.done(&["build", "plain.yaml", "-q", "-o", "plain.img"]);
    assert_same_bytes(&merged, &bench.path("plain.img"));
}

#[test]
fn a_spec_in_toml_converts_to_itself() {
    let bench = Bench::with_case("demo");
    let image = build_twice(&bench, "demo/image.toml", &[]);
    assert_eq!(
        crate::support::bench::sha256(&image),
        crate::determinism::DEMO
    );
}

#[test]
fn content_may_be_added_to_a_spec_in_toml() {
    let bench = small();
    let partition =
        "[[partition]]\ntype = \"linux-generic\"\nsize = \"4MiB\"\nfilesystem = \"ext4\"\n";
    bench.write(
        "within.toml",
        format!("{partition}content = [{{ directory = \"root\" }}]\n"),
    );
    bench.write("without.toml", partition);
    let within = bench.build("within.toml", "within.img");
    let outcome = bench.done(&[
        "build",
        "without.toml",
        "-q",
        "-o",
        "added.img",
        "--content",
        "linux-generic=root",
    ]);
    assert_eq!(outcome, "");
    assert_same_bytes(&within, &bench.path("added.img"));
}

#[test]
fn standard_input_and_toml_beside_it_describe_a_disk() {
    let bench = small();
    let file = fs::read_to_string(bench.path("imagecraft.yaml")).unwrap();
    bench.write(
        "more.toml",
        "[disk]\nid = \"6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF\"\n",
    );
    let more = [
        "--also",
        "more.toml",
        "--owner",
        "rootfs=5:6",
        "--drop",
        "efi=symlinks",
    ];
    bench.done(&[&["convert", "imagecraft.yaml"][..], &CONTENT, &more].concat());
    let printed = bench.done(&[&["convert", "imagecraft.yaml"][..], &CONTENT, &more].concat());
    assert!(
        printed.contains("id = \"6f8c47a6-1c2d-4b35-8b1e-9de3c4e9e3ff\""),
        "{printed}"
    );
    assert!(printed.contains("owner = \"5:6\""), "{printed}");
    assert!(printed.contains("drop = [\"symlinks\"]"), "{printed}");
    let mut child = bench
        .cellblock()
        .args(["convert", "-"])
        .args(CONTENT)
        .args(more)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), file.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed);
    let random = "[disk]\nseed = \"random\"\n[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n";
    bench.write("random.toml", random);
    let seed = || bench.done(&["convert", "random.toml"]);
    assert_ne!(seed(), seed());
}
