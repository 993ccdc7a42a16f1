//! Profiles and add-ons of unified kernels.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::kernels::stub;
use crate::support::bench::assert_same_bytes;
use crate::support::disk::cut_out;
use crate::support::keys::make_key;
use crate::support::{Bench, judge, text};

const SPEC: &str = r#"
[[boot.unified-kernels]]
name = "system.efi"
stub = "stub.efi"
kernel = "vmlinuz"
initrd = "initrd.img"
command-line = "quiet"
pcr-key = "test.key"
sign = { key = "test.key", certificate = "test.crt" }
profiles = [
    { id = "main" },
    { id = "rescue", title = "Rescue it", command-line = { template = "rescue.in" }, initrd = ["initrd.img", "rescue.img"] },
]
addons = [
    { name = "debug.addon.efi", stub = "stub.efi", command-line = "debug", sign = { key = "test.key", certificate = "test.crt" } },
]

[[partition]]
name = "efi"
type = "esp"
size = "40MiB"
filesystem = "vfat"

[[partition]]
name = "root"
type = "root-x86-64"
filesystem = "ext4"
content = [{ text = "verified\n", to = "/etc/hostname" }]

[[partition]]
name = "root-verity"
type = "root-x86-64-verity"
verity = { of = "root" }
"#;

const KERNEL: &str = "/EFI/Linux/system.efi";
const ADDON: &str = "/EFI/Linux/system.efi.extra.d/debug.addon.efi";

fn bench() -> Option<Bench> {
    let stub = stub()?;
    let bench = Bench::new();
    make_key(&bench, "test", "3650")?;
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    bench.write("vmlinuz", vec![0x4d; 100_003]);
    bench.write("initrd.img", vec![1; 70_001]);
    bench.write("rescue.img", vec![2; 333]);
    bench.write(
        "rescue.in",
        "rescue\nroothash={{ partition.root.verity.root-hash }}\n",
    );
    Some(bench)
}

/// The record of the kernels.
fn built(bench: &Bench, spec: &str) -> (Vec<Value>, Value) {
    bench.write("image.toml", spec);
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let kernels = record["partitions"][0]["filesystem"]["unified-kernels"].clone();
    let root = record["partitions"][2]["verity"]["root-hash"].clone();
    (kernels.as_array().unwrap().clone(), root)
}

fn taken(bench: &Bench, path: &str) -> Option<PathBuf> {
    let esp = cut_out(bench, &bench.path("disk.img"), "efi");
    let bytes = super::content(&esp, &format!("::{path}"))?;
    Some(bench.write("taken.efi", bytes))
}

/// The sections of an image behind those of the stub, with what they hold.
fn sections(bench: &Bench, image: &[u8]) -> Vec<(String, Vec<u8>)> {
    let all = all_sections(image);
    let own = all_sections(&fs::read(bench.path("stub.efi")).unwrap()).len();
    all[own..].to_vec()
}

fn all_sections(image: &[u8]) -> Vec<(String, Vec<u8>)> {
    let at32 = |at: usize| u32::from_le_bytes(*image[at..].first_chunk().unwrap()) as usize;
    let at16 = |at: usize| usize::from(u16::from_le_bytes(*image[at..].first_chunk().unwrap()));
    let headers = at32(0x3c);
    let table = headers + 24 + at16(headers + 20);
    (0..at16(headers + 6))
        .map(|index| {
            let at = table + 40 * index;
            let name = String::from_utf8(image[at..at + 8].to_vec()).unwrap();
            let (length, begin) = (at32(at + 8), at32(at + 20));
            let end = (begin + length).min(image.len());
            (
                name.trim_end_matches('\0').to_owned(),
                image[begin..end].to_vec(),
            )
        })
        .collect()
}

/// What register 11 becomes of sections in the order in which systemd measures them.
fn measured(sections: &[(&str, &[u8])]) -> String {
    let mut register = [0_u8; 32];
    let mut extend = |bytes: &[u8]| {
        let both = [&register[..], &Sha256::digest(bytes)].concat();
        register = Sha256::digest(both).into();
    };
    for (name, content) in sections {
        extend(format!("{name}\0").as_bytes());
        extend(content);
    }
    register.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn profiles_follow_the_kernel_and_are_measured() {
    let Some(bench) = bench() else { return };
    let (kernels, root) = built(&bench, SPEC);
    let Some(kernel) = taken(&bench, KERNEL) else {
        return;
    };
    let sections = sections(&bench, &fs::read(&kernel).unwrap());
    let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        ".cmdline", ".initrd", ".pcrpkey", ".linux", ".profile", ".pcrsig", ".profile", ".cmdline",
        ".initrd", ".pcrsig",
    ];
    assert_eq!(names, expected);
    let held = |index: usize| &sections[index].1[..];
    assert_eq!(held(4), b"ID=main\n");
    assert_eq!(held(6), b"ID=rescue\nTITLE=\"Rescue it\"\n");
    let line = format!("rescue roothash={}", root.as_str().unwrap());
    assert_eq!(held(7), line.as_bytes());
    assert_eq!(held(8)[70_004..], [2; 333]);
    let told = kernels.iter().find(|it| it["path"] == KERNEL).unwrap();
    let main = measured(&[
        (".linux", held(3)),
        (".cmdline", held(0)),
        (".initrd", held(1)),
        (".pcrpkey", held(2)),
        (".profile", held(4)),
    ]);
    let rescue = measured(&[
        (".linux", held(3)),
        (".cmdline", held(7)),
        (".initrd", held(8)),
        (".pcrpkey", held(2)),
        (".profile", held(6)),
    ]);
    assert_eq!(told["profiles"]["main"][""], main.as_str());
    assert_eq!(told["profiles"]["rescue"][""], rescue.as_str());
    // The first profile is the usual one.
    assert_eq!(told["pcr-11"], told["profiles"]["main"]);
}

#[test]
fn an_addon_lies_beside_its_kernel() {
    let Some(bench) = bench() else { return };
    let (kernels, _) = built(&bench, SPEC);
    let told = kernels.iter().find(|it| it["path"] == ADDON).unwrap();
    assert_eq!(told["command-line"], "debug");
    assert_eq!(told["pcr-11"], Value::Null);
    let Some(addon) = taken(&bench, ADDON) else {
        return;
    };
    let sections = sections(&bench, &fs::read(&addon).unwrap());
    assert_eq!(sections, [(".cmdline".to_owned(), b"debug".to_vec())]);
    for path in [KERNEL, ADDON] {
        let file = taken(&bench, path).unwrap();
        let Some(sbverify) = judge("sbverify") else {
            return;
        };
        let mut command = sbverify.command();
        command
            .current_dir(bench.folder())
            .args(["--cert", "test.crt"]);
        let output = command.arg(file).output().unwrap();
        assert!(output.status.success(), "{path}: {}", text(&output));
    }
}

#[test]
fn profiles_and_addons_are_printed_as_they_mean() {
    let Some(bench) = bench() else { return };
    built(&bench, SPEC);
    fs::rename(bench.path("disk.img"), bench.path("first.img")).unwrap();
    let printed = bench.done(&["convert", "image.toml"]);
    built(&bench, &printed);
    assert_same_bytes(&bench.path("first.img"), &bench.path("disk.img"));
}

#[test]
fn what_no_profile_or_addon_can_be_is_refused_at_its_line() {
    let Some(bench) = bench() else { return };
    for (from, to, expected) in [
        (
            "id = \"main\"",
            "id = \"rescue\"",
            "there is a profile `rescue` already",
        ),
        (
            "id = \"main\"",
            "id = \"a b\"",
            "`a b` is no name of a profile",
        ),
        (
            "id = \"main\"",
            "id = \"main\", kernel = \"vmlinuz\"",
            "unknown key `kernel`",
        ),
        ("Rescue it", "Rescue\\nit", "is no title"),
        (
            "debug.addon.efi",
            "debug.efi",
            "`debug.efi` is no name of an add-on",
        ),
        (
            "command-line = \"debug\"",
            "kernel = \"vmlinuz\"",
            "unknown key `kernel`",
        ),
        (
            "{ template = \"rescue.in\" }",
            "\"usrhash=a usrhash=b\"",
            "`usrhash=` 2 times",
        ),
        ("\"rescue.img\"", "\"missing.img\"", "missing.img"),
    ] {
        bench.refuses_spec(SPEC, from, to, expected);
    }
}
