//! Content that cannot be had, or that does not fit.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{assert_refused, filesystem, pointed};
use crate::support::{Bench, component};

#[test]
fn content_too_large_says_how_much_is_missing() {
    let bench = Bench::new();
    bench.write("big", vec![b'x'; 3_000_000]);
    assert_refused(
        &bench,
        &filesystem("ext4", "content = [{ file = \"big\", to = \"/big\" }]\n"),
        2,
        &pointed(
            "error: partition 'data': too small: ext4 with this content needs 3 141 632 bytes, but the partition has 2 097 152 \
             (1 044 480 short); make it larger, or give it the size \"minimum\"",
            (4, "size = \"2MiB\""),
            "\"2MiB\"",
        ),
    );
}

#[test]
fn content_too_large_for_fat_says_how_much_is_missing() {
    let bench = Bench::new();
    bench.write("big", vec![b'x'; 3_000_000]);
    assert_refused(
        &bench,
        &filesystem(
            "vfat",
            "content = [{ file = \"big\", to = \"/big\", owner = \"0:0\" }]\n",
        ),
        2,
        &pointed(
            "error: partition 'data': too small: vfat with this content needs 3 022 848 bytes, but the partition has 2 097 152 \
             (925 696 short); make it larger, or give it the size \"minimum\"",
            (4, "size = \"2MiB\""),
            "\"2MiB\"",
        ),
    );
}

#[test]
fn a_label_too_long_is_refused() {
    let bench = Bench::new();
    assert_refused(
        &bench,
        &filesystem("vfat", "label = \"TWELVE BYTES\"\n"),
        2,
        &pointed(
            "error: partition 'data': the label 'TWELVE BYTES' has 12 bytes, and vfat has room for 11",
            (6, "label = \"TWELVE BYTES\""),
            "\"TWELVE BYTES\"",
        ),
    );
    assert_refused(
        &bench,
        &filesystem("ext4", "label = \"seventeen letters\"\n"),
        2,
        &pointed(
            "error: partition 'data': the label 'seventeen letters' has 17 bytes, and ext4 has room for 16",
            (6, "label = \"seventeen letters\""),
            "\"seventeen letters\"",
        ),
    );
    assert_refused(
        &bench,
        &filesystem("swap", "label = \"seventeen letters\"\n"),
        2,
        &pointed(
            "error: partition 'data': the label 'seventeen letters' has 17 bytes, and swap has room for 16",
            (6, "label = \"seventeen letters\""),
            "\"seventeen letters\"",
        ),
    );
}

#[test]
fn features_that_cannot_be_say_why() {
    let bench = Bench::new();
    for (kind, features, reason) in [
        (
            "ext4",
            "inline-data",
            "there is no feature inline-data; did you mean inline_data?",
        ),
        (
            "ext4",
            "^sparse_super",
            "resize_inode needs sparse_super; turn both off, or none",
        ),
        ("ext3", "inline_data", "only ext4 knows inline_data"),
    ] {
        assert_refused(
            &bench,
            &filesystem(
                kind,
                &format!("options = {{ features = \"{features}\" }}\n"),
            ),
            2,
            &pointed(
                &format!(
                    "error: partition 'data': the option features cannot be '{features}': {reason}"
                ),
                (6, &format!("options = {{ features = \"{features}\" }}")),
                &format!("\"{features}\""),
            ),
        );
    }
    assert_refused(
        &bench,
        &filesystem("ext4", "options = { inodes = 100, inode-ratio = 4096 }\n"),
        2,
        &pointed(
            "error: partition 'data': the option inodes = '100' does not go with the option inode-ratio",
            (6, "options = { inodes = 100, inode-ratio = 4096 }"),
            "100",
        ),
    );
}

#[test]
fn a_symbolic_link_on_fat_is_refused() {
    let bench = Bench::new();
    bench.create_folder("links");
    symlink("target", bench.path("links/link")).unwrap();
    assert_refused(
        &bench,
        &filesystem(
            "vfat",
            "content = [{ directory = \"links\", to = \"/EFI\", owner = \"0:0\" }]\n",
        ),
        1,
        "error: partition 'data': /EFI/link: a symbolic link cannot be stored in vfat; \
         exclude it, or leave all of them out with drop = [\"symlinks\"], or --drop symlinks",
    );
}

#[test]
fn names_that_fat_takes_for_one_are_refused() {
    let bench = Bench::new();
    bench.write("case/readme", "");
    bench.write("case/README", "");
    assert_refused(
        &bench,
        &filesystem("vfat", "content = [{ directory = \"case\" }]\n"),
        1,
        "error: partition 'data': /readme: to vfat, its name is the same as that of /README; rename or exclude one of them",
    );
}

#[test]
fn a_missing_source_is_refused() {
    let bench = Bench::new();
    for kind in ["directory", "archive", "file"] {
        assert_refused(
            &bench,
            &filesystem("ext4", &format!("content = [{{ {kind} = \"absent\" }}]\n")),
            2,
            &pointed(
                "error: partition 'data': cannot open absent: No such file or directory (os error 2)",
                (6, &format!("content = [{{ {kind} = \"absent\" }}]")),
                "\"absent\"",
            ),
        );
    }
}

/// Sources that are there, and are not what the spec says.
#[test]
fn what_a_source_is_not_is_refused_at_its_line() {
    let bench = Bench::new();
    bench.write("file", "bytes");
    bench.write("empty.tar", "");
    bench.write("other.tar", "PK\x03\x04".repeat(1024));
    let recognised = "other.tar: not a tar archive, plain or compressed with gzip, zstd, xz, bzip2 or lz4: it is a zip archive";
    for (source, value, what) in [
        (
            "directory = \"file\"",
            "file",
            "file is a regular file, but a directory is needed",
        ),
        (
            "archive = \"empty.tar\"",
            "empty.tar",
            "empty.tar: the archive is empty (0 bytes), not even an end mark; make it again",
        ),
        ("archive = \"other.tar\"", "other.tar", recognised),
        (
            "template = \"absent\", to = \"/a\"",
            "absent",
            "absent: No such file or directory (os error 2)",
        ),
    ] {
        let line = format!("content = [{{ {source} }}]");
        assert_refused(
            &bench,
            &filesystem("ext4", &format!("{line}\n")),
            2,
            &pointed(
                &format!("error: partition 'data': {what}"),
                (6, &line),
                &format!("{value:?}"),
            ),
        );
    }
}

/// A formatter that is not there is one of the mistakes of a spec.
#[test]
fn a_missing_guest_is_refused_at_its_line() {
    let line = "minix = \"absent.wasm\"";
    assert_refused(
        &Bench::new(),
        &format!("{}[guests]\n{line}\n", filesystem("minix", "")),
        2,
        &pointed(
            "error: absent.wasm: the guest 'minix' cannot be read: No such file or directory (os error 2)",
            (7, line),
            "\"absent.wasm\"",
        ),
    );
}

#[test]
fn a_truncated_archive_is_refused() {
    let bench = Bench::with_case("demo");
    let archive = fs::read(bench.path("demo/rootfs.tar")).unwrap();
    bench.write("cut.tar", &archive[..100_000]);
    assert_refused(
        &bench,
        &filesystem("ext4", "content = [{ archive = \"cut.tar\" }]\n"),
        1,
        "error: partition 'data': cut.tar: truncated: the archive ends at byte 100000, \
         but the data of member './usr/lib/libc.so.6' goes on to byte 107008; 7008 bytes are missing; \
         make or fetch the archive again",
    );
}

/// An archive with one empty file.
fn archive_of(name: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(3 * 512, 0);
    archive
}

#[test]
fn an_archive_that_leads_outside_is_refused() {
    let advice = "make the archive with relative names (tar -C DIR -cf ARCHIVE .)";
    for (name, reason) in [
        ("../etc/passwd", "has '..' in it"),
        ("usr/../../etc/passwd", "has '..' in it"),
    ] {
        let bench = Bench::new();
        bench.write("bad.tar", archive_of(name));
        assert_refused(
            &bench,
            &filesystem("ext4", "content = [{ archive = \"bad.tar\" }]\n"),
            1,
            &format!("error: partition 'data': bad.tar: member '{name}': {reason}; {advice}"),
        );
    }
}

#[test]
fn an_unknown_option_is_refused() {
    assert_refused(
        &Bench::new(),
        &filesystem("ext4", "options = { jornal = \"no\" }\n"),
        2,
        &pointed(
            "error: partition 'data': ext4 has no option 'jornal'; it has block-size, features, hash-seed, inode-ratio, inode-size, inodes, journal, last-mounted, profile, reserved-blocks",
            (6, "options = { jornal = \"no\" }"),
            "\"no\"",
        ),
    );
}

#[test]
fn a_file_that_shrinks_while_it_is_placed_is_an_error() {
    let bench = Bench::new();
    bench.write("content/file", vec![b'x'; 4 << 20]);
    component::formatter(&bench, "late-placement");
    bench.write(
        "image.toml",
        filesystem("hostile", "content = [{ directory = \"content\" }]\n").replace("2MiB", "8MiB"),
    );
    let names = bench.names();
    let mut child = bench
        .cellblock()
        .args(["build", "image.toml", "-v", "-o", "disk.img"])
        .args(["--guest", "hostile=late-placement.wasm"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while line != "data: writing\n" {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    // The tree has been read, and the formatter computes for a while before it places anything.
    let file = File::options().write(true).open(bench.path("content/file"));
    file.unwrap().set_len(1_000_000).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let error = "error: partition 'data': content: /file changed while it was read: its size was 4194304, now 1000000; \
                 build from content that nothing writes to\n";
    assert!(rest.ends_with(error), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(bench.names(), names);
}
