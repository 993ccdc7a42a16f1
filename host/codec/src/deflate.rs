//! DEFLATE, raw and in a zlib stream, by libdeflate: faster and smaller than zlib at each of its levels.

use libdeflater::{CompressionLvl, Compressor};

use crate::Settings;

/// What `libdeflate-sys` 1.26 builds; the library has no function that tells.
pub(crate) const VERSION: &str = "1.26";

#[derive(Default)]
pub(crate) struct Deflate {
    /// The last level that was asked for, with its compressor.
    compressor: Option<(u32, Compressor)>,
}

impl Deflate {
    fn compressor(&mut self, settings: &Settings) -> &mut Compressor {
        let level = settings.level;
        if self
            .compressor
            .as_ref()
            .is_none_or(|(had, _)| *had != level)
        {
            self.compressor = None;
        }
        let (_, compressor) = self.compressor.get_or_insert_with(|| {
            let number = i32::try_from(level).expect("the level was checked");
            let known = CompressionLvl::new(number).expect("the level was checked");
            (level, Compressor::new(known))
        });
        compressor
    }

    /// The length of what it became, or `None` if it does not fit. Its first byte is not zero: who stores it behind zeros finds
    /// its beginning.
    pub(crate) fn raw(&mut self, settings: &Settings, from: &[u8], to: &mut [u8]) -> Option<usize> {
        /// The bits behind the head of a stored block up to the next byte have no meaning (RFC 1951, 3.2.4).
        const UNUSED: u8 = 1 << 3;
        let length = self.compressor(settings).deflate_compress(from, to).ok()?;
        if let Some(first) = to.first_mut()
            && *first == 0
        {
            *first = UNUSED;
        }
        Some(length)
    }

    /// The same in a zlib stream.
    pub(crate) fn zlib(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Option<usize> {
        self.compressor(settings).zlib_compress(from, to).ok()
    }
}
