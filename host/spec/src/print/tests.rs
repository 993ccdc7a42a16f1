//! What is printed is read as it was.

#![allow(clippy::unwrap_used)]
use super::*;

/// Everything that can be printed, in the form that it is printed in.
const PRINTED: &str = r#"[disk]
table = "hybrid"
size = "4GiB"
sector-size = 4096
seed = "5f0c1a2b-3c4d-5e6f-7081-92a3b4c5d6e7"
id = "6f8c47a6-1c2d-4b35-8b1e-9de3c4e9e3ff"
time = -1
alignment = "4KiB"
gpt-location = "16KiB"
gpt-backup = false
protective-number = 4
raw = [
    { file = "boot.img", size = "440B" },
    { lba-of = 'bios "boot"', plus = "4KiB", offset = "92B" },
]

[[partition]]
name = 'bios "boot"'
type = "bios-boot"
size = "1MiB"
offset = "1MiB"
raw = [{ file = "core.img" }]

[[partition]]
name = "ä"
type = "11111111-2222-3333-4444-555555555555"
size = "minimum + 12.5%"
number = 7
id = "00000000-0000-0000-0000-000000000001"
attributes = ["required", "bit-5", "grow-fs"]
mbr-type = "fat32"
active = true
filesystem = "vfat"
label = "L"
uuid = "ABCD-0001"
content = [
    { directory = "dir", owner = "0:1", mode = "u=rwX,go-ws,ug+t", exclude = ["*.o", "a b"] },
    { archive = "root.tar", to = "/", times = "keep", from = "rootfs", strip = 2, follow = true, hard-links = "break", metadata = "root.mtree" },
    { composefs = "root.dump", basedir = "objects", to = "/x" },
    { file = "fstab", to = "/etc/fstab", mode = "0644" },
    { text = 'quoted "text"', to = "/etc/motd" },
    { template = "fstab.in", to = "/etc/fstab2", owner = "0:0", mode = "0600" },
]
options = { "a b" = "1", cluster-size = "4096" }
drop = ["symlinks", "owners"]

[[partition]]
type = "linux-generic"
size = "minimum + 1000B"
filesystem = "minix"
uuid = "0fc63daf-8483-4772-8e79-3d69d8477de4"
selinux = { contexts = "file_contexts" }

[[partition]]
type = "swap"
size = "rest"
filesystem = "swap"

[boot]
unified-kernels = ["a.efi"]

[boot.grub-bios]
boot-image = "boot.img"
core-image = "core.img"

[boot.systemd-boot]
image = "sd.efi"
config = { text = "timeout 3" }
entries = { debian = { template = "debian.in" }, rescue = "rescue.conf" }

[guests]
"m x" = { file = "m.wasm", sha256 = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f" }
minix = "minix.wasm"
registry = "oci://registry.example/fs/minix:1"

[cache]
places = ["parts", "https://cache.example/images"]
trust = ["ci.pub"]
"#;

#[test]
fn what_is_printed_is_read_as_it_was() {
    let spec = Spec::parse(PRINTED, Path::new("")).unwrap();
    let printed = spec.to_toml().unwrap();
    let difference = printed.lines().zip(PRINTED.lines()).find(|(a, b)| a != b);
    assert_eq!(difference, None);
    assert_eq!(printed, PRINTED);
}

#[test]
fn what_only_one_kind_of_table_has_is_read_as_it_was() {
    for printed in [
        "[disk]\ntable = \"mbr\"\nextended-number = 2\nextended-type = \"extended-chs\"\n\
             boot-record-space = \"512B\"\n\n[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n",
        "[disk]\ntable = \"none\"\n\n[[partition]]\nsize = \"1MiB\"\noffset = \"8KiB\"\n",
    ] {
        let spec = Spec::parse(printed, Path::new("")).unwrap();
        assert_eq!(spec.to_toml().unwrap(), printed);
    }
}

/// As `SOURCE_DATE_EPOCH` may say it, from which it comes into a provenance.
#[test]
fn seconds_that_look_like_a_date_are_read_as_they_were() {
    let rest = "[[partition]]\ntype = \"linux-generic\"\nsize = \"1MiB\"\n";
    let printed = format!("[disk]\ntime = \"+20000101\"\n\n{rest}");
    let spec = Spec::parse(&printed, Path::new("")).unwrap();
    assert_eq!(spec.to_toml().unwrap(), printed);
    for date in ["20000101", "2000_01_01", "\"20000101000000\""] {
        let spec = Spec::parse(&format!("[disk]\ntime = {date}\n{rest}"), Path::new(""));
        let error = spec.unwrap_err().to_string();
        assert!(error.contains("write \"2000-01-01T00:00:00Z\""), "{error}");
    }
}

#[test]
fn other_forms_come_to_the_same() {
    let other = "disk = { }\n[[partition]]\nfilesystem = 'ext4'\ntype = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'\n\
                     size = 1048576\ncontent = [{ text = \"\"\"a\nb\"\"\", to = '/x' }]\ndrop = ['owners', 'symlinks', 'owners']\n";
    let spec = Spec::parse(other, Path::new("")).unwrap();
    let printed = spec.to_toml().unwrap();
    assert!(
        printed.starts_with("[[partition]]\ntype = \"linux-generic\"\nsize = \"1MiB\"\n"),
        "{printed}"
    );
    assert!(
        printed.ends_with("drop = [\"symlinks\", \"owners\"]\n"),
        "{printed}"
    );
    let again = Spec::parse(&printed, Path::new("")).unwrap();
    assert_eq!(again.to_toml().unwrap(), printed);
    let content = |spec: &Spec| spec.partitions[0].filesystem.clone().unwrap().content;
    assert_eq!(content(&again), content(&spec));
}
