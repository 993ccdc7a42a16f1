#![no_main]

use cellblock::report::draw;
use cellblock_fuzz_targets::table_shown;

// The program's pictures too, which the crate of targets does not know.
libfuzzer_sys::fuzz_target!(|data: &[u8]| table_shown(data, |table| {
    for width in [0, 80, 200] {
        assert!(!draw(table, width, true).is_empty());
    }
}));
