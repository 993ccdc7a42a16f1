//! What `[boot]` puts on the EFI system partition.

use super::assert_holds;
use crate::support::Bench;
use crate::support::disk::cut_out;
use crate::support::judges::judge_fat;

const PARTITIONS: &str = "
[[partition]]
name = \"efi\"
type = \"esp\"
size = \"4MiB\"
filesystem = \"vfat\"
content = [{ text = \"old\", to = \"/EFI/BOOT/BOOTX64.EFI\" }, { text = \"kept\", to = \"/EFI/BOOT/kept\" }]
";

/// An EFI application for a machine, with a text to know it by.
fn application(machine: u16, text: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x200];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    bytes[0x40 + 92] = 10;
    bytes.extend(text.as_bytes());
    bytes
}

const X64: u16 = 0x8664;
const AA64: u16 = 0xaa64;

/// A bench with applications in it.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("grub.efi", application(X64, "grub"));
    bench.write("shim.efi", application(X64, "shim"));
    bench.write("sd.efi", application(AA64, "systemd-boot"));
    bench.write("6.12.EFI", application(AA64, "kernel"));
    bench.write("grub.cfg.in", "root={{ partition.efi.number }}\n");
    bench.write("rescue.conf", "title rescue\n");
    bench
}

#[test]
fn grub_is_what_firmware_starts() {
    let bench = bench();
    let image = bench.build_text(&format!(
        "[boot.grub-efi]\nimage = \"grub.efi\"\nconfig = {{ template = \"grub.cfg.in\" }}\n{PARTITIONS}"
    ));
    let efi = cut_out(&bench, &image, "efi");
    judge_fat(&efi);
    assert_holds(&efi, "::/EFI/BOOT/BOOTX64.EFI", application(X64, "grub"));
    assert_holds(&efi, "::/EFI/BOOT/grub.cfg", "root=1\n");
    assert_holds(&efi, "::/EFI/BOOT/kept", "kept");
}

#[test]
fn a_shim_comes_before_grub() {
    let bench = bench();
    let image = bench.build_text(&format!(
        "[boot.grub-efi]\nimage = \"grub.efi\"\nshim = \"shim.efi\"\n{PARTITIONS}"
    ));
    let efi = cut_out(&bench, &image, "efi");
    judge_fat(&efi);
    assert_holds(&efi, "::/EFI/BOOT/BOOTX64.EFI", application(X64, "shim"));
    assert_holds(&efi, "::/EFI/BOOT/grubx64.efi", application(X64, "grub"));
}

#[test]
fn systemd_boot_finds_its_entries_and_kernels() {
    let bench = bench();
    let image = bench.build_text(&format!(
        "[boot]
unified-kernels = [\"6.12.EFI\"]

[boot.systemd-boot]
image = \"sd.efi\"
config = {{ text = \"timeout 3\\n\" }}
entries = {{ rescue = \"rescue.conf\", \"debian-6.12\" = {{ template = \"grub.cfg.in\" }} }}
{PARTITIONS}"
    ));
    let efi = cut_out(&bench, &image, "efi");
    judge_fat(&efi);
    let systemd = application(AA64, "systemd-boot");
    assert_holds(&efi, "::/EFI/BOOT/BOOTAA64.EFI", &systemd);
    assert_holds(&efi, "::/EFI/systemd/systemd-bootaa64.efi", &systemd);
    assert_holds(&efi, "::/EFI/Linux/6.12.EFI", application(AA64, "kernel"));
    assert_holds(&efi, "::/loader/loader.conf", "timeout 3\n");
    assert_holds(&efi, "::/loader/entries/rescue.conf", "title rescue\n");
    assert_holds(&efi, "::/loader/entries/debian-6.12.conf", "root=1\n");
}

#[test]
fn what_cannot_start_is_refused() {
    let bench = bench();
    let refused = |spec: &str| {
        bench.write("image.toml", spec);
        let outcome = bench.run(&["build", "image.toml"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        outcome.stderr
    };
    let grub = "[boot.grub-efi]\nimage = \"grub.efi\"\n";
    assert_eq!(
        refused(&format!(
            "{grub}{}",
            PARTITIONS.replace("\"esp\"", "\"linux-generic\"")
        )),
        "\
error: there is no EFI system partition to put this on: add a partition with type = \"esp\" and filesystem = \"vfat\"
 --> image.toml:2:9
  |
2 | image = \"grub.efi\"
  |         ^^^^^^^^^^ here
"
    );
    assert_eq!(
        refused(&format!(
            "{}{PARTITIONS}",
            grub.replace("grub.efi", "rescue.conf")
        )),
        "\
error: cannot use rescue.conf: it is no EFI application (a PE image of subsystem 10, for a machine that UEFI has)
 --> image.toml:2:9
  |
2 | image = \"rescue.conf\"
  |         ^^^^^^^^^^^^^ here
"
    );
    assert_eq!(
        refused(&format!(
            "{}{PARTITIONS}",
            grub.replace("grub.efi", "absent.efi")
        )),
        "\
error: cannot use absent.efi: No such file or directory (os error 2)
 --> image.toml:2:9
  |
2 | image = \"absent.efi\"
  |         ^^^^^^^^^^^^ here
"
    );
}
