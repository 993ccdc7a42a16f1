//! Numbers, names and bytes as people read them. Every crate's errors need it.
//!
//! | Value | Shown as |
//! |---|---|
//! | a size, for a glance | [`human`]: `1.9 GiB` |
//! | a size, in an error | [`exact`]: `41 943 040 bytes` |
//! | a name from an image or a spec | [`printable`]: nothing in it acts on a terminal |
//! | a text of any length | [`excerpt`]: the same, and no more than its beginning |
//! | a path of any bytes | [`PathBytes`]: on one line, escaped where it is no text |
//! | the same, in JSON | [`members`]: exactly its text, or what is shown and the bytes |
//! | a digest | [`hexadecimal`] |

#![forbid(unsafe_code)]

mod hexadecimal;
mod members;
mod nearest;
mod number;
mod path;
mod printable;

pub use hexadecimal::hexadecimal;
pub use members::members;
pub use nearest::nearest;
pub use number::{exact, grouped, human};
pub use path::PathBytes;
pub use printable::{acts_on_terminal, excerpt, printable, printable_lines};
