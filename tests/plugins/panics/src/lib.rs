//! A formatter of the contract that has a fault: what it says of that must reach whoever runs it.

use cellblock_guest::{
    Description, FormatError, Formatter, Identifier, KindDescription, Losses, Output, Request,
    Summary, Tree,
};

const DESCRIPTION: Description = Description {
    name: "panics",
    version: env!("CARGO_PKG_VERSION"),
    summary: "nothing: it has a fault",
    kinds: &[KindDescription::plain("panics", Identifier::None)],
    options: &[],
    label_limit: 0,
    lacks: Losses::empty(),
};

/// Panics in `format`.
pub struct Panics;

impl Formatter for Panics {
    fn describe() -> Description {
        DESCRIPTION
    }

    fn measure(_: &Request, _: &mut dyn Tree) -> Result<u64, FormatError> {
        Ok(4096)
    }

    fn format(
        request: &Request,
        _: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        output.warn("it is about to fail");
        panic!("no block {} in {} bytes", request.size / 512, request.size);
    }
}

#[cfg(target_arch = "wasm32")]
cellblock_guest::export!(Panics);
