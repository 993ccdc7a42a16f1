//! Whole Debian systems, compared file by file.
//!
//! ```text
//! CELLBLOCK_CORPORA=/path cargo test --release -p cellblock --test end_to_end -- --ignored debian
//! ```
//!
//! The folder has `debian-rootfs` and `debian-big`, as debootstrap makes them, next to each the archive `NAME.tar` of
//! GNU tar, and `esp`. Without the variable, debootstrap makes a small one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::bench::{assert_same_bytes, case};
use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::reading::{self, Acls};
use crate::support::{Ability, Bench, Listing, disk, is_root, judge, lacks, skipped, text};

/// A root file system and what goes with it.
struct Corpus {
    root: PathBuf,
    archive: PathBuf,
    esp: PathBuf,
}

impl Corpus {
    /// The corpus `name` of `CELLBLOCK_CORPORA`.
    fn named(name: &str) -> Option<Self> {
        if !is_root() {
            lacks(
                Ability::Superuser,
                "only it reads every file of a Debian, and mounts what comes out",
            );
            return None;
        }
        let Some(folder) = std::env::var_os("CELLBLOCK_CORPORA").map(PathBuf::from) else {
            skipped("corpora", "CELLBLOCK_CORPORA is not set");
            return None;
        };
        let corpus = Self {
            root: folder.join(name),
            archive: folder.join(format!("{name}.tar")),
            esp: folder.join("esp"),
        };
        for path in [&corpus.root, &corpus.archive, &corpus.esp] {
            assert!(path.exists(), "{} is not there", path.display());
        }
        Some(corpus)
    }

    /// One that debootstrap makes now.
    fn bootstrapped(bench: &Bench) -> Option<Self> {
        if !is_root() {
            lacks(Ability::Superuser, "only it runs debootstrap");
            return None;
        }
        let (debootstrap, tar) = (judge("debootstrap")?, judge("tar")?);
        let root = bench.path("debian-rootfs");
        debootstrap.content_with(&["--variant=minbase", "stable"], &root);
        let archive = bench.path("debian-rootfs.tar");
        let output = tar
            .command()
            .args([
                "--format=pax",
                "--numeric-owner",
                "--xattrs",
                "--xattrs-include=*",
            ])
            .arg("-C")
            .arg(&root)
            .arg("-cf")
            .arg(&archive)
            .arg(".")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        Some(Self {
            root,
            archive,
            esp: case("demo/esp"),
        })
    }

    /// A spec with the ESP, and `content` as the root.
    fn spec(&self, content: &str) -> String {
        format!(
            "[[partition]]\nname = \"efi\"\ntype = \"esp\"\nsize = \"minimum + 64MiB\"\nfilesystem = \"vfat\"\n\
             content = [{{ directory = \"{}\" }}]\n\
             [[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"minimum + 10%\"\nfilesystem = \"ext4\"\n\
             content = [{{ {content} }}]\n",
            self.esp.display()
        )
    }
}

/// Builds an image from the directory and one from the archive, and compares both with what went in.
fn assert_whole(corpus: &Corpus) {
    let esp = Listing::of_directory(&corpus.esp);
    let root = Listing::of_directory(&corpus.root);
    println!("{}: {} paths", corpus.root.display(), root.0.len());
    for content in [
        format!("directory = \"{}\"", corpus.root.display()),
        format!("archive = \"{}\"", corpus.archive.display()),
    ] {
        let bench = Bench::new();
        let expected = if content.starts_with("archive") {
            reading::of_archive(&bench, &corpus.archive, Acls::Attributes).unwrap()
        } else {
            root.clone()
        };
        let image = bench.build_text(&corpus.spec(&content));
        judge_table(&image, true);
        let efi = disk::cut_out(&bench, &image, "efi");
        judge_fat(&efi);
        reading::assert_fat_holds(&bench, &efi, esp.clone());
        let cut = disk::cut_out(&bench, &image, "root");
        judge_ext4(&cut);
        reading::assert_ext4_holds(&bench, &cut, expected);
        fs::remove_file(cut).unwrap();
        let again = rebuilt_elsewhere(&corpus.spec(&content), &image);
        println!("{content}: no difference, and {again}");
    }
}

/// Builds the spec once more, elsewhere and with one job, which must give the same bytes.
fn rebuilt_elsewhere(spec: &str, image: &Path) -> &'static str {
    let bench = Bench::new();
    bench.write("other.toml", spec);
    bench.done(&[
        "build",
        "other.toml",
        "-o",
        "other.img",
        "--jobs",
        "1",
        "-q",
    ]);
    assert_same_bytes(image, &bench.path("other.img"));
    "the same bytes once more"
}

#[test]
#[ignore = "needs a Debian in CELLBLOCK_CORPORA/debian-rootfs, and the superuser"]
fn a_small_debian_is_whole() {
    if let Some(corpus) = Corpus::named("debian-rootfs") {
        assert_whole(&corpus);
    }
}

#[test]
#[ignore = "needs a large Debian in CELLBLOCK_CORPORA/debian-big, the superuser, and 10 GB of disk"]
fn a_large_debian_is_whole() {
    if let Some(corpus) = Corpus::named("debian-big") {
        assert_whole(&corpus);
    }
}

#[test]
#[ignore = "debootstrap fetches a Debian from its mirror, which takes minutes, and the superuser"]
fn a_bootstrapped_debian_is_whole() {
    let bench = Bench::new();
    if let Some(corpus) = Corpus::bootstrapped(&bench) {
        assert_whole(&corpus);
    }
}
