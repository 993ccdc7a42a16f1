//! A formatter that compresses, through the whole program: the same bytes everywhere, and nothing compressed twice.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::Bench;
use crate::support::bench::{case, sha256};

/// The formatter of erofs, which has its content compressed.
fn erofs() -> PathBuf {
    case("../../guests/dist/erofs.wasm")
}

/// A bench with a tree in `name` whose files compress, do not, and are equal.
fn bench_with(name: &str) -> Bench {
    let bench = Bench::new();
    let lines = |from: u32| -> String {
        (from..from + 20_000)
            .map(|line| format!("{line}: a line of text\n"))
            .collect()
    };
    bench.write(
        &format!("{name}/large"),
        lines(0) + &lines(50_000) + &lines(7),
    );
    bench.write(
        &format!("{name}/copy"),
        lines(0) + &lines(50_000) + &lines(7),
    );
    bench.write(&format!("{name}/small"), "small\n");
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    bench.write(
        &format!("{name}/noise"),
        noise.take(200_000).collect::<Vec<u8>>(),
    );
    for index in 0..50 {
        bench.write(&format!("{name}/folder/{index}"), lines(index * 100));
    }
    bench
}

/// Makes the file system, and gives its record.
fn made(bench: &Bench, content: &str, output: &str, options: &[&str]) -> Value {
    let guest = format!("erofs={}", erofs().display());
    let content = format!("{content},owner=0:0");
    let arguments = [
        "mkfs",
        "erofs",
        "-o",
        output,
        "--guest",
        &guest,
        "--content",
        &content,
        "--json",
        "-",
        "--time",
        "1700000000",
        "--option",
        "compression=zstd,level=5",
        "--seed",
        "00000000000000000000000000000001",
    ];
    let said = bench.run(&[&arguments[..], options].concat()).done();
    serde_json::from_str(&said).unwrap()
}

fn encoded(record: &Value) -> (u64, u64, u64, u64) {
    let encoded = &record["partitions"][0]["filesystem"]["encoded"];
    let number = |name: &str| encoded[name].as_u64().unwrap();
    (
        number("blocks"),
        number("reused"),
        number("bytes-in"),
        number("bytes-out"),
    )
}

#[test]
fn bytes_depend_on_neither_walls_nor_jobs_nor_path() {
    let bench = bench_with("tree");
    let first = made(&bench, "tree", "0.img", &["--walls", "wasm", "--jobs", "1"]);
    let pinned = sha256(&bench.path("0.img"));
    let others = [("wasm", "3"), ("process", "1"), ("process", "4")];
    for (index, (walls, jobs)) in (1..).zip(others) {
        let output = format!("{index}.img");
        let record = made(&bench, "tree", &output, &["--walls", walls, "--jobs", jobs]);
        assert_eq!(sha256(&bench.path(&output)), pinned, "{walls}, {jobs}");
        assert_eq!(encoded(&record), encoded(&first));
    }
    let other = bench_with("another/place");
    made(&other, "another/place", "x.img", &[]);
    assert_eq!(sha256(&other.path("x.img")), pinned);
    assert!(fs::metadata(bench.path("0.img")).unwrap().len() < 2_000_000);
}

#[test]
fn nothing_is_compressed_twice() {
    let bench = bench_with("tree");
    for walls in ["wasm", "process"] {
        // As large as it measures: what is then made is found.
        let minimum = made(&bench, "tree", "minimum.img", &["--walls", walls]);
        let (blocks, reused, bytes_in, bytes_out) = encoded(&minimum);
        assert!(blocks > 10 && bytes_out > 0 && bytes_out < bytes_in / 2);
        assert_eq!(reused, blocks);
        let sized = made(
            &bench,
            "tree",
            "sized.img",
            &["--walls", walls, "--size", "8MiB"],
        );
        assert_eq!(encoded(&sized), (blocks, 0, bytes_in, bytes_out));
        // Equal files are one.
        let content = &minimum["partitions"][0]["filesystem"]["content-bytes"];
        assert!(
            bytes_in
                <= content.as_u64().unwrap() - fs::metadata(bench.path("tree/copy")).unwrap().len()
        );
        let codecs = &minimum["partitions"][0]["filesystem"]["encoded"]["codecs"];
        let names: Vec<&String> = codecs.as_object().unwrap().keys().collect();
        assert_eq!(names, ["libdeflate", "liblz4", "liblzma", "libzstd"]);
        fs::remove_file(bench.path("minimum.img")).unwrap();
        fs::remove_file(bench.path("sized.img")).unwrap();
    }
}

/// A store links equal files, or keeps copies of them: either way their content is compressed once.
#[test]
fn equal_content_of_a_store_is_compressed_once() {
    let bench = Bench::new();
    let lines: String = (0..20_000).map(|line| format!("{line}: text\n")).collect();
    let first = bench.write("store/0", &lines);
    for copy in 1..20 {
        fs::hard_link(&first, bench.path(format!("store/{copy}"))).unwrap();
    }
    let length = u64::try_from(lines.len()).unwrap();
    for kind in ["erofs", "squashfs"] {
        let made = |content: &str| {
            let line = ["mkfs", kind, "-o", "s.img", "--option", "compression=zstd"];
            let line = [&line[..], &["--content", content, "--json", "-", "-q"]].concat();
            let record: Value = serde_json::from_str(&bench.run(&line).done()).unwrap();
            fs::remove_file(bench.path("s.img")).unwrap();
            let content = &record["partitions"][0]["filesystem"]["content-bytes"];
            (encoded(&record), content.as_u64().unwrap())
        };
        let (linked, of_linked) = made("store,owner=0:0");
        let (broken, of_broken) = made("store,owner=0:0,hard-links=break");
        assert_eq!((of_linked, of_broken), (length, 20 * length), "{kind}");
        // squashfs compresses its metadata, too.
        for (_, _, bytes_in, _) in [linked, broken] {
            assert!(
                (length..length + 4096).contains(&bytes_in),
                "{kind}: {bytes_in}"
            );
        }
    }
}

#[test]
fn a_partition_is_as_large_as_its_file_system_compresses_to() {
    let bench = bench_with("tree");
    let guest = format!("erofs={}", erofs().display());
    let build = |size: &str| {
        bench.write(
            "image.toml",
            format!(
                "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"{size}\"\nfilesystem = \"erofs\"\n\
                 content = [{{ directory = \"tree\" }}]\noptions = {{ compression = \"lz4\" }}\n"
            ),
        );
        let arguments = [
            "build",
            "image.toml",
            "-o",
            "disk.img",
            "--guest",
            &guest,
            "--json",
            "-",
        ];
        let record: Value = serde_json::from_str(&bench.run(&arguments).done()).unwrap();
        let partition = &record["partitions"][0];
        (
            partition["size"].as_u64().unwrap(),
            partition["filesystem"]["used"].as_u64().unwrap(),
            partition["filesystem"]["content-bytes"].as_u64().unwrap(),
            encoded(&record),
        )
    };
    let (size, used, content, (blocks, reused, ..)) = build("minimum");
    assert!(
        size >= used && size < content / 2,
        "{size}, {used}, {content}"
    );
    assert_eq!(reused, blocks);
    let (larger, same, ..) = build("minimum + 10%");
    assert_eq!(same, used);
    assert!(
        larger >= size + size / 10 && larger < size + size / 5 + (1 << 20),
        "{larger}, {size}"
    );
    // The plan says the same: it compresses too.
    let plan = bench.done(&["plan", "image.toml", "--guest", &guest, "--json", "-"]);
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["partitions"][0]["size"].as_u64(), Some(larger));
}

#[test]
fn only_a_guest_that_encodes_imports_it() {
    let bench = Bench::new();
    for (guest, encodes) in [
        ("ext4", false),
        ("swap", false),
        ("vfat", false),
        ("erofs", true),
    ] {
        let file = case("../../guests/dist").join(format!("{guest}.wasm"));
        let said = bench.done(&["guests", file.to_str().unwrap()]);
        assert_eq!(
            said.contains("cellblock:format/encoding@"),
            encodes,
            "{guest}"
        );
        assert_eq!(
            said.contains("cellblock:format/digests@"),
            encodes,
            "{guest}"
        );
    }
}
