//! Names in JSON are the bytes that they are, as python reads them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use tar::EntryType;

use crate::support::{Bench, judge};

/// What Unix takes for names, and systemd uses.
const NAMES: [&[u8]; 12] = [
    br"a\n",
    br"a\xff",
    b"a\n",
    b"a\xff",
    b"a\\\xff",
    b"a\tb",
    b"a\x1b[2J",
    b"a\"b",
    "a\u{2028}b\u{202e}".as_bytes(),
    "b\u{fffd}".as_bytes(),
    br"system-systemd\x2dcryptsetup.slice",
    "ünï 根".as_bytes(),
];

/// Each member that tells bytes, with these as digits: a line `KEY DIGITS`.
const READ: &str = "
import json, sys
def walk(value):
    if isinstance(value, list):
        for one in value: walk(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            walk(one)
            if isinstance(one, str) and not key.endswith('-bytes'):
                told = one.encode()
                if key + '-bytes' in value:
                    told = bytes.fromhex(value[key + '-bytes'])
                    try: told.decode()
                    except UnicodeDecodeError: pass
                    else: raise SystemExit(f'{key}: {one} is text')
                print(key, told.hex())
walk(json.load(open(sys.argv[1])))
";

/// The values of each member, in order, as python reads what a command prints.
fn told(bench: &Bench, line: &[&str], code: i32) -> Option<BTreeMap<String, Vec<Vec<u8>>>> {
    let python = judge("python3")?;
    let outcome = bench.run(line);
    assert_eq!(outcome.code, Some(code), "{line:?}: {}", outcome.stderr);
    bench.write("told.json", outcome.stdout);
    let said = python.answer(&["-c", READ, "told.json"], bench.folder(), "");
    let mut found = BTreeMap::<String, Vec<Vec<u8>>>::new();
    for line in said.lines() {
        let (key, digits) = line.rsplit_once(' ').unwrap();
        let digits = digits.as_bytes().chunks(2);
        let bytes = digits.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        });
        found
            .entry(key.to_owned())
            .or_default()
            .push(bytes.collect());
    }
    found.values_mut().for_each(|values| values.sort());
    Some(found)
}

/// All names with something before and behind each, in order.
fn all(before: &str, behind: &str) -> Vec<Vec<u8>> {
    let around = |name: &&[u8]| [before.as_bytes(), name, behind.as_bytes()].concat();
    let mut all: Vec<Vec<u8>> = NAMES.iter().map(around).collect();
    all.sort();
    all
}

/// An archive of files, directories, links and attributes of all names; of `other`, what they lead to is another.
fn archive(other: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind: EntryType, path: &[u8], link: &[u8], content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_mtime(1_600_000_000);
        if !link.is_empty() {
            header.set_link_name_literal(link).unwrap();
        }
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, OsStr::from_bytes(path), content)
            .unwrap();
    };
    for (number, name) in NAMES.iter().enumerate() {
        let linked = [b"f/", *name].concat();
        add(EntryType::Regular, &linked, b"", b"a file\n");
        let other_file = [b"f/", *name, other.as_bytes()].concat();
        if !other.is_empty() {
            add(EntryType::Regular, &other_file, b"", b"a file\n");
        }
        let within = [b"d/", *name, b"/x"].concat();
        add(EntryType::Regular, &within, b"", &[1; 4096]);
        let target = [*name, other.as_bytes()].concat();
        add(
            EntryType::Symlink,
            format!("s{number}").as_bytes(),
            &target,
            b"",
        );
        let path = format!("l{number}");
        add(EntryType::Link, path.as_bytes(), &other_file, b"");
        let record = [b" SCHILY.xattr.user.", *name, other.as_bytes(), b"=yes\n"].concat();
        let length = record.len() + 2;
        let record = [length.to_string().as_bytes(), &record].concat();
        add(EntryType::XHeader, b"pax", b"", &record);
        let path = format!("a{number}");
        add(EntryType::Regular, path.as_bytes(), b"", b"");
    }
    archive.into_inner().unwrap()
}

#[test]
fn what_a_file_system_holds_is_told_exactly() {
    let bench = Bench::new();
    bench.write("root.tar", archive(""));
    for kind in ["ext4", "squashfs"] {
        bench.done(&[
            "mkfs",
            kind,
            "--content",
            "root.tar",
            "-q",
            "-o",
            "disk.img",
        ]);
        for line in [
            &["ls", "-R", "--json", "disk.img"][..],
            &["tree", "--json", "disk.img"],
        ] {
            let Some(found) = told(&bench, line, 0) else {
                return;
            };
            let paths = &found["path"];
            for path in [all("/f/", ""), all("/d/", ""), all("/d/", "/x")].concat() {
                assert!(paths.contains(&path), "{}", path.escape_ascii());
            }
            assert_eq!(found["target"], all("", ""));
            assert_eq!(found["hard-link-of"], all("/f/", ""));
            assert_eq!(found["name"], all("user.", ""));
        }
        let found = told(&bench, &["du", "--json", "disk.img:/d"], 0).unwrap();
        let mut expected = all("/d/", "");
        expected.insert(0, b"/d".to_vec());
        assert_eq!(found["path"], expected);
        for name in NAMES
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
        {
            let place = format!("disk.img:/f/{name}");
            let found = told(&bench, &["stat", "--json", &place], 0).unwrap();
            assert_eq!(found["path"], [format!("/f/{name}").into_bytes()]);
        }
        let found = told(
            &bench,
            &["report", "disk.img", "-o", "page.html", "--json", "-"],
            0,
        );
        for path in &found.unwrap()["path"] {
            let is_known = all("/d/", "").contains(path) || all("/d/", "/x").contains(path);
            assert!(
                is_known || path == b"/d" || path == b"/f",
                "{}",
                path.escape_ascii()
            );
        }
    }
}

#[test]
fn what_differs_is_told_exactly() {
    let bench = Bench::new();
    bench.write("root.tar", archive(""));
    bench.write("other.tar", archive("\\"));
    bench.create_folder("empty");
    let Some(found) = told(&bench, &["diff", "--json", "empty", "root.tar"], 1) else {
        return;
    };
    for path in [all("/f/", ""), all("/d/", "/x")].concat() {
        assert!(found["path"].contains(&path), "{}", path.escape_ascii());
    }
    let found = told(&bench, &["diff", "--json", "root.tar", "other.tar"], 1).unwrap();
    for (key, other) in [("was", ""), ("is", "\\")] {
        let mut expected = [all("", other), all("/f/", other), all("user.", other)].concat();
        expected.sort();
        assert_eq!(found[key], expected, "{key}");
    }
}

#[test]
fn what_differs_of_disks_is_told_exactly() {
    let bench = Bench::new();
    bench.write("root.tar", archive(""));
    let spec = |more: &str| {
        let spec = format!(
            "[disk]\ntable = \"gpt\"\n[[partition]]\nname = 'r\\oot'\ntype = \"linux-generic\"\nsize = \"4MiB\"\nfilesystem = \"ext4\"\n\
             label = 'l\\{more}'\ncontent = [{{ archive = \"root{more}.tar\" }}]\n"
        );
        bench.write("image.toml", spec);
    };
    spec("");
    let Some(found) = told(
        &bench,
        &["build", "--dry-run", "-o", "disk.img", "--json", "-"],
        0,
    ) else {
        return;
    };
    let known = all("/d/", "");
    assert_eq!(found["path"].len(), 10);
    assert!(found["path"].iter().all(|path| known.contains(path)));
    bench.done(&["build", "-q", "-o", "disk.img", "--json", "record.json"]);
    bench.write("root2.tar", archive("\\"));
    spec("2");
    bench.done(&["build", "-q", "-o", "other.img"]);
    let found = told(&bench, &["diff", "--json", "disk.img", "other.img"], 1).unwrap();
    for path in all("r\\oot:/f/", "\\") {
        assert!(found["path"].contains(&path), "{}", path.escape_ascii());
    }
    let partition = br"partition 1 'r\oot'".to_vec();
    assert!(found["path"].contains(&partition), "{:?}", found["path"]);
    assert!(found["was"].contains(&br"l\".to_vec()));
    let line = ["verify", "disk.img", "image.toml", "--json", "-"];
    let found = told(&bench, &line, 1).unwrap();
    assert!(found["partition"].contains(&br"r\oot".to_vec()));
    for path in all("/f/", "\\") {
        assert!(found["path"].contains(&path), "{}", path.escape_ascii());
    }
    for target in all("", "\\") {
        assert!(found["was"].contains(&target), "{}", target.escape_ascii());
    }
    let line = [
        "verify",
        "disk.img",
        "--record",
        "record.json",
        "--json",
        "-",
    ];
    let found = told(&bench, &line, 0).unwrap();
    assert!(found["partition"].contains(&br"r\oot".to_vec()));
}

#[test]
fn a_file_whose_name_is_no_text_is_told_of_without_a_fault() {
    let bench = Bench::new();
    let (file, folder) = (OsStr::from_bytes(b"n\xff"), OsStr::from_bytes(b"m\xff"));
    std::fs::create_dir(bench.path("").join(folder)).unwrap();
    for (command, name, told) in [
        ("init", file, "\"n\u{fffd}\""),
        ("manual", folder, "\"m\u{fffd}/"),
    ] {
        let mut line = bench.cellblock();
        let output = line.arg(command).arg(name).arg("--json").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(said.to_string().contains(told), "{said}");
    }
}
