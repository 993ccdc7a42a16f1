#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::*;
use cellblock_tree::source::What;

const DESIGN: &str = r#"
[disk]
table = "gpt"                    # gpt | mbr | hybrid
size = "auto"                    # or "4GiB"
sector-size = 512                # or 4096
seed = "5f0c1a2b3c4d5e6f708192a3b4c5d6e7"
time = 2024-01-01T00:00:00Z

[[partition]]
name = "efi"
type = "esp"                     # a Discoverable Partitions name, a GUID, or an MBR byte
size = "256MiB"
filesystem = "vfat"
label = "UEFI"
uuid = "ABCD-1234"
drop = ["owners", "permissions"]
content = [{ directory = "esp" }]

[[partition]]
name = "root"
type = "root-x86-64"
size = "minimum + 20%"           # the formatter measures
filesystem = "ext4"
attributes = ["read-only", 59]
content = [
  { archive = "rootfs.tar" },
  { directory = "overlay", owner = "0:0", exclude = ["*.orig"] },
  { file = "/srv/fstab", to = "/etc/fstab", mode = "0644" },
  { text = "demo\n", to = "/etc/hostname" },
]
options = { reserved-blocks = "1%", journal = true, inodes = 5 }

[[partition]]
name = "bios"
type = "bios-boot"
size = "1MiB"
raw = [{ file = "core.img", offset = "0" }]

[guests]
minix = "minix.wasm"
other = { file = "other.wasm", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
"#;

fn parse(source: &str) -> Result<Spec, SpecError> {
    Spec::parse(source, Path::new("/specs"))
}

fn rendered(source: &str) -> String {
    parse(source)
        .unwrap_err()
        .render(&Files::one("image.toml", source), false)
}

#[test]
fn the_spec_of_the_design_is_read() {
    let spec = parse(DESIGN).unwrap();
    assert_eq!(spec.disk.time.unwrap().value, 1_704_067_200);
    let [efi, root, bios] = spec.partitions.as_slice() else {
        panic!("three partitions")
    };
    assert_eq!(efi.size_rule(), SizeRule::Fixed(256 << 20));
    let efi = efi.filesystem.as_ref().unwrap();
    assert_eq!(
        efi.uuid.as_ref().unwrap().value,
        FilesystemId::Serial(0xABCD_1234)
    );
    assert_eq!(efi.drop, [Loss::Owners, Loss::Permissions]);
    let flags = root.attributes.as_ref().unwrap().value;
    assert_eq!(flags, Attributes::READ_ONLY | Attributes::GROW_FS);
    let root = root.filesystem.as_ref().unwrap();
    let whats: Vec<&What> = root
        .content
        .iter()
        .filter_map(|content| match content {
            Content::Source(source) => Some(&source.what),
            Content::Template(_) | Content::Kernel(_) => None,
        })
        .collect();
    assert_eq!(whats[0], &What::Archive("/specs/rootfs.tar".into()));
    assert_eq!(whats[2], &What::File("/srv/fstab".into()));
    assert_eq!(whats[3], &What::Bytes(b"demo\n".to_vec()));
    let options: Vec<(&str, &str)> = root
        .options
        .iter()
        .map(|(name, value)| (name.as_str(), value.value.as_str()))
        .collect();
    assert_eq!(
        options,
        [
            ("inodes", "5"),
            ("journal", "true"),
            ("reserved-blocks", "1%")
        ]
    );
    assert_eq!(
        bios.raw[0].file().unwrap().value,
        Path::new("/specs/core.img")
    );
    assert_eq!(spec.guests["other"].sha256, Some([0; 32]));
    assert_eq!(&DESIGN[root.kind.place.range.clone()], "\"ext4\"");
}

#[test]
fn the_example_and_what_it_leaves_out_are_read() {
    let spec = parse(EXAMPLE).unwrap();
    assert_eq!(spec.partitions.len(), 2);
    // Every line that is commented out can be taken in.
    let is_key =
        |line: &str| line.contains(" = ") || line.starts_with("{ ") || line.starts_with('[');
    let whole: String = EXAMPLE
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if is_key(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let spec = parse(&whole).unwrap();
    assert!(spec.boot.grub_efi.is_some());
    assert_eq!(spec.disk.sector_size.unwrap().value, 4096);
    let filesystem = spec.partitions[1].filesystem.as_ref().unwrap();
    assert_eq!((filesystem.content.len(), filesystem.drop.len()), (3, 1));
}

#[test]
fn one_mistake_is_one_error() {
    for (lines, expected) in [
        (
            "size = \"4GB\"\n",
            "size: `4GB` has the unit `GB`, which is ambiguous",
        ),
        (
            "size = \"36mib\"\n",
            "`36mib` has the unit `mib`, which is spelled otherwise: write \"36MiB\"",
        ),
        (
            "size = \"50%\"\n",
            "`50%` is a share, and says not of what: write \"minimum + 50%\"",
        ),
        (
            "size = \"1MiB\"\nfilesystem = \"ext4\"\ncontent = [{ text = \"x\", to = \"x\" }]\n",
            "to: `x` is not a destination",
        ),
    ] {
        let text = rendered(&format!("[[partition]]\ntype = \"linux\"\n{lines}"));
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{text}");
    }
    // A key that is misspelled is not missing as well.
    for (lines, expected) in [
        ("typ = \"linux\"\nsize = 512\n", "did you mean `type`?"),
        ("type = \"linux\"\nsiz = 512\n", "did you mean `size`?"),
        (
            "type = \"linux\"\nfilesytem = \"ext4\"\ncontent = [{ directory = \"x\" }]\n",
            "did you mean `filesystem`?",
        ),
        (
            "type = \"linux\"\nfilesystem = \"ext4\"\ncontent = [{ directroy = \"x\" }]\n",
            "did you mean `directory`?",
        ),
        (
            "type = \"linux\"\nfilesystem = \"ext4\"\ncontent = [{ text = \"x\", too = \"/x\" }]\n",
            "did you mean `to`?",
        ),
    ] {
        let text = rendered(&format!("[[partition]]\n{lines}"));
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.matches("error: ").count(), 1, "{text}");
    }
    let text = rendered("[[partitions]]\ntype = \"linux\"\nsize = 512\n");
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
    // Two mistakes stay two.
    let text = rendered("[[partition]]\nsiz = 512\n");
    assert_eq!(text.matches("error: ").count(), 2, "{text}");
    // Types are judged by no table where none can be told.
    let text = rendered(
        "disk = { table = \"gtp\" }\n[[partition]]\ntype = \"0x83\"\nsize = 512\nactive = true\n",
    );
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
}

#[test]
fn an_unknown_key_points_at_its_line() {
    let source =
        "[[partition]]\nname = \"root\"\ntype = \"linux\"\nfilesytem = \"ext4\"\nsize = \"1MiB\"\n";
    let expected = "\
error: partition 'root': unknown key `filesytem`
 --> image.toml:4:1
  |
4 | filesytem = \"ext4\"
  | ^^^^^^^^^ did you mean `filesystem`?
  |
  = help: the keys here are name, gpt-name, type, size, offset, number, id, attributes, mbr-type, active, filesystem, label, uuid, content, options, drop, selinux, raw, verity, verity-signature";
    assert_eq!(rendered(source), expected);
}

#[test]
fn every_problem_is_shown_in_the_order_of_the_file() {
    let source =
        "disk = { size = \"4GB\", alignmen = 5 }\n[[partition]]\nsize = \"1MiB\"\n[partitions]\n";
    let text = rendered(source);
    let found: Vec<usize> = [
        "disk: size: `4GB`",
        "unknown key `alignmen`",
        "`type` is missing",
        "key `partitions`",
    ]
    .iter()
    .map(|part| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} is not in\n{text}"))
    })
    .collect();
    assert!(found.is_sorted(), "{text}");
}

#[test]
fn bad_values_say_what_to_write() {
    let partition =
        |lines: &str| format!("[[partition]]\nname = \"p\"\ntype = \"linux\"\n{lines}\n");
    let disk =
        |lines: &str| format!("[disk]\n{lines}\n[[partition]]\ntype = \"linux\"\nsize = 512\n");
    for (source, message) in [
        (disk("size = \"4GB\""), "write \"4GiB\""),
        (
            disk("table = \"gtp\""),
            "`gtp` is none of `gpt`, `mbr`, `hybrid`",
        ),
        (disk("sector-size = 520"), "`520` is none of `512`, `4096`"),
        (disk("seed = \"abc\""), "32 hexadecimal digits"),
        (
            disk("id = \"0x12345678\""),
            "identifier of a disk with GPT: write a UUID",
        ),
        (disk("time = 2024-01-01"), "write \"2024-01-31T12:00:00Z\""),
        (
            disk("size = 1.5"),
            "this is a number with a fraction: write a size",
        ),
        (
            partition("size = \"1MiB\"\nnumber = 0"),
            "0 is outside the range 1 to 128",
        ),
        (partition("size = \"big\""), "`big` is no size rule"),
        (
            partition("size = 1\nactive = true"),
            "`active` cannot be stored in a GPT",
        ),
        (
            partition("size = 512\nmbr-type = \"0x0c\""),
            "`mbr-type` cannot be stored in a GPT",
        ),
        (
            partition("size = 1\nattributes = [\"bootable\"]"),
            "write `required`, ",
        ),
        (
            partition("size = 1\nlabel = \"x\""),
            "`label` needs a file system",
        ),
        (
            partition(""),
            "nothing says how large this empty partition is",
        ),
        (
            partition("size = \"minimum\""),
            "an empty partition has no minimum size",
        ),
        (
            partition("size = 1\nfilesystem = \"ext4\"\nraw = [{ file = \"x\" }]"),
            "both `filesystem` and `raw`",
        ),
        (
            partition("filesystem = \"ext4\"\ndrop = [\"links\"]"),
            "`links` is none of `symlinks`",
        ),
        (
            partition("filesystem = \"ext4\"\ncontent = [{ to = \"/x\" }]"),
            "names 0 of",
        ),
        (
            partition("filesystem = \"ext4\"\ncontent = [{ file = \"a\", directory = \"b\" }]"),
            "names 2 of",
        ),
        (
            partition("filesystem = \"ext4\"\ncontent = [{ text = \"a\" }]"),
            "a `text` or `template` has no `to`",
        ),
        (
            partition("filesystem = \"ext4\"\ncontent = [{ file = \"a\", owner = \"root:root\" }]"),
            "two numbers",
        ),
        (
            partition("filesystem = \"ext4\"\ncontent = [{ file = \"a\", to = \"etc\" }]"),
            "absolute path",
        ),
        (
            "[partition]\ntype = \"linux\"\n".to_owned(),
            "this is a table: write an array of tables",
        ),
        (
            disk("raw = [{ offset = 5 }]"),
            "disk: an entry of `raw` names 0 of `file`, `lba-of` and `lba`",
        ),
        (
            disk("raw = [{ file = \"a\", lba-of = \"b\" }]"),
            "names 2 of `file`, `lba-of` and `lba`",
        ),
        (
            partition("raw = [{ file = \"a\", plus = 5 }]"),
            "partition 'p': `plus` needs `lba-of`",
        ),
        (
            disk("raw = [{ lba-of = \"a\", size = 5 }]"),
            "`size` needs `file`",
        ),
        (String::new(), "there is no partition"),
        (
            "[[partition]]\ntype = \"esb\"\nsize = 1\n".to_owned(),
            "did you mean 'esp'?",
        ),
        (
            "[[partition]]\ntype = 0x83\nsize = 1\n".to_owned(),
            "this is an integer",
        ),
        ("[disk\n".to_owned(), "not valid TOML"),
    ] {
        let text = rendered(&source);
        assert!(text.contains(message), "{message} is not in\n{text}");
    }
}

#[test]
fn an_mbr_takes_bytes_as_types() {
    let source = "[disk]\ntable = \"mbr\"\n[[partition]]\ntype = 0x83\nsize = 512\nactive = true\n\
                  [[partition]]\ntype = \"0x0c\"\nsize = 512\n";
    let spec = parse(source).unwrap();
    let kinds: Vec<PartitionType> = spec
        .partitions
        .iter()
        .map(|partition| partition.kind.value)
        .collect();
    assert_eq!(kinds, [PartitionType::Mbr(0x83), PartitionType::Mbr(0x0c)]);
    let with_id = source.replace(
        "active = true",
        "id = \"0fc63daf-8483-4772-8e79-3d69d8477de4\"",
    );
    assert!(rendered(&with_id).contains("`id` cannot be stored in an MBR"));
}

#[test]
fn a_hybrid_table_takes_types_for_its_mbr() {
    let source = |lines: &str| {
        format!(
            "disk = {{ table = \"hybrid\" }}\n[[partition]]\ntype = \"esp\"\nsize = 512\n{lines}\n"
        )
    };
    for (written, byte) in [("\"fat32\"", 0x0c), ("\"0x0C\"", 0x0c), ("0xef", 0xef)] {
        let spec = parse(&source(&format!("mbr-type = {written}\nactive = true"))).unwrap();
        assert_eq!(spec.disk.scheme(), Scheme::Gpt);
        let found = spec.partitions[0].mbr_type.as_ref().map(|kind| kind.value);
        assert_eq!(found, Some(byte));
    }
    let message = rendered(&source("active = true"));
    assert!(message.contains("add mbr-type"), "{message}");
    let message = rendered(&source("mbr-type = \"0x00\""));
    assert!(message.contains("marks an unused entry"), "{message}");
    let message = rendered(&source("mbr-type = \"fat\""));
    assert!(message.contains("unknown MBR partition type"), "{message}");
    let mbr =
        "disk = { table = \"mbr\" }\n[[partition]]\ntype = 0x0c\nmbr-type = 0x0c\nsize = 512\n";
    assert!(rendered(mbr).contains("`mbr-type` cannot be stored in an MBR"));
}

#[test]
fn a_cache_has_places_and_keys_and_nothing_that_only_a_machine_decides() {
    let partition = "[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n";
    let with = |lines: &str| format!("{partition}[cache]\n{lines}\n");
    let read = parse(&with(
        "places = [\"parts\", \"https://c.example/a\", \"/srv/c\"]\ntrust = [\"ci.pub\"]",
    ));
    let cache = read.unwrap().cache.unwrap();
    let places: Vec<CachePlace> = cache.places.into_iter().map(|it| it.value).collect();
    assert_eq!(
        places,
        [
            CachePlace::Folder("/specs/parts".into()),
            CachePlace::Address("https://c.example/a".to_owned()),
            CachePlace::Folder("/srv/c".into()),
        ]
    );
    assert_eq!(cache.trust[0].value, Path::new("/specs/ci.pub"));
    for (lines, why) in [
        ("trust = [\"a\"]", "`places` is missing"),
        ("places = []", "`places` is missing"),
        ("places = \"a\"", "cache: "),
        ("places = [5]", "cache: "),
        ("places = [\"a\"]\nkey = \"b\"", "unknown key `key`"),
        ("places = [\"a\"]\nmode = \"write\"", "unknown key `mode`"),
    ] {
        let message = rendered(&with(lines));
        assert!(message.contains(why), "{lines}: {message}");
    }
}

#[test]
fn an_unknown_filesystem_lists_the_known_ones() {
    let source =
        "[[partition]]\ntype = \"linux\"\nfilesystem = \"ext3\"\n[guests]\nminix = \"m.wasm\"\n";
    let spec = parse(source).unwrap();
    let error = spec.check_filesystems(&["ext4", "vfat"]).unwrap_err();
    let text = error.render(&Files::one("image.toml", source), false);
    assert!(
        text.contains("did you mean `ext4`?") && text.contains("are ext4, vfat, minix;"),
        "{text}"
    );
    assert_eq!(spec.check_filesystems(&["ext3"]), Ok(()));
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema = json_schema();
    let schema = schema.as_value();
    for (source, pointer) in [
        ("x = 1", "/properties"),
        ("[disk]\nx = 1", "/$defs/DiskSpec/properties"),
        (
            "[[partition]]\nx = 1\nsize = 1\ntype = \"linux\"",
            "/$defs/PartitionSpec/properties",
        ),
        (
            "[[partition]]\ntype = \"linux\"\nraw = [{ x = 1, file = \"a\" }]",
            "/$defs/Raw/properties",
        ),
        (
            "[cache]\nx = 1\nplaces = [\"a\"]",
            "/$defs/CacheSpec/properties",
        ),
    ] {
        let error = parse(source).unwrap_err();
        let known = error
            .problems
            .iter()
            .find_map(|problem| match &problem.kind {
                ProblemKind::UnknownKey { known, .. } => Some(known.clone()),
                _ => None,
            });
        let mut known = known.unwrap();
        known.sort_unstable();
        let properties = schema.pointer(pointer).unwrap().as_object().unwrap();
        let mut properties: Vec<&str> = properties.keys().map(String::as_str).collect();
        properties.sort_unstable();
        assert_eq!(properties, known, "{pointer}");
    }
}

/// Lines that a spec may be made of, right and wrong.
const LINES: [&str; 26] = [
    "[disk]",
    "[[partition]]",
    "[guests]",
    "[cache]",
    "places = [\"a\", \"b://c\"]",
    "table = \"gpt\"",
    "table = \"mbr\"",
    "size = \"1MiB\"",
    "size = \"rest\"",
    "size = 5",
    "type = \"esp\"",
    "type = \"linux\"",
    "name = \"ä\"",
    "raw = [{ file = \"x\" }]",
    "raw = [5]",
    "filesystem = \"ext4\"",
    "filesystem = 5",
    "content = [{ file = \"a\" }]",
    "content = { }",
    "options = { a = 1, b = [] }",
    "drop = [\"owners\"]",
    "number = 99999999999999999999",
    "a = { file = 1 }",
    "seed = \"\u{1F600}\"",
    "time = 2024-01-01T00:00:00.5Z",
    "attributes = [-1, 64, \"x\"]",
];

proptest! {
    #[test]
    fn random_text_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = String::from_utf8_lossy(&bytes);
        if let Err(error) = parse(&source) {
            error.render(&Files::one("image.toml", source.clone()), false);
        }
    }

    #[test]
    fn random_lines_never_panic(lines in prop::collection::vec(prop::sample::select(&LINES[..]), 0..12)) {
        let source = lines.join("\n");
        if let Err(error) = parse(&source) {
            prop_assert!(!error.render(&Files::one("image.toml", source.clone()), true).is_empty());
        }
    }

    #[test]
    fn a_damaged_spec_never_panics(at in 0..DESIGN.len(), byte in any::<u8>()) {
        let mut bytes = DESIGN.as_bytes().to_vec();
        bytes[at] = byte;
        let source = String::from_utf8_lossy(&bytes);
        if let Err(error) = parse(&source) {
            error.render(&Files::one("image.toml", source.clone()), false);
        }
    }
}

/// As many as there are, and no more is said than somebody reads.
#[test]
fn any_number_of_mistakes_is_said_in_part() {
    let source =
        |count: usize| -> String { (0..count).map(|it| format!("dis{it} = 1\n")).collect() };
    let said = |count| rendered(&source(count));
    // One is that there is no partition.
    let few = said(49);
    assert!(!few.contains("more mistakes"), "{few}");
    assert_eq!(few.matches("error: ").count(), 50);
    let many = said(50_000);
    assert_eq!(many.matches("error: ").count(), 51);
    let end = "\n\nerror: 49951 more mistakes; these are the first 50";
    assert!(many.ends_with(end), "{}", &many[many.len() - 200..]);
    let error = parse(&source(50_000)).unwrap_err().to_string();
    assert!(error.ends_with("; 49951 more mistakes"));
    assert!(error.len() < 10_000, "{}", error.len());
}

#[test]
fn what_is_very_long_is_said_in_part() {
    let long = "x".repeat(1 << 20);
    for source in [
        format!("{long} = 1\n"),
        format!("[[partition]]\nname = \"{long}\"\ntype = 5\n"),
        format!("[[partition]]\ntype = \"linux\"\nid = \"{long}\"\n"),
        format!("[guests]\n{long} = 5\n"),
        format!("[disk]\ntable = \"{long}\"\n"),
    ] {
        let message = rendered(&source);
        assert!(message.len() < 5000, "{} of {:.40}", message.len(), source);
    }
}

#[test]
fn a_partition_has_no_id_of_zeros() {
    let source = "[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\nid = \"00000000-0000-0000-0000-000000000000\"\n";
    let message = rendered(source);
    assert!(
        message.contains("a UUID of zeros") && message.contains(":4:6"),
        "{message}"
    );
}
