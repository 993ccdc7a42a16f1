//! What is damaged, or leads out of its file, is refused.

use super::*;

/// Why a disk is not opened, or what is in it not read.
fn refused(path: &Path) -> String {
    let read = |disk: VirtualDisk| -> io::Result<()> {
        disk.extents(0..disk.size())?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < disk.size() {
            let count = crate::copy::at_most(disk.size() - at, buffer.len());
            disk.read(at, &mut buffer[..count])?;
            at += count as u64;
        }
        Ok(())
    };
    open(path).and_then(read).unwrap_err().to_string()
}

#[test]
fn what_leads_out_of_the_file_is_refused_and_named() {
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let said = qemu
            .command()
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    };
    plain(folder.path(), 1 << 20);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "plain.img",
        "-F",
        "raw",
        "over.qcow2",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "data_file=data.raw",
        "out.qcow2",
        "1M",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s,data=x",
        "-o",
        "encrypt.format=aes,encrypt.key-secret=s",
        "a.qcow2",
        "1M",
    ]);
    // One in LUKS differs in the method of its header (bytes 32 to 35): to make one,
    // `qemu-img` measures how fast a key is derived, and fails where time is measured in ticks.
    let mut luks = fs::read(path("a.qcow2")).unwrap();
    assert_eq!(luks[32..36], 1u32.to_be_bytes());
    luks[35] = 2;
    fs::write(path("l.qcow2"), luks).unwrap();
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-o",
        "subformat=monolithicFlat",
        "flat.vmdk",
        "1M",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-o",
        "subformat=twoGbMaxExtentSparse",
        "split.vmdk",
        "1M",
    ]);
    run(&["create", "-q", "-f", "vmdk", "base.vmdk", "1M"]);
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-b",
        "base.vmdk",
        "-F",
        "vmdk",
        "over.vmdk",
    ]);
    for (file, words) in [
        (
            "over.qcow2",
            "in plain.img, and no file that an image names is opened",
        ),
        ("out.qcow2", "its data is in data.raw,"),
        ("a.qcow2", "it is encrypted (AES)"),
        ("l.qcow2", "it is encrypted (LUKS)"),
        (
            "flat.vmdk",
            "its data is in flat-flat.vmdk, and no file that an image names is opened: that is the plain disk",
        ),
        (
            "split.vmdk",
            "its data is in split-s001.vmdk, and no file that an image names is opened",
        ),
        (
            "over.vmdk",
            "in base.vmdk, and no file that an image names is opened",
        ),
    ] {
        let said = refused(&path(file));
        assert!(said.contains(words), "{file}: {said}");
    }
}

/// A file with bytes changed, and its other bytes as they were.
struct Damage {
    folder: TempDir,
    sound: Vec<u8>,
}

impl Damage {
    fn of(sound: &Path) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            sound: fs::read(sound).unwrap(),
        }
    }

    fn refused(&self, changes: &[(usize, &[u8])]) -> String {
        let mut bytes = self.sound.clone();
        for (at, new) in changes {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        let path = self.folder.path().join("damaged");
        fs::write(&path, bytes).unwrap();
        refused(&path)
    }
}

fn big(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

#[test]
fn a_damaged_qcow2_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(
        folder.path(),
        "qcow2",
        "compression_type=zstd,cluster_size=4k",
    );
    let damage = Damage::of(&made);
    let first = big(&damage.sound, 40);
    let second = big(&damage.sound, first) & 0x00ff_ffff_ffff_fe00;
    let last = u64::MAX.to_be_bytes();
    for (changes, words) in [
        (
            &[(4, &[0, 0, 0, 1][..])][..],
            "of version 1, and versions 2 and 3 are read",
        ),
        (&[(4, &[0, 0, 0, 4])], "of version 4"),
        (
            &[(20, &[0, 0, 0, 8])],
            "the logarithm of the bytes of a cluster is 8",
        ),
        (&[(20, &[0, 0, 0, 63])], "is 63, and has to be 9 to 21"),
        (
            &[(24, &last)],
            "the number of entries of its first table is",
        ),
        // 2^60 bytes, and as many entries as fit into the number.
        (
            &[(24, &[0x10]), (36, &[0xff; 4])],
            "first table is 4294967295, and has to be 549755813",
        ),
        (
            &[(24, &[0, 0, 0x10]), (36, &[0xff; 4])],
            "has to be at most 4194304",
        ),
        (&[(40, &last)], "its first table would be at byte"),
        (
            &[(72, &[0x80])],
            "features that are not known, by the bits 0x8000000000000000",
        ),
        (&[(79, &[0x0a])], "it is marked as corrupt"),
        (&[(104, &[7])], "the kind of compression is 7"),
        (
            &[(first, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0])],
            "an entry of a second-level table would be at byte",
        ),
        // Behind the end: plain, and compressed.
        (
            &[(second, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0])],
            "data would be at byte",
        ),
        (
            &[(second, &[0x80, 0, 0, 0, 0, 6, 2, 0])],
            "the offset of a cluster is 393728, and has to be a multiple",
        ),
        (
            &[(second, &[0x43, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
            "what is compressed would be at byte",
        ),
        // Compressed bytes that are none.
        (
            &[(second, &[0x40, 0, 0, 0, 0, 0, 0, 0])],
            "what is compressed at byte 0 cannot be read: libzstd",
        ),
    ] {
        let said = damage.refused(changes);
        assert!(said.contains(words), "{words}: {said}");
    }
    // One table in two places, and one cluster in all.
    let table = &damage.sound[first..first + 8];
    let said = damage.refused(&[(first + 8, table)]);
    assert!(
        said.contains("a second-level table at byte") && said.contains("is used twice"),
        "{said}"
    );
    let plain = ours(folder.path(), "qcow2", "cluster_size=64k");
    let damage = Damage::of(&plain);
    let first = big(&damage.sound, 40);
    let second = big(&damage.sound, first) & 0x00ff_ffff_ffff_fe00;
    let cluster = damage.sound[second..second + 8].repeat(8192);
    let said = damage.refused(&[(24, &[0, 0, 0, 0, 0x20, 0, 0, 0]), (second, &cluster)]);
    assert!(
        said.contains("would be more data than its file has room for"),
        "{said}"
    );
}

#[test]
fn a_damaged_vmdk_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(folder.path(), "vmdk", "");
    let damage = Damage::of(&made);
    // The header that counts is the one before the last marker.
    let footer = damage.sound.len() - 1024;
    let little = |at: usize| {
        usize::try_from(u32::from_le_bytes(
            damage.sound[at..at + 4].try_into().unwrap(),
        ))
        .unwrap()
    };
    let directory = little(footer + 56) * 512;
    let table = little(directory) * 512;
    let grain = little(table) * 512;
    for (changes, words) in [
        (
            &[(footer, &b"K"[..]), (footer + 3, b"X")][..],
            "the footer of the stream",
        ),
        (&[(footer + 4, &[9])], "of version 9"),
        (
            &[(footer + 12, &[0xff; 8])],
            "the number of sectors of the disk",
        ),
        (
            &[(footer + 12, &[0, 0, 0, 0, 0, 0, 0x10, 0])],
            "the number of entries of its first table",
        ),
        (
            &[(footer + 20, &[3])],
            "the number of sectors of a grain is 3",
        ),
        (
            &[(footer + 20, &[0; 8])],
            "the number of sectors of a grain is 0",
        ),
        (
            &[(footer + 44, &[0; 4])],
            "the number of entries of a table is 0",
        ),
        (
            &[(footer + 44, &[0xff; 4])],
            "the number of entries of a table is 4294967295",
        ),
        (
            &[(footer + 56, &[0xff; 7])],
            "its directory of tables would be at byte",
        ),
        (&[(footer + 77, &[2])], "the kind of compression is 2"),
        (
            &[(directory, &[0xff; 4])],
            "an entry of a table of grains would be at byte",
        ),
        (
            &[(table, &[0xff; 4])],
            "the marker of a grain would be at byte",
        ),
        (
            &[(grain, &[1])],
            "the sector that a grain says it is of is 1",
        ),
        (
            &[(grain + 8, &[0xff; 4])],
            "what is compressed would be at byte",
        ),
        (&[(grain + 12, &[0xff; 8])], "libdeflate"),
        (&[(28, &[0; 8])], "one of several files"),
    ] {
        let said = damage.refused(changes);
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_damaged_vhd_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(folder.path(), "vhd", "subformat=dynamic");
    let damage = Damage::of(&made);
    // Checksums are made right again.
    let summed = |start: usize, length: usize, checksum: usize, changes: &[(usize, &[u8])]| {
        let mut part = damage.sound[start..start + length].to_vec();
        for (at, new) in changes {
            part[*at..*at + new.len()].copy_from_slice(new);
        }
        part[checksum..checksum + 4].fill(0);
        let sum = !part.iter().map(|it| u32::from(*it)).sum::<u32>();
        part[checksum..checksum + 4].copy_from_slice(&sum.to_be_bytes());
        damage.refused(&[(start, &part)])
    };
    let of_footer = |changes: &[(usize, &[u8])]| summed(0, 512, 64, changes);
    let of_header = |changes: &[(usize, &[u8])]| summed(512, 1024, 36, changes);
    for (said, words) in [
        (
            damage.refused(&[(50, &[1])]),
            "the checksum of its footer is wrong",
        ),
        (
            damage.refused(&[(520, &[1])]),
            "the checksum of its header is wrong",
        ),
        (
            of_footer(&[(60, &[0, 0, 0, 9])]),
            "the type of the disk is 9",
        ),
        (
            of_footer(&[(60, &[0, 0, 0, 4])]),
            "another file, without a name",
        ),
        (
            of_footer(&[(48, &[0xff; 8])]),
            "the number of blocks of its table is",
        ),
        (
            of_footer(&[(16, &[0xff; 8])]),
            "its header would be at byte",
        ),
        (of_header(&[(32, &[0; 4])]), "the bytes of a block is 0"),
        (
            of_header(&[(32, &[0, 0, 1, 0])]),
            "the bytes of a block is 256",
        ),
        (
            of_header(&[(16, &[0xff; 8])]),
            "its table of blocks would be at byte",
        ),
        (
            damage.refused(&[(1536, &[0x7f, 0xff, 0xff, 0xff])]),
            "data would be at byte",
        ),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let block = damage.sound[1536..1540].to_vec();
    let said = damage.refused(&[(1540, &block)]);
    assert!(
        said.contains("a block at byte") && said.contains("is used twice"),
        "{said}"
    );
}
