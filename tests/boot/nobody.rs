//! An ordinary user makes the same disk.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use super::grub;
use crate::support::bench::{assert_same_bytes, program};
use crate::support::{is_root, judge, text};
use crate::unprivileged::{NOBODY, without_rights};

#[test]
fn nobody_makes_the_same_disk() {
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    let bench = grub::bench();
    bench.write("values.in", "{{ partition.root.uuid }}\n");
    let spec = format!(
        "{}[[partition]]\nname = \"root\"\ntype = \"linux\"\nsize = \"4MiB\"\nfilesystem = \"ext4\"\n\
         content = [{{ template = \"values.in\", to = \"/values\" }}]\n",
        grub::spec("mbr").replace(
            "[boot",
            "raw = [{ lba-of = \"root\", offset = 102400 }]\ntime = 0\n[boot"
        )
    );
    let ours = bench.build_text(&spec);
    let copy = bench.path("cellblock");
    fs::copy(program(), &copy).unwrap();
    let out = bench.create_folder("out");
    if is_root() {
        chown(&out, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let output = Command::new(setpriv.program())
        .args(without_rights())
        .arg(copy)
        .args(["build", "image.toml", "-o", "out/disk.img", "-q"])
        .env_clear()
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_same_bytes(&ours, &out.join("disk.img"));
}
