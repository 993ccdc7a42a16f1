//! Time, memory, and what is not theirs.

use super::reader::{DIRECTORY, Place, Reader, encoded, file, node, root};
use super::runner::{harmless, refused, withstand};

const MEBIBYTE: u64 = 1 << 20;

/// Told again and again.
fn for_ever(text: &str) -> String {
    format!("(loop $again {text} (br $again))")
}

#[test]
fn without_end() {
    let mut files = Reader::new();
    // A batch of a thousand directories, each in the one before: every round goes on where the first did.
    let chain: Vec<_> = (0..1000)
        .map(|parent| node(parent, "d", DIRECTORY, 0))
        .collect();
    let batch = files.batch(&chain, |_| ());
    let deep = files
        .nodes(&[root()])
        .code(&format!("(call $tell_nodes (i32.const {batch}))"));
    let mut twice = Reader::new();
    let again = twice.batch(&[node(0, "d", DIRECTORY, 0)], |_| ());
    let twice = twice.nodes(&[root()]).code(&for_ever(&format!(
        "(call $tell_nodes (i32.const {again}))"
    )));
    let roots = Reader::new().nodes(&[root()]).code(&for_ever(
        "(call $tell_extents (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
    ));
    let logging = Reader::new().nodes(&[root()]).code(&for_ever(
        "(call $log (i32.const 2) (i32.const 0) (i32.const 7))",
    ));
    // Each file by another number in its name: the four bytes of the name are counted up.
    let mut many = Reader::new();
    let wide: Vec<_> = (0..10_000)
        .map(|number| file(0, format!("{number:05}"), 0))
        .collect();
    let mut names = 0;
    let record = many.batch(&wide, |columns| names = columns[9].0);
    let many = many.nodes(&[root()]).code(&for_ever(&format!(
        "(call $tell_nodes (i32.const {record}))
         ;; The first letter of each name is the next one.
         (local.set $i (i32.const 0))
         (loop $name
           (i32.store8 (i32.add (i32.const {names}) (local.get $i))
             (i32.add (i32.const 1) (i32.load8_u (i32.add (i32.const {names}) (local.get $i)))))
           (local.set $i (i32.add (local.get $i) (i32.const 5)))
           (br_if $name (i32.lt_u (local.get $i) (i32.const 50000))))"
    )));
    withstand(
        "without end",
        vec![
            refused(
                "a loop",
                "time",
                Reader::new().code(&for_ever("")),
                "was stopped after 2 seconds",
            )
            .seconds(2),
            refused(
                "a loop that tells nothing",
                "time",
                roots,
                "was stopped after 2 seconds",
            )
            .seconds(2),
            refused(
                "a loop of messages",
                "time",
                logging,
                "was stopped after 2 seconds",
            )
            .seconds(2),
            refused(
                "a name for ever",
                "checked tree",
                twice,
                "/d is there twice",
            ),
            harmless(
                "1,000 directories in each other",
                "nothing: it may",
                deep,
                1001,
            ),
            refused(
                "names until there are no letters",
                "checked tree",
                many,
                "/",
            )
            .host(1024 * MEBIBYTE),
        ],
    );
}

#[test]
fn memory() {
    let grow = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let attribute = {
        let mut node = file(0, "a", 0);
        node.attributes = vec![(b"user.a".to_vec(), vec![b'v'; 60_000]); 1];
        node
    };
    let flood: Vec<_> = (0..500_u32)
        .map(|number| {
            let mut one = attribute.clone();
            one.name = number.to_string().into_bytes();
            one.attributes[0].1.extend(number.to_le_bytes());
            one
        })
        .collect();
    withstand(
        "memory",
        vec![
            refused(
                "all of it",
                "the cell's memory",
                Reader::new().code(grow),
                "exceeded a limit: it asked for",
            ),
            refused(
                "30 MB of attributes at once",
                "a call's bytes",
                Reader::new().tree(&flood),
                "bytes of attributes in one call, and 16777216 are allowed",
            )
            .memory(128 * MEBIBYTE)
            .host(128 * MEBIBYTE),
            harmless(
                "30 MB of attributes in turn",
                "nothing: it may",
                flood
                    .chunks(200)
                    .fold(Reader::new().nodes(&[root()]), Reader::nodes),
                501,
            )
            .memory(128 * MEBIBYTE)
            .host(128 * MEBIBYTE),
        ],
    );
}

#[test]
fn decoding() {
    // Bytes that are all the same are a block of LZO1X.
    let (lzo, zstd) = (3, 4);
    let call = [encoded(zstd, 0, 4096, 16 << 20); 5];
    let run_dry = [encoded(lzo, 0, 4096, 16 << 20); 4];
    withstand(
        "decoding",
        vec![
            harmless(
                "a block that is none",
                "typed answers",
                Reader::new()
                    .tree(&[])
                    .decoded(1, &[encoded(zstd, 0, 4096, 4096)], (1, 0)),
                1,
            ),
            harmless(
                "a block beyond the partition",
                "typed answers",
                Reader::new()
                    .tree(&[])
                    .decoded(1, &[encoded(zstd, 1 << 20, 1, 1)], (1, 1)),
                1,
            ),
            harmless(
                "a block of nothing",
                "typed answers",
                Reader::new()
                    .tree(&[])
                    .decoded(1, &[encoded(zstd, 0, 0, 0)], (1, 1)),
                1,
            ),
            harmless(
                "80 MiB at once",
                "typed answers",
                Reader::new().tree(&[]).decoded(1, &call, (1, 2)),
                1,
            ),
            harmless(
                "64 MiB 200 times",
                "typed answers",
                Reader::new().tree(&[]).decoded(200, &run_dry, (1, 2)),
                1,
            )
            // A decoder that fails is not used again: what 128 of them take, one after the other, is added up.
            .host(512 * MEBIBYTE),
        ],
    );
}

#[test]
fn what_is_not_theirs() {
    let write =
        "(call $write (local.get $p) (i32.const 0) (i32.const 7) (i64.const 0) (i32.const 128))
                 (if (i32.eqz (i32.load8_u (i32.const 128))) (then (unreachable)))";
    let resize = "(call $set_size (local.get $p) (i64.const 0) (i32.const 128))
                  (if (i32.eqz (i32.load8_u (i32.const 128))) (then (unreachable)))";
    let open = "(call $open (local.get $p) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 128))
                (if (i32.eqz (i32.load8_u (i32.const 128))) (then (unreachable)))";
    // Behind the end there are no bytes, and that is told.
    let behind = "(call $read (local.get $p) (i64.const 4096) (i64.const 1048576) (i32.const 128))
                  (if (i32.load8_u (i32.const 128)) (then (unreachable)))
                  (if (i32.load (i32.const 136)) (then (unreachable)))";
    let dropped = "(call $drop (local.get $p)) (call $read (local.get $p) (i64.const 1) (i64.const 0) (i32.const 128))";
    let forged = "(call $read (i32.const 77) (i64.const 1) (i64.const 0) (i32.const 128))";
    let may = |name: &str, code: &str| {
        harmless(
            name,
            "an error for the guest",
            Reader::new().tree(&[]).code(code),
            1,
        )
    };
    let dies = |name: &str, code: &str| {
        refused(
            name,
            "checked handles",
            Reader::new().tree(&[]).code(code),
            "the guest 'hostile' failed: ",
        )
    };
    withstand(
        "what is not theirs",
        vec![
            may("a write to the partition", write),
            may("a partition of another size", resize),
            may("a file by its path", open),
            may("bytes behind the end", behind),
            dies("a handle that was dropped", dropped),
            dies("a handle that was never given", forged),
            refused(
                "told before it is asked",
                "asked for",
                Reader::new().part(
                    "(func $probe (export \"EXPORTprobe\") (param i32) (result i32)
                       (call $tell_extents (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (call $succeed))",
                ),
                "the first node is not the root directory",
            ),
            harmless("bytes of the partition, read by the host", "nothing: it may", Reader::new().tree(&[file(0, "a", 9)]).extents(&[(1, 0, 9, Place::Plain(3))], b""), 2),
        ],
    );
}
