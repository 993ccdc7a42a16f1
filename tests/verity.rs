//! dm-verity: hash trees, identifiers that follow from root hashes, and templates that name what is known only later.

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

/// A root with its tree behind it, and an ESP that names where.
const BEHIND: &str = r#"
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
verity = { behind = true }
"#;

/// Arguments of `veritysetup` for a tree behind its data, as the record tells of it.
fn behind_arguments(verity: &Value, has_superblock: bool) -> Vec<String> {
    let number = |key: &str| verity[key].as_u64().unwrap();
    let mut arguments = vec![format!("--hash-offset={}", number("hash-offset"))];
    if !has_superblock {
        arguments.extend([
            "--no-superblock".to_owned(),
            format!("--salt={}", verity["salt"].as_str().unwrap()),
            format!("--hash={}", verity["hash"].as_str().unwrap()),
            format!("--data-blocks={}", number("data-blocks")),
            format!("--data-block-size={}", number("data-block-size")),
            format!("--hash-block-size={}", number("hash-block-size")),
        ]);
    }
    arguments
}

#[test]
fn a_tree_behind_its_data_verifies_and_a_flipped_byte_of_each_kind_is_found() {
    let variants: [(&str, bool); 5] = [
        ("", true),
        (", superblock = false", false),
        (
            ", hash = \"sha512\", data-block-size = 1024, hash-block-size = \"16KiB\"",
            true,
        ),
        (
            ", data-block-size = \"16KiB\", hash-block-size = 512, superblock = false, salt = \"none\"",
            false,
        ),
        (", fec-roots = 2", true),
    ];
    if judge("veritysetup").is_none() {
        return;
    }
    for (options, has_superblock) in variants {
        let bench = bench(
            "{{ partition.root.verity.root-hash }} {{ partition.root.verity.hash-offset }} {{ partition.root.digest }}\n",
        );
        let spec = BEHIND.replace("behind = true", &format!("behind = true{options}"));
        let (image, record) = built(&bench, &spec, &[]);
        let part = partition(&record, "root");
        let verity = &part["verity"];
        assert_eq!(verity["of"], "root");
        let root = verity["root-hash"].as_str().unwrap();
        let file = cut(&bench, &image, "root");
        let mut arguments = behind_arguments(verity, has_superblock);
        if options.contains("fec") {
            let offset = verity["fec-offset"].as_u64().unwrap();
            arguments.push(format!("--fec-device={}", file.display()));
            arguments.push(format!("--fec-offset={offset}"));
            arguments.push("--fec-roots=2".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_eq!(
            verified(&bench, &arguments, &file, &file, root),
            Some(true),
            "{options}"
        );
        // The file system ends before its tree, and is whole.
        let data =
            verity["data-blocks"].as_u64().unwrap() * verity["data-block-size"].as_u64().unwrap();
        let hash_offset = verity["hash-offset"].as_u64().unwrap();
        assert!(data <= hash_offset && hash_offset < part["size"].as_u64().unwrap());
        let alone = bench.cut(&image, part["start"].as_u64().unwrap(), data, "alone");
        if let Some(fsck) = judge("e2fsck") {
            assert!(fsck.run(&["-fn"], &alone).status.success(), "{options}");
        }
        // What the template was told is what the record says, and what the bytes are.
        let digest = crate::support::bench::sha256(&file);
        assert_eq!(part["sha256"], digest.as_str());
        if let Some(mtype) = judge("mtype") {
            let esp = cut(&bench, &image, "esp");
            let mut command = mtype.command();
            let text = command.arg("-i").arg(&esp).arg("::/cmdline").output();
            let text = String::from_utf8(text.unwrap().stdout).unwrap();
            assert_eq!(text, format!("{root} {hash_offset} {digest}\n"));
        }
        let level = hash_offset
            + if has_superblock {
                verity["hash-block-size"].as_u64().unwrap()
            } else {
                0
            };
        let plain: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|it| !it.contains("fec"))
            .collect();
        let mut kinds = vec![1024 + 56, data - 1, level];
        if has_superblock {
            // The salt in the superblock.
            kinds.push(hash_offset + 88);
        }
        for offset in kinds {
            let mut bytes = fs::read(&file).unwrap();
            bytes[usize::try_from(offset).unwrap()] ^= 0x20;
            let broken = bench.write("broken", &bytes);
            assert_eq!(
                verified(&bench, &plain, &broken, &broken, root),
                Some(false),
                "{options}: {offset}"
            );
        }
    }
}

#[test]
fn a_tree_behind_its_data_fills_what_a_partition_has() {
    let bench = bench("");
    bench.write("image.bin", vec![7; (1 << 20) + 5]);
    let spec = |size: &str, data: &str| {
        format!(
            "[disk]\nsize = \"64MiB\"\n[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\n{size}{data}\n\
             verity = {{ behind = true }}\n"
        )
    };
    let filesystem = "filesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]";
    for (size, data) in [
        ("size = \"16MiB\"\n", filesystem),
        ("size = \"rest\"\n", filesystem),
        ("size = \"minimum+1MiB\"\n", filesystem),
        ("", "raw = [{ file = \"image.bin\" }]"),
        ("size = \"2MiB\"\n", "raw = [{ file = \"image.bin\" }]"),
    ] {
        let (image, record) = built(&bench, &spec(size, data), &[]);
        let part = partition(&record, "root");
        let verity = &part["verity"];
        let size_of = part["size"].as_u64().unwrap();
        // Nothing is left that another block of data and its digest could have had.
        let blocks = verity["data-blocks"].as_u64().unwrap();
        let mut tree = 1;
        let mut level = blocks;
        while level > 1 {
            level = level.div_ceil(128);
            tree += level;
        }
        let left = size_of / 4096 - blocks - tree;
        assert!(left <= 4, "{size}{data}: {left} blocks");
        let file = cut(&bench, &image, "root");
        let offset = format!("--hash-offset={}", verity["hash-offset"]);
        let root = verity["root-hash"].as_str().unwrap();
        if let Some(holds) = verified(&bench, &[&offset], &file, &file, root) {
            assert!(holds, "{size}{data}");
        }
        fs::rename(&image, bench.path("first.img")).unwrap();
        let (image, _) = built(&bench, &spec(size, data), &["--jobs", "1"]);
        assert_same_bytes(&bench.path("first.img"), &image);
    }
}

#[test]
fn a_tree_behind_nothing_or_of_two_things_is_refused() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "filesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]",
            "size = \"1MiB\"",
            "neither `filesystem` nor `raw`",
        ),
        (
            "behind = true",
            "behind = true, of = \"esp\"",
            "it names both of `of` and `behind = true`",
        ),
        (
            "behind = true",
            "behind = false",
            "it names none of `of` and `behind = true`",
        ),
        (
            "verity = {",
            "size = \"4KiB\"\nverity = {",
            "too little for a block of data and the hash tree behind it",
        ),
        (
            "verity = { behind = true }",
            "verity = { behind = true }\n[[partition]]\nname = \"second\"\ntype = \"root-x86-64-verity\"\nverity = { of = \"root\" }",
            "partition 'root' (number 2) holds the hash tree of 'root' already",
        ),
        // The root would hold its own root hash.
        (
            "{ directory = \"root\" }",
            "{ template = \"cmdline.in\", to = \"/own\" }",
            "root -> root",
        ),
    ];
    for (from, to, expected) in cases {
        let bench = bench("{{ partition.root.verity.root-hash }}");
        let spec = BEHIND.replace(from, to);
        assert_ne!(spec, BEHIND, "{from}");
        bench.write("image.toml", &spec);
        let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
        assert_eq!(outcome.code, Some(2), "{to}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(expected),
            "{to}: {}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains("image.toml:"), "{}", outcome.stderr);
        assert!(!bench.path("disk.img").exists());
    }
}

#[test]
fn a_signature_is_of_a_tree_behind_its_data_too() {
    let bench = bench("");
    if crate::support::keys::make_key(&bench, "sign", "365").is_none() {
        return;
    }
    let spec = format!(
        "{BEHIND}\n[[partition]]\nname = \"sig\"\ntype = \"root-x86-64-verity-sig\"\n\
         verity-signature = {{ of = \"root\", key = \"sign.key\", certificate = \"sign.crt\" }}\n"
    );
    let (_, record) = built(&bench, &spec, &[]);
    let root = &partition(&record, "root")["verity"]["root-hash"];
    assert_eq!(
        &partition(&record, "sig")["verity-signature"]["root-hash"],
        root
    );
    // Whoever has the statement gets the same bytes.
    let more = ["--provenance", "disk.json", "--jobs", "1"];
    assert_eq!(
        &partition(&built(&bench, &spec, &more).1, "root")["verity"]["root-hash"],
        root
    );
    bench.done(&["verify-build", "disk.json"]);
    let derived = bench.done(&["derive", "image.toml"]);
    assert!(derived.contains(root.as_str().unwrap()), "{derived}");
}
