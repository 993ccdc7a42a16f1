//! What is signed for Secure Boot, judged by sbsigntool and osslsigncode; firmware itself judges in `secure`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::kernels::{SYSTEMD, stub};
use crate::signatures::sign_elsewhere;
use crate::support::bench::assert_same_bytes;
use crate::support::disk::cut_out;
use crate::support::keys::make_key;
use crate::support::{Bench, Judge, judge, text};

/// A disk with a boot loader and a kernel that are signed; the kernel names a root hash.
const SPEC: &str = r#"
[boot]
unified-kernels = [{ name = "system.efi", stub = "stub.efi", kernel = "vmlinuz", initrd = "initrd.img", command-line = { template = "cmdline.in" }, sign = { key = "test.key", certificate = "test.crt" } }]

[boot.systemd-boot]
image = "loader.efi"
sign = { key = "test.key", certificate = "test.crt" }

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

/// What is signed on the ESP.
const SIGNED: [&str; 3] = [
    "/EFI/Linux/system.efi",
    "/EFI/BOOT/BOOTX64.EFI",
    "/EFI/systemd/systemd-bootx64.efi",
];

fn bench() -> Option<(Bench, Judge)> {
    let stub = stub()?;
    let bench = Bench::new();
    let openssl = make_key(&bench, "test", "3650")?;
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    let loader = Path::new(SYSTEMD).join("systemd-bootx64.efi");
    fs::copy(loader, bench.path("loader.efi")).unwrap();
    bench.write("vmlinuz", vec![0x4d; 1_000_003]);
    bench.write("initrd.img", vec![1; 70_001]);
    bench.write(
        "cmdline.in",
        "roothash={{ partition.root.verity.root-hash }}\n",
    );
    Some((bench, openssl))
}

fn built(bench: &Bench, spec: &str, more: &[&str]) -> (PathBuf, Value) {
    bench.write("image.toml", spec);
    let mut arguments = vec!["build", "image.toml", "-o", "disk.img", "--json", "-"];
    arguments.extend(more);
    let record = serde_json::from_str(&bench.done(&arguments)).unwrap();
    (bench.path("disk.img"), record)
}

/// A file of the ESP, as a file.
fn taken(bench: &Bench, image: &Path, path: &str) -> Option<PathBuf> {
    let esp = cut_out(bench, image, "efi");
    let bytes = super::content(&esp, &format!("::{path}"))?;
    Some(bench.write("taken.efi", bytes))
}

/// Whether sbsigntool finds a signature of this certificate in a file.
fn is_signed(bench: &Bench, sbverify: &Judge, certificate: &str, file: &Path) -> bool {
    let mut command = sbverify.command();
    command
        .current_dir(bench.folder())
        .args(["--cert", certificate]);
    let output = command.arg(file).output().unwrap();
    let said = text(&output);
    assert!(!said.contains("gap in section table"), "{said}");
    output.status.success()
}

/// Where the bytes are of a file that no signature covers: the checksum and the place of the signatures, and the signatures.
fn uncovered(bytes: &[u8]) -> [std::ops::Range<usize>; 3] {
    let at32 = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
    let optional = at32(0x3c) + 24;
    let directory = optional + 112 + 32;
    [
        optional + 64..optional + 68,
        directory..directory + 8,
        at32(directory)..bytes.len(),
    ]
}

#[test]
fn what_is_signed_is_accepted_and_a_flipped_byte_is_not() {
    let Some((bench, _)) = bench() else { return };
    make_key(&bench, "other", "3650");
    let (image, _) = built(&bench, SPEC, &[]);
    let Some(sbverify) = judge("sbverify") else {
        return;
    };
    for path in SIGNED {
        let Some(file) = taken(&bench, &image, path) else {
            return;
        };
        assert!(is_signed(&bench, &sbverify, "test.crt", &file), "{path}");
        assert!(!is_signed(&bench, &sbverify, "other.crt", &file), "{path}");
        let bytes = fs::read(&file).unwrap();
        let covered = uncovered(&bytes);
        let end = covered[2].start;
        for offset in [2, 0x200, 0x1234, end / 2, end - 1] {
            assert!(!covered.iter().any(|range| range.contains(&offset)));
            let mut flipped = bytes.clone();
            flipped[offset] ^= 1;
            let flipped = bench.write("flipped.efi", flipped);
            let accepted = is_signed(&bench, &sbverify, "test.crt", &flipped);
            assert!(!accepted, "{path}: byte {offset}");
        }
    }
}

#[test]
fn osslsigncode_finds_the_digest_and_the_checksum_right() {
    let Some((bench, _)) = bench() else { return };
    let (image, _) = built(&bench, SPEC, &[]);
    let Some(osslsigncode) = judge("osslsigncode") else {
        return;
    };
    for path in SIGNED {
        let Some(file) = taken(&bench, &image, path) else {
            return;
        };
        let mut command = osslsigncode.command();
        command.current_dir(bench.folder());
        command
            .args(["verify", "-CAfile", "test.crt", "-in"])
            .arg(&file);
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{path}: {said}");
        assert!(
            said.contains("Signature verification: ok"),
            "{path}: {said}"
        );
        assert!(
            !said.contains("mismatch") && !said.contains("MISMATCH"),
            "{path}: {said}"
        );
    }
}

#[test]
fn signatures_are_the_same_twice_and_the_record_has_the_digest() {
    let Some((bench, _)) = bench() else { return };
    let (image, record) = built(&bench, SPEC, &["--jobs", "1"]);
    if let Some(file) = taken(&bench, &image, SIGNED[0]) {
        let told = &record["partitions"][0]["filesystem"]["unified-kernels"][0];
        assert_eq!(told["sha256"], crate::support::bench::sha256(&file));
    }
    fs::rename(&image, bench.path("first.img")).unwrap();
    let (image, _) = built(&bench, SPEC, &["--jobs", "4"]);
    assert_same_bytes(&bench.path("first.img"), &image);
}

#[test]
fn a_key_that_stays_elsewhere_signs_the_chain() {
    let Some((bench, openssl)) = bench() else {
        return;
    };
    let (image, _) = built(&bench, SPEC, &[]);
    fs::rename(&image, bench.path("first.img")).unwrap();
    let spec = SPEC
        .replacen("key = \"test.key\"", "signature = \"kernel.sig\"", 1)
        .replacen("key = \"test.key\"", "signature = \"loader.sig\"", 1);
    bench.write("image.toml", &spec);
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let asked = sign_elsewhere(&bench, &openssl);
    let what: Vec<&str> = asked
        .iter()
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["/EFI/Linux/system.efi", "loader.efi"]);
    let (image, _) = built(&bench, &spec, &[]);
    assert_same_bytes(&bench.path("first.img"), &image);
}

#[test]
fn a_second_signature_leaves_the_first_one() {
    let Some((bench, _)) = bench() else { return };
    make_key(&bench, "other", "3650");
    let (Some(sbsign), Some(sbverify)) = (judge("sbsign"), judge("sbverify")) else {
        return;
    };
    let mut command = sbsign.command();
    command.current_dir(bench.folder());
    command.args([
        "--key",
        "other.key",
        "--cert",
        "other.crt",
        "--output",
        "loader.efi",
        "loader.efi",
    ]);
    assert!(command.output().unwrap().status.success());
    let (image, _) = built(&bench, SPEC, &[]);
    let Some(file) = taken(&bench, &image, SIGNED[1]) else {
        return;
    };
    for certificate in ["test.crt", "other.crt"] {
        assert!(
            is_signed(&bench, &sbverify, certificate, &file),
            "{certificate}"
        );
    }
}

#[test]
fn what_shim_starts_is_signed() {
    let Some((bench, _)) = bench() else { return };
    fs::copy(bench.path("loader.efi"), bench.path("shim.efi")).unwrap();
    let spec = SPEC.replace(
        "[boot.systemd-boot]\nimage = \"loader.efi\"",
        "[boot.grub-efi]\nimage = \"loader.efi\"\nshim = \"shim.efi\"",
    );
    assert_ne!(spec, SPEC);
    let (image, _) = built(&bench, &spec, &[]);
    let Some(sbverify) = judge("sbverify") else {
        return;
    };
    let Some(second) = taken(&bench, &image, "/EFI/BOOT/grubx64.efi") else {
        return;
    };
    assert!(is_signed(&bench, &sbverify, "test.crt", &second));
    let shim = taken(&bench, &image, "/EFI/BOOT/BOOTX64.EFI").unwrap();
    assert_same_bytes(&shim, &bench.path("shim.efi"));
}

#[test]
fn what_cannot_be_signed_is_refused_at_its_line_and_nothing_is_written() {
    let Some((bench, _)) = bench() else { return };
    make_key(&bench, "other", "3650");
    let loader = fs::read(bench.path("loader.efi")).unwrap();
    let headers = u32::from_le_bytes(*loader[0x3c..].first_chunk().unwrap()) as usize;
    let optional = u16::from_le_bytes(*loader[headers + 20..].first_chunk().unwrap());
    // The second section begins later than the first one ends.
    let mut gap = loader.clone();
    let second = headers + 24 + usize::from(optional) + 40 + 20;
    gap[second + 1] ^= 2;
    bench.write("gap.efi", gap);
    bench.write("short.efi", &loader[..loader.len() / 2]);
    bench.write("wrong.sig", [0; 256]);
    for (from, to, expected) in [
        (
            "image = \"loader.efi\"",
            "image = \"gap.efi\"",
            "its sections do not follow one another",
        ),
        (
            "image = \"loader.efi\"",
            "image = \"short.efi\"",
            "it ends in its sections",
        ),
        (
            "test.key",
            "other.key",
            "the key does not fit the certificate",
        ),
        (
            "key = \"test.key\"",
            "signature = \"wrong.sig\"",
            "it is no signature of",
        ),
        ("size = \"40MiB\"", "size = \"1MiB\"", "efi"),
    ] {
        bench.refuses_spec(SPEC, from, to, expected);
    }
}
