#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cellblock_fuzz_targets::action(data));
