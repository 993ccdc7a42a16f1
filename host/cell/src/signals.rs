//! Signals that would end the program without a word.

/// Has writing beyond the limit of a file's size (`ulimit -f`; `RLIMIT_FSIZE` in getrlimit(2)) fail with `EFBIG`: by default, `SIGXFSZ` ends the
/// process. Processes that it starts inherit that.
#[expect(unsafe_code, reason = "the standard library has no call for it")]
pub fn outlive_file_limits() {
    // SAFETY: to ignore a signal runs no code of ours when it comes, and nothing else of this program has a handler for it.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
