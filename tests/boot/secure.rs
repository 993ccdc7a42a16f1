//! Firmware that enforces Secure Boot starts what is signed with a key that it knows, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::kernels::{SYSTEMD, stub};
use super::machine::Console;
use crate::support::keys::{done, make_key};
use crate::support::{Bench, judge, skipped};

/// Where Debian has UEFI that enforces Secure Boot, and its variables without any key.
const FIRMWARE: [&str; 2] = [
    "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
];
/// How long an emulated machine may take to say what it starts.
const LIMIT: Duration = Duration::from_secs(180);

/// Where the variables begin: behind the header of the volume and that of the store (EDK II, `VariableFormat.h`).
const STORE: usize = 0x48 + 28;
/// `EFI_GLOBAL_VARIABLE`, `EFI_IMAGE_SECURITY_DATABASE_GUID`, `gEfiSecureBootEnableDisableGuid`.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
const ENABLE: &str = "f0a30bc7-af08-4556-99c4-001009c93a44";
/// `EFI_CERT_X509_GUID`.
const X509: &str = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";
/// Kept, for the firmware and for the system; and changed by whoever signs the change.
const KEPT: u32 = 3;
const AUTHENTICATED: u32 = 0x27;

/// A UUID as firmware stores it.
fn guid(text: &str) -> [u8; 16] {
    uuid::Uuid::parse_str(text).unwrap().to_bytes_le()
}

/// A variable of the store, filled up to four bytes.
fn variable(name: &str, vendor: &str, attributes: u32, data: &[u8]) -> Vec<u8> {
    let mut name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    name.extend([0, 0]);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    // Its mark, and that it is there.
    let mut bytes = vec![0xaa, 0x55, 0x3f, 0];
    bytes.extend(attributes.to_le_bytes());
    // No counter, no time, no key of its own.
    bytes.extend([0; 8 + 16 + 4]);
    bytes.extend(length(&name));
    bytes.extend(length(data));
    bytes.extend(guid(vendor));
    bytes.extend(name);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0xff);
    bytes
}

/// A list of one certificate (UEFI, `EFI_SIGNATURE_LIST`).
fn signature_list(certificate: &[u8]) -> Vec<u8> {
    let signature = u32::try_from(16 + certificate.len()).unwrap();
    let mut bytes = guid(X509).to_vec();
    bytes.extend((28 + signature).to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(signature.to_le_bytes());
    bytes.extend(guid("00000000-0000-0000-0000-000000000000"));
    bytes.extend(certificate);
    bytes
}

/// UEFI that enforces Secure Boot and knows one certificate.
pub struct SecureFirmware {
    variables: PathBuf,
}

impl SecureFirmware {
    /// The firmware that knows `NAME.crt`; `None` where there is none.
    pub fn that_knows(bench: &Bench, name: &str) -> Option<Self> {
        let [code, empty] = FIRMWARE.map(Path::new);
        if !code.exists() || !empty.exists() {
            skipped("ovmf", "no firmware that enforces Secure Boot");
            return None;
        }
        let openssl = judge("openssl")?;
        let certificate = format!("{name}.crt");
        let der = done(
            bench,
            &openssl,
            &["x509", "-in", &certificate, "-outform", "der"],
        );
        let list = signature_list(&der);
        let variables = [
            variable("PK", GLOBAL, AUTHENTICATED, &list),
            variable("KEK", GLOBAL, AUTHENTICATED, &list),
            variable("db", DATABASE, AUTHENTICATED, &list),
            variable("SecureBootEnable", ENABLE, KEPT, &[1]),
        ]
        .concat();
        let mut store = fs::read(empty).unwrap();
        let place = STORE..STORE + variables.len();
        assert!(store[place.clone()].iter().all(|byte| *byte == 0xff));
        store[place].copy_from_slice(&variables);
        Some(Self {
            variables: bench.write("variables.fd", store),
        })
    }

    /// Lets a machine begin with it, whose changes to its variables stay with the machine.
    pub fn add_to(&self, command: &mut Command) {
        let drive = |unit: u8, more: &str, file: &Path| {
            let file = file.display();
            format!("if=pflash,format=raw,unit={unit},{more},file={file}")
        };
        command
            .args(["-machine", "q35,smm=on"])
            .args(["-global", "driver=cfi.pflash01,property=secure,value=on"])
            .args(["-drive", &drive(0, "readonly=on", Path::new(FIRMWARE[0]))])
            .args(["-drive", &drive(1, "snapshot=on", &self.variables)]);
    }
}

/// A disk with a boot loader and a kernel that are signed. What stands for the kernel is none, and the stub says so: by then firmware has
/// started all that is signed.
const SPEC: &str = r#"
[boot]
unified-kernels = [{ name = "system.efi", stub = "stub.efi", kernel = "vmlinuz", command-line = "signed words", os-release = { text = "ID=test\nVERSION_ID=1\nPRETTY_NAME=Test\n" }, sign = { key = "test.key", certificate = "test.crt" } }]

[boot.systemd-boot]
image = "loader.efi"
sign = { key = "test.key", certificate = "test.crt" }
config = { text = "timeout 0\n" }

[[partition]]
name = "efi"
type = "esp"
size = "40MiB"
filesystem = "vfat"
"#;

/// What the stub says of a kernel that is none.
const STUB_STARTED: &str = "Bad kernel image";
/// What firmware says of a loader that it does not start, and a loader of a kernel.
const REFUSED: &str = "Access Denied";
/// What firmware says when nothing is left to start.
const END: &str = "No bootable option or device was found";

#[test]
#[ignore = "virtual machines begin, each emulated: two minutes"]
fn firmware_starts_what_is_signed_and_nothing_else() {
    let Some(stub) = stub() else { return };
    let Some(qemu) = judge("qemu-system-x86_64") else {
        return;
    };
    let bench = Bench::new();
    if make_key(&bench, "test", "3650").is_none() {
        return;
    }
    make_key(&bench, "other", "3650");
    let Some(firmware) = SecureFirmware::that_knows(&bench, "test") else {
        return;
    };
    fs::copy(stub, bench.path("stub.efi")).unwrap();
    let loader = Path::new(SYSTEMD).join("systemd-bootx64.efi");
    fs::copy(&loader, bench.path("loader.efi")).unwrap();
    bench.write("vmlinuz", vec![0x4d; 100_003]);
    bench.write("image.toml", SPEC);
    bench.done(&["build", "image.toml", "-o", "disk.img"]);
    let disk = fs::read(bench.path("disk.img")).unwrap();
    let said =
        |firmware: &SecureFirmware, disk: &[u8]| said(&bench, qemu.program(), firmware, disk);
    let started = said(&firmware, &disk);
    assert!(started.contains(STUB_STARTED), "{started}");
    let loader = fs::read(loader).unwrap();
    let without_loader = said(&firmware, &flipped(&disk, &loader[0x2000..0x2040]));
    assert!(without_loader.contains(REFUSED), "{without_loader}");
    assert!(!without_loader.contains(STUB_STARTED), "{without_loader}");
    let without_kernel = said(&firmware, &flipped(&disk, b"signed words"));
    let refused = "Error loading \\EFI\\Linux\\system.efi: Access Denied";
    assert!(without_kernel.contains(refused), "{without_kernel}");
    assert!(!without_kernel.contains(STUB_STARTED), "{without_kernel}");
    let firmware = SecureFirmware::that_knows(&bench, "other").unwrap();
    let of_others = said(&firmware, &disk);
    assert!(of_others.contains(REFUSED), "{of_others}");
    assert!(!of_others.contains(STUB_STARTED), "{of_others}");
}

/// The disk with a bit of each copy of a piece changed.
fn flipped(disk: &[u8], piece: &[u8]) -> Vec<u8> {
    let mut flipped = disk.to_vec();
    let places: Vec<usize> = (0..disk.len() - piece.len())
        .filter(|at| disk[*at..].starts_with(piece))
        .collect();
    assert!(!places.is_empty());
    for place in places {
        flipped[place] ^= 1;
    }
    flipped
}

/// What a machine with this disk says until nothing is left that it could start.
fn said(bench: &Bench, qemu: &Path, firmware: &SecureFirmware, disk: &[u8]) -> String {
    let disk = bench.write("booted.img", disk);
    let mut command = Command::new(qemu);
    command
        .args(["-accel", "tcg", "-m", "512", "-nographic"])
        .args(["-no-reboot", "-nic", "none", "-drive"])
        .arg(format!(
            "file={},format=raw,if=virtio,snapshot=on",
            disk.display()
        ));
    firmware.add_to(&mut command);
    let mut console = Console::start(command, LIMIT);
    assert!(console.wait_for(END), "{}", console.seen);
    console.seen.clone()
}
