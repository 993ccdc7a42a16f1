#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cellblock_cell::fuzzing::channel(data));
