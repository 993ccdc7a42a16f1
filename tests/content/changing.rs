//! Content that changes between the reading of its tree and the copying of its bytes.
//!
//! The last source is a fifo: the program opens it once it has read all sources before, and waits for what comes. Then
//! the change is made, and after it an empty archive goes through the fifo.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::archive::{Archive, feed, make_fifo};
use super::runner::{Case, case, endure};
use crate::support::Bench;

const LARGE: usize = 4 << 20;

fn prepare(bench: &Bench) {
    bench.write("content/file", vec![b'x'; LARGE]);
    bench.write("content/small", "small");
    bench.write("secret", "another's");
    make_fifo(&bench.path("gate"));
}

fn changed(
    name: &str,
    filesystem: &'static str,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> Case {
    from(
        name,
        filesystem,
        "{ directory = \"content\", owner = \"0:0\" }",
        change,
    )
}

fn from(
    name: &str,
    filesystem: &'static str,
    source: &str,
    change: impl Fn(&Path) + Send + Sync + 'static,
) -> Case {
    let content = format!("{source}, {{ archive = \"gate\" }}");
    case(name, filesystem, content, prepare).meanwhile(move |bench| {
        let mut gate = feed(&bench.path("gate")).expect("nobody opens the fifo");
        change(bench.folder());
        let _ = gate.write_all(&Archive::new().with("./", b'5', b"").bytes());
    })
}

/// In place of the large file there is something else.
fn replaced(
    name: &str,
    filesystem: &'static str,
    by: impl Fn(&Path) + Send + Sync + 'static,
) -> Case {
    changed(
        &format!("a file replaced by {name}"),
        filesystem,
        move |folder| {
            let path = folder.join("content/file");
            fs::remove_file(&path).unwrap();
            by(&path);
        },
    )
}

#[test]
fn files_that_change_while_they_are_read() {
    let mut cases = Vec::new();
    let advice = "; build from content that nothing writes to";
    for filesystem in ["ext4", "vfat"] {
        let is = |what: &str| format!("content: /file changed while it was read: {what}{advice}");
        let gone = |error: &str| {
            is(&format!(
                "its entry in its directory was there, now {error}"
            ))
        };
        cases.extend([
            replaced("a symbolic link to another", filesystem, |path| {
                symlink("../secret", path).unwrap();
            })
            .refused(gone("Too many levels of symbolic links (os error 40)")),
            replaced("a fifo", filesystem, make_fifo).refused(is("its … was …, now …")),
            replaced("a directory", filesystem, |path| {
                fs::create_dir(path).unwrap();
            })
            .refused(is("its … was …, now …")),
            replaced("a socket", filesystem, |path| {
                drop(std::os::unix::net::UnixListener::bind(path).unwrap());
            })
            .refused(gone("No such device or address (os error 6)")),
            changed(
                "a file replaced by one of its size and time",
                filesystem,
                |folder| {
                    let (old, new) = (folder.join("content/file"), folder.join("secret"));
                    let old_time = fs::metadata(&old).unwrap().modified().unwrap();
                    let file = File::create(&new).unwrap();
                    file.set_len(LARGE as u64).unwrap();
                    file.set_modified(old_time).unwrap();
                    fs::rename(new, old).unwrap();
                },
            )
            .leaves(&["content", "disk.img", "gate", "image.toml", "temporary"])
            .refused(is("its inode was …, now … on device …")),
            changed("a file removed", filesystem, |folder| {
                fs::remove_file(folder.join("content/file")).unwrap();
            })
            .refused(gone("No such file or directory (os error 2)")),
            changed("a file cut short", filesystem, |folder| {
                let file = File::options()
                    .write(true)
                    .open(folder.join("content/file"));
                file.unwrap().set_len(1_000_000).unwrap();
            })
            .refused(is("its size was 4194304, now 1000000")),
            changed("a file grown", filesystem, |folder| {
                let file = File::options()
                    .append(true)
                    .open(folder.join("content/file"));
                file.unwrap().write_all(b"more").unwrap();
            })
            .refused(is("its size was 4194304, now 4194308")),
            changed("a file rewritten in place", filesystem, |folder| {
                let file = File::options()
                    .write(true)
                    .open(folder.join("content/file"));
                file.unwrap().write_all(b"other").unwrap();
            })
            .refused(is("its modification time was …, now …")),
            changed(
                "a directory that is renamed and gets more",
                filesystem,
                |folder| {
                    fs::rename(folder.join("content"), folder.join("moved")).unwrap();
                    fs::rename(folder.join("moved"), folder.join("content")).unwrap();
                    fs::write(folder.join("content/new"), "").unwrap();
                    fs::remove_file(folder.join("content/new")).unwrap();
                },
            ),
        ]);
    }
    endure("changes", cases);
}

#[test]
fn sources_that_change_while_they_are_read() {
    let tar = |bench: &Bench| {
        prepare(bench);
        let archive = Archive::new().with("file", b'0', &vec![b'x'; LARGE]);
        bench.write("a.tar", archive.bytes());
    };
    let advice = "; build from content that nothing writes to";
    let mut cases = vec![
        from(
            "a single file cut short",
            "ext4",
            "{ file = \"content/file\", to = \"/file\" }",
            |folder| {
                let file = File::options().write(true).open(folder.join("content/file"));
                file.unwrap().set_len(1_000_000).unwrap();
            },
        )
        .refused(format!(
            "content/file: /file changed while it was read: its size was 4194304, now 1000000{advice}"
        )),
        from(
            "a single file replaced, of which the one that was opened is taken",
            "ext4",
            "{ file = \"content/small\", to = \"/small\", owner = \"0:0\" }",
            |folder| {
                fs::remove_file(folder.join("content/small")).unwrap();
                make_fifo(&folder.join("content/small"));
            },
        )
        .right(|bench, part| super::names::assert_file(bench, "ext4", part, "small", b"small")),
    ];
    let mut archive = from(
        "an archive cut short",
        "ext4",
        "{ archive = \"a.tar\" }",
        |folder| {
            let file = File::options().write(true).open(folder.join("a.tar"));
            file.unwrap().set_len(1_000_000).unwrap();
        },
    )
    .refused(format!(
        "a.tar: /file changed while it was read: its size was 4195840, now 1000000{advice}"
    ));
    archive = archive.prepared(tar);
    cases.push(archive);
    endure("changes of sources", cases);
}
