//! Archives that are small until they are decompressed.

use std::fs::File;
use std::io::Write as _;

use super::archive::{Archive, compressed};
use super::runner::{Case, case, endure};
use crate::hostile::runner::MEBIBYTE;
use crate::support::Bench;

const GIBIBYTE: u64 = 1 << 30;

type Compress = fn(&[u8]) -> Vec<u8>;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const COMPRESSIONS: [(&str, Compress); 3] = [("gzip", gzip), ("zstd", zstd), ("xz", xz)];

/// An archive that begins with these bytes, and goes on with `times` 64 MiB of zeros, in as many compressed streams.
fn bomb(begin: Vec<u8>, times: u64, compress: Compress) -> impl Fn(&Bench) {
    move |bench| {
        let mut file = File::create(bench.path("a.tar")).unwrap();
        file.write_all(&compress(&begin)).unwrap();
        let zeros = compress(&vec![0; 64 << 20]);
        for _ in 0..times {
            file.write_all(&zeros).unwrap();
        }
    }
}

/// The header of a file of so many bytes.
fn file_of(bytes: u64) -> Vec<u8> {
    let mut archive = Archive::new();
    archive.header("zeros", b'0', bytes, |_| ()).unwrap();
    archive.0
}

const ARCHIVE: &str = "{ archive = \"a.tar\" }";

#[test]
fn a_file_that_no_partition_holds() {
    let mut cases = Vec::new();
    for (name, compress) in COMPRESSIONS {
        for filesystem in ["ext4", "vfat"] {
            let name = format!("16 GiB of zeros in {name}, for 64 MiB");
            let prepare = bomb(file_of(16 * GIBIBYTE), 256, compress);
            let bomb = case(name, filesystem, ARCHIVE, prepare);
            cases.push(bomb.unnamed(16 * MEBIBYTE).seconds(20).refused(
                "a.tar: its files, up to member 'zeros', have 17179869184 bytes, and the partition has 67108864; …",
            ));
        }
    }
    endure("bombs", cases);
}

#[test]
fn more_than_a_partition_holds_bit_by_bit() {
    // Of 1 MiB each.
    let files = |bench: &Bench| {
        compressed(&bench.path("a.tar"), |archive| {
            (0..4096).try_for_each(|number| {
                archive.header(&number.to_string(), b'0', MEBIBYTE, |_| ())?;
                archive.zeros(MEBIBYTE)
            })
        });
    };
    let headers = |bench: &Bench| {
        compressed(&bench.path("a.tar"), |archive| {
            (0..10_000_000).try_for_each(|number| archive.member(&number.to_string(), b'0', b""))
        });
    };
    let one = || Archive::new().with("a", b'0', b"").bytes();
    let limit = 2 * 64 * MEBIBYTE + 256 * MEBIBYTE;
    endure(
        "bombs in pieces",
        vec![
            case("4,096 files of 1 MiB, for 64 MiB", "ext4", ARCHIVE, files)
                .unnamed(160 * MEBIBYTE)
                .refused("a.tar: its files, up to member '128', have 135266304 bytes, and the partition has 67108864; …"),
            case("10 million empty files, for 64 MiB", "ext4", ARCHIVE, headers)
                .unnamed(limit + MEBIBYTE)
                .nodes(800_000)
                .refused(format!("a.tar: decompresses to more than the {limit} bytes …")),
            case("16 GiB behind the end", "ext4", ARCHIVE, bomb(one(), 256, gzip))
                .unnamed(16 * MEBIBYTE)
                .refused(format!("a.tar: decompresses to more than the {limit} bytes …")),
            case("64 MiB behind the end", "ext4", ARCHIVE, bomb(one(), 1, gzip))
                .unnamed(80 * MEBIBYTE),
        ],
    );
}

#[test]
fn the_disk_and_the_command_line_bound_what_has_no_size() {
    let limited = |name: &str, size: &'static str, filesystem: &'static str| -> Case {
        case(
            name,
            filesystem,
            ARCHIVE,
            bomb(file_of(16 * GIBIBYTE), 256, zstd),
        )
        .size(size)
    };
    endure(
        "bombs without a size",
        vec![
            limited("16 GiB for the smallest size on a disk of 64 MiB", "minimum", "ext4")
                .disk("size = \"64MiB\"")
                .unnamed(16 * MEBIBYTE)
                .refused("a.tar: its files, up to member 'zeros', have 17179869184 bytes, and the partition has 67108864; …"),
            limited("16 GiB for the smallest size, at most 1 GiB", "minimum", "ext4")
                .arguments(&["--archive-limit", "1GiB"])
                .unnamed(GIBIBYTE + MEBIBYTE)
                .refused("a.tar: decompresses to more than the 1073741824 bytes …"),
        ],
    );
}
