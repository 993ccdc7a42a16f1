//! Compression for file systems: bytes in, pieces out. It opens nothing, starts nothing, and depends on nothing of ours.
//!
//! ```text
//!                        ┌───────────┐     one piece
//!     block of bytes ──> │   Codec   │ ──> [consumed ............ -> produced]
//!     settings ────────> │ contexts  │     with a limit, as many as it takes
//!                        └───────────┘ ──> [-> 4,090][-> 4,001][raw][-> 3,977]
//! ```
//!
//! A [`Codec`] belongs to one thread and uses the contexts of its libraries again. What comes out depends on the settings and
//! the bytes alone, not on what the codec made before.
//!
//! | Method | Form | Library |
//! |---|---|---|
//! | deflate, zlib | RFC 1951, RFC 1950 | libdeflate |
//! | lz4 | a block, without a frame | liblz4, with its HC part |
//! | zstd | a frame, RFC 8878 | libzstd |
//! | xz, MicroLZMA | .xz; LZMA whose first byte is replaced | liblzma |
//!
//! An [`Unpacker`] takes blocks apart that others made, of these forms and of two more: .lzma, and LZO1X by code of our own.

#![deny(unsafe_code)]

mod codec;
#[allow(unsafe_code, reason = "the library is C")]
mod decode;
mod deflate;
mod error;
mod fit;
#[allow(unsafe_code, reason = "the library is C")]
mod lz4;
#[allow(unsafe_code, reason = "the library is C")]
mod lzma;
mod lzo;
mod made;
mod settings;
mod unpack;
mod workers;
mod zstandard;

pub use codec::{Codec, Piece};
pub use decode::decode;
pub use error::{Failure, SettingsError};
pub use settings::{BLOCK_LIMIT, Filter, Method, Settings};
pub use unpack::{Form, Unpacker};
pub use workers::{
    Block, Encoded, MOST_TOGETHER, TOGETHER, Threads, Worker, WorkerError, Workers, encode_all,
    encoded,
};

/// The libraries that compress, each with its version: what else decides the bytes that come out.
#[must_use]
pub fn versions() -> [(&'static str, String); 4] {
    [
        ("libdeflate", deflate::VERSION.to_owned()),
        ("liblz4", lz4::version()),
        ("liblzma", lzma::version()),
        ("libzstd", zstd::zstd_safe::version_string().to_owned()),
    ]
}
