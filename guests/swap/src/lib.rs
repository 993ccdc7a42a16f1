//! The swap formatter: Linux swap space, version 1.
//!
//! ```text
//!   page 0                                             pages 1 to last
//!  +----------+---------------------+-----------------+-----------------------+
//!  | 1024     | version, last page, | "SWAPSPACE2" in | free: stay the zeros  |
//!  | bytes    | UUID, label, list   | the last ten    | that the partition    |
//!  | for boot | of bad pages        | bytes           | has                   |
//!  | blocks   |                     |                 |                       |
//!  +----------+---------------------+-----------------+-----------------------+
//! ```
//!
//! Numbers are in the byte order of the machine that swaps: little-endian here. A page is the machine's, and the kernel
//! refuses a swap space with pages of another size. The layout is `union swap_header` in the kernel's
//! `include/linux/swap.h`.

#![deny(unsafe_code)]

mod format;
mod formatter;
mod layout;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

pub use formatter::SwapFormatter;
