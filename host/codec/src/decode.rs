//! The way back, to check what was made.

use crate::{
    Failure, Method,
    lzma::{self, Handle},
};

use liblzma_sys as sys;

/// What a piece holds. `length` is the exact number of bytes that come out.
///
/// # Errors
/// [`Failure`] if it is damaged, or holds another number of bytes.
pub fn decode(method: Method, piece: &[u8], length: usize) -> Result<Vec<u8>, Failure> {
    let mut content = vec![0; length];
    let found = match method {
        Method::Deflate => libdeflater::Decompressor::new()
            .deflate_decompress(piece, &mut content)
            .map_err(|error| Failure::library("libdeflate", error.to_string()))?,
        Method::Zlib => libdeflater::Decompressor::new()
            .zlib_decompress(piece, &mut content)
            .map_err(|error| Failure::library("libdeflate", error.to_string()))?,
        Method::Lz4 => lz4(piece, &mut content)?,
        Method::Zstd => zstd::zstd_safe::decompress(content.as_mut_slice(), piece)
            .map_err(|code| Failure::library("libzstd", zstd::zstd_safe::get_error_name(code)))?,
        Method::Xz => {
            let mut handle = Handle::default();
            // SAFETY: the handle is all zeros, as a new one has to be.
            let ready = unsafe { sys::lzma_stream_decoder(&raw mut handle.0, u64::MAX, 0) };
            through(handle, ready, piece, &mut content)?
        }
        Method::MicroLzma => {
            let mut handle = Handle::default();
            // SAFETY: the handle is all zeros, as a new one has to be.
            let ready = unsafe {
                sys::lzma_microlzma_decoder(
                    &raw mut handle.0,
                    piece.len() as u64,
                    length as u64,
                    1,
                    LARGEST_DICTIONARY,
                )
            };
            through(handle, ready, piece, &mut content)?
        }
    };
    if found == length {
        Ok(content)
    } else {
        Err(Failure::library(
            method.name(),
            format!("{found} bytes came out of a piece that holds {length}"),
        ))
    }
}

/// No block has a larger one.
const LARGEST_DICTIONARY: u32 = 16 << 20;

fn through(
    mut handle: Handle,
    ready: sys::lzma_ret,
    piece: &[u8],
    content: &mut [u8],
) -> Result<usize, Failure> {
    if ready != sys::LZMA_OK {
        return Err(lzma::failure(ready));
    }
    match handle.finish(piece, content)? {
        Some(made) => Ok(made.produced),
        None => Err(lzma::failure(sys::LZMA_DATA_ERROR)),
    }
}

fn lz4(piece: &[u8], content: &mut [u8]) -> Result<usize, Failure> {
    let narrow = |length| i32::try_from(length).map_err(|_| Failure::library("liblz4", "too long"));
    let (length, room) = (narrow(piece.len())?, narrow(content.len())?);
    // SAFETY: pointers and lengths are those of slices; the library reads and writes nothing beyond them, however damaged.
    let found = unsafe {
        lz4_sys::LZ4_decompress_safe(
            piece.as_ptr().cast(),
            content.as_mut_ptr().cast(),
            length,
            room,
        )
    };
    usize::try_from(found).map_err(|_| Failure::library("liblz4", "damaged data"))
}
