//! File systems that mkfs.erofs made, as the kernel shows them or as fsck.erofs takes them out, and with bytes flipped.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use cellblock_guest::reader::{Reader as _, ReaderError};
use cellblock_judges::{judge, skipped, text};
use cellblock_read_erofs::Erofs;
use cellblock_readers_judged::{Folder, Temporary, compare, outcome, read, survives_flips};

/// A file system of `folder`; none, with a word, where mkfs.erofs is missing or too old for the options.
fn make(folder: &Path, options: &[&str]) -> Option<Temporary> {
    let image = Temporary::new("erofs");
    let output = judge("mkfs.erofs")?
        .command()
        .arg("-d0")
        .args(options)
        .args([&image.0, folder])
        .output()
        .unwrap();
    if !output.status.success() {
        skipped(
            "a newer mkfs.erofs",
            &format!("{options:?}: {}", text(&output)),
        );
        return None;
    }
    Some(image)
}

fn judge_all(all: &[&[&str]]) {
    let folder = Folder::filled();
    for options in all {
        println!("{options:?}");
        if let Some(image) = make(folder.path(), options) {
            compare::<Erofs>(&image.0, "erofs");
        }
    }
}

#[test]
fn what_is_not_encoded_reads_as_the_kernel_shows_it() {
    judge_all(&[
        &[],
        &["-E", "^inline_data"],
        &["-b", "512"],
        &[
            "-E",
            "force-inode-compact",
            "-T",
            "1234567890",
            "--all-root",
        ],
        &["-E", "force-inode-extended", "-x", "-1"],
        &["-E", "force-chunk-indexes", "--chunksize", "8192"],
        &["-E", "force-inode-blockmap", "--chunksize", "4096"],
        &["-x", "1", "--xattr-prefix", "user.overlay."],
        &[
            "-E",
            "plain-xattr-prefixes",
            "--xattr-prefix",
            "user.overlay.",
        ],
        &["-E", "xattr-name-filter"],
        &["--xattr-inode-digest"],
        &["--xattr-inode-digest=trusted.digest", "-x", "-1"],
        &["-E", "dot-omitted"],
        &["-E", "48bit"],
    ]);
}

#[test]
fn what_is_encoded_reads_as_the_kernel_shows_it() {
    judge_all(&[
        &["-z", "lz4"],
        &["-z", "lz4hc", "-C", "65536"],
        &["-z", "lz4hc", "-E", "legacy-compress"],
        &["-z", "lz4", "-E", "ztailpacking"],
        &[
            "-z",
            "lz4hc",
            "-C",
            "1048576",
            "-E",
            "ztailpacking,fragments",
        ],
        &["-z", "lz4hc", "-E", "all-fragments"],
        &["-z", "lz4hc", "-C", "16384", "-E", "dedupe"],
        &[
            "-z",
            "lz4hc",
            "-C",
            "16384",
            "-E",
            "dedupe,fragments,ztailpacking",
        ],
        &[
            "-z",
            "lz4hc",
            "-E",
            "all-fragments",
            "--xattr-prefix",
            "user.overlay.",
        ],
        &["-z", "lzma", "-C", "65536"],
        &[
            "-z",
            "lzma,9,dictsize=1048576",
            "-C",
            "1048576",
            "-E",
            "ztailpacking,dedupe,fragments",
        ],
        &["-z", "deflate", "-C", "65536"],
        &[
            "-z",
            "deflate,9",
            "-C",
            "16384",
            "-E",
            "all-fragments,dedupe",
        ],
        &["-z", "zstd", "-C", "65536", "-E", "ztailpacking"],
        &[
            "-z",
            "zstd,3",
            "-C",
            "1048576",
            "-E",
            "fragments,dedupe,ztailpacking",
        ],
        &["-z", "zstd", "-E", "48bit", "-C", "65536"],
        &["-z", "zstd", "-E", "48bit,fragments,dedupe", "-C", "65536"],
        &[
            "-z",
            "lz4",
            "-E",
            "48bit,all-fragments",
            "--max-extent-bytes=65536",
        ],
    ]);
}

#[test]
fn what_the_file_system_is_called_is_told() {
    let folder = Folder::empty();
    let uuid = "3d1f8a1e-0d3c-4d8e-9a55-6f0e1c2b3a49";
    if let Some(image) = make(folder.path(), &["-U", uuid, "-L", "judged"]) {
        let (volume, listing, _) = read::<Erofs>(&image.0);
        assert_eq!(
            (volume.kind.as_str(), &*volume.label),
            ("erofs", &b"judged"[..])
        );
        assert_eq!(
            (volume.identifier.as_str(), volume.block_size),
            (uuid, 4096)
        );
        assert_eq!(listing.nodes.len(), 1);
    }
}

/// Where mkfs.erofs keeps the digests of files in a namespace, they are attributes as others; where in none, kernels show them to
/// nobody, and so does this.
#[test]
fn digests_of_files_are_understood() {
    // Of "abc".
    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let folder = Folder::empty();
    fs::write(folder.path().join("file"), "abc").unwrap();
    for (option, name, is_shown) in [
        ("--xattr-inode-digest", "erofs.fingerprint.v1", false),
        ("--xattr-inode-digest=of.mine", "of.mine", false),
        ("--xattr-inode-digest=trusted.mine", "trusted.mine", true),
        ("--xattr-inode-digest=user.mine", "user.mine", true),
    ] {
        for more in [
            &[][..],
            &["-E", "all-fragments", "-z", "lz4"],
            &["-x", "-1"],
        ] {
            println!("{option} {more:?}");
            let Some(image) = make(folder.path(), &[&[option], more].concat()) else {
                return;
            };
            let (volume, listing, partition) = read::<Erofs>(&image.0);
            let property = ("digests of files".to_owned(), name.to_owned());
            assert!(volume.properties.contains(&property), "{volume:?}");
            assert_eq!(Erofs::probe(&partition), Ok(volume));
            let file = listing.find(b"/file").unwrap();
            let told = listing.nodes[file.index()].attributes.iter();
            let told: Vec<(&[u8], String)> = told
                .map(|it| {
                    let digest = it.value.strip_prefix(b"sha256:").unwrap();
                    let digits = digest.iter().map(|byte| format!("{byte:02x}"));
                    (&*it.name, digits.collect())
                })
                .collect();
            if is_shown {
                assert_eq!(told, [(name.as_bytes(), DIGEST.to_owned())]);
            } else {
                assert_eq!(told, []);
            }
        }
    }
    // A prefix that there is not.
    if let Some(image) = make(folder.path(), &["--xattr-inode-digest", "-E", "nosbcrc"]) {
        let mut image = fs::read(&image.0).unwrap();
        assert_eq!(image[1024 + 105], 0);
        image[1024 + 105] = 1;
        let problem = "names the digests of files by prefix 1 of 1";
        let damaged = ReaderError::damaged("the superblock", None, problem);
        assert_eq!(outcome::<Erofs>(&image), Err(damaged));
    }
}

#[test]
fn a_name_twice_in_a_directory_is_its_damage() {
    let folder = Folder::empty();
    for name in ["name-a", "name-b", "name-c"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let Some(image) = make(folder.path(), &["-E", "nosbcrc"]) else {
        return;
    };
    let mut image = fs::read(&image.0).unwrap();
    // Names stand side by side.
    let at = image.windows(18).position(|it| it == b"name-aname-bname-c");
    image[at.unwrap() + 17] = b'a';
    let Err(ReaderError::Damaged { problem, .. }) = outcome::<Erofs>(&image) else {
        panic!("a name is there twice");
    };
    assert_eq!(problem, "has two entries 'name-a'");
}

#[test]
fn flipped_bytes_are_read_or_refused() {
    let folder = Folder::filled();
    for options in [
        &["-E", "nosbcrc,force-chunk-indexes", "--chunksize", "4096"][..],
        &[
            "-E",
            "nosbcrc,fragments,ztailpacking,dedupe",
            "-z",
            "lz4hc",
            "-C",
            "65536",
        ],
        &["-E", "nosbcrc,48bit,fragments", "-z", "zstd", "-C", "65536"],
    ] {
        let Some(image) = make(folder.path(), options) else {
            continue;
        };
        let image = fs::read(&image.0).unwrap();
        let places = [1024..1280, 0..image.len(), 0..image.len().min(400_000)];
        let (read, refused) = survives_flips::<Erofs>(&image, &places);
        println!("{options:?}: {read} read, {refused} refused");
        assert!(read > 0 && refused > 0);
    }
}

#[test]
fn a_superblock_that_is_not_its_own_is_refused() {
    let folder = Folder::empty();
    let Some(image) = make(folder.path(), &[]) else {
        return;
    };
    let mut image = fs::read(&image.0).unwrap();
    image[1024 + 64] ^= 1;
    let damaged = ReaderError::damaged("the superblock", 1024, "has a wrong checksum");
    assert_eq!(outcome::<Erofs>(&image), Err(damaged));
    image[1024] ^= 1;
    assert_eq!(outcome::<Erofs>(&image), Err(ReaderError::Unrecognised));
    image.truncate(1100);
    assert_eq!(outcome::<Erofs>(&image), Err(ReaderError::Unrecognised));
    assert_eq!(Erofs::describe().kinds, ["erofs"]);
}
