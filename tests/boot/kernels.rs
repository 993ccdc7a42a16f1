//! Unified kernels that are assembled, judged by binutils and by systemd.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bench::sha256;
use crate::support::disk::cut_out;
use crate::support::{Bench, judge, skipped, text};

/// Where Debian has systemd's stub and boot loader.
pub(super) const SYSTEMD: &str = "/usr/lib/systemd/boot/efi";

/// systemd's stub.
pub(super) fn stub() -> Option<PathBuf> {
    let stub = Path::new(SYSTEMD).join("linuxx64.efi.stub");
    if stub.exists() {
        return Some(stub);
    }
    skipped("systemd-boot-efi", "no stub of a unified kernel");
    None
}

const SPEC: &str = r#"
[boot]
unified-kernels = [{ name = "system.efi", stub = "stub.efi", kernel = "vmlinuz", initrd = ["one.img", "two.img"], command-line = { template = "cmdline.in" }, os-release = "os-release", uname = "6.1.0-test" }]

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

fn bench(stub: &Path) -> Bench {
    let bench = Bench::new();
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    // Lengths that are no multiples of anything.
    bench.write("vmlinuz", vec![0x4d; 1_000_003]);
    bench.write("one.img", vec![1; 70_001]);
    bench.write("two.img", vec![2; 333]);
    bench.write("os-release", "ID=test\nVERSION_ID=1\n");
    bench.write(
        "cmdline.in",
        "roothash={{ partition.root.verity.root-hash }}\n  console=ttyS0\n",
    );
    bench
}

/// Builds; the kernel from the ESP, and the record of it.
fn built(bench: &Bench, spec: &str) -> (Option<PathBuf>, Value) {
    bench.write("image.toml", spec);
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let esp = cut_out(bench, &bench.path("disk.img"), "efi");
    let kernel = super::content(&esp, "::/EFI/Linux/system.efi");
    (kernel.map(|bytes| bench.write("system.efi", bytes)), record)
}

/// The two images, the first one's end filled up to four bytes.
fn initrds() -> Vec<u8> {
    let mut initrds = vec![1; 70_001];
    initrds.extend([0, 0, 0]);
    initrds.extend([2; 333]);
    initrds
}

#[test]
fn the_sections_are_those_that_were_asked_for() {
    let Some(stub) = stub() else { return };
    let bench = bench(&stub);
    let (Some(kernel), record) = built(&bench, SPEC) else {
        return;
    };
    let root = record["partitions"][2]["verity"]["root-hash"]
        .as_str()
        .unwrap();
    let command_line = format!("roothash={root} console=ttyS0");
    let told = &record["partitions"][0]["filesystem"]["unified-kernels"][0];
    assert_eq!(told["path"], "/EFI/Linux/system.efi");
    assert_eq!(told["command-line"], command_line.as_str());
    assert_eq!(told["sha256"], sha256(&kernel));
    let (Some(objdump), Some(objcopy)) = (judge("objdump"), judge("objcopy")) else {
        return;
    };
    let shown = text(&objdump.run(&["-h"], &kernel));
    for section in [
        ".text", ".sbat", ".osrel", ".cmdline", ".uname", ".initrd", ".linux",
    ] {
        assert!(shown.contains(section), "{section}: {shown}");
    }
    let expected: [(&str, Vec<u8>); 5] = [
        (".osrel", fs::read(bench.path("os-release")).unwrap()),
        (".cmdline", command_line.into_bytes()),
        (".uname", b"6.1.0-test".to_vec()),
        (".initrd", initrds()),
        (".linux", fs::read(bench.path("vmlinuz")).unwrap()),
    ];
    for (section, bytes) in expected {
        let out = bench.path("section");
        let output = objcopy
            .command()
            .args(["-O", "binary", "--only-section", section])
            .arg(&kernel)
            .arg(&out)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let found = fs::read(&out).unwrap();
        // Where binutils copies what fills up the section, too, that is zeros.
        assert!(
            found.starts_with(&bytes),
            "{section}: {} bytes",
            found.len()
        );
        assert!(
            found[bytes.len()..].iter().all(|byte| *byte == 0),
            "{section}"
        );
    }
    // The stub's own code stays as it was.
    for file in [&stub, &kernel] {
        let out = bench.path(format!("{}.text", file.file_name().unwrap().display()));
        let mut command = objcopy.command();
        command.args(["-O", "binary", "--only-section", ".text"]);
        assert!(command.arg(file).arg(&out).status().unwrap().success());
    }
    let of = |name: &str| fs::read(bench.path(name)).unwrap();
    assert!(of("linuxx64.efi.stub.text") == of("system.efi.text"));
}

#[test]
fn ukify_finds_each_section_with_its_length_and_its_digest() {
    let Some(stub) = stub() else { return };
    let bench = bench(&stub);
    let (Some(kernel), record) = built(&bench, SPEC) else {
        return;
    };
    let Some(ukify) = judge("ukify") else { return };
    let inspected = |file: &Path| -> Value {
        let mut command = ukify.command();
        command.arg("inspect").arg(file);
        let output = command.args(["--all", "--json=short"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let found = inspected(&kernel);
    let root = record["partitions"][2]["verity"]["root-hash"]
        .as_str()
        .unwrap();
    let command_line = format!("roothash={root} console=ttyS0");
    for (section, file) in [
        (".osrel", bench.path("os-release")),
        (".cmdline", bench.write("cmdline", &command_line)),
        (".uname", bench.write("uname", "6.1.0-test")),
        (".initrd", bench.write("initrd", initrds())),
        (".linux", bench.path("vmlinuz")),
    ] {
        let length = fs::metadata(&file).unwrap().len();
        assert_eq!(found[section]["size"], length, "{section}: {found}");
        assert_eq!(
            found[section]["sha256"],
            sha256(&file),
            "{section}: {found}"
        );
    }
    assert_eq!(found[".cmdline"]["text"], command_line);
    // The stub's own sections are as they were.
    for (section, own) in inspected(&stub).as_object().unwrap() {
        assert_eq!(found[section], *own, "{section}");
    }
    // A flipped byte of the command line is another section.
    let mut bytes = fs::read(&kernel).unwrap();
    let place = bytes.windows(9).position(|it| it == b"roothash=").unwrap();
    bytes[place + 9] ^= 1;
    let other = inspected(&bench.write("other.efi", bytes));
    assert_ne!(other[".cmdline"]["sha256"], found[".cmdline"]["sha256"]);
    assert_eq!(other[".linux"], found[".linux"]);
}

#[test]
fn the_checksum_is_the_one_that_a_signer_computes() {
    let Some(stub) = stub() else { return };
    let bench = bench(&stub);
    let (Some(kernel), _) = built(&bench, SPEC) else {
        return;
    };
    let bytes = fs::read(kernel).unwrap();
    let headers = u32::from_le_bytes(*bytes[0x3c..].first_chunk().unwrap()) as usize;
    let at = headers + 24 + 64;
    let stored = u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
    // The sum of 16-bit words without the checksum's own, with the carry put back, and the length.
    let mut sum: u64 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        if (at..at + 4).contains(&(index * 2)) {
            continue;
        }
        sum += u64::from(word[0]) | (u64::from(*word.get(1).unwrap_or(&0)) << 8);
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    assert_eq!(u64::from(stored), sum + bytes.len() as u64);
}

#[test]
fn measurements_are_those_of_systemd_measure() {
    const MEASURE: &str = "/lib/systemd/systemd-measure";
    let Some(stub) = stub() else { return };
    if !Path::new(MEASURE).exists() {
        skipped("systemd-measure", "nothing measures a unified kernel");
        return;
    }
    let bench = bench(&stub);
    // The version in Debian 12 knows neither of `.uname` and `.sbat`.
    let (_, record) = built(&bench, &SPEC.replace(", uname = \"6.1.0-test\"", ""));
    let told = &record["partitions"][0]["filesystem"]["unified-kernels"][0];
    bench.write("cmdline", told["command-line"].as_str().unwrap());
    bench.write("initrd", initrds());
    let mut command = std::process::Command::new(MEASURE);
    command.current_dir(bench.folder()).args([
        "calculate",
        "--bank=sha256",
        "--linux=vmlinuz",
        "--osrel=os-release",
        "--cmdline=cmdline",
        "--initrd=initrd",
        "--json=short",
    ]);
    for phase in [
        "enter-initrd",
        "enter-initrd:leave-initrd",
        "enter-initrd:leave-initrd:sysinit",
        "enter-initrd:leave-initrd:sysinit:ready",
    ] {
        command.arg(format!("--phase={phase}"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let theirs = theirs["sha256"].as_array().unwrap();
    assert_eq!(theirs.len(), 4);
    for entry in theirs {
        let phase = entry["phase"].as_str().unwrap();
        assert_eq!(told["pcr-11"][phase], entry["hash"], "{phase}");
    }
}

#[test]
fn what_cannot_be_assembled_is_refused_and_nothing_is_written() {
    let Some(stub) = stub() else { return };
    for (from, to, expected) in [
        ("stub = \"stub.efi\"", "stub = \"vmlinuz\"", "vmlinuz"),
        ("kernel = \"vmlinuz\"", "kernel = \"missing\"", "missing"),
        (
            "initrd = [\"one.img\", \"two.img\"]",
            "initrd = \"none.img\"",
            "none.img",
        ),
        (
            "{ template = \"cmdline.in\" }",
            "\"roothash=a quiet roothash=b\"",
            "`roothash=` 2 times",
        ),
        (
            "{ template = \"cmdline.in\" }",
            "\"roothash={{ partition.root.verity.root-hash }}\"",
            "`{{ partition.root.verity.root-hash }}`, which is filled in only in a template",
        ),
        (
            "uname = \"6.1.0-test\"",
            "sbat = \"os-release\"",
            "has a section .sbat already",
        ),
        (
            "name = \"system.efi\"",
            "name = \"system\"",
            "`system` is no name of a unified kernel",
        ),
        (
            "uname = \"6.1.0-test\"",
            "pcr-key = \"os-release\"",
            "it is no private key",
        ),
        (
            "size = \"40MiB\"",
            "size = \"1MiB\"",
            "partition 'efi': too small: vfat with this content needs",
        ),
    ] {
        let bench = bench(&stub);
        bench.refuses_spec(SPEC, from, to, expected);
    }
}
