//! From a container image to what boots: a Debian that `umoci` has put into an OCI layout becomes a disk in qcow2 behind GRUB, and the
//! root of a microVM whose init is one line. What others have put into an ext4 is taken out again, and boots as an erofs and as a
//! squashfs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::machine::{Console, accelerators, make_debian, make_grub};
use crate::support::bench::assert_same_bytes;
use crate::support::{Bench, Judge, judge, text};

const DISK: &str = r#"
[boot.grub-bios]
boot-image = "boot.img"
core-image = "core-gpt.img"

[[partition]]
type = "bios-boot"
size = "1MiB"

[[partition]]
name = "root"
type = "root-x86-64"
size = "minimum + 64MiB"
filesystem = "ext4"
content = [
    { oci = "debian", reference = "12" },
    { template = "fstab.in", to = "/etc/fstab" },
    { template = "grub.cfg.in", to = "/boot/grub/grub.cfg" },
]
"#;
/// An init of one line. The kernel's SysRq turns the machine off.
const INIT: &str = "#!/bin/sh
echo the root is up: $(stat -fc %T /) $(stat -c %u:%g:%a /usr/bin/passwd); sync; echo o > /proc/sysrq-trigger; sleep 60
";

/// Runs umoci in the folder.
fn umoci(bench: &Bench, umoci: &Judge, arguments: &[&str]) {
    let output = umoci
        .command()
        .current_dir(bench.folder())
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "umoci {arguments:?}: {}",
        text(&output)
    );
}

/// A layout with a Debian, and its kernel beside it; false where it cannot be had.
fn make_layout(bench: &Bench) -> bool {
    let Some(program) = judge("umoci") else {
        return false;
    };
    if !make_debian(bench) {
        return false;
    }
    umoci(bench, &program, &["init", "--layout", "debian"]);
    umoci(bench, &program, &["new", "--image", "debian:12"]);
    umoci(
        bench,
        &program,
        &["raw", "add-layer", "--image", "debian:12", "rootfs.tar"],
    );
    fs::remove_file(bench.path("rootfs.tar")).unwrap();
    true
}

/// Boots until `text` has been said; what the machine said, and whether it did.
fn boots(what: &str, machine: impl Fn() -> Command, text: &str) {
    let mut last = String::new();
    for accelerator in accelerators() {
        let mut command = machine();
        command
            .args(["-accel", accelerator.name, "-cpu", accelerator.processor])
            .args(["-m", "1024", "-nographic", "-no-reboot", "-nic", "none"]);
        let begun = Instant::now();
        let mut console = Console::start(command, accelerator.limit);
        if console.wait_for(text) {
            println!(
                "{what}: up in {:.1} s ({})",
                begun.elapsed().as_secs_f64(),
                accelerator.name
            );
            return;
        }
        last = console.last_lines();
        println!("{what}: not up under {}:\n{last}", accelerator.name);
    }
    panic!("{what} does not boot: {last}");
}

fn qemu_with(qemu: &Path, disk: &Path, format: &str) -> Command {
    let mut command = Command::new(qemu);
    let drive = format!(
        "file={},format={format},if=virtio,snapshot=on",
        disk.display()
    );
    command.args(["-drive", &drive]);
    command
}

#[test]
#[ignore = "debootstrap fetches a Debian from its mirror, and virtual machines boot it four times: minutes"]
fn a_container_image_boots() {
    let bench = Bench::new();
    let Some(qemu) = judge("qemu-system-x86_64") else {
        return;
    };
    if !make_layout(&bench) {
        return;
    }
    make_grub(&bench);
    bench.write(
        "fstab.in",
        "PARTUUID={{ partition.root.uuid }} / ext4 errors=remount-ro 0 1\n",
    );
    bench.write("image.toml", DISK);
    bench.done(&["build", "image.toml", "-o", "disk.qcow2", "-q"]);
    if let Some(qemu_img) = judge("qemu-img") {
        qemu_img.content_with(&["check"], &bench.path("disk.qcow2"));
    }
    boots(
        "the disk of an image, in qcow2",
        || qemu_with(qemu.program(), &bench.path("disk.qcow2"), "qcow2"),
        "login: ",
    );
    micro_vm(&bench, qemu.program());
    of_others(&bench, qemu.program());
}

/// The same image as the root of a machine that is given its kernel.
fn micro_vm(bench: &Bench, qemu: &Path) {
    bench.write("init", INIT);
    bench.done(&[
        "mkfs",
        "ext4",
        "-q",
        "-o",
        "rootfs.ext4",
        "--size",
        "minimum + 16MiB",
        "--content",
        "oci:debian",
        "--content",
        "file:init,to=/init,owner=0:0,mode=0755",
    ]);
    let machine = || {
        let mut command = qemu_with(qemu, &bench.path("rootfs.ext4"), "raw");
        command.arg("-kernel").arg(bench.path("vmlinuz"));
        command.arg("-initrd").arg(bench.path("initrd.img"));
        command.args(["-append", "root=/dev/vda rw init=/init console=ttyS0 quiet"]);
        command
    };
    boots(
        "the root of a microVM",
        machine,
        "the root is up: ext2/ext3 0:0:4755",
    );
}

/// The Debian as umoci unpacks it and mke2fs stores it: read out of that, and written as an erofs and as a squashfs.
fn of_others(bench: &Bench, qemu: &Path) {
    let (Some(program), Some(mke2fs)) = (judge("umoci"), judge("mke2fs")) else {
        return;
    };
    umoci(
        bench,
        &program,
        &["unpack", "--image", "debian:12", "bundle"],
    );
    let output = mke2fs
        .command()
        .current_dir(bench.folder())
        .args([
            "-q",
            "-t",
            "ext4",
            "-d",
            "bundle/rootfs",
            "others.img",
            "2G",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "mke2fs: {}", text(&output));
    fs::remove_dir_all(bench.path("bundle")).unwrap();
    bench.done(&["export", "others.img", "-q", "-o", "others.tar"]);
    for (kind, option) in [
        ("erofs", "compression=lz4"),
        ("squashfs", "compression=zstd"),
    ] {
        // An archive and the image itself are the same content.
        let [from_tar, from_image] = ["archive:others.tar", "image:others.img"].map(|source| {
            let output = format!("{}.{kind}", &source[..5]);
            let init = "file:init,to=/init,owner=0:0,mode=0755";
            let seed = "00000000000000000000000000000001";
            bench.done(&[
                "mkfs",
                kind,
                "-q",
                "-o",
                &output,
                "--seed",
                seed,
                "--option",
                option,
                "--content",
                source,
                "--content",
                init,
            ]);
            bench.path(output)
        });
        assert_same_bytes(&from_tar, &from_image);
        let machine = || {
            let mut command = qemu_with(qemu, &from_image, "raw");
            command.arg("-kernel").arg(bench.path("vmlinuz"));
            command.arg("-initrd").arg(bench.path("initrd.img"));
            let line = format!("root=/dev/vda rootfstype={kind} ro init=/init console=ttyS0 quiet");
            command.args(["-append", &line]);
            command
        };
        boots(
            &format!("a Debian that others stored, as a file system of kind {kind}"),
            machine,
            &format!("the root is up: {kind} 0:0:4755"),
        );
    }
}
