//! Zstandard frames by libzstd.

use zstd::zstd_safe::{CCtx, CParameter};

use crate::{Failure, Settings};

#[derive(Default)]
pub(crate) struct Zstandard {
    context: Option<Context>,
}

struct Context {
    /// What the context is set to.
    level: u32,
    window: u32,
    inner: CCtx<'static>,
}

fn failure(code: zstd::zstd_safe::ErrorCode) -> Failure {
    Failure::library("libzstd", zstd::zstd_safe::get_error_name(code))
}

impl Context {
    fn new(settings: &Settings) -> Result<Self, Failure> {
        let mut inner = CCtx::try_create()
            .ok_or_else(|| Failure::library("libzstd", "no memory for a context"))?;
        let level = i32::try_from(settings.level).expect("the level was checked");
        inner
            .set_parameter(CParameter::CompressionLevel(level))
            .map_err(failure)?;
        if settings.window != 0 {
            let log = settings.window.trailing_zeros();
            inner
                .set_parameter(CParameter::WindowLog(log))
                .map_err(failure)?;
        }
        Ok(Self {
            level: settings.level,
            window: settings.window,
            inner,
        })
    }
}

impl Zstandard {
    /// The length of what a block became, or `None` if it does not fit.
    pub(crate) fn whole(
        &mut self,
        settings: &Settings,
        from: &[u8],
        to: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        let fits = |context: &Context| {
            context.level == settings.level && context.window == settings.window
        };
        let context = match &mut self.context {
            Some(context) if fits(context) => context,
            other => other.insert(Context::new(settings)?),
        };
        match context.inner.compress2(to, from) {
            Ok(produced) => Ok(Some(produced)),
            Err(code) if is_full(code) => Ok(None),
            Err(code) => Err(failure(code)),
        }
    }
}

/// Whether the output had no room: libzstd returns its errors as negative numbers in an unsigned type.
fn is_full(code: zstd::zstd_safe::ErrorCode) -> bool {
    const DESTINATION_TOO_SMALL: usize = 70;
    code == DESTINATION_TOO_SMALL.wrapping_neg()
}
