//! dm-verity: hash trees, identifiers that follow from root hashes, and templates that name what is known only later.

mod behind;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bench::assert_same_bytes;
use crate::support::disk::{self, Part};
use crate::support::{Bench, judge};

/// A disk whose ESP names the root hash of a partition that lies behind it.
const SPEC: &str = r#"
[[partition]]
name = "esp"
type = "esp"
size = "36MiB"
filesystem = "vfat"
content = [{ template = "cmdline.in", to = "/cmdline" }]

[[partition]]
name = "root"
type = "root-x86-64"
filesystem = "ext4"
content = [{ directory = "root" }]

[[partition]]
name = "root-verity"
type = "root-x86-64-verity"
verity = { of = "root" }
"#;

const TEMPLATE: &str = "roothash={{ partition.root.verity.root-hash }} salt={{ partition.root.verity.salt }} \
    uuid={{ partition.root-verity.verity.uuid }}\nroot={{ partition.root.uuid }} hash={{ partition.root-verity.uuid }}\n\
    data={{ partition.root.digest }} number={{ partition.root.number }}\n";

fn bench(template: &str) -> Bench {
    let bench = Bench::new();
    bench.write("root/etc/hostname", "verified\n");
    bench.write("root/big", vec![0x5a; 3 << 20]);
    bench.write("cmdline.in", template);
    bench
}

/// Builds, with the record.
fn built(bench: &Bench, spec: &str, more: &[&str]) -> (PathBuf, Value) {
    bench.write("image.toml", spec);
    let mut arguments = vec!["build", "image.toml", "-o", "disk.img", "--json", "-"];
    arguments.extend(more);
    let record = bench.done(&arguments);
    (
        bench.path("disk.img"),
        serde_json::from_str(&record).unwrap(),
    )
}

fn partition<'r>(record: &'r Value, name: &str) -> &'r Value {
    let partitions = record["partitions"].as_array().unwrap();
    let found = partitions.iter().find(|it| it["name"] == name);
    found.unwrap()
}

/// The partition of this name, cut out where sfdisk says that it lies.
fn cut(bench: &Bench, image: &Path, name: &str) -> PathBuf {
    let parts: Vec<Part> = disk::parts(bench, image);
    let part = parts.iter().find(|part| part.name == name).unwrap();
    bench.cut(image, part.start, part.size, &format!("{name}.part"))
}

/// Whether `veritysetup` finds the data to be those of the root hash.
fn verified(
    bench: &Bench,
    arguments: &[&str],
    data: &Path,
    tree: &Path,
    root: &str,
) -> Option<bool> {
    let judge = judge("veritysetup")?;
    let mut command = judge.command();
    command.current_dir(bench.folder());
    command
        .arg("verify")
        .args(arguments)
        .arg(data)
        .arg(tree)
        .arg(root);
    Some(command.output().unwrap().status.success())
}

#[test]
fn a_root_hash_is_in_the_esp_and_in_the_identifiers() {
    let bench = bench(TEMPLATE);
    let (image, record) = built(&bench, SPEC, &[]);
    let root = partition(&record, "root-verity")["verity"]["root-hash"].clone();
    let root = root.as_str().unwrap();
    assert_eq!(root.len(), 64);
    let (data, tree) = (
        cut(&bench, &image, "root"),
        cut(&bench, &image, "root-verity"),
    );
    if let Some(holds) = verified(&bench, &[], &data, &tree, root) {
        assert!(holds);
        // The superblock says how the tree was made.
        let dump = judge("veritysetup").unwrap().run(&["dump"], &tree);
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        let salt = partition(&record, "root-verity")["verity"]["salt"].clone();
        assert!(dump.contains(salt.as_str().unwrap()), "{dump}");
    }
    // Discoverable Partitions: the halves of the root hash, as sfdisk sees them.
    let digits = |range: std::ops::Range<usize>| {
        let text = &root[range];
        let parts = [
            &text[..8],
            &text[8..12],
            &text[12..16],
            &text[16..20],
            &text[20..],
        ];
        parts.join("-")
    };
    let table = disk::table(&bench, &image);
    let ids: Vec<String> = table["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["uuid"].as_str().unwrap().to_lowercase())
        .collect();
    assert_eq!(ids[1], digits(0..32));
    assert_eq!(ids[2], digits(32..64));
    let esp = cut(&bench, &image, "esp");
    if let Some(mtype) = judge("mtype") {
        let text = mtype
            .command()
            .arg("-i")
            .arg(&esp)
            .arg("::/cmdline")
            .output()
            .unwrap();
        let text = String::from_utf8(text.stdout).unwrap();
        let verity = &partition(&record, "root-verity")["verity"];
        let expected = format!(
            "roothash={root} salt={} uuid={}\nroot={} hash={}\ndata={} number=2\n",
            verity["salt"].as_str().unwrap(),
            verity["uuid"].as_str().unwrap(),
            ids[1],
            ids[2],
            crate::support::bench::sha256(&data),
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn neither_jobs_nor_walls_change_a_byte() {
    let bench = bench(TEMPLATE);
    let (image, _) = built(&bench, SPEC, &["--jobs", "1"]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    for more in [&["--jobs", "4"][..], &["--walls", "wasm"]] {
        let (image, _) = built(&bench, SPEC, more);
        assert_same_bytes(&bench.path("first.img"), &image);
    }
}

#[test]
fn a_flipped_byte_of_each_kind_is_found() {
    let bench = bench("");
    let (image, record) = built(&bench, SPEC, &[]);
    let root = partition(&record, "root-verity")["verity"]["root-hash"].clone();
    let root = root.as_str().unwrap();
    let (data, tree) = (
        cut(&bench, &image, "root"),
        cut(&bench, &image, "root-verity"),
    );
    let Some(holds) = verified(&bench, &[], &data, &tree, root) else {
        return;
    };
    assert!(holds);
    for (file, offset) in [
        (&data, 1024 + 56),
        (&data, 70_000),
        (&tree, 4096),
        (&tree, 8192),
    ] {
        let mut bytes = fs::read(file).unwrap();
        bytes[offset] ^= 0x20;
        let broken = bench.write("broken", &bytes);
        let (data, tree) = if file == &data {
            (&broken, &tree)
        } else {
            (&data, &broken)
        };
        assert_eq!(
            verified(&bench, &[], data, tree, root),
            Some(false),
            "{offset}"
        );
    }
}

#[test]
fn options_are_those_of_veritysetup() {
    let bench = bench("");
    let spec = SPEC.replace(
        "verity = { of = \"root\" }",
        "size = \"1MiB\"\nid = \"11111111-2222-3333-4444-555555555555\"\n\
         verity = { of = \"root\", hash = \"sha512\", data-block-size = 1024, hash-block-size = \"8KiB\", salt = \"00ff\", superblock = false }",
    );
    let (image, record) = built(&bench, &spec, &[]);
    let part = partition(&record, "root-verity");
    assert_eq!(part["id"], "11111111-2222-3333-4444-555555555555");
    let root = part["verity"]["root-hash"].as_str().unwrap();
    assert_eq!(root.len(), 128);
    let (data, tree) = (
        cut(&bench, &image, "root"),
        cut(&bench, &image, "root-verity"),
    );
    let blocks = (fs::metadata(&data).unwrap().len() / 1024).to_string();
    let arguments = [
        "--no-superblock",
        "--hash",
        "sha512",
        "--salt",
        "00ff",
        "--data-block-size",
        "1024",
        "--hash-block-size",
        "8192",
        "--data-blocks",
        &blocks,
    ];
    if let Some(holds) = verified(&bench, &arguments, &data, &tree, root) {
        assert!(holds);
    }
}

#[test]
fn a_tree_of_raw_bytes_is_made_on_any_table() {
    let bench = bench("");
    bench.write("root.img", vec![7; 2 << 20]);
    let spec = "[disk]\ntable = \"mbr\"\n[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"3MiB\"\n\
        raw = [{ file = \"root.img\" }]\n[[partition]]\nname = \"tree\"\ntype = \"linux\"\nverity = { of = \"data\" }\n";
    let (image, record) = built(&bench, spec, &[]);
    let verity = &partition(&record, "tree")["verity"];
    assert_eq!(verity["data-blocks"], 768);
    let image = image.to_str().unwrap();
    for number in ["1", "2"] {
        bench.done(&["cut", image, number, "-o", &format!("{number}.part")]);
    }
    let root = verity["root-hash"].as_str().unwrap();
    if let Some(holds) = verified(
        &bench,
        &[],
        &bench.path("1.part"),
        &bench.path("2.part"),
        root,
    ) {
        assert!(holds);
    }
}

/// A change of the spec, what the template says, and what the error says.
type Refused = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

#[test]
fn what_cannot_be_verified_is_refused_at_its_line_and_nothing_is_written() {
    let cases: &[Refused] = &[
        (
            "of = \"root\"",
            "of = \"rot\"",
            "",
            &["there is no partition 'rot'", "did you mean 'root'?"],
        ),
        (
            "of = \"root\"",
            "of = \"root-verity\"",
            "",
            &["root-verity -> root-verity"],
        ),
        (
            "of = \"root\" }",
            "of = \"root\" }\nsize = \"4KiB\"",
            "",
            &["the hash tree of partition 'root'", "4096 bytes", "short)"],
        ),
        (
            "of = \"root\"",
            "of = \"root\", salt = \"abc\"",
            "",
            &["`abc` is no salt"],
        ),
        (
            "of = \"root\"",
            "of = \"root\", data-block-size = 3000",
            "",
            &["3000 bytes is no size of a block"],
        ),
        (
            "of = \"root\"",
            "of = \"root\", hash = \"md5\"",
            "",
            &["`md5` is none of `sha256`, `sha512`"],
        ),
        (
            "of = \"root\" }",
            "of = \"root\" }\nfilesystem = \"ext4\"",
            "",
            &["both `verity` and `filesystem` are there"],
        ),
        (
            "filesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]",
            "size = \"1MiB\"",
            "",
            &["partition 'root' has no content"],
        ),
        (
            "of = \"root\" }",
            "of = \"root\" }\n[[partition]]\nname = \"second\"\ntype = \"linux-generic\"\nverity = { of = \"root\" }",
            "",
            &["holds the hash tree of 'root' already"],
        ),
        (
            "filesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]",
            "verity = { of = \"root-verity\" }",
            "",
            &[
                "each of these needs the next one",
                "root -> root-verity -> root",
            ],
        ),
        // The root would hold its own root hash.
        (
            "{ directory = \"root\" }",
            "{ template = \"cmdline.in\", to = \"/own\" }",
            "{{ partition.root.verity.root-hash }}",
            &[
                "each of these needs the next one",
                "root-verity -> root -> root-verity",
            ],
        ),
        (
            "{ directory = \"root\" }",
            "{ template = \"cmdline.in\", to = \"/own\" }",
            "{{ partition.root.digest }}",
            &["root -> root"],
        ),
    ];
    for (from, to, template, expected) in cases {
        let bench = bench(template);
        let spec = SPEC.replace(from, to);
        assert_ne!(spec, SPEC, "{from}");
        bench.write("image.toml", &spec);
        for command in ["build", "plan"] {
            let mut arguments = vec![command, "image.toml"];
            if command == "build" {
                arguments.extend(["-o", "disk.img"]);
            }
            let outcome = bench.run(&arguments);
            assert_eq!(outcome.code, Some(2), "{to}: {}", outcome.stderr);
            for text in *expected {
                assert!(outcome.stderr.contains(text), "{to}: {}", outcome.stderr);
            }
            assert!(outcome.stderr.contains("image.toml:"), "{}", outcome.stderr);
        }
        assert!(!bench.path("disk.img").exists());
    }
}

#[test]
fn the_rest_of_a_disk_has_a_tree_of_a_given_size() {
    let bench = bench("");
    let rest = |verity: &str| {
        format!(
            "[disk]\nsize = \"64MiB\"\n[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"rest\"\n\
             filesystem = \"ext4\"\n[[partition]]\nname = \"tree\"\ntype = \"root-x86-64-verity\"\n{verity}verity = {{ of = \"root\" }}\n"
        )
    };
    bench.write("image.toml", rest(""));
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("takes the \"rest\""),
        "{}",
        outcome.stderr
    );
    let (image, record) = built(&bench, &rest("size = \"1MiB\"\n"), &[]);
    let root = partition(&record, "tree")["verity"]["root-hash"].clone();
    let (data, tree) = (cut(&bench, &image, "root"), cut(&bench, &image, "tree"));
    if let Some(holds) = verified(&bench, &[], &data, &tree, root.as_str().unwrap()) {
        assert!(holds);
    }
}

#[test]
fn a_plan_tells_the_tree_and_what_is_not_known_yet() {
    let bench = bench(TEMPLATE);
    bench.write("image.toml", SPEC);
    let text = bench.done(&["plan", "image.toml"]);
    assert!(text.contains("the hash tree of 'root'"), "{text}");
    assert!(
        text.contains("its UUID from the root hash in 'root-verity'"),
        "{text}"
    );
    let plan: Value =
        serde_json::from_str(&bench.done(&["plan", "image.toml", "--json", "-"])).unwrap();
    let tree = &plan["partitions"][2];
    assert_eq!(tree["verity"]["of"], "root");
    assert_eq!(tree["id"], Value::Null);
    assert_eq!(tree["id-from-root-hash-in"], "root-verity");
}

#[test]
fn parity_behind_a_tree_mends_what_is_damaged() {
    let bench = bench(TEMPLATE);
    let spec = SPEC.replace("of = \"root\"", "of = \"root\", fec-roots = 3");
    let (image, record) = built(&bench, &spec, &["-j", "2"]);
    let verity = &partition(&record, "root-verity")["verity"];
    assert_eq!(verity["fec-roots"], 3);
    let offset = verity["fec-offset"].as_u64().unwrap();
    let root = verity["root-hash"].as_str().unwrap();
    let (data, tree) = (
        cut(&bench, &image, "root"),
        cut(&bench, &image, "root-verity"),
    );
    let correction = [
        format!("--fec-device={}", tree.display()),
        format!("--fec-offset={offset}"),
        "--fec-roots=3".to_owned(),
    ];
    let correction: Vec<&str> = correction.iter().map(String::as_str).collect();
    let Some(holds) = verified(&bench, &correction, &data, &tree, root) else {
        return;
    };
    assert!(holds);
    let file = fs::File::options().write(true).open(&data).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], 4096 * 9).unwrap();
    assert_eq!(verified(&bench, &[], &data, &tree, root), Some(false));
    // It counts what it could mend, and changes nothing.
    let judge = judge("veritysetup").unwrap();
    let mut command = judge.command();
    command.arg("verify").args(&correction);
    let output = command.arg(&data).arg(&tree).arg(root).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("repairable"), "{said}");
    // Blocks of two sizes have no parity in common.
    let spec = SPEC.replace(
        "of = \"root\"",
        "of = \"root\", fec-roots = 2, data-block-size = 1024",
    );
    bench.write("image.toml", spec);
    let outcome = bench.run(&["build", "image.toml", "-o", "other.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("needs blocks of one size"),
        "{}",
        outcome.stderr
    );
    bench.write(
        "image.toml",
        SPEC.replace("of = \"root\"", "of = \"root\", fec-roots = 25"),
    );
    let outcome = bench.run(&["build", "image.toml", "-o", "other.img"]);
    assert!(
        outcome.stderr.contains("outside the range 2 to 24"),
        "{}",
        outcome.stderr
    );
}
