//! An ordinary user makes the same disk.

use super::grub;
use crate::support::bench::assert_same_bytes;
use crate::support::judge;
use crate::unprivileged::{as_nobody, folder_of_nobody};

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
    folder_of_nobody(&bench, "out");
    as_nobody(
        &bench,
        &setpriv,
        &["build", "image.toml", "-o", "out/disk.img", "-q"],
    );
    assert_same_bytes(&ours, &bench.path("out/disk.img"));
}
