//! Blocks of file systems that somebody else made, to their bytes: as many as are asked for, and no more.

#![expect(unsafe_code, reason = "libraries in C get what a slice holds")]

use liblzma_sys as sys;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::{
    BLOCK_LIMIT, Failure,
    lzma::{self, Handle},
    lzo,
};

/// What a block is encoded with, as file systems have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Form {
    /// Raw DEFLATE.
    Deflate,
    /// A zlib stream.
    Zlib,
    /// An LZ4 block without a frame.
    Lz4,
    /// LZO1X.
    Lzo,
    /// A Zstandard frame.
    Zstd,
    /// An .xz stream.
    Xz,
    /// An .lzma stream.
    Lzma,
    /// LZMA whose first byte is replaced.
    MicroLzma,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Deflate,
        Self::Zlib,
        Self::Lz4,
        Self::Lzo,
        Self::Zstd,
        Self::Xz,
        Self::Lzma,
        Self::MicroLzma,
    ];
}

/// One thread's contexts, made when they are needed and used again.
#[derive(Default)]
pub struct Unpacker {
    deflate: Option<libdeflater::Decompressor>,
    zstandard: Option<DCtx<'static>>,
}

/// The most memory that liblzma may take for a block, in bytes: file systems have windows of at most 16 MiB.
const LZMA_MEMORY: u64 = 64 << 20;
/// The largest window of a Zstandard frame, as a power of two in bytes.
const ZSTANDARD_WINDOW: u32 = 24;

impl Unpacker {
    /// No contexts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `block` holds, at most `most` bytes of it. Where it is `padded`, the zeros before it are skipped. What stands
    /// behind its end is not looked at.
    ///
    /// # Errors
    /// [`Failure`] if it is damaged, or longer than [`BLOCK_LIMIT`], as `most` may not be either.
    pub fn unpack(
        &mut self,
        form: Form,
        block: &[u8],
        padded: bool,
        most: usize,
    ) -> Result<Vec<u8>, Failure> {
        check(block.len())?;
        check(most)?;
        let mut content = vec![0; most];
        let found = self.unpack_into(form, block, padded, &mut content)?;
        content.truncate(found);
        Ok(content)
    }

    /// As [`Unpacker::unpack`], into `content`, as far as that has room: how many bytes came out. What was behind them may be
    /// written over.
    ///
    /// # Errors
    /// As of [`Unpacker::unpack`]; `content` may be written over.
    pub fn unpack_into(
        &mut self,
        form: Form,
        block: &[u8],
        padded: bool,
        content: &mut [u8],
    ) -> Result<usize, Failure> {
        check(block.len())?;
        check(content.len())?;
        let zeros = if padded {
            block.iter().take_while(|byte| **byte == 0).count()
        } else {
            0
        };
        let block = &block[zeros..];
        match form {
            Form::Lzo => {
                let mut found = Vec::new();
                lzo::decode(block, &mut found, content.len())?;
                content[..found.len()].copy_from_slice(&found);
                Ok(found.len())
            }
            Form::Deflate | Form::Zlib => self.deflate(form, block, content),
            Form::Zstd => self.zstandard(block, content),
            Form::Lz4 => lz4(block, content),
            Form::Xz | Form::Lzma | Form::MicroLzma => lzma(form, block, content),
        }
    }

    /// libdeflate stops at nothing but the end, so that it gets more room where there is more than is asked for.
    fn deflate(&mut self, form: Form, block: &[u8], content: &mut [u8]) -> Result<usize, Failure> {
        let context = self
            .deflate
            .get_or_insert_with(libdeflater::Decompressor::new);
        let mut decompress = |room: &mut [u8]| match form {
            Form::Zlib => context.zlib_decompress(block, room),
            _ => context.deflate_decompress(block, room),
        };
        let most = content.len();
        let mut found = decompress(content);
        let mut more = Vec::new();
        while let Err(libdeflater::DecompressionError::InsufficientSpace) = found
            && more.len().max(most) < BLOCK_LIMIT
        {
            more.resize((more.len().max(most) * 4).min(BLOCK_LIMIT), 0);
            found = decompress(&mut more);
        }
        let found = found.map_err(|error| Failure::library("libdeflate", error.to_string()))?;
        let found = found.min(most);
        if !more.is_empty() {
            content[..found].copy_from_slice(&more[..found]);
        }
        Ok(found)
    }

    fn zstandard(&mut self, block: &[u8], content: &mut [u8]) -> Result<usize, Failure> {
        let failure = |code| Failure::library("libzstd", zstd::zstd_safe::get_error_name(code));
        if self.zstandard.is_none() {
            let mut context = DCtx::try_create()
                .ok_or_else(|| Failure::library("libzstd", "no memory for a context"))?;
            context
                .set_parameter(DParameter::WindowLogMax(ZSTANDARD_WINDOW))
                .map_err(failure)?;
            self.zstandard = Some(context);
        }
        let context = self.zstandard.as_mut().expect("it was made above");
        context
            .reset(zstd::zstd_safe::ResetDirective::SessionOnly)
            .map_err(failure)?;
        let most = content.len();
        let mut input = InBuffer::around(block);
        let mut output = OutBuffer::around(content);
        loop {
            let (taken, made) = (input.pos(), output.pos());
            let left = context
                .decompress_stream(&mut output, &mut input)
                .map_err(failure)?;
            if left == 0 || output.pos() == most {
                return Ok(output.pos());
            }
            if (input.pos(), output.pos()) == (taken, made) {
                return Err(Failure::library("libzstd", "the frame ends early"));
            }
        }
    }
}

fn check(length: usize) -> Result<(), Failure> {
    match length {
        1..=BLOCK_LIMIT => Ok(()),
        _ => Err(Failure::Block { length }),
    }
}

fn lz4(block: &[u8], content: &mut [u8]) -> Result<usize, Failure> {
    let narrow = |length| i32::try_from(length).map_err(|_| Failure::library("liblz4", "too long"));
    let (length, room) = (narrow(block.len())?, narrow(content.len())?);
    // SAFETY: pointers and lengths are those of slices; the library reads and writes nothing beyond them, however damaged.
    let found = unsafe {
        LZ4_decompress_safe_partial(
            block.as_ptr().cast(),
            content.as_mut_ptr().cast(),
            length,
            room,
            room,
        )
    };
    usize::try_from(found).map_err(|_| Failure::library("liblz4", "damaged data"))
}

// `lz4-sys` builds it and does not declare it.
unsafe extern "C" {
    fn LZ4_decompress_safe_partial(
        source: *const std::ffi::c_char,
        destination: *mut std::ffi::c_char,
        length: std::ffi::c_int,
        wanted: std::ffi::c_int,
        room: std::ffi::c_int,
    ) -> std::ffi::c_int;
}

fn lzma(form: Form, block: &[u8], content: &mut [u8]) -> Result<usize, Failure> {
    let mut handle = Handle::default();
    let stream = &raw mut handle.0;
    // SAFETY: the handle is all zeros, as a new one has to be.
    let ready = unsafe {
        match form {
            Form::Xz => sys::lzma_stream_decoder(stream, LZMA_MEMORY, 0),
            Form::Lzma => sys::lzma_alone_decoder(stream, LZMA_MEMORY),
            _ => sys::lzma_microlzma_decoder(
                stream,
                block.len() as u64,
                content.len() as u64,
                0,
                // No match reaches farther back than there are bytes.
                u32::try_from(content.len())
                    .map_err(|_| Failure::library("liblzma", "too long"))?
                    .max(sys::LZMA_DICT_SIZE_MIN),
            ),
        }
    };
    if ready != sys::LZMA_OK {
        return Err(lzma::failure(ready));
    }
    let most = content.len();
    match handle.advance(block, content)? {
        (made, true) => Ok(made.produced),
        (made, false) if made.produced == most => Ok(most),
        _ => Err(Failure::library("liblzma", "the stream ends early")),
    }
}
