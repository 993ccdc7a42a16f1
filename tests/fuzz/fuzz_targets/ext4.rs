#![no_main]

use std::sync::atomic::{AtomicBool, Ordering};

use cellblock_fuzz_targets::{Mounted, ext4, ext4_mounted};

/// Whether this machine mounts, as far as it is known.
static MOUNTS: AtomicBool = AtomicBool::new(true);

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ext4(data);
    // Mounting takes as long as many inputs do: which of them it is tried on follows from their bytes.
    let sum = data.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    if sum.is_multiple_of(16) && MOUNTS.load(Ordering::Relaxed) {
        if let Mounted::Refused(said) = ext4_mounted(data) {
            eprintln!("skipped: mounting: {}", said.trim());
            MOUNTS.store(false, Ordering::Relaxed);
        }
    }
});
