//! A disk that verifies, whole: `tests/cases/verified`. Its parts are held against one another, and a Debian in it boots under
//! firmware that enforces Secure Boot, unless a byte of its root is another one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kernels::{SYSTEMD, stub};
use super::machine::Console;
use super::secure::SecureFirmware;
use crate::support::disk::{cut_out, parts};
use crate::support::keys::make_key;
use crate::support::{Ability, Bench, is_root, judge, lacks, text};

/// What the system in the disk needs beside what is essential.
const PACKAGES: &str =
    "systemd-sysv,udev,zstd,dracut,cryptsetup-bin,systemd-cryptsetup,e2fsprogs,kmod";
/// The modules of dracut that a verified root takes.
const DRACUT: &str = "base bash systemd systemd-initrd dracut-systemd systemd-veritysetup systemd-udevd systemd-journald \
    systemd-tmpfiles systemd-modules-load dm rootfs-block fs-lib udev-rules shutdown";
const DRIVERS: &str = "virtio_blk virtio_pci erofs dm_verity dm_mod sha256_generic";
/// How long an emulated machine may take.
const LIMIT: Duration = Duration::from_secs(1200);

/// The case with the loader, the stub and a key; `None` where one of them cannot be had.
fn bench() -> Option<Bench> {
    let bench = Bench::new();
    bench.copy_case("verified", ".");
    fs::copy(stub()?, bench.path("stub.efi")).unwrap();
    let loader = Path::new(SYSTEMD).join("systemd-bootx64.efi");
    fs::copy(loader, bench.path("systemd-boot.efi")).unwrap();
    make_key(&bench, "test", "3650")?;
    Some(bench)
}

/// What stands for a Debian where nothing is booted.
fn add_small_system(bench: &Bench) {
    bench.write("tree/etc/hostname", "verified\n");
    bench.write("tree/usr/lib/data", vec![0x5a; 1 << 20]);
    let tar = judge("tar").expect("tar is everywhere");
    let mut command = tar.command();
    command.current_dir(bench.folder());
    command.args([
        "--owner=0",
        "--group=0",
        "-C",
        "tree",
        "-cf",
        "root.tar",
        ".",
    ]);
    assert!(command.status().unwrap().success());
    bench.write("vmlinuz", vec![0x4d; 100_003]);
    bench.write("initrd.img", vec![1; 70_001]);
    bench.write("os-release", "ID=test\nVERSION_ID=1\n");
}

fn record(bench: &Bench, spec: &str, more: &[&str]) -> Value {
    let arguments = ["build", spec, "-o", "disk.img", "--json", "-"];
    let printed = bench.done(&[&arguments[..], more].concat());
    serde_json::from_str(&printed).unwrap()
}

/// The names of the partitions whose fills differ between two records.
fn changed(one: &Value, other: &Value) -> BTreeSet<String> {
    let partitions = |record: &Value| record["partitions"].as_array().unwrap().clone();
    partitions(one)
        .iter()
        .zip(partitions(other))
        .filter(|(one, other)| one["fill-key"] != other["fill-key"])
        .map(|(one, _)| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_update_of_one_slot_changes_that_slot_and_its_kernel() {
    let Some(bench) = bench() else { return };
    add_small_system(&bench);
    let before = record(&bench, "ab.toml", &["--provenance", "disk.json"]);
    fs::rename(bench.path("disk.img"), bench.path("before.img")).unwrap();
    bench.write("release-b/usr/lib/verified/release", "3\n");
    let after = record(&bench, "ab.toml", &[]);
    let expected = ["esp", "root-b", "root-b-verity", "root-b-verity-sig"];
    assert_eq!(changed(&before, &after), expected.map(str::to_owned).into());
    // The record says it, and the disk has it: sfdisk's partitions, compared byte by byte.
    for part in parts(&bench, &bench.path("disk.img")) {
        let cut = |image: &str| {
            let part = bench.cut(&bench.path(image), part.start, part.size, "part");
            crate::support::bench::sha256(&part)
        };
        let differs = cut("before.img") != cut("disk.img");
        assert_eq!(differs, expected.contains(&&*part.name), "{}", part.name);
    }
    // Of the kernels, it is the second slot's.
    let kernel = |record: &Value, index: usize| {
        record["partitions"][0]["filesystem"]["unified-kernels"][index]["sha256"].clone()
    };
    assert_eq!(kernel(&before, 0), kernel(&after, 0));
    assert_ne!(kernel(&before, 1), kernel(&after, 1));
    // The statement of the first build tells which input it was. It has the certificate's digest, and not the key's.
    let statement = fs::read_to_string(bench.path("disk.json")).unwrap();
    let digest = |name: &str| crate::support::bench::sha256(&bench.path(name));
    assert!(statement.contains(&digest("test.crt")));
    assert!(!statement.contains(&digest("test.key")));
    let outcome = bench.run(&["verify-build", "disk.json", "--image", "before.img"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let said = outcome.stderr;
    for expected in [
        "the directory release-b of partition 'root-b' (cellblockContent): differs",
        "partition 'root-b': differs from byte",
        "/EFI/Linux/system_2.efi in partition 'esp': differs",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    for unchanged in ["release-a", "'root-a'", "system_1.efi"] {
        assert!(!said.contains(unchanged), "{unchanged}: {said}");
    }
}

#[test]
fn all_parts_of_a_verified_disk_name_the_same_root_hash() {
    let Some(bench) = bench() else { return };
    add_small_system(&bench);
    let one = record(&bench, "image.toml", &["-j", "1"]);
    let image = bench.path("disk.img");
    let root = one["partitions"][2]["verity"]["root-hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let kernel = &one["partitions"][0]["filesystem"]["unified-kernels"][0];
    assert!(
        kernel["command-line"]
            .as_str()
            .unwrap()
            .contains(&format!("roothash={root}"))
    );
    let signed = fs::read(cut_out(&bench, &image, "root-verity-sig")).unwrap();
    let signed = String::from_utf8_lossy(&signed).into_owned();
    assert!(signed.contains(&root), "{signed}");
    if let Some(judge) = judge("veritysetup") {
        let mut command = judge.command();
        command.arg("verify").arg(cut_out(&bench, &image, "root"));
        command
            .arg(cut_out(&bench, &image, "root-verity"))
            .arg(&root);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    if let Some(judge) = judge("sbverify") {
        for path in ["::/EFI/Linux/system.efi", "::/EFI/BOOT/BOOTX64.EFI"] {
            let Some(bytes) = super::content(&cut_out(&bench, &image, "esp"), path) else {
                return;
            };
            let file = bench.write("application.efi", bytes);
            let mut command = judge.command();
            command.arg("--cert").arg(bench.path("test.crt")).arg(file);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{path}: {}", text(&output));
        }
    }
    // With more jobs it is the same disk.
    let first = crate::support::bench::sha256(&image);
    let more = record(&bench, "image.toml", &["-j", "7"]);
    assert_eq!(more["sha256"], first.as_str());
}

#[test]
#[ignore = "debootstrap fetches a Debian from its mirror, and virtual machines boot it twice, emulated: minutes"]
fn a_verified_debian_boots_and_a_flipped_byte_stops_it() {
    let Some(qemu) = judge("qemu-system-x86_64") else {
        return;
    };
    let Some(bench) = bench() else { return };
    let Some(firmware) = SecureFirmware::that_knows(&bench, "test") else {
        return;
    };
    if !add_debian(&bench) {
        return;
    }
    let record = record(&bench, "image.toml", &[]);
    let image = bench.path("disk.img");
    let start = |disk: &Path| {
        let mut command = Command::new(qemu.program());
        command
            .args([
                "-accel",
                "tcg",
                "-cpu",
                "qemu64,-cx16",
                "-m",
                "1024",
                "-nographic",
            ])
            .args(["-no-reboot", "-nic", "none", "-drive"])
            .arg(format!("file={},format=raw,if=virtio", disk.display()));
        firmware.add_to(&mut command);
        Console::start(command, LIMIT)
    };
    // The flipped byte first: its machine must not change the disk that the other one boots.
    let flipped = bench.path("flipped.img");
    fs::copy(&image, &flipped).unwrap();
    flip_init(&bench, &flipped);
    let begun = Instant::now();
    let mut console = start(&flipped);
    let stopped = console.wait_for("is corrupted");
    assert!(stopped, "{}", console.seen);
    assert!(!console.wait_for("login: "), "{}", console.seen);
    println!(
        "a flipped byte stops it after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    drop(console);

    let begun = Instant::now();
    let mut console = start(&image);
    let root = record["partitions"][2]["verity"]["root-hash"]
        .as_str()
        .unwrap();
    let session = console.wait_for("login: ")
        && console.enter("root", "# ")
        && console.enter("findmnt -no SOURCE,FSTYPE /", "/dev/mapper/root erofs")
        && console.enter(
            "veritysetup status root | sed -n 's/ *status: */is-/p'",
            "is-verified",
        )
        && console.enter("veritysetup status root", root)
        && console.enter("findmnt -no SOURCE,FSTYPE /var", "/dev/mapper/var ext4")
        && console.enter(
            "cryptsetup isLuks /dev/disk/by-partlabel/var && echo encr''ypted",
            "encrypted",
        )
        && console.enter(
            "od -An -tx1 -j4 /sys/firmware/efi/efivars/SecureBoot-*",
            "01",
        )
        && console.enter("systemctl poweroff --force", "Power down");
    assert!(session, "{}", console.seen);
    println!("up and down in {:.0} s", begun.elapsed().as_secs_f64());
}

/// Changes a bit of the second page of systemd, which the file system holds as it is.
fn flip_init(bench: &Bench, disk: &Path) {
    const PAGE: usize = 4096;
    let part = parts(bench, disk)
        .into_iter()
        .find(|part| part.name == "root")
        .unwrap();
    let init = fs::read(bench.path("debian/usr/lib/systemd/systemd")).unwrap();
    let page = &init[PAGE..2 * PAGE];
    let root = fs::read(cut_out(bench, disk, "root")).unwrap();
    let found = root.chunks_exact(PAGE).position(|chunk| chunk == page);
    let at = part.start + (found.expect("systemd's page is in the root") * PAGE) as u64;
    let file = fs::File::options().write(true).open(disk).unwrap();
    file.write_all_at(&[page[0] ^ 1], at).unwrap();
}

/// A Debian with a kernel and an initial RAM disk that sets up verity; false where it cannot be had.
fn add_debian(bench: &Bench) -> bool {
    if !is_root() {
        lacks(Ability::Superuser, "only it runs debootstrap");
        return false;
    }
    let (Some(debootstrap), Some(tar)) = (judge("debootstrap"), judge("tar")) else {
        return false;
    };
    let root = bench.path("debian");
    let include = format!("--include={PACKAGES}");
    let output = debootstrap.run(&["--variant=minbase", &include, "trixie"], &root);
    let in_root = |words: &[&str]| {
        let mut command = Command::new("chroot");
        command
            .arg(&root)
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.output().unwrap()
    };
    let fetched = |output: &std::process::Output| {
        if !output.status.success() {
            let said = text(output);
            let last = said.lines().next_back().unwrap_or_default();
            lacks(
                Ability::Network,
                &format!("no Debian could be made: {last}"),
            );
        }
        output.status.success()
    };
    if !fetched(&output) {
        return false;
    }
    // Of the two that make initial RAM disks, debootstrap would take the other one as well.
    let kernel = [
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        "linux-image-cloud-amd64",
    ];
    if !fetched(&in_root(&kernel)) {
        return false;
    }
    let modules = fs::read_dir(root.join("usr/lib/modules")).unwrap();
    let version = modules
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .next()
        .unwrap();
    let output = in_root(&[
        "dracut",
        "--force",
        "--no-hostonly",
        "--reproducible",
        "--kver",
        &version,
        "-m",
        DRACUT,
        "--add-drivers",
        DRIVERS,
        "/boot/verified.img",
    ]);
    assert!(output.status.success(), "{}", text(&output));
    // The superuser needs no password, and the machine has no identity yet.
    let shadow = root.join("etc/shadow");
    let accounts = fs::read_to_string(&shadow).unwrap();
    fs::write(&shadow, accounts.replacen("root:*:", "root::", 1)).unwrap();
    fs::write(root.join("etc/machine-id"), "").unwrap();
    for (from, to) in [
        (format!("boot/vmlinuz-{version}"), "vmlinuz"),
        ("boot/verified.img".to_owned(), "initrd.img"),
        ("usr/lib/os-release".to_owned(), "os-release"),
    ] {
        fs::copy(root.join(from), bench.path(to)).unwrap();
    }
    let leave_out = [
        "boot/*",
        "var/cache/*",
        "var/lib/apt/lists/*",
        "var/log/*",
        "usr/share/locale",
        "usr/share/doc",
        "usr/share/man",
    ];
    let mut command = tar.command();
    command.args(["--numeric-owner", "-C"]).arg(&root);
    command.args(leave_out.map(|it| format!("--exclude=./{it}")));
    let output = command
        .arg("-cf")
        .arg(bench.path("root.tar"))
        .arg(".")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    true
}
