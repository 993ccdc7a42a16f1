//! Read-only roots of erofs, through the whole program: within each wall, from folders and archives, alone and on a disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::bench::{assert_same_bytes, set_time};
use crate::support::{Bench, Listing, disk, judge, mount};

/// A folder with files that compress, files that do not, equal ones, links, and names of any bytes.
fn folder(bench: &Bench, name: &str) {
    let text: String = (0..30_000)
        .map(|line| format!("{line}: a line\n"))
        .collect();
    bench.write(&format!("{name}/usr/lib/text"), &text);
    bench.write(&format!("{name}/usr/lib/text again"), &text);
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(150_001).collect();
    bench.write(&format!("{name}/usr/lib/noise"), noise);
    for index in 0..200 {
        let line = format!("{index} ");
        bench.write(
            &format!("{name}/etc/conf.d/{index:03}"),
            line.repeat(index * 7),
        );
    }
    bench.write(&format!("{name}/etc/na\u{ef}ve file"), "x");
    symlink("usr/lib", bench.path(format!("{name}/lib"))).unwrap();
    fs::hard_link(
        bench.path(format!("{name}/usr/lib/noise")),
        bench.path(format!("{name}/etc/link")),
    )
    .unwrap();
    let holes = fs::File::create(bench.path(format!("{name}/holes"))).unwrap();
    holes.set_len(3_000_000).unwrap();
    for path in ["etc/conf.d/007", "usr", ""] {
        let path = bench.path(format!("{name}/{path}"));
        set_time(&path, 1_600_000_000, 123_456_789);
    }
}

/// Fails unless erofs-utils and the kernel find in an image what is in a folder.
#[track_caller]
fn assert_holds(bench: &Bench, image: &Path, expected: &Listing) {
    if let Some(fsck) = judge("fsck.erofs") {
        let output = fsck.run(&["--extract"], image);
        let said = crate::support::text(&output);
        // Debian 12's knows LZ4 alone.
        let is_old = ["unknown compression", "unidentified incompatible"];
        let is_old = is_old.iter().any(|reason| said.contains(reason));
        assert!(output.status.success() || is_old, "{said}");
    }
    if let Some(found) = mount::read(bench, "erofs", image) {
        expected.clone().counted().assert_same(&found);
    }
}

const OPTIONS: [&[&str]; 4] = [
    &[],
    &["--option", "compression=lz4"],
    &[
        "--option",
        "compression=zstd,level=5",
        "--option",
        "cluster-size=65536",
        "--option",
        "features=fragments",
    ],
    &[
        "--option",
        "compression=deflate",
        "--option",
        "features=ztailpacking",
        "--option",
        "compress-hints=size<3000=none;*again=lzma,level=0",
    ],
];

#[test]
fn an_erofs_holds_what_its_source_has_within_each_wall_from_a_folder_and_from_an_archive() {
    let bench = Bench::new();
    folder(&bench, "root");
    let expected = Listing::of_directory(&bench.path("root")).clamped(1_700_000_000);
    let archive = judge("tar").map(|tar| {
        let arguments = [
            "-C",
            "root",
            "--sort=name",
            "--format=pax",
            "--sparse",
            "-cf",
            "root.tar",
            ".",
        ];
        tar.answer(&arguments, bench.folder(), "");
    });
    for (number, options) in OPTIONS.iter().enumerate() {
        let make = |content: &str, walls: &str, jobs: &str| {
            let name = format!("{number}-{content}-{walls}.img");
            let mut arguments = vec![
                "mkfs",
                "erofs",
                "-q",
                "-o",
                &name,
                "--content",
                content,
                "--walls",
                walls,
                "--jobs",
                jobs,
                "--time",
                "1700000000",
                "--seed",
                "00000000000000000000000000000001",
            ];
            arguments.extend(*options);
            bench.done(&arguments);
            bench.path(&name)
        };
        let image = make("root", "wasm", "1");
        assert_holds(&bench, &image, &expected);
        assert_same_bytes(&image, &make("root", "process", "3"));
        if archive.is_some() {
            assert_same_bytes(&image, &make("root.tar", "process", "2"));
        }
    }
}

#[test]
fn a_disk_has_a_read_only_root_of_the_smallest_size() {
    let bench = Bench::new();
    folder(&bench, "root");
    bench.write("esp/EFI/BOOT/BOOTX64.EFI", "boots");
    let spec = "[disk]\ntime = 1700000000\n\n\
                [[partition]]\nname = \"esp\"\ntype = \"esp\"\nsize = \"33MiB\"\nfilesystem = \"vfat\"\n\
                content = [{ directory = \"esp\", owner = \"0:0\" }]\n\n\
                [[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"minimum\"\nfilesystem = \"erofs\"\n\
                content = [{ directory = \"root\" }]\n\
                options = { compression = \"lz4hc,level=4\", cluster-size = 16384 }\n";
    let image = bench.build_text(spec);
    let part = disk::cut_out(&bench, &image, "root");
    let expected = Listing::of_directory(&bench.path("root")).clamped(1_700_000_000);
    assert_holds(&bench, &part, &expected);
    // The files have 1.5 MB, of which most compress, and partitions whole mebibytes.
    assert_eq!(fs::metadata(&part).unwrap().len(), 1 << 20);
}
