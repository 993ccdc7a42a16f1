//! GRUB for a BIOS: the same bytes as its own installer writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::judges::judge_table;
use crate::support::mount::{Mount, may_mount};
use crate::support::{Ability, Bench, Judge, judge, lacks, skipped, text};

/// Where Debian has GRUB's files for a BIOS.
pub(super) const GRUB: &str = "/usr/lib/grub/i386-pc";
const SECTOR: usize = 512;

/// A sector that GRUB's boot.img could be.
fn boot_image() -> Vec<u8> {
    let mut image = vec![0xb0; SECTOR];
    image[0x5a..0x5c].copy_from_slice(&[0x00, 0x80]);
    image[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
    image
}

/// As many sectors as GRUB's core.img could be.
fn core_image(sectors: u16) -> Vec<u8> {
    let mut image = vec![0xc0; SECTOR * usize::from(sectors)];
    image[0x1fc..0x1fe].copy_from_slice(&(sectors - 1).to_le_bytes());
    image[0x1fe..0x200].copy_from_slice(&[0x20, 0x08]);
    image
}

/// A disk with GRUB.
pub(super) fn spec(table: &str) -> String {
    let (bios, type_name) = match table {
        "gpt" => (
            "[[partition]]\nname = \"bios\"\ntype = \"bios-boot\"\nsize = \"1MiB\"\n",
            "linux-generic",
        ),
        _ => ("", "linux"),
    };
    format!(
        "[disk]\ntable = \"{table}\"\n\n[boot.grub-bios]\nboot-image = \"boot.img\"\ncore-image = \"core.img\"\n\n\
         {bios}[[partition]]\nname = \"data\"\ntype = \"{type_name}\"\nsize = \"1MiB\"\n"
    )
}

pub(super) fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("boot.img", boot_image());
    bench.write("core.img", core_image(100));
    bench
}

#[test]
fn images_are_told_where_they_lie() {
    for (table, core_sector) in [("gpt", 2048_u16), ("mbr", 1)] {
        let bench = bench();
        let image = bench.build_text(&spec(table));
        judge_table(&image, table == "gpt");
        let disk = fs::read(image).unwrap();
        let mut code = boot_image()[..440].to_vec();
        code[0x5c..0x64].fill(0);
        code[0x5c..0x5e].copy_from_slice(&core_sector.to_le_bytes());
        code[0x66..0x68].fill(0x90);
        assert!(disk[..440] == code, "{table}: the boot code");
        let mut core = core_image(100);
        core[0x1f4..0x1fc].fill(0);
        core[0x1f4..0x1f6].copy_from_slice(&(core_sector + 1).to_le_bytes());
        let at = usize::from(core_sector) * SECTOR;
        assert!(disk[at..at + core.len()] == core, "{table}: the core");
        assert!(disk[at + core.len()..at + core.len() + SECTOR] == [0; SECTOR]);
    }
}

#[test]
fn a_bios_boot_partition_is_compared_with_the_core_that_goes_into_it() {
    let bench = bench();
    let image = bench.build_text(&spec("gpt"));
    let name = image.to_str().unwrap();
    let told = bench.done(&["verify", name, "image.toml"]);
    assert!(told.contains("bios: equal, byte by byte"), "{told}");
    let disk = fs::read(&image).unwrap();
    let core = core_image(100).len();
    // In the core, and in the zeros behind it.
    for at in [700, core + 5] {
        let mut other = disk.clone();
        other[2048 * SECTOR + at] ^= 1;
        bench.write("other.img", other);
        let outcome = bench.run(&["verify", "other.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        let told = format!(
            "bios: different, compared byte by byte\n~ partition: bytes others from byte {at} on\n"
        );
        assert!(outcome.stdout.contains(&told), "{}", outcome.stdout);
        assert_eq!(outcome.stdout.matches("different").count(), 1);
    }
}

#[test]
fn what_grub_cannot_boot_from_is_refused() {
    let bench = bench();
    let refused = |spec: &str, message: &str| {
        bench.write("image.toml", spec);
        let outcome = bench.run(&["build", "image.toml"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        let first = outcome.stderr.lines().next().unwrap();
        assert_eq!(first, format!("error: {message}"));
    };
    let [gpt, mbr] = ["gpt", "mbr"].map(spec);
    refused(
        &gpt.replace("bios-boot", "linux-generic"),
        "GRUB's core image of 51 200 bytes has no place: add a partition with type = \"bios-boot\" and \
         size = \"1MiB\", and nothing in it",
    );
    refused(
        &gpt.replace("size = \"1MiB\"", "size = \"32KiB\""),
        "core.img takes 51 200 bytes, but partition 'bios' (number 1) has 32 768 bytes (18 432 bytes short); \
         give it a larger `size`",
    );
    refused(
        &mbr.replace("size = \"1MiB\"", "size = \"1MiB\"\noffset = \"32256B\""),
        "core.img takes 51 200 bytes, but the gap before partition 'data' (number 1) has 31 744 bytes \
         (19 456 bytes short); give that partition a larger `offset`",
    );
    refused(
        &gpt.replace("[boot.grub", "sector-size = 4096\n[boot.grub"),
        "GRUB's code for a BIOS reads sectors of 512 bytes, and those of this disk have 4096: use GRUB for UEFI",
    );
    refused(
        &mbr.replace(
            "[boot.grub",
            "raw = [{ file = \"boot.img\", offset = 1024 }]\n[boot.grub",
        ),
        "boot.img at bytes 1024 to 1536 overlaps core.img at bytes 512 to 51 712: move one of them",
    );
    refused(
        &mbr.replace("\"boot.img\"", "\"core.img\""),
        "cannot use core.img: it is not GRUB's boot.img, a sector of 512 bytes that ends in 55 aa; \
         take lib/grub/i386-pc/boot.img of the GRUB that made the core image",
    );
    refused(
        &mbr.replace("\"core.img\"", "\"boot.img\""),
        "cannot use boot.img: it is not GRUB's core.img for a BIOS on a disk; make it by grub-mkimage with \
         `--format=i386-pc`",
    );
    bench.write("core.img", &core_image(100)[..50_000]);
    refused(
        &mbr,
        "cannot use core.img: it has 98 sectors, and says that it has 100: it is damaged, make it again",
    );
    bench.write("core.img", core_image(2048));
    refused(
        &mbr.replace("size = \"1MiB\"", "size = \"1MiB\"\nnumber = 5"),
        "core.img takes 1 048 576 bytes, but the gap before the boot record of partition 'data' (number 5) has \
         1 048 064 bytes (512 bytes short); give that partition a larger `offset`",
    );
}

/// Has GRUB make a core image for a disk.
pub(super) fn make_core(format: &str, prefix: &str, modules: &[&str], to: &Path) -> bool {
    let Some(mkimage) = judge("grub-mkimage") else {
        return false;
    };
    if !Path::new("/usr/lib/grub").join(format).exists() {
        skipped(
            &format!("grub-{format}"),
            "/usr/lib/grub has no such folder",
        );
        return false;
    }
    let output = mkimage
        .command()
        .args(["--format", format, "--prefix", prefix, "--output"])
        .arg(to)
        .args(modules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    true
}

/// A loop device, until it is dropped.
struct Loop(String);

impl Loop {
    fn new(file: &Path) -> Self {
        let output = Command::new("losetup")
            .args(["-f", "--show"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        Command::new("losetup")
            .args(["-d", &self.0])
            .output()
            .unwrap();
    }
}

#[test]
fn the_bytes_are_those_of_grubs_own_installer() {
    let setup = PathBuf::from(GRUB).join("grub-bios-setup");
    if !may_mount() {
        lacks(Ability::LoopDevices, "GRUB's installer writes to devices");
        return;
    }
    if !setup.exists() {
        skipped("grub-bios-setup", "not installed");
        return;
    }
    let Some(mke2fs) = judge("mke2fs") else {
        return;
    };
    let bench = Bench::new();
    fs::copy(Path::new(GRUB).join("boot.img"), bench.path("boot.img")).unwrap();
    if !make_core(
        "i386-pc",
        "/boot/grub",
        &["biosdisk", "part_gpt", "part_msdos", "ext2", "normal"],
        &bench.path("core.img"),
    ) {
        return;
    }
    for table in ["gpt", "mbr"] {
        let ours = bench.build_text(&spec(table));
        let theirs = bench.path(format!("{table}.img"));
        let text_without = spec(table);
        let (before, after) = (
            text_without.find("[boot").unwrap(),
            text_without.find("[[part").unwrap(),
        );
        let plain = format!("{}{}", &text_without[..before], &text_without[after..]);
        bench.write("plain.toml", plain);
        bench.build("plain.toml", theirs.to_str().unwrap());
        install(&bench, &mke2fs, &setup, &theirs);
        crate::support::bench::assert_same_bytes(&ours, &theirs);
    }
}

/// Has GRUB install itself onto a disk.
fn install(bench: &Bench, mke2fs: &Judge, setup: &Path, disk: &Path) {
    // It looks up which disk its own files lie on, which need be none that it knows: they get one.
    let filesystem = bench.write("grub.fs", "");
    fs::File::options()
        .write(true)
        .open(&filesystem)
        .unwrap()
        .set_len(8 << 20)
        .unwrap();
    mke2fs.content_with(&["-q", "-F"], &filesystem);
    let (own, target) = (Loop::new(&filesystem), Loop::new(disk));
    let point = bench.create_folder("grub");
    let mount = Mount::new("ext2", "rw", Path::new(&own.0), point.clone()).unwrap();
    for name in ["boot.img", "core.img"] {
        fs::copy(bench.path(name), point.join(name)).unwrap();
    }
    let map = bench.write(
        "device.map",
        format!("(hd0) {}\n(hd1) {}\n", target.0, own.0),
    );
    let output = Command::new(setup)
        .args(["--no-rs-codes", "--skip-fs-probe", "--directory"])
        .arg(&point)
        .arg("--device-map")
        .arg(map)
        .arg(&target.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    drop(mount);
}
