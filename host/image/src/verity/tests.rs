//! Trees against `veritysetup`: the same bytes, the same root hash.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cellblock_judges::{Judge, judge};
use tempfile::TempDir;

use super::{HashFunction, Verity};
use crate::{PartitionFile, Scratch};

const UUID: [u8; 16] = [
    0x0f, 0xc6, 0x3d, 0xaf, 0x84, 0x83, 0x47, 0x72, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];
const UUID_TEXT: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

fn verity() -> Verity {
    Verity {
        hash: HashFunction::Sha256,
        data_block: 4096,
        hash_block: 4096,
        salt: (0..32).collect(),
        superblock: Some(UUID),
        fec_roots: None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a partition, in a file of its own.
fn copied(partition: &PartitionFile, to: &Path) {
    let mut bytes = vec![0; usize::try_from(partition.size()).unwrap()];
    partition.read(0, &mut bytes).unwrap();
    fs::write(to, bytes).unwrap();
}

/// What `veritysetup format` makes of the file `data`: the root hash; the tree is in `tree`.
fn theirs(judge: &Judge, verity: &Verity, data: &Path, tree: &Path) -> String {
    let salt = match verity.salt.as_slice() {
        [] => "-".to_owned(),
        salt => hexadecimal(salt),
    };
    let mut command = judge.command();
    command
        .arg("format")
        .args(["--hash", verity.hash.name(), "--salt", &salt])
        .args(["--data-block-size", &verity.data_block.to_string()])
        .args(["--hash-block-size", &verity.hash_block.to_string()]);
    match verity.superblock {
        Some(_) => command.args(["--uuid", UUID_TEXT]),
        None => command.arg("--no-superblock"),
    };
    let output = command.arg(data).arg(tree).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let root = told
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"));
    root.unwrap().trim().to_owned()
}

/// Data of this many blocks, in which some are zeros and some are holes.
fn data(scratch: &Scratch, verity: &Verity, blocks: u64, base: u64) -> PartitionFile {
    let block = u64::from(verity.data_block);
    let partition = PartitionFile::within(scratch, base, blocks * block).unwrap();
    for index in (0..blocks).filter(|index| index % 7 != 3 && index % 600 < 400) {
        let bytes: Vec<u8> = (0..block)
            .map(|at| (at * (index + 1) + index).to_le_bytes()[0])
            .collect();
        partition.write(index * block, &bytes).unwrap();
    }
    partition
}

#[test]
fn trees_are_those_of_veritysetup_byte_for_byte() {
    let Some(judge) = judge("veritysetup") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let scratch = Scratch::beside(&folder.path().join("disk.img"));
    let usual = verity();
    let cases = [
        (usual.clone(), 2),
        (usual.clone(), 128),
        (usual.clone(), 129),
        (usual.clone(), 128 * 128 + 1),
        (
            Verity {
                hash: HashFunction::Sha512,
                ..usual.clone()
            },
            65,
        ),
        (
            Verity {
                salt: Vec::new(),
                ..usual.clone()
            },
            1000,
        ),
        (
            Verity {
                salt: vec![7; 256],
                superblock: None,
                ..usual.clone()
            },
            1000,
        ),
        (
            Verity {
                data_block: 512,
                ..usual.clone()
            },
            5000,
        ),
        (
            Verity {
                hash_block: 512,
                ..usual.clone()
            },
            5000,
        ),
    ];
    for (verity, blocks) in cases {
        let data = data(&scratch, &verity, blocks, 8192);
        let size = verity.tree(data.size()).size;
        let mut roots = Vec::new();
        let (data_file, tree_file) = (folder.path().join("data"), folder.path().join("tree"));
        for threads in [1, 3] {
            let target = PartitionFile::new(&scratch, size).unwrap();
            roots.push(verity.write(&data, &target, threads, &|_| {}).unwrap());
            copied(&target, &tree_file);
        }
        assert_eq!(roots[0], roots[1], "the number of threads shows nowhere");
        copied(&data, &data_file);
        let expected = folder.path().join("expected");
        fs::write(&expected, []).unwrap();
        let root = theirs(&judge, &verity, &data_file, &expected);
        assert_eq!(hexadecimal(&roots[0]), root, "{verity:?} {blocks}");
        let same = fs::read(&tree_file).unwrap() == fs::read(&expected).unwrap();
        assert!(same, "{verity:?} {blocks}");
    }
}

#[test]
fn veritysetup_finds_a_flipped_byte_of_each_kind() {
    let Some(judge) = judge("veritysetup") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let scratch = Scratch::beside(&folder.path().join("disk.img"));
    let verity = verity();
    let data = data(&scratch, &verity, 500, 0);
    let target = PartitionFile::new(&scratch, verity.tree(data.size()).size).unwrap();
    let root = hexadecimal(&verity.write(&data, &target, 2, &|_| {}).unwrap());
    let (data_file, tree_file) = (folder.path().join("data"), folder.path().join("tree"));
    copied(&data, &data_file);
    copied(&target, &tree_file);
    let holds = || {
        let mut command = judge.command();
        let command = command.arg("verify").arg(&data_file).arg(&tree_file);
        command.arg(&root).output().unwrap().status.success()
    };
    assert!(holds());
    // Data, a digest of level 0, one of the highest level.
    for (file, offset) in [
        (&data_file, 4096 * 17 + 5),
        (&tree_file, 8192 + 40),
        (&tree_file, 4096),
    ] {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(file)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        assert!(!holds(), "{offset}");
        file.write_all_at(&byte, offset).unwrap();
    }
    assert!(holds());
}

#[test]
fn sizes_follow_from_the_data() {
    let verity = verity();
    // One block of digests for 128 blocks of data, and the superblock.
    assert_eq!(verity.tree(128 * 4096).size, 2 * 4096);
    assert_eq!(verity.tree(129 * 4096).size, 4 * 4096);
    let blocks = 1_u64 << 42;
    let tree = verity.tree(blocks * 4096);
    assert_eq!(tree.data_blocks, blocks);
    // The largest tree that there can be: 8 digests in a block.
    let narrow = Verity {
        data_block: 512,
        hash_block: 512,
        hash: HashFunction::Sha512,
        ..verity
    };
    let most = u64::MAX / 512 * 512;
    assert!(narrow.tree(most).size < most / 7 + 8192);
}

/// Of `veritysetup`: the file of the parity, where data and tree are files.
fn their_parity(judge: &Judge, verity: &Verity, roots: u8, data: &Path, tree: &Path) {
    let parity = tree.with_extension("parity");
    fs::write(&parity, []).unwrap();
    let mut command = judge.command();
    command
        .args([
            "format",
            "--salt",
            &hexadecimal(&verity.salt),
            "--uuid",
            UUID_TEXT,
        ])
        .arg(format!("--fec-device={}", parity.display()))
        .arg(format!("--fec-roots={roots}"));
    let output = command.arg(data).arg(tree).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn parity_is_that_of_veritysetup_byte_for_byte_and_mends() {
    let Some(judge) = judge("veritysetup") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let scratch = Scratch::beside(&folder.path().join("disk.img"));
    for (roots, blocks) in [(2, 2), (2, 252), (2, 700), (24, 231), (7, 3000)] {
        let verity = Verity {
            fec_roots: Some(roots),
            ..verity()
        };
        let data = data(&scratch, &verity, blocks, 4096);
        let tree = verity.tree(data.size());
        let at = |name: &str| folder.path().join(name);
        let (data_file, tree_file, expected) = (at("data"), at("tree"), at("expected"));
        let mut digits = String::new();
        for threads in [1, 3] {
            let target = PartitionFile::new(&scratch, tree.size).unwrap();
            digits = hexadecimal(&verity.write(&data, &target, threads, &|_| {}).unwrap());
            copied(&target, &tree_file);
            copied(&data, &data_file);
            fs::write(&expected, []).unwrap();
            their_parity(&judge, &verity, roots, &data_file, &expected);
            let mut theirs = fs::read(&expected).unwrap();
            assert_eq!(theirs.len() as u64, tree.fec_offset, "{roots} {blocks}");
            theirs.extend(fs::read(at("expected.parity")).unwrap());
            let same = theirs == fs::read(&tree_file).unwrap();
            assert!(same, "{roots} roots, {blocks} blocks, {threads} threads");
        }
        // A whole block of data is lost, and comes back.
        let verify = |fec: bool| {
            let mut command = judge.command();
            command.arg("verify");
            if fec {
                command
                    .arg(format!("--fec-device={}", tree_file.display()))
                    .arg(format!("--fec-offset={}", tree.fec_offset))
                    .arg(format!("--fec-roots={roots}"));
            }
            let output = command.arg(&data_file).arg(&tree_file).arg(&digits);
            let output = output.output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        };
        assert!(verify(false).0 && verify(true).0, "{}", verify(true).1);
        let file = fs::File::options().write(true).open(&data_file).unwrap();
        file.write_all_at(&[0xff; 4096], 4096).unwrap();
        assert!(!verify(false).0);
        let (_, said) = verify(true);
        assert!(said.contains("repairable"), "{said}");
    }
}
