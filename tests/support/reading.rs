//! What goes into a file system and what came out of it, both read by others.

use std::fs;
use std::path::Path;

use super::{Ability, Bench, Listing, debugfs, is_root, judge, lacks, mount};

/// How an archive says who may do what beyond the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acls {
    /// In words, as GNU tar writes them with `--acls`.
    Words,
    /// In the kernel's encoding, as GNU tar writes them with `--xattrs` alone.
    Attributes,
}

/// What GNU tar makes of an archive. Only the superuser can have it make devices and set owners.
pub fn of_archive(bench: &Bench, archive: &Path, acls: Acls) -> Option<Listing> {
    if !is_root() {
        lacks(Ability::Superuser, "only it unpacks devices and owners");
        return None;
    }
    let tar = judge("tar")?;
    let folder = bench.create_folder("unpacked");
    let output = tar
        .command()
        .args(["--xattrs", "--xattrs-include=*"])
        // With it, GNU tar leaves out those that are attributes.
        .args((acls == Acls::Words).then_some("--acls"))
        .args([
            "--numeric-owner",
            "--same-owner",
            "--delay-directory-restore",
            "-xpf",
        ])
        .arg(archive)
        .arg("-C")
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", super::text(&output));
    let listing = Listing::of_directory(&folder);
    fs::remove_dir_all(&folder).unwrap();
    Some(listing)
}

/// What the kernel, or debugfs where the kernel may not, finds in the ext4 file system `file`.
pub fn of_ext4(bench: &Bench, file: &Path) -> Option<Listing> {
    if mount::may_mount() {
        Some(mount::read_ext4(bench, file))
    } else {
        lacks(Ability::LoopDevices, "debugfs reads in place of the kernel");
        debugfs::read_ext4(bench, file)
    }
}

/// Fails unless what is found in the ext4 file system `file` is what is in `expected`, and nothing else.
pub fn assert_ext4_holds(bench: &Bench, file: &Path, mut expected: Listing) {
    let Some(found) = of_ext4(bench, file) else {
        return;
    };
    let lost_and_found = b"lost+found".to_vec();
    expected.0.entry(lost_and_found.clone()).or_insert_with(|| {
        // The formatter's own. Its time is the image's.
        let own = found.0.get(&lost_and_found).expect("no lost+found").clone();
        assert_eq!((own.mode, own.owner, own.links), (0o700, (0, 0), 2));
        own
    });
    expected.counted().assert_same(&found);
}

/// Fails unless mtools find in the FAT volume `file` what is in `expected`, and nothing else.
pub fn assert_fat_holds(bench: &Bench, file: &Path, expected: Listing) {
    let Some(mcopy) = judge("mcopy") else {
        return;
    };
    let folder = bench.create_folder("copied");
    let output = mcopy
        .command()
        // -m keeps times, -s takes all that is below.
        .args(["-s", "-m", "-n", "-Q", "-i"])
        .arg(file)
        .arg("::/")
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", super::text(&output));
    let found = Listing::of_directory(&folder);
    fs::remove_dir_all(&folder).unwrap();
    expected.on_fat().assert_same(&found.on_fat());
}
