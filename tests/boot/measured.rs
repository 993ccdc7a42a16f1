//! Signatures of what a TPM will measure, compared with systemd's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kernels::stub;
use crate::support::disk::cut_out;
use crate::support::keys::{done, make_key};
use crate::support::{Bench, Judge, judge, skipped, text};

const MEASURE: &str = "/lib/systemd/systemd-measure";

const SPEC: &str = r#"
[boot]
unified-kernels = [{ name = "system.efi", stub = "stub.efi", kernel = "vmlinuz", initrd = "initrd.img", command-line = "quiet", os-release = "os-release", pcr-key = "pcr.key", sign = { key = "pcr.key", certificate = "pcr.crt" } }]

[[partition]]
name = "efi"
type = "esp"
size = "40MiB"
filesystem = "vfat"
"#;

/// What is given to systemd-measure of the same parts.
const PARTS: [&str; 6] = [
    "--bank=sha256",
    "--linux=vmlinuz",
    "--osrel=os-release",
    "--cmdline=cmdline",
    "--initrd=initrd.img",
    "--pcrpkey=pcr.pub",
];

/// A kernel with signatures: what the record says of it, and its file.
fn built() -> Option<(Bench, Judge, Value, PathBuf)> {
    let stub = stub()?;
    let bench = Bench::new();
    let openssl = make_key(&bench, "pcr", "3650")?;
    let public = ["pkey", "-in", "pcr.key", "-pubout", "-out", "pcr.pub"];
    done(&bench, &openssl, &public);
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    bench.write("vmlinuz", vec![0x4d; 100_003]);
    bench.write("initrd.img", vec![1; 70_001]);
    bench.write("os-release", "ID=test\nVERSION_ID=1\n");
    bench.write("cmdline", "quiet");
    bench.write("image.toml", SPEC);
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let told = record["partitions"][0]["filesystem"]["unified-kernels"][0].clone();
    let esp = cut_out(&bench, &bench.path("disk.img"), "efi");
    let kernel = super::content(&esp, "::/EFI/Linux/system.efi")?;
    let kernel = bench.write("system.efi", kernel);
    Some((bench, openssl, told, kernel))
}

/// What is in a section.
fn section(bench: &Bench, kernel: &Path, name: &str) -> Option<Vec<u8>> {
    let objcopy = judge("objcopy")?;
    let out = bench.path("section");
    let mut command = objcopy.command();
    command.args(["-O", "binary", "--only-section", name]);
    let output = command.arg(kernel).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let mut bytes = fs::read(out).unwrap();
    // Where binutils copies what fills up the section, too, that is zeros.
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    bytes.truncate(end);
    Some(bytes)
}

#[test]
fn the_public_key_is_in_the_kernel_and_measured() {
    let Some((bench, _, told, kernel)) = built() else {
        return;
    };
    let Some(public) = section(&bench, &kernel, ".pcrpkey") else {
        return;
    };
    assert_eq!(public, fs::read(bench.path("pcr.pub")).unwrap());
    if !Path::new(MEASURE).exists() {
        skipped("systemd-measure", "nothing measures a unified kernel");
        return;
    }
    let mut command = Command::new(MEASURE);
    command
        .current_dir(bench.folder())
        .arg("calculate")
        .args(PARTS);
    let output = command
        .args(["--phase=enter-initrd", "--json=short"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["pcr-11"]["enter-initrd"], theirs["sha256"][0]["hash"]);
}

#[test]
fn the_signatures_verify_with_the_public_key() {
    let Some((bench, openssl, told, kernel)) = built() else {
        return;
    };
    let Some(signatures) = section(&bench, &kernel, ".pcrsig") else {
        return;
    };
    let signatures: Value = serde_json::from_slice(&signatures).unwrap();
    let entries = signatures["sha256"].as_array().unwrap();
    assert_eq!(entries.len(), told["pcr-11"].as_object().unwrap().len() - 1);
    for entry in entries {
        let policy = crate::signatures::bytes_of(entry["pol"].as_str().unwrap());
        bench.write("policy", policy);
        bench.write("base64", entry["sig"].as_str().unwrap());
        done(
            &bench,
            &openssl,
            &["base64", "-d", "-A", "-in", "base64", "-out", "signature"],
        );
        let verify = [
            "dgst",
            "-sha256",
            "-verify",
            "pcr.pub",
            "-signature",
            "signature",
            "policy",
        ];
        done(&bench, &openssl, &verify);
    }
}

/// A TPM that is emulated.
struct Tpm(Child);

impl Tpm {
    fn start(bench: &Bench, swtpm: &Judge) -> Self {
        let folder = bench.create_folder("tpm");
        let at = |name: &str| folder.join(name).display().to_string();
        let mut command = swtpm.command();
        command
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", folder.display())])
            .args(["--server", &format!("type=unixio,path={}", at("socket"))])
            .args(["--ctrl", &format!("type=unixio,path={}", at("socket.ctrl"))])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let tpm = Self(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        while !folder.join("socket.ctrl").exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        tpm
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_signatures_are_those_of_systemd_measure() {
    let Some((bench, _, _, kernel)) = built() else {
        return;
    };
    let Some(swtpm) = judge("swtpm") else { return };
    if !Path::new(MEASURE).exists() {
        skipped("systemd-measure", "nothing signs measurements");
        return;
    }
    let Some(ours) = section(&bench, &kernel, ".pcrsig") else {
        return;
    };
    let _tpm = Tpm::start(&bench, &swtpm);
    let device = format!(
        "--tpm2-device=swtpm:path={}",
        bench.path("tpm/socket").display()
    );
    let mut command = Command::new(MEASURE);
    command.current_dir(bench.folder()).arg("sign").args(PARTS);
    command.args(["--private-key=pcr.key", "--public-key=pcr.pub", &device]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8(ours).unwrap(), theirs.trim_end());
}

#[test]
fn no_digest_of_a_private_key_is_told() {
    let Some((bench, ..)) = built() else { return };
    let arguments = [
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "--provenance",
        "told.json",
    ];
    bench.done(&arguments);
    let told = fs::read_to_string(bench.path("told.json")).unwrap();
    let digest = |name: &str| crate::support::bench::sha256(&bench.path(name));
    assert!(told.contains(&digest("vmlinuz")), "{told}");
    assert!(!told.contains(&digest("pcr.key")), "{told}");
}
