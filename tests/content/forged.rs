//! Archives that lie about lengths, or never come to the point.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use super::archive::{Archive, compressed, feed, make_fifo, record};
use super::runner::{Case, case, endure};
use crate::hostile::runner::MEBIBYTE;
use crate::support::Bench;

/// What [`compressed`] writes.
type Packed = Archive<zstd::Encoder<'static, BufWriter<File>>>;

const ARCHIVE: &str = "{ archive = \"a.tar\" }";
const GIBIBYTE: u64 = 1 << 30;

fn forged(name: &str, archive: Archive<Vec<u8>>, error: &str) -> Case {
    let bytes = archive.bytes();
    case(name, "ext4", ARCHIVE, move |bench| {
        bench.write("a.tar", &bytes);
    })
    .refused(format!("a.tar: {error}"))
}

/// What comes through a fifo, until it is closed.
fn streamed(
    name: &str,
    write: impl Fn(&mut Archive<&mut dyn Write>) -> io::Result<()> + Send + Sync + 'static,
) -> Case {
    let prepare = |bench: &Bench| make_fifo(&bench.path("a.tar"));
    case(name, "ext4", ARCHIVE, prepare).meanwhile(move |bench| {
        let mut fifo = feed(&bench.path("a.tar")).expect("nobody opens the fifo");
        // Whoever has seen enough closes it.
        let _ = write(&mut Archive(&mut fifo));
    })
}

#[test]
fn sizes_that_are_not_true() {
    let sized = |name: &str, size: &[u8; 12], error: &str| {
        let archive = Archive::new().sized("a", b'0', size);
        forged(name, archive, &format!("{error}…"))
    };
    let stated = |name: &str, size: &str, error: &str| {
        let archive = Archive::new()
            .pax(b'x', &[("size", size.as_bytes())])
            .with("a", b'0', b"");
        forged(name, archive, &format!("{error}…"))
    };
    endure(
        "sizes",
        vec![
            sized(
                "a size beyond the end",
                b"00000010000\0",
                "truncated: the archive ends at byte 1536, but the data of member 'a' goes on to byte 4608; \
                 3072 bytes are missing; ",
            ),
            sized(
                "the largest octal size",
                b"777777777777",
                "truncated: the archive ends at byte 1536, but the data of member 'a' goes on to byte 68719477248; ",
            ),
            sized(
                "a size of -1",
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                "member 'a': its size '\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff' is out of range",
            ),
            sized(
                "a size of 2^63 - 1",
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                "truncated: the archive ends at byte 1536, but the data of member 'a' goes on to byte 9223372036854776320; ",
            ),
            sized(
                "a size of 2^88",
                b"\x80\x01\0\0\0\0\0\0\0\0\0\0",
                "member 'a': its size '…' does not fit 64 bits",
            ),
            sized(
                "a size that is no number",
                b"99999999999\0",
                "member 'a': its size '99999999999\\u{0}' is no octal number",
            ),
            stated(
                "a pax size of 2^64 - 1",
                "18446744073709551615",
                "truncated: the archive ends at byte …, but the data of member 'a' goes on to byte 18446744073709551615; ",
            ),
            stated(
                "a pax size of 10^20",
                "100000000000000000000",
                "member 'a': its size '100000000000000000000' does not fit 64 bits",
            ),
            stated(
                "a negative pax size",
                "-1",
                "member 'a': its size '-1' is negative",
            ),
        ],
    );
}

#[test]
fn headers_that_are_too_long() {
    let gibibyte = b"10000000000\0";
    let mut cases = Vec::new();
    for (kind, what, limit) in [
        (b'x', "pax header", MEBIBYTE),
        (b'g', "global pax header", MEBIBYTE),
        (b'L', "long name", 64 << 10),
        (b'K', "long link target", 64 << 10),
    ] {
        let error = format!("the {what} at byte 512 has {GIBIBYTE} bytes; the limit is {limit}");
        let said = format!("a {what} that says 1 GiB");
        cases.push(forged(
            &said,
            Archive::new().sized("a", kind, gibibyte),
            &error,
        ));
        let there = format!("a {what} of 1 GiB");
        let streamed = streamed(&there, move |archive| {
            archive.header("a", kind, GIBIBYTE, |_| ())?;
            archive.zeros(GIBIBYTE)?;
            archive.member("a", b'0', b"")
        });
        cases.push(
            streamed
                .refused(format!("a.tar: {error}"))
                .unnamed(16 * MEBIBYTE),
        );
    }
    endure("long headers", cases);
}

#[test]
fn headers_without_end() {
    let error = "a.tar: more than 256 headers before the member at byte …; the archive is damaged";
    let mut cases = Vec::new();
    for (kind, what) in [
        (b'x', "pax headers"),
        (b'g', "global pax headers"),
        (b'L', "long names"),
        (b'V', "volume labels"),
    ] {
        let name = format!("{what} without end");
        let endless = streamed(&name, move |archive| {
            for number in 0_u64.. {
                // Global ones of one key, which do not add up.
                let key = if kind == b'g' { 0 } else { number };
                archive.member("a", kind, &record(&format!("key.{key}"), &[b'v'; 4000]))?;
            }
            Ok(())
        });
        cases.push(endless.refused(error).unnamed(16 * MEBIBYTE).seconds(20));
    }
    endure("headers without end", cases);
}

#[test]
fn global_headers_that_add_up() {
    let error = "a.tar: the set of global pax records at byte … has … bytes; the limit is 16384";
    let grown = streamed("global records that add up", |archive| {
        for number in 0_u64.. {
            archive.member("a", b'g', &record(&format!("key.{number}"), &[b'v'; 4000]))?;
            archive.member(&number.to_string(), b'0', b"")?;
        }
        Ok(())
    });
    endure(
        "global headers",
        vec![grown.refused(error).unnamed(16 * MEBIBYTE).seconds(20)],
    );
}

#[test]
fn maps_of_holes_that_are_not_true() {
    let old = |real: &[u8; 12], stretches: &[(&[u8; 12], &[u8; 12])]| {
        let mut archive = Archive::new();
        archive
            .header("a", b'S', 0, |header| {
                header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
                let gnu = header.as_gnu_mut().unwrap();
                gnu.realsize = *real;
                for (entry, (offset, length)) in gnu.sparse.iter_mut().zip(stretches) {
                    (entry.offset, entry.numbytes) = (**offset, **length);
                }
            })
            .unwrap();
        archive
    };
    let padded = |map: &[u8]| {
        let mut map = map.to_vec();
        map.resize(map.len().next_multiple_of(512), 0);
        map
    };
    let pax = |size: &str, map: &[u8]| {
        Archive::new()
            .pax(
                b'x',
                &[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.realsize", size.as_bytes()),
                ],
            )
            .with("a", b'0', &padded(map))
    };
    let largest = b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff";
    let mut line = b"1".repeat(4096);
    line.push(b'\n');
    endure(
        "maps",
        vec![
            forged(
                "data past the end",
                old(b"00000000001\0", &[(b"00000000001\0", b"00000000001\0")]),
                "member 'a': its map of holes goes beyond the file's size; the archive is damaged",
            ),
            forged(
                "data that wraps around",
                old(largest, &[(largest, largest)]),
                "member 'a': its map of holes goes beyond the file's size; the archive is damaged",
            ),
            forged(
                "data that is not there",
                old(b"00000001000\0", &[(b"00000000000\0", b"00000001000\0")]),
                "member 'a': its map of holes names more data than the archive has for it; …",
            ),
            forged(
                "a hole of 2^63 - 1 bytes",
                old(largest, &[]),
                "member 'a': …",
            )
            .refused("/a: it is larger than the … that a file of ext4 can have"),
            forged(
                "a size of 2^63",
                pax("9223372036854775808", b"0\n"),
                "member 'a': its size '9223372036854775808' is out of range",
            ),
            forged(
                "2^64 - 1 stretches",
                pax("1", b"18446744073709551615\n"),
                "member 'a': its map of holes is longer than the data that it begins; …",
            ),
            forged(
                "a number of 4,096 digits",
                pax("1", &line),
                "member 'a': its map of holes does not fit 64 bits; …",
            ),
        ],
    );
}

/// Extended attributes as a pax header has them.
fn attributes(count: u32, value: &[u8]) -> Vec<u8> {
    (0..count)
        .flat_map(|number| record(&format!("SCHILY.xattr.user.{number}"), value))
        .collect()
}

#[test]
fn attributes_in_flood() {
    let with = |attributes: Vec<u8>| {
        move |bench: &Bench| {
            let archive = Archive::new().with("pax", b'x', &attributes);
            bench.write("a.tar", archive.with("a", b'0', b"").bytes());
        }
    };
    let ext4 = |name: &str, attributes: Vec<u8>| case(name, "ext4", ARCHIVE, with(attributes));
    let refused = "/a: its extended attributes take more than the … bytes that ext4 has room for";
    let too_many = "a.tar: /a: the names of its 20000 attributes take 208890 bytes, and Linux lists no more than 65536; …";
    // In a global header.
    let each_all = |bench: &Bench| {
        compressed(&bench.path("a.tar.zst"), |archive| {
            archive.member("pax", b'g', &attributes(400, b"value"))?;
            (0..100_000_u32).try_for_each(|number| {
                archive.member("pax", b'x', &record("mtime", number.to_string().as_bytes()))?;
                archive.member(&number.to_string(), b'0', b"")
            })
        });
    };
    let each_own = |bench: &Bench| {
        compressed(&bench.path("a.tar.zst"), |archive| {
            (0..20_000_u32).try_for_each(|number| {
                let mut value = vec![b'v'; 60_000];
                value.extend_from_slice(number.to_string().as_bytes());
                archive.member("pax", b'x', &record("SCHILY.xattr.user.a", &value))?;
                archive.member(&number.to_string(), b'0', b"")
            })
        });
    };
    let megabytes = |archive: &mut Packed| {
        (0..125_u32).try_for_each(|number| {
            let mut value = vec![b'v'; 1_000_000];
            value.extend_from_slice(number.to_string().as_bytes());
            archive.member("pax", b'x', &record("SCHILY.xattr.user.a", &value))?;
            archive.member(&number.to_string(), b'0', b"")
        })
    };
    let targets = |archive: &mut Packed| {
        (0..10_000_u32).try_for_each(|number| {
            archive.member("pax", b'x', &record("linkpath", &[b't'; 60_000]))?;
            archive.member(&number.to_string(), b'2', b"")
        })
    };
    let maps = |archive: &mut Packed| {
        let mut map = b"500000\n".to_vec();
        for number in 0..500_000_u32 {
            map.extend_from_slice(format!("{}\n1\n", 2 * number).as_bytes());
        }
        map.resize(map.len().next_multiple_of(512) + 500_000, b'd');
        let sparse = [
            record("GNU.sparse.major", b"1"),
            record("GNU.sparse.realsize", b"1000000"),
        ];
        (0..33_u32).try_for_each(|number| {
            archive.member("pax", b'x', &sparse.concat())?;
            archive.member(&number.to_string(), b'0', &map)
        })
    };
    let long = |bench: &Bench| {
        let mut file =
            zstd::Encoder::new(File::create(bench.path("a.tar.zst")).unwrap(), 1).unwrap();
        file.window_log(27).unwrap();
        let archive = Archive::new().with("a", b'0', &[b'x'; 1 << 20]);
        file.write_all(&archive.bytes()).unwrap();
        file.finish().unwrap();
    };
    // What an archive may make the host keep before it has nodes, which is full when it is refused.
    let full = 14 * MEBIBYTE;
    let kept = "a.tar.zst: with member '…', attributes, names, link targets and maps of holes take … bytes of memory, and … are allowed …";
    let zstd = "{ archive = \"a.tar.zst\" }";
    let ext4_zstd = |name: &str, write: fn(&mut Packed) -> io::Result<()>| {
        case(name, "ext4", zstd, move |bench: &Bench| {
            compressed(&bench.path("a.tar.zst"), write);
        })
    };
    endure(
        "attributes",
        vec![
            ext4("5,000 attributes of a node", attributes(5_000, b"value")).refused(refused),
            ext4("20,000 attributes of a node", attributes(20_000, b"value")).refused(too_many),
            ext4("an attribute of 60,000 bytes", attributes(1, &[b'v'; 60_000])).refused(refused),
            ext4("an attribute of 1,000,000 bytes", attributes(1, &[b'v'; 1_000_000]))
                .refused("a.tar: /a: its attribute 'user.0' has 1000000 bytes, and Linux takes 65536 at most; …"),
            ext4("a million attributes of a node", attributes(1_000_000, b""))
                .refused("a.tar: the pax header at byte 512 has … bytes; the limit is 1048576"),
            case("20,000 attributes of a node", "vfat", ARCHIVE, with(attributes(20_000, b"value")))
                .refused(too_many),
            case("5,000 attributes of a node", "vfat", ARCHIVE, with(attributes(5_000, b"value")))
                .refused("/a: vfat cannot store its extended attributes; leave them out with drop = [\"attributes\"], or --drop attributes"),
            case("20,000 attributes that are left out", "vfat", ARCHIVE, with(attributes(20_000, b"value")))
                .with("drop = [\"attributes\"]")
                .memory(32 * MEBIBYTE),
            case("400 attributes of each of 100,000 nodes", "ext4", zstd, each_all)
                .nodes(100_000)
                .refused("/0: its extended attributes take more than the … bytes that ext4 has room for"),
            case("an attribute of 60,000 bytes of each of 20,000 nodes", "ext4", zstd, each_own)
                .refused("a.tar.zst: with member '…', attributes, names, link targets and maps of holes take … bytes of memory, and … are allowed …")
                .memory(full),
            ext4_zstd("125 attributes of 1,000,000 bytes", megabytes)
                .refused(kept)
                .memory(full),
            ext4_zstd("33 maps of 500,000 stretches", maps)
                .refused("a.tar.zst: with member '…', the maps of holes of the archive have more than … stretches of data; …")
                .memory(full),
            ext4_zstd("10,000 links to 60,000 bytes", targets)
                .refused(kept)
                .memory(full),
            case("a window of 128 MiB", "ext4", zstd, long).refused(
                "a.tar.zst: the zstd data needs a window of 134217728 bytes, and 67108864 are allowed; …",
            ),
        ],
    );
}

#[test]
fn directories_that_no_member_is() {
    // Each member is below 32,000 directories of its own that the archive does not have.
    let implied = |bench: &Bench| {
        let path = "a/".repeat(32_000);
        compressed(&bench.path("a.tar.zst"), |archive| {
            (0..10_000_u32).try_for_each(|number| {
                archive.member(
                    "pax",
                    b'x',
                    &record("path", format!("{number}/{path}b").as_bytes()),
                )?;
                archive.member("x", b'0', b"")
            })
        });
    };
    let implied = case(
        "32,000 directories for each member",
        "ext4",
        "{ archive = \"a.tar.zst\" }",
        implied,
    );
    endure(
        "directories",
        vec![implied.nodes(1_000_000).refused(
            "a.tar.zst: member '3/a/a/…/a/b (64003 bytes)' is below directories that are no members: \
             there are 128004 of those, and of 4 members no more than 100064 are taken; …",
        )],
    );
}
