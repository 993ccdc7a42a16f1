//! What a header leaves open is decided as QEMU does.

use super::*;

/// What `qemu-img` reads of a disk; none if it refuses it.
fn read_by_qemu(path: &Path, format: &str) -> Option<Vec<u8>> {
    let qemu = judge("qemu-img")?;
    let raw = path.with_extension("raw");
    let mut command = qemu.command();
    command.args(["convert", "-f", format, "-O", "raw"]);
    let said = command.arg(path).arg(&raw).output().unwrap();
    said.status.success().then(|| fs::read(raw).unwrap())
}

fn read_here(path: &Path) -> io::Result<Vec<u8>> {
    let disk = open(path)?;
    let mut bytes = vec![0; usize::try_from(disk.size()).unwrap()];
    disk.read(0, &mut bytes)?;
    Ok(bytes)
}

/// Makes the checksum of a footer right.
fn sum(footer: &mut [u8]) {
    footer[64..68].fill(0);
    let sum = !footer.iter().map(|it| u32::from(*it)).sum::<u32>();
    footer[64..68].copy_from_slice(&sum.to_be_bytes());
}

/// The file with another creator and geometry in its footers.
fn with_footer(sound: &[u8], creator: &[u8; 4], geometry: [u8; 4]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    let last = bytes.len() - 512;
    for at in [0, last] {
        let footer = &mut bytes[at..at + 512];
        if footer.starts_with(b"conectix") {
            footer[28..32].copy_from_slice(creator);
            footer[56..60].copy_from_slice(&geometry);
            sum(footer);
        }
    }
    bytes
}

/// Of 4, 16 and 17, which are fewer sectors than the disk has; the largest one, and none.
const GEOMETRIES: [[u8; 4]; 3] = [[0, 4, 16, 17], [0xff, 0xff, 16, 255], [0; 4]];

#[test]
fn a_vhd_has_the_size_of_its_geometry_where_virtual_pc_made_it() {
    let folder = TempDir::new().unwrap();
    let plain = plain(folder.path(), 4 << 20);
    for subformat in ["fixed", "dynamic"] {
        let options = format!("subformat={subformat},force_size=on");
        let Some(made) = converted(folder.path(), &plain, "vpc", &options, &[]) else {
            return;
        };
        let sound = fs::read(made).unwrap();
        for (creator, by_size) in [
            (b"vpc ", false),
            (b"qemu", false),
            (b"vs  ", false),
            (b"\0\0\0\0", false),
            (b"qem2", true),
            (b"win ", true),
            (b"d2v ", true),
            (b"tap\0", true),
            (b"CTXS", true),
        ] {
            for geometry in GEOMETRIES {
                let path = folder.path().join("edited.vhd");
                fs::write(&path, with_footer(&sound, creator, geometry)).unwrap();
                let found = read_here(&path).unwrap();
                let has_size = by_size || geometry != GEOMETRIES[0];
                assert_eq!(
                    found.len(),
                    if has_size { 4 << 20 } else { 4 * 16 * 17 * 512 }
                );
                // To QEMU a disk without a geometry is one without bytes.
                if by_size || geometry != GEOMETRIES[2] {
                    let said = read_by_qemu(&path, "vpc").unwrap();
                    assert!(found == said, "{subformat} {creator:?} {geometry:?}");
                }
            }
        }
        // By a geometry that is larger than the disk there would be bytes that the file does not have.
        let path = folder.path().join("larger.vhd");
        fs::write(&path, with_footer(&sound, b"vpc ", [0xff, 0, 16, 63])).unwrap();
        match (subformat, read_here(&path)) {
            ("fixed", Ok(found)) => assert_eq!(found.len(), 4 << 20),
            (_, Err(error)) => assert!(error.to_string().contains("blocks of its table")),
            (_, Ok(found)) => panic!("{} bytes", found.len()),
        }
    }
}

#[test]
fn a_qcow2_that_qemu_refuses_is_refused() {
    let folder = TempDir::new().unwrap();
    let plain = plain(folder.path(), 1 << 20);
    let path = folder.path().join("edited.qcow2");
    for (options, at, bit, words) in [
        (
            "compat=1.1",
            104,
            1,
            "the kind of compression is 1, and has to be 0 (zlib) without",
        ),
        (
            "compat=1.1",
            79,
            8,
            "the kind of compression is 0, and has to be 0 (zlib) without",
        ),
        (
            "compat=0.10",
            0,
            1,
            "the lowest bit of an entry of a second-level table is 1",
        ),
    ] {
        let Some(made) = converted(folder.path(), &plain, "qcow2", options, &[]) else {
            return;
        };
        let mut bytes = fs::read(made).unwrap();
        assert!(read_by_qemu(&folder.path().join("made"), "qcow2").is_some());
        let big = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        let first = usize::try_from(big(40)).unwrap();
        let second = usize::try_from(big(first) & 0x00ff_ffff_ffff_fe00).unwrap();
        let at = if at == 0 { second + 7 } else { at };
        bytes[at] ^= bit;
        fs::write(&path, bytes).unwrap();
        let said = read_here(&path).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
        assert_eq!(read_by_qemu(&path, "qcow2"), None, "{words}");
    }
}

#[test]
fn what_is_not_a_whole_sector_of_a_disk_is_none_of_it() {
    let folder = TempDir::new().unwrap();
    let plain = plain(folder.path(), 1 << 20);
    let Some(made) = converted(folder.path(), &plain, "qcow2", "", &[]) else {
        return;
    };
    let mut bytes = fs::read(&made).unwrap();
    for size in [(1_u64 << 20) - 1, (1 << 20) - 513, 512, 100] {
        bytes[24..32].copy_from_slice(&size.to_be_bytes());
        fs::write(&made, &bytes).unwrap();
        let found = read_here(&made).unwrap();
        assert!(Some(found) == read_by_qemu(&made, "qcow2"), "{size}");
    }
}
