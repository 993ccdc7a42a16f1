//! Formatters that store a tree.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use super::{built, plugin};
use crate::support::bench::assert_same_bytes;
use crate::support::{Bench, disk, judge, text};

/// A disk whose one partition the plugin `cramfs` makes, of the folder `root`; the guest has these settings.
pub(super) fn cramfs(size: &str, guest: &str) -> String {
    format!(
        r#"
        [[partition]]
        name = "part"
        type = "linux-generic"
        size = "{size}"
        filesystem = "cramfs"
        label = "Example"
        content = [{{ directory = "root", owner = "0:0" }}]

        [guests.cramfs]
        {guest}
        command = ["cramfs", ["-n", "{{label}}"], "{{partition}}"]
        "#
    )
}

fn cpio(guest: &str) -> String {
    format!(
        r#"
        [[partition]]
        name = "part"
        type = "linux-generic"
        size = "1MiB"
        filesystem = "cpio"
        content = [{{ directory = "root", owner = "0:0" }}]

        [guests.cpio]
        file = "{guest}.wasm"
        command = ["cpio", "{{partition}}"]
        "#
    )
}

/// Fills the folder `root` with files of sizes around those of blocks, long names and a symbolic link.
fn fill(bench: &Bench) {
    for size in [0, 1, 511, 512, 513, 4095, 4096, 4097, 100_000] {
        let content: Vec<u8> = (0..size)
            .map(|at: u32| at.to_le_bytes()[0] ^ 0x5a)
            .collect();
        bench.write(&format!("root/sizes/of {size}"), content);
    }
    let long = "n".repeat(200);
    bench.write(&format!("root/{long}"), "a name of 200 bytes");
    bench.write(&format!("root/{long}s/{long}"), "a path of 402 bytes");
    bench.create_folder("root/empty");
    symlink("sizes/of 513", bench.path("root/link")).unwrap();
}

/// Fails unless two folders hold the same.
fn assert_same_content(one: &Path, other: &Path) {
    if let Some(diff) = judge("diff") {
        let one = one.to_str().unwrap();
        diff.content_with(&["-r", "--no-dereference", one], other);
    }
}

#[test]
fn a_formatter_in_c_stores_a_tree() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "cramfs") else {
        return;
    };
    fill(&bench);
    let image = built(&bench, &cramfs("1MiB", "file = \"cramfs.wasm\""));
    let part = disk::cut_out(&bench, &image, "part");
    if let Some(fsck) = judge("fsck.cramfs") {
        let extracted = bench.path("extracted");
        fsck.content_with(&[&format!("--extract={}", extracted.display())], &part);
        assert_same_content(&bench.path("root"), &extracted);
    }
    if let Some(blkid) = judge("blkid") {
        let label = blkid.content_with(&["-p", "-o", "value", "-s", "LABEL"], &part);
        assert_eq!(label.trim(), "Example");
    }
}

#[test]
fn what_a_formatter_in_c_cannot_store_is_refused_in_its_own_words() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "cramfs") else {
        return;
    };
    fill(&bench);
    fs::hard_link(
        bench.path("root/sizes/of 1"),
        bench.path("root/sizes/other"),
    )
    .unwrap();
    let guest = "file = \"cramfs.wasm\"";
    for (size, words) in [
        (
            "1MiB",
            "cramfs: sizes/other: a hard link, and cramfs has none",
        ),
        ("64KiB", "cramfs: needs "),
    ] {
        bench.write("image.toml", cramfs(size, guest));
        let outcome = bench.run(&["build", "image.toml", "-o", "disk.img", "-q"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("partition 'part'"),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
        assert!(!bench.path("disk.img").exists());
        fs::remove_file(bench.path("root/sizes/other")).ok();
    }
}

#[test]
fn a_formatter_in_rust_stores_a_tree() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "cpio") else {
        return;
    };
    judge_cpio(&bench, "cpio");
}

#[test]
fn a_formatter_in_rust_is_the_same_as_a_component() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "cpio-component") else {
        return;
    };
    judge_cpio(&bench, "cpio-component");
    let component = bench.path("wasm.img");
    fs::rename(&component, bench.path("component.img")).unwrap();
    if plugin(&bench, "cpio").is_some() {
        bench.write("image.toml", cpio("cpio"));
        let module = bench.build("image.toml", "module.img");
        assert_same_bytes(&bench.path("component.img"), &module);
    }
}

fn judge_cpio(bench: &Bench, guest: &str) {
    fill(bench);
    let first = bench.write("root/first name", "of two");
    fs::hard_link(first, bench.path("root/second name")).unwrap();
    let image = built(bench, &cpio(guest));
    let part = disk::cut_out(bench, &image, "part");
    let Some(cpio) = judge("cpio") else {
        return;
    };
    let extracted = bench.create_folder("extracted");
    let output = cpio
        .command()
        .args(["--extract", "--make-directories", "--quiet"])
        .current_dir(&extracted)
        .stdin(Stdio::from(fs::File::open(part).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_same_content(&bench.path("root"), &extracted);
    let inode = |name: &str| fs::metadata(extracted.join(name)).unwrap().ino();
    assert_eq!(inode("first name"), inode("second name"));
}
