//! Hash trees behind their data, in one partition.

use super::*;

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
