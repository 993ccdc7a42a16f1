//! LZ4 blocks by liblz4, whose fast and HC parts both fill a given room by themselves.

use std::ffi::{c_char, c_int, c_void};

use crate::{Failure, Settings, made::Made};

// `lz4-sys` builds them and does not declare them.
unsafe extern "C" {
    fn LZ4_sizeofState() -> c_int;
    fn LZ4_sizeofStateHC() -> c_int;
    fn LZ4_compress_fast_extState(
        state: *mut c_void,
        source: *const c_char,
        destination: *mut c_char,
        length: c_int,
        room: c_int,
        acceleration: c_int,
    ) -> c_int;
    fn LZ4_compress_destSize_extState(
        state: *mut c_void,
        source: *const c_char,
        destination: *mut c_char,
        length: *mut c_int,
        room: c_int,
        acceleration: c_int,
    ) -> c_int;
    fn LZ4_compress_HC_extStateHC(
        state: *mut c_void,
        source: *const c_char,
        destination: *mut c_char,
        length: c_int,
        room: c_int,
        level: c_int,
    ) -> c_int;
    fn LZ4_compress_HC_destSize(
        state: *mut c_void,
        source: *const c_char,
        destination: *mut c_char,
        length: *mut c_int,
        room: c_int,
        level: c_int,
    ) -> c_int;
}

/// The library's default: the best compression of the fast part.
const ACCELERATION: c_int = 1;

pub(crate) fn version() -> String {
    // SAFETY: it takes nothing and returns a number.
    let number = unsafe { lz4_sys::LZ4_versionNumber() };
    format!(
        "{}.{}.{}",
        number / 10_000,
        number / 100 % 100,
        number % 100
    )
}

/// The states of both parts, as words so that they are aligned as the library asks for.
#[derive(Default)]
pub(crate) struct Lz4 {
    fast: Vec<u64>,
    high: Vec<u64>,
}

fn state(words: &mut Vec<u64>, bytes: c_int) -> *mut c_void {
    if words.is_empty() {
        let bytes = usize::try_from(bytes).expect("a size is not negative");
        words.resize(bytes.div_ceil(size_of::<u64>()), 0);
    }
    words.as_mut_ptr().cast()
}

impl Lz4 {
    fn fast(&mut self) -> *mut c_void {
        // SAFETY: it takes nothing and returns a number.
        state(&mut self.fast, unsafe { LZ4_sizeofState() })
    }

    fn high(&mut self) -> *mut c_void {
        // SAFETY: it takes nothing and returns a number.
        state(&mut self.high, unsafe { LZ4_sizeofStateHC() })
    }

    /// The length of what a block became, or `None` if it does not fit.
    pub(crate) fn whole(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        let (source, length) = (from.as_ptr().cast(), narrow(from.len()));
        let (destination, room) = (to.as_mut_ptr().cast(), narrow(to.len()));
        // SAFETY: the pointers and lengths are those of slices, and the state is as large and aligned as the library asks for.
        let produced = unsafe {
            if settings.level == 0 {
                LZ4_compress_fast_extState(
                    self.fast(),
                    source,
                    destination,
                    length,
                    room,
                    ACCELERATION,
                )
            } else {
                LZ4_compress_HC_extStateHC(
                    self.high(),
                    source,
                    destination,
                    length,
                    room,
                    narrow(settings.level as usize),
                )
            }
        };
        let produced = usize::try_from(produced)
            .map_err(|_| Failure::library("liblz4", format!("code {produced}")))?;
        Ok((produced > 0).then_some(produced))
    }

    /// As much of `from` as fits into `to`.
    pub(crate) fn limited(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<Option<Made>, Failure> {
        let mut length = narrow(from.len());
        let (source, destination) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
        let room = narrow(to.len());
        // SAFETY: as in `whole`; `length` is written by the library while the call lasts.
        let produced = unsafe {
            if settings.level == 0 {
                LZ4_compress_destSize_extState(
                    self.fast(),
                    source,
                    destination,
                    &raw mut length,
                    room,
                    ACCELERATION,
                )
            } else {
                LZ4_compress_HC_destSize(
                    self.high(),
                    source,
                    destination,
                    &raw mut length,
                    room,
                    narrow(settings.level as usize),
                )
            }
        };
        let code = |_| Failure::library("liblz4", format!("code {produced}"));
        let produced = usize::try_from(produced).map_err(code)?;
        let consumed = usize::try_from(length).map_err(code)?;
        Ok((produced > 0 && consumed > 0).then_some(Made { consumed, produced }))
    }
}

fn narrow(length: usize) -> c_int {
    c_int::try_from(length).expect("a block has at most 16 MiB")
}
