//! Actions that are made, moved, damaged and performed.

#![allow(clippy::unwrap_used)]

mod farm;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cellblock_cell::{Runtime, RuntimeOptions, Walls};
use cellblock_spec::Spec;
use tempfile::TempDir;

use self::farm::{Manner, Memory};
use super::{PerformOptions, Remote, RemoteOptions, perform_action};
use crate::{BuildOptions, Catalog, Record, build_image};

/// A file system of each kind, of the same content.
const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "root"
type = "linux"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]

[[partition]]
name = "boot"
type = "linux"
size = "40MiB"
filesystem = "vfat"
content = [{ directory = "root" }]
drop = ["symlinks", "owners", "permissions"]

[[partition]]
name = "usr"
type = "linux"
size = "16MiB"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]

[[partition]]
name = "srv"
type = "linux"
size = "16MiB"
filesystem = "squashfs"
options = { compression = "zstd" }
content = [{ directory = "root" }]
"#;

/// A folder that all tests share, with what stands for the program: nobody runs it here.
fn shared() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("program"), "#!/bin/false\n").unwrap();
        folder
    });
    folder.path()
}

/// A folder for compiled formatters.
fn compiled() -> PathBuf {
    shared().join("compiled")
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/motd"), "hello\n").unwrap();
    fs::write(root.join("etc/empty"), "").unwrap();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0] & 0x3f
    })
    .take((2 << 20) + 12_345)
    .collect();
    fs::write(root.join("noise"), &noise).unwrap();
    fs::write(root.join("again"), &noise).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 1 << 20).unwrap();
    std::os::unix::fs::symlink("motd", root.join("etc/link")).unwrap();
    folder
}

fn built(folder: &Path, image: &str, options: &BuildOptions) -> (Vec<u8>, Record) {
    built_of(SPEC, folder, image, options)
}

fn built_of(spec: &str, folder: &Path, image: &str, options: &BuildOptions) -> (Vec<u8>, Record) {
    let spec = Spec::parse(spec, folder).unwrap();
    let runtime = Runtime::new(&RuntimeOptions {
        walls: Walls::Wasm,
        cache: Some(compiled()),
        ..RuntimeOptions::default()
    });
    let image = folder.join(image);
    let record = build_image(
        &spec,
        &image,
        &runtime.unwrap(),
        &Catalog::default(),
        options,
    );
    (fs::read(image).unwrap(), record.unwrap())
}

/// Options with a farm whose workers do these things.
fn farmed(manners: &[Manner], least: u64) -> (BuildOptions, Arc<Memory>) {
    let memory = Arc::new(Memory::new(manners));
    let farm = Box::new(Arc::clone(&memory));
    let told = RemoteOptions {
        place: "memory://".to_owned(),
        platform: Vec::new(),
        program: Some(shared().join("program")),
        least,
        walls: Walls::Wasm,
    };
    let remote = Remote::new(farm, told).unwrap();
    let options = BuildOptions {
        remote: Some(Arc::new(remote)),
        digests: true,
        jobs: 1,
        ..BuildOptions::default()
    };
    (options, memory)
}

fn workers(record: &Record) -> Vec<Option<&str>> {
    let partitions = record.partitions.iter();
    let filesystems = partitions.filter_map(|it| it.filesystem.as_ref());
    filesystems.map(|it| it.worker.as_deref()).collect()
}

#[test]
fn what_workers_make_has_the_bytes_of_what_is_made_here() {
    let folder = folder();
    let digests = BuildOptions {
        digests: true,
        ..BuildOptions::default()
    };
    let (here, plain) = built(folder.path(), "here.img", &digests);
    let (options, memory) = farmed(&[], 0);
    let (there, record) = built(folder.path(), "there.img", &options);
    assert!(here == there, "the images differ");
    assert_eq!(workers(&record), [Some("memory"); 4]);
    assert_eq!(memory.executed(), 4);
    for (one, other) in plain.partitions.iter().zip(&record.partitions) {
        assert_eq!(one.fill_key, other.fill_key);
        let (one, other) = (one.filesystem.as_ref(), other.filesystem.as_ref());
        let told = |it: &crate::FilesystemRecord| (it.used, it.properties.clone(), it.wall.clone());
        assert_eq!(one.map(told), other.map(told));
    }
    // What is known goes up no more, and is made no more; a renamed partition is the same.
    let before = memory.uploaded();
    let (again, record) = built(folder.path(), "again.img", &options);
    assert!(here == again, "the images differ");
    assert_eq!(workers(&record), [Some("memory"); 4]);
    assert_eq!((memory.executed(), memory.uploaded()), (4, before));
    // Of what changes, that alone.
    fs::write(folder.path().join("root/etc/motd"), "hello again\n").unwrap();
    built(folder.path(), "changed.img", &options);
    assert_eq!(memory.executed(), 8);
    let sent = memory.uploaded() - before;
    assert!(sent < 100_000, "{sent} bytes went up for one small file");
}

#[test]
fn whatever_workers_do_wrong_the_image_is_right() {
    let folder = folder();
    let (here, _) = built(folder.path(), "here.img", &BuildOptions::default());
    for manner in [
        Manner::Killed,
        Manner::Empty,
        Manner::Other,
        Manner::Forgets,
        Manner::Refuses,
    ] {
        // Once: a worker is asked once more.
        let (options, _) = farmed(&[manner], 0);
        let (there, record) = built(folder.path(), "there.img", &options);
        assert!(here == there, "{manner:?}");
        assert_eq!(workers(&record), [Some("memory"); 4], "{manner:?}");
        // Twice: it is made here.
        let (options, _) = farmed(&[manner; 2], 0);
        let (there, record) = built(folder.path(), "there.img", &options);
        assert!(here == there, "{manner:?}");
        let made_here = workers(&record).iter().filter(|it| it.is_none()).count();
        let expected = match manner {
            // A server that fails twice is not asked again.
            Manner::Refuses => 4,
            _ => 1,
        };
        assert_eq!(made_here, expected, "{manner:?}");
    }
}

/// To compress is most of the work of both.
#[test]
fn workers_measure_what_compresses() {
    let folder = folder();
    let usr = SPEC.find("name = \"usr\"").unwrap();
    let spec = [&SPEC[..usr], &SPEC[usr..].replace("16MiB", "minimum")].concat();
    let (here, _) = built_of(&spec, folder.path(), "here.img", &BuildOptions::default());
    let (options, memory) = farmed(&[], 0);
    let (there, record) = built_of(&spec, folder.path(), "there.img", &options);
    assert!(here == there, "the images differ");
    assert_eq!(workers(&record), [Some("memory"); 4]);
    assert_eq!(memory.executed(), 6);
    // Whoever fails to measure is not trusted less to make.
    let (options, memory) = farmed(&[Manner::Killed; 2], 0);
    let (there, record) = built_of(&spec, folder.path(), "there.img", &options);
    assert!(here == there, "the images differ");
    assert_eq!(workers(&record), [Some("memory"); 4]);
    assert_eq!(memory.executed(), 7);
}

#[test]
fn what_is_small_is_made_here() {
    let folder = folder();
    let (options, memory) = farmed(&[], 64 << 20);
    let (_, record) = built(folder.path(), "here.img", &options);
    assert_eq!(workers(&record), [None; 4]);
    assert_eq!(memory.executed(), 0);
}

/// The folder of an action that was performed once.
fn action() -> (Arc<Memory>, TempDir) {
    let folder = folder();
    let (options, memory) = farmed(&[], 0);
    built(folder.path(), "there.img", &options);
    (memory, folder)
}

fn perform(folder: &Path) -> Result<(), String> {
    let out = tempfile::tempdir().unwrap();
    let options = PerformOptions {
        jobs: 1,
        cache: Some(compiled()),
    };
    let done = perform_action(folder, out.path(), &options);
    assert_eq!(done.is_ok(), out.path().join("made").exists());
    done.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_folder_of_compiled_guests_that_others_can_write_to_is_left_alone_and_named() {
    let (memory, _folder) = action();
    let (out, open) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let options = PerformOptions {
        jobs: 1,
        cache: Some(open.path().to_owned()),
    };
    let done = perform_action(&memory.last(), out.path(), &options).unwrap();
    let refusal = done.cache_refusal.unwrap();
    assert!(refusal.contains("others may write to"), "{refusal}");
    assert_eq!(fs::read_dir(open.path()).unwrap().count(), 0);
}

/// All files of an action's content.
fn pieces(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder.join("content")).unwrap();
    let mut files: Vec<_> = folders
        .flat_map(|it| fs::read_dir(it.unwrap().path()).unwrap())
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn a_damaged_action_ends_in_an_error_that_names_what() {
    let (memory, _folder) = action();
    let folder = memory.last();
    let folder = &*folder;
    assert_eq!(perform(folder), Ok(()));
    // Pieces, one at a time: missing, another byte, shorter, longer, a folder.
    let files = pieces(folder);
    assert!(files.len() >= 5, "{files:?}");
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(file).unwrap();
        let mut other = bytes.clone();
        other[0] ^= 1;
        let longer = [&bytes[..], b"!"].concat();
        for (damaged, why) in [
            (None, "No such file"),
            (Some(&other[..]), "it has the SHA-256 digest"),
            (Some(&bytes[1..]), "and should have"),
            (Some(&longer), "it has more bytes, and should have"),
        ] {
            fs::remove_file(file).unwrap();
            if let Some(damaged) = damaged {
                fs::write(file, damaged).unwrap();
            }
            let error = perform(folder).unwrap_err();
            assert!(error.contains(name) && error.contains(why), "{error}");
            fs::write(file, &bytes).unwrap();
        }
    }
    // The documents: every cut, and flipped bits.
    for name in ["action", "tree"] {
        let path = folder.join(name);
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 20) {
            fs::write(&path, &bytes[..at]).unwrap();
            let error = perform(folder).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        let longer = [&bytes[..], b"!"].concat();
        fs::write(&path, longer).unwrap();
        perform(folder).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(perform(folder).unwrap_err().contains(name));
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(perform(folder), Ok(()));
}

/// A change that is consistent in itself has another key.
#[test]
fn what_has_another_key_than_was_asked_for_is_refused() {
    use super::document::Action;
    let (memory, _folder) = action();
    let path = memory.last().join("action");
    let asked = Action::of_bytes(&fs::read(&path).unwrap()).unwrap();
    let changes: [fn(&mut Action); 5] = [
        |action| action.key[31] ^= 1,
        |action| action.request.label = "forged".to_owned(),
        |action| action.request.time.seconds += 1,
        |action| action.request.size += 4096,
        |action| action.request.settings.clear(),
    ];
    for change in changes {
        let mut forged = asked.clone();
        change(&mut forged);
        fs::write(&path, forged.to_bytes()).unwrap();
        let error = perform(&memory.last()).unwrap_err();
        assert!(error.contains("the action is of the key"), "{error}");
    }
    fs::write(&path, asked.to_bytes()).unwrap();
    assert_eq!(perform(&memory.last()), Ok(()));
}
