//! A disk as a virtual machine: what importers look at, judged by programs that read such archives.

use std::fs;

use crate::support::bench::{assert_same_bytes, sha256};
use crate::support::{Bench, judge, text};

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "efi"
type = "esp"
size = "34MiB"
filesystem = "vfat"

[[partition]]
name = "root"
type = "root-x86-64"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    let lines: String = (0..200_000).map(|line| format!("line {line}\n")).collect();
    bench.write("root/etc/lines", lines);
    bench.write("image.toml", SPEC);
    bench
}

/// Takes an archive apart into `folder`: the names in it, in order.
fn unpack(bench: &Bench, archive: &str, folder: &str) -> Option<Vec<String>> {
    let tar = judge("tar")?;
    bench.create_folder(folder);
    let archive = bench.path(archive);
    let archive = archive.to_str().unwrap();
    let names = tar.answer(&["-tf", archive], bench.folder(), "");
    tar.answer(&["-xf", archive], &bench.path(folder), "");
    Some(names.lines().map(str::to_owned).collect())
}

/// Holds the manifest against what openssl says of the files.
fn check_digests(bench: &Bench, folder: &str, names: &[String]) {
    let Some(openssl) = judge("openssl") else {
        return;
    };
    let arguments = ["dgst", "-sha256", &names[0], &names[2]];
    let said = openssl.answer(&arguments, &bench.path(folder), "");
    let manifest = fs::read_to_string(bench.path(folder).join(&names[1])).unwrap();
    assert_eq!(manifest, said.replace("SHA2-256(", "SHA256("));
}

/// What python reads of the descriptor: the firmware, and the name.
fn check_descriptor(bench: &Bench, descriptor: &str, expected: &str) {
    const READ: &str = "
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
vmw, ovf = '{http://www.vmware.com/schema/ovf}', '{http://schemas.dmtf.org/ovf/envelope/1}'
firmware = [it.get(vmw + 'value') for it in root.iter(vmw + 'Config') if it.get(vmw + 'key') == 'firmware']
size = root.find(f'{ovf}References/{ovf}File').get(ovf + 'size')
print(*firmware, root.find(f'{ovf}VirtualSystem/{ovf}Name').text, size)
";
    let Some(python) = judge("python3") else {
        return;
    };
    let said = python.answer(&["-c", READ, descriptor], bench.folder(), "");
    assert_eq!(said.trim(), expected);
}

#[test]
fn a_disk_becomes_a_machine() {
    let bench = bench();
    let outputs = ["-o", "disk.img", "-o", "a machine.ova"];
    bench.done(&[&["build", "image.toml", "-q"][..], &outputs].concat());
    let Some(names) = unpack(&bench, "a machine.ova", "out") else {
        return;
    };
    let expected = ["a_machine.ovf", "a_machine.mf", "a_machine-disk1.vmdk"];
    assert_eq!(names, expected);
    check_digests(&bench, "out", &names);
    let size = fs::metadata(bench.path("out/a_machine-disk1.vmdk")).unwrap();
    let expected = format!("efi a machine {}", size.len());
    check_descriptor(&bench, "out/a_machine.ovf", &expected);
    if let Some(qemu) = judge("qemu-img") {
        let disk = bench.path("out/a_machine-disk1.vmdk");
        qemu.content_with(&["check", "-f", "vmdk"], &disk);
        let mut command = qemu.command();
        command.args(["compare", "-f", "vmdk", "-F", "raw"]);
        command.arg(disk).arg(bench.path("disk.img"));
        assert_eq!(command.output().unwrap().stdout, b"Images are identical.\n");
    }
    // The program reads what it wrote.
    let from_disk = sha256(&bench.path("disk.img"));
    let back = ["export", "out/a_machine-disk1.vmdk", "-q", "-o", "back.img"];
    bench.done(&back);
    assert_eq!(sha256(&bench.path("back.img")), from_disk);
}

#[test]
fn the_machine_is_as_it_was_asked_for() {
    let bench = bench();
    bench.done(&["mkfs", "ext4", "--content", "root/", "-q", "-o", "r.img"]);
    let output = "m.ova,name=R&D <1>,cpus=3,memory=1536,network=none,controller=pvscsi";
    bench.done(&["export", "r.img", "-q", "-o", output, "-o", "usual.ova"]);
    let Some(names) = unpack(&bench, "m.ova", "out") else {
        return;
    };
    check_digests(&bench, "out", &names);
    let size = fs::metadata(bench.path("out/m-disk1.vmdk")).unwrap().len();
    check_descriptor(&bench, "out/m.ovf", &format!("bios R&D <1> {size}"));
    if let Some(cot) = judge("cot") {
        let said = |archive: &str| text(&cot.run(&["info", "-v"], &bench.path(archive)));
        let asked = said("m.ova");
        for expected in [
            "m-disk1.vmdk",
            "harddisk @ SCSI 0:0",
            "System types:             vmx-13",
            "None (default)            3   1.5 GiB    0 ",
        ] {
            assert!(asked.contains(expected), "{expected}: {asked}");
        }
        let usual = said("usual.ova");
        for expected in [
            "harddisk @ SATA 0:0",
            "None (default)            1     1 GiB    1 ",
            "Network card 1 : VM Network",
        ] {
            assert!(usual.contains(expected), "{expected}: {usual}");
        }
    }
}

#[test]
fn a_machine_is_the_same_wherever_it_goes_and_whoever_makes_it() {
    let bench = bench();
    bench.done(&["build", "image.toml", "-q", "-o", "d.ova"]);
    bench.create_folder("here");
    let line = [
        "build",
        "image.toml",
        "-q",
        "-o",
        "here/d.ova",
        "--jobs",
        "1",
    ];
    bench.done(&line);
    assert_same_bytes(&bench.path("d.ova"), &bench.path("here/d.ova"));
    let line = [
        "build",
        "image.toml",
        "-q",
        "-o",
        "-",
        "--output-format",
        "ova",
    ];
    let piped = bench.cellblock().args(line).output().unwrap();
    assert!(piped.status.success(), "{}", text(&piped));
    fs::write(bench.path("piped.ova"), &piped.stdout).unwrap();
    let Some(names) = unpack(&bench, "piped.ova", "out") else {
        return;
    };
    assert_eq!(names, ["disk.ovf", "disk.mf", "disk-disk1.vmdk"]);
    check_digests(&bench, "out", &names);
    let Some(tar) = judge("tar") else { return };
    let listed = tar.content_with(&["--utc", "--full-time", "-tvf"], &bench.path("d.ova"));
    assert_eq!(
        listed.matches(" 2024-03-01 12:00:00 ").count(),
        3,
        "{listed}"
    );
}

#[test]
fn what_no_machine_has_is_refused() {
    let bench = bench();
    for (output, expected) in [
        (
            "d.ova,cpus=0",
            "ova: cpus=0 cannot be: it is a whole number from 1 to 768",
        ),
        (
            "d.ova,firmware=uefi",
            "ova: firmware=uefi cannot be: it is bios or efi",
        ),
        (
            "d.ova,controller=nvme",
            "ova: controller=nvme cannot be: it is sata or lsilogic or pvscsi",
        ),
        (
            "d.ova,cpu=2",
            "ova has no option 'cpu' (did you mean cpus?)",
        ),
    ] {
        let refused = bench.run(&["build", "image.toml", "-q", "-o", output]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        assert!(!bench.path("d.ova").exists());
    }
}
