//! Guests that use handles which are not theirs, or no longer.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const HANDLES: &str = "handle table";

fn trapped(name: &str, body: &str) -> Attack {
    formatter(name, HANDLES, &format(&format!("{body} (i32.const -1)")))
        .refused("the guest 'hostile' failed: ")
}

fn forged(handle: i64) -> Attack {
    trapped(
        &format!("the forged handle {handle}"),
        &format!(
            "(call $write (i32.const {handle}) (i32.const 0) (i32.const 8) (i64.const 0) (i32.const 1024))"
        ),
    )
}

#[test]
fn handles() {
    withstand(
        "handles",
        vec![
            trapped(
                "a write after the drop",
                "(call $drop (local.get $p)) (call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const 0) (i32.const 1024))",
            ),
            trapped(
                "a second drop",
                "(call $drop (local.get $p)) (call $drop (local.get $p))",
            ),
            trapped(
                "a link to a handle that is dropped",
                "(call $drop (local.get $p)) (call $link (local.get $p) (i32.const 0) (i32.const 0) (i32.const 1) (local.get $p) (i32.const 0) (i32.const 1) (i32.const 1024))",
            ),
            forged(0),
            forged(2),
            forged(4096),
            forged(-1),
            trapped("the drop of a forged handle", "(call $drop (i32.const 77))"),
            trapped(
                "a partition as a stream",
                "(call $read_entry (local.get $p) (i32.const 1024))",
            ),
            trapped(
                "the drop of a partition as a stream",
                "(call $drop_stream (local.get $p))",
            ),
            formatter(
                "a partition that is kept",
                HANDLES,
                &format("(call $sync (local.get $p) (i32.const 1024)) (i32.const -1)"),
            ),
        ],
    );
}
