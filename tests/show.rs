//! What `cellblock show` says, next to what sfdisk says.

use std::path::Path;
use std::process::Stdio;

use crate::support::{Bench, judge};

/// Fails unless `show --json` and `sfdisk --json` say the same of `image`.
fn assert_like_sfdisk(bench: &Bench, image: &Path) {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let parse = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let theirs = parse(&sfdisk.content_with(&["--json"], image));
    let mut ours = parse(&bench.done(&["show", "--json", image.to_str().unwrap()]));
    // What partitions hold sfdisk does not say: see `holds.rs`.
    let partitions = ours["partitiontable"]["partitions"].as_array_mut().unwrap();
    for partition in partitions {
        partition.as_object_mut().unwrap().remove("filesystem");
    }
    assert_eq!(ours, theirs);
}

#[test]
fn a_gpt_is_shown_as_sfdisk_shows_it() {
    let bench = Bench::with_case("demo");
    let image = bench.build("demo/image.toml", "demo.img");
    assert_like_sfdisk(&bench, &image);
}

#[test]
fn an_mbr_is_shown_as_sfdisk_shows_it() {
    let bench = Bench::new();
    let mut spec = "disk = { table = \"mbr\", size = \"32MiB\" }\n".to_owned();
    for number in 1..=6 {
        let active = number == 2;
        spec.push_str(&format!(
            "[[partition]]\ntype = \"0x83\"\nname = \"part {number}\"\nsize = \"1MiB\"\nactive = {active}\n"
        ));
    }
    let image = bench.build_text(&spec);
    assert_like_sfdisk(&bench, &image);
}

#[test]
fn a_disk_of_another_program_is_shown() {
    let bench = Bench::new();
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    for (label, name) in [("gpt", "gpt.img"), ("dos", "mbr.img")] {
        let image = bench.path(name);
        std::fs::File::create(&image)
            .unwrap()
            .set_len(64 << 20)
            .unwrap();
        let script = bench.write("script", format!("label: {label}\n,8M\n,8M,S\n,8M\n,\n"));
        let output = sfdisk
            .command()
            .args(["--quiet", "--no-tell-kernel"])
            .arg(&image)
            .stdin(Stdio::from(std::fs::File::open(script).unwrap()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", crate::support::text(&output));
        assert_like_sfdisk(&bench, &image);
    }
}

#[test]
fn the_drawing_names_every_partition() {
    let bench = Bench::with_case("demo");
    bench.build("demo/image.toml", "demo.img");
    let shown = bench.done(&["show", "demo.img"]);
    for word in ["GPT", "bios", "efi", "swap", "root", "36 MiB", "Start"] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "colours without a terminal");
}

#[test]
fn what_is_no_disk_is_refused() {
    let bench = Bench::new();
    bench.write("text", "no disk\n".repeat(1000));
    bench.write("empty", "");
    for name in ["text", "empty", "absent"] {
        let outcome = bench.run(&["show", name]);
        assert_eq!(outcome.code, Some(2), "{name}: {}", outcome.stderr);
        let start = format!("error: {name}: ");
        assert!(outcome.stderr.starts_with(&start), "{}", outcome.stderr);
    }
}

#[test]
fn what_is_another_kind_of_file_is_named_with_what_to_do() {
    let bench = Bench::with_case("demo");
    let image = bench.build("demo/image.toml", "demo.img");
    let mut files = Vec::new();
    if let Some(qemu) = judge("qemu-img") {
        for (format, name) in [("vhdx", "a VHDX image"), ("vdi", "a VDI image")] {
            let file = bench.path(format);
            let arguments = ["convert", "-O", format];
            let output = qemu
                .command()
                .args(arguments)
                .args([&image, &file])
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", crate::support::text(&output));
            files.push((format, name, "qemu-img convert -O raw"));
        }
    }
    for (kind, name) in [
        ("ext4", "an ext2, ext3 or ext4 file system"),
        ("vfat", "a FAT file system"),
    ] {
        bench.done(&["mkfs", kind, "-q", "--size", "4MiB", "-o", kind]);
        files.push((kind, name, "it has no partition table"));
    }
    bench.write(
        "zst",
        zstd::encode_all(&std::fs::read(&image).unwrap()[..], 1).unwrap(),
    );
    files.push(("zst", "compressed with zstd", "decompress it first"));
    for (file, name, advice) in files {
        let mut commands = vec![
            vec!["cut", file, "1", "-o", "part"],
            vec!["splice", file, "1", "demo/core.bin"],
        ];
        // A file system by itself can be shown.
        if !["ext4", "vfat"].contains(&file) {
            commands.push(vec!["show", file]);
        }
        for command in &commands {
            let outcome = bench.run(command);
            let start = format!("error: {file}: is {name}, not a raw disk; {advice}");
            let start = if advice.starts_with("qemu") {
                format!(
                    "error: {file}: is {name}, not a raw disk; make a raw disk of it first: {advice}"
                )
            } else {
                start
            };
            assert!(
                outcome.stderr.starts_with(&start),
                "{command:?}: {}",
                outcome.stderr
            );
            assert_eq!(outcome.code, Some(2));
        }
    }
}

#[test]
fn a_damaged_table_is_shown_with_what_is_wrong() {
    let bench = Bench::with_case("demo");
    let image = bench.build("demo/image.toml", "demo.img");
    let mut bytes = std::fs::read(&image).unwrap();
    // The name of the first partition, in the main table: its checksum no longer holds.
    bytes[1024 + 56] ^= 1;
    std::fs::write(&image, bytes).unwrap();
    let outcome = bench.run(&["show", "demo.img"]);
    assert!(outcome.stderr.contains("checksum"), "{}", outcome.stderr);
}
