//! What the formatter tells of itself, and its two calls.

use cellblock_guest::{
    Description, FormatError, Formatter, Identifier, KindDescription, Losses, OptionDescription,
    Output, Property, Request, Shortage, Summary, Tree,
};

use crate::layout::Layout;
use crate::write;

pub(crate) const ALIGNMENT: &str = "alignment";

/// What this formatter is. `cellblock guests FILE.wasm` shows it.
pub(crate) const DESCRIPTION: Description = Description {
    name: "catalog",
    version: env!("CARGO_PKG_VERSION"),
    summary: "a table of files, and their contents",
    // What a spec's `filesystem` or `cellblock mkfs` names.
    kinds: &[KindDescription::plain("catalog", Identifier::Uuid)],
    options: &[OptionDescription {
        name: ALIGNMENT,
        value: "BYTES",
        default: "4096",
        documentation: "Every content begins at a multiple of this: a power of two up to 1048576.",
    }],
    label_limit: 16,
    // Whatever is named here must be refused in `layout.rs` unless the request lets it go.
    lacks: Losses::SYMLINKS
        .union(Losses::SPECIAL_FILES)
        .union(Losses::HARD_LINKS)
        .union(Losses::ATTRIBUTES),
};

/// Makes catalogs.
pub struct CatalogFormatter;

impl Formatter for CatalogFormatter {
    fn describe() -> Description {
        DESCRIPTION
    }

    fn measure(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError> {
        Ok(Layout::new(request, tree)?.needed_bytes(request))
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        let layout = Layout::new(request, tree)?;
        let needed = layout.needed_bytes(request);
        if request.size < needed {
            return Err(FormatError::TooSmall(Shortage {
                needed,
                available: request.size,
            }));
        }
        write::place(&layout, tree, output)?;
        write::write(&layout, request.uuid, output)?;
        Ok(Summary {
            used: layout.used_bytes,
            properties: vec![Property {
                name: "records",
                value: layout.items.len().to_string(),
            }],
        })
    }
}
