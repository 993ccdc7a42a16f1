//! What a reader logs is told as its words, and what no warning is only to those who ask for it.

use super::reader::{Reader, file, root};
use crate::support::{Bench, component};

#[test]
fn what_a_reader_logs_is_told_to_whom_wants_it() {
    let bench = Bench::new();
    let mut reader = Reader::new();
    let mut code = String::new();
    for (level, text) in [(0, "at block 7"), (1, "it is old"), (2, "it is torn")] {
        let place = reader.put(text.as_bytes(), 1);
        code += &format!(
            "(call $log (i32.const {level}) (i32.const {place}) (i32.const {}))",
            text.len()
        );
    }
    let reader = reader.nodes(&[root(), file(0, "f", 0)]).code(&code);
    bench.write("mine.wasm", component::reader_of(&reader.module()));
    bench.write("disk.img", vec![b'x'; 1 << 20]);
    bench.create_folder("empty");
    bench.create_folder("out");
    for line in [
        &["ls", "disk.img"][..],
        &["tree", "disk.img"],
        &["du", "disk.img"],
        &["stat", "disk.img"],
        &["cat", "disk.img:/f"],
        &["cp", "disk.img:/f", "out"],
        &["diff", "disk.img", "empty"],
        &["tar", "disk.img", "-o", "all.tar"],
        &["export", "disk.img", "-o", "again.tar"],
    ] {
        let line = [line, &["--reader", "mine=mine.wasm"]].concat();
        let quiet = bench.run(&line).stderr;
        let warning = "warning: disk.img: its reader says: it is torn\n";
        assert!(
            quiet.contains(warning) && !quiet.contains("it is old"),
            "{line:?}: {quiet}"
        );
        let verbose = bench.run(&[&line[..], &["-v"]].concat()).stderr;
        for said in [
            warning,
            "\ndisk.img: its reader says: at block 7\ndisk.img: its reader says: it is old\n",
        ] {
            assert!(verbose.contains(said), "{line:?}: {verbose}");
        }
        bench
            .path("out/f")
            .exists()
            .then(|| std::fs::remove_file(bench.path("out/f")).unwrap());
    }
}
