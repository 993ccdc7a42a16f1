//! .xz streams and MicroLZMA by liblzma.

use std::{ffi::CStr, mem::MaybeUninit, ptr};

use liblzma_sys as sys;

use crate::{Failure, Filter, Settings, made::Made};

pub(crate) fn version() -> String {
    // SAFETY: the library returns a constant string.
    let version = unsafe { CStr::from_ptr(sys::lzma_version_string()) };
    version.to_string_lossy().into_owned()
}

/// One handle for both forms: made anew in the same form, it keeps its tables.
#[derive(Default)]
pub(crate) struct Lzma {
    xz: Handle,
    micro: Handle,
}

pub(crate) struct Handle(pub(crate) sys::lzma_stream);

// SAFETY: a handle owns what it points to, and the library ties nothing to a thread.
unsafe impl Send for Handle {}

impl Default for Handle {
    fn default() -> Self {
        // SAFETY: LZMA_STREAM_INIT is all zeros and null pointers.
        Self(unsafe { MaybeUninit::zeroed().assume_init() })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle was made by the library or is all zeros.
        unsafe { sys::lzma_end(&raw mut self.0) }
    }
}

impl Handle {
    /// Runs the coder to its end over all of `from`; `None` if `to` has no room for that.
    pub(crate) fn finish(&mut self, from: &[u8], to: &mut [u8]) -> Result<Option<Made>, Failure> {
        let (made, ended) = self.advance(from, to)?;
        Ok(ended.then_some(made))
    }

    /// Runs the coder over all of `from`, as far as `to` has room: what it made, and whether it has come to its end.
    pub(crate) fn advance(&mut self, from: &[u8], to: &mut [u8]) -> Result<(Made, bool), Failure> {
        let stream = &mut self.0;
        stream.next_in = from.as_ptr();
        stream.avail_in = from.len();
        stream.next_out = to.as_mut_ptr();
        stream.avail_out = to.len();
        // SAFETY: the handle was initialised, and points into slices that live through the call.
        let end = unsafe { sys::lzma_code(stream, sys::LZMA_FINISH) };
        let made = Made {
            consumed: from.len() - stream.avail_in,
            produced: to.len() - stream.avail_out,
        };
        stream.next_in = ptr::null();
        stream.next_out = ptr::null_mut();
        match end {
            sys::LZMA_STREAM_END => Ok((made, true)),
            sys::LZMA_OK | sys::LZMA_BUF_ERROR => Ok((made, false)),
            other => Err(failure(other)),
        }
    }
}

pub(crate) fn failure(code: sys::lzma_ret) -> Failure {
    let reason = match code {
        sys::LZMA_MEM_ERROR => "no memory".to_owned(),
        sys::LZMA_OPTIONS_ERROR => "options that it does not have".to_owned(),
        sys::LZMA_DATA_ERROR | sys::LZMA_FORMAT_ERROR => "damaged data".to_owned(),
        other => format!("code {other}"),
    };
    Failure::library("liblzma", reason)
}

/// The preset's options, with the window that was asked for, or else no larger one than the block has use for.
fn options(settings: &Settings, length: usize) -> Result<sys::lzma_options_lzma, Failure> {
    let preset = match settings.level {
        level @ 100.. => (level - 100) | sys::LZMA_PRESET_EXTREME,
        level => level,
    };
    let mut options = MaybeUninit::<sys::lzma_options_lzma>::zeroed();
    // SAFETY: the library fills in all of the options, or says that it knows no such preset.
    let options = unsafe {
        if sys::lzma_lzma_preset(options.as_mut_ptr(), preset) != 0 {
            return Err(failure(sys::LZMA_OPTIONS_ERROR));
        }
        options.assume_init()
    };
    let dict_size = match settings.window {
        0 => options.dict_size.min(smallest_dictionary(length)),
        window => window,
    };
    Ok(sys::lzma_options_lzma {
        dict_size,
        ..options
    })
}

/// The smallest dictionary of 2^n or 2^n + 2^(n-1) bytes, as an .xz header can name them, that holds a block.
fn smallest_dictionary(length: usize) -> u32 {
    let length = u32::try_from(length).expect("a block has at most 16 MiB");
    let power = length.max(sys::LZMA_DICT_SIZE_MIN).next_power_of_two();
    let three_quarters = power / 4 * 3;
    if three_quarters >= length.max(sys::LZMA_DICT_SIZE_MIN) {
        three_quarters
    } else {
        power
    }
}

fn filter_id(filter: Filter) -> Option<sys::lzma_vli> {
    Some(match filter {
        Filter::None => return None,
        Filter::X86 => sys::LZMA_FILTER_X86,
        Filter::Arm64 => sys::LZMA_FILTER_ARM64,
        Filter::Arm => sys::LZMA_FILTER_ARM,
        Filter::ArmThumb => sys::LZMA_FILTER_ARMTHUMB,
        Filter::PowerPc => sys::LZMA_FILTER_POWERPC,
        Filter::Sparc => sys::LZMA_FILTER_SPARC,
        Filter::Ia64 => sys::LZMA_FILTER_IA64,
        Filter::RiscV => sys::LZMA_FILTER_RISCV,
    })
}

impl Lzma {
    /// The length of the .xz stream that a block became, or `None` if it does not fit.
    pub(crate) fn xz(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        let mut options = options(settings, from.len())?;
        let none = sys::lzma_filter {
            id: sys::LZMA_VLI_UNKNOWN,
            options: ptr::null_mut(),
        };
        let mut filters = [none; 3];
        let mut count = 0;
        if let Some(id) = filter_id(settings.filter) {
            filters[count].id = id;
            count += 1;
        }
        filters[count] = sys::lzma_filter {
            id: sys::LZMA_FILTER_LZMA2,
            options: (&raw mut options).cast(),
        };
        // SAFETY: the list of filters ends with an unknown one, and it and the options live through the call, which copies them.
        let ready = unsafe {
            sys::lzma_stream_encoder(&raw mut self.xz.0, filters.as_ptr(), sys::LZMA_CHECK_CRC32)
        };
        if ready != sys::LZMA_OK {
            return Err(failure(ready));
        }
        Ok(self.xz.finish(from, to)?.map(|made| made.produced))
    }

    /// As much of `from` as fits into `to`.
    pub(crate) fn micro(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<Option<Made>, Failure> {
        /// What the library asks for, at the least.
        const LEAST_ROOM: usize = 6;
        if to.len() < LEAST_ROOM {
            return Ok(None);
        }
        let options = options(settings, from.len())?;
        // SAFETY: the options live through the call, which copies them.
        let ready =
            unsafe { sys::lzma_microlzma_encoder(&raw mut self.micro.0, &raw const options) };
        if ready != sys::LZMA_OK {
            return Err(failure(ready));
        }
        Ok(self
            .micro
            .finish(from, to)?
            .filter(|made| made.consumed > 0))
    }
}
