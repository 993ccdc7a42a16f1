//! Standard input: the tree as a tar archive, which GNU tar and our own reader read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{WALLS, mkfs};
use crate::support::bench::case;
use crate::support::{Bench, judge};

/// What `source` becomes on standard input.
fn archive(bench: &Bench, source: &str, options: &[&str]) -> std::path::PathBuf {
    let [wasm, process] = WALLS.map(|walls| {
        let options = [
            &["--size", "64MiB", "--content", source, "--walls", walls],
            options,
        ]
        .concat();
        mkfs(bench, "copy", &options).done();
        let name = format!("{walls}.tar");
        fs::rename(bench.path("made.img"), bench.path(&name)).unwrap();
        bench.path(name)
    });
    assert!(fs::read(&wasm).unwrap() == fs::read(process).unwrap());
    wasm
}

/// The digests of the tree and of the content that an ext4 of `source` has.
fn digests(bench: &Bench, source: &str) -> [String; 2] {
    let record = bench.done(&[
        "mkfs",
        "ext4",
        "-o",
        "ext4.img",
        "-q",
        "--size",
        "64MiB",
        "--content",
        source,
        "--json",
        "-",
    ]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let filesystem = &record["partitions"][0]["filesystem"];
    ["tree-digest", "content-digest"].map(|key| filesystem[key].as_str().unwrap().to_owned())
}

#[test]
fn the_tree_of_an_archive_is_the_same_archive() {
    let bench = Bench::new();
    fs::copy(case("demo").join("rootfs.tar"), bench.path("rootfs.tar")).unwrap();
    archive(&bench, "archive:rootfs.tar", &[]);
    assert_eq!(
        digests(&bench, "archive:rootfs.tar"),
        digests(&bench, "archive:wasm.tar")
    );
    let Some(tar) = judge("tar") else { return };
    let list = |name: &str| {
        let arguments = ["--numeric-owner", "--full-time", "-tvf"];
        let listing = tar.content_with(&arguments, &bench.path(name));
        // Of three names for one file, the one that comes first differs; the digests have them.
        let is_one = |line: &&str| {
            ["bin/sh", "bin/dash", "rescue-shell", "Ignoring"]
                .iter()
                .all(|part| !line.contains(part))
        };
        let mut lines: Vec<String> = listing
            .lines()
            .filter(is_one)
            .map(|line| {
                line.replace(" ./", " ")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(list("rootfs.tar"), list("wasm.tar"));
}

/// A folder with names and files that do not fit a plain header.
fn awkward(bench: &Bench) {
    let long = "n".repeat(250);
    let deep = format!("tree/{}", [&"d".repeat(90)[..]; 6].join("/"));
    bench.write(&format!("{deep}/{long}"), "deep");
    bench.write(&format!("tree/{long}"), "long");
    bench.write("tree/empty", "");
    bench.write("tree/block", [7; 512]);
    bench.write("tree/more", [8; 513]);
    bench.write("tree/megabyte", vec![9; (1 << 20) + 1]);
    symlink(Path::new(&"t".repeat(300)), bench.path("tree/link")).unwrap();
    symlink("/etc/passwd", bench.path("tree/short-link")).unwrap();
    fs::hard_link(bench.path("tree/more"), bench.path("tree/second-name")).unwrap();
    let sparse = fs::File::create(bench.path("tree/sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"data", 3 << 20).unwrap();
    sparse
        .set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_millis(1250))
        .unwrap();
}

#[test]
fn what_does_not_fit_a_plain_header_arrives_all_the_same() {
    let bench = Bench::new();
    awkward(&bench);
    archive(&bench, "directory:tree,owner=3000000:4000000000", &[]);
    assert_eq!(
        digests(&bench, "directory:tree,owner=3000000:4000000000"),
        digests(&bench, "archive:wasm.tar")
    );
    let Some(tar) = judge("tar") else { return };
    bench.create_folder("unpacked");
    let unpacked = bench.path("unpacked");
    let arguments = ["--no-same-owner", "-C", unpacked.to_str().unwrap(), "-xf"];
    tar.content_with(&arguments, &bench.path("wasm.tar"));
    assert_eq!(
        digests(&bench, "directory:tree,owner=0:0"),
        digests(&bench, "directory:unpacked,owner=0:0")
    );
}

#[test]
fn what_may_be_lost_is_left_out() {
    let bench = Bench::new();
    awkward(&bench);
    archive(
        &bench,
        "directory:tree",
        &["--drop", "symlinks,hard-links,owners"],
    );
    let Some(tar) = judge("tar") else { return };
    let listing = tar.content_with(&["--numeric-owner", "-tvf"], &bench.path("wasm.tar"));
    assert!(
        listing.contains("second-name") && !listing.contains("link"),
        "{listing}"
    );
    for line in listing.lines() {
        assert!(
            (line.starts_with('-') || line.starts_with('d')) && line.contains(" 0/0 "),
            "{line}"
        );
    }
}

#[test]
fn a_socket_is_refused_unless_it_may_be_lost() {
    let bench = Bench::new();
    bench.create_folder("tree");
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("tree/socket")).unwrap();
    let options = ["--size", "1MiB", "--content", "directory:tree"];
    let outcome = mkfs(&bench, "copy", &options);
    assert_eq!(outcome.code, Some(1));
    let error = "error: the command 'copy': /socket: a command reads its content as a tar archive";
    assert!(outcome.stderr.starts_with(error), "{}", outcome.stderr);
    archive(&bench, "directory:tree", &["--drop", "special-files"]);
}
