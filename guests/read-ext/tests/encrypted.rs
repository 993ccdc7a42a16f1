//! Names that the kernel has encrypted, as it shows them without the key.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cellblock_guest::{Kind, NodeId};
use cellblock_judges::{judge, text};
use cellblock_read_ext::Ext;
use cellblock_readers_judged::{Temporary, mount, read};

/// Gives a folder a key of version 2, and fills it; says whether the kernel can.
const ENCRYPT: &str = "
import errno, fcntl, os, struct, sys
folder, count, casefolded = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'casefold'
os.mkdir(folder)
descriptor = os.open(folder, os.O_RDONLY)
def number(direction, letter, index, size):
    return direction << 30 | size << 16 | ord(letter) << 8 | index
key = bytearray(struct.pack('<II32xII32x', 2, 0, 64, 0) + bytes(range(64)))
policy = lambda: struct.pack('<BBBB4x16s', 2, 1, 4, 3, key[8:24])
try:
    fcntl.ioctl(descriptor, number(3, 'f', 23, 80), key)
    fcntl.ioctl(descriptor, number(2, 'f', 19, 12), policy())
    if casefolded:
        fcntl.ioctl(descriptor, number(1, 'f', 2, 8), struct.pack('<Q', 0x40000000))
except OSError as error:
    if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
        raise
    print('not here')
    sys.exit()
for length in [1, 15, 16, 17, 32, 100, 128, 129, 149, 160, 161, 200, 254, 255]:
    open(f'{folder}/' + 'n' * length, 'w').close()
for index in range(count):
    open(f'{folder}/{index}' + '-' * (index % 200), 'w').close()
os.mkdir(folder + '/below')
for length in [1, 30, 57, 58, 59, 60, 200, 1000]:
    os.symlink('t' * length, f'{folder}/below/{length}')
print('done')
";

/// What is called what, and what links are to.
type Names = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn shown(folder: &Path, top: &Path, names: &mut Names) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        let target = kind.is_symlink().then(|| fs::read_link(&path).unwrap());
        let target = target.map(|target| target.as_os_str().as_bytes().to_vec());
        names.insert(path.strip_prefix(top).unwrap().to_owned(), target);
        if kind.is_dir() {
            shown(&path, top, names);
        }
    }
}

fn told(image: &Path) -> Names {
    let (_, listing, _) = read::<Ext>(image);
    let nodes = (0_u32..).zip(&listing.nodes).skip(1);
    let told = nodes.map(|(number, node)| {
        let target = match &node.kind {
            Kind::Symlink(target) => Some(target.to_vec()),
            _ => None,
        };
        let path = listing.path(NodeId(number));
        let path = OsStr::from_bytes(path.strip_prefix(b"/").unwrap());
        (PathBuf::from(path), target)
    });
    told.collect()
}

#[test]
fn encrypted_names_are_shown_as_the_kernel_shows_them() {
    let Some(python) = judge("python3") else {
        return;
    };
    for (features, settings, casefold) in [
        ("encrypt", &[][..], ""),
        ("encrypt", &["def_hash_version tea"], ""),
        ("encrypt", &["def_hash_version legacy"], ""),
        // Made where characters have no sign.
        ("encrypt", &["flags 2"], ""),
        ("encrypt", &["flags 2", "def_hash_version tea"], ""),
        ("encrypt", &["flags 2", "def_hash_version legacy"], ""),
        ("encrypt,^dir_index", &[], ""),
        ("encrypt,ea_inode,inline_data", &[], ""),
        ("encrypt,casefold", &[], "casefold"),
    ] {
        // Of one block, of several, and of a tree.
        for (block, count) in [("4096", 0), ("1024", 4), ("1024", 900)] {
            println!("{features} {settings:?}, {count} more names");
            let image = Temporary::new("img");
            File::create_new(&image.0)
                .unwrap()
                .set_len(32 << 20)
                .unwrap();
            let run = |name: &str, arguments: &[&str]| {
                let mut command = judge(name)?.command();
                let output = command.args(arguments).arg(&image.0).output().unwrap();
                assert!(output.status.success(), "{}", text(&output));
                Some(())
            };
            let options = ["-F", "-q", "-t", "ext4", "-b", block, "-O", features];
            if run("mke2fs", &options).is_none() {
                return;
            }
            for setting in settings {
                let request = format!("set_super_value {setting}");
                if run("debugfs", &["-w", "-R", &request]).is_none() {
                    return;
                }
            }
            let Some(mounted) = mount(&image.0, "ext4", "loop") else {
                return;
            };
            let folder = mounted.path().join("encrypted");
            let arguments = [folder.to_str().unwrap(), &count.to_string(), casefold];
            let said = python.answer(
                &[&["-c", ENCRYPT][..], &arguments].concat(),
                Path::new("/"),
                "",
            );
            drop(mounted);
            if said.trim() == "not here" {
                println!("this kernel does not encrypt so");
                continue;
            }
            let Some(mounted) = mount(&image.0, "ext4", "loop,ro") else {
                return;
            };
            let mut names = Names::new();
            shown(mounted.path(), mounted.path(), &mut names);
            drop(mounted);
            assert!(names.len() > count + 20);
            assert_eq!(told(&image.0), names);
        }
    }
}
