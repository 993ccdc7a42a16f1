//! The size of blocks where it follows from that of the file system, as in the profiles of Debian: 1 KiB below [`SMALL_END`],
//! 4 KiB from there on. mke2fs is told a size; here the smallest one is looked for as well.
//!
//! ```text
//!   smallest with 1 KiB        smallest with 4 KiB      smallest of all
//!   below 512 MiB              any                      that with 1 KiB
//!   512 MiB or more            512 MiB or more          that with 4 KiB
//!   512 MiB or more            below 512 MiB            512 MiB, with 4 KiB
//! ```
//!
//! A partition of at least that size holds the tree. Blocks of 4 KiB can take so much more that a partition of 512 MiB or a little
//! more is too small for them: where the smallest has blocks of 1 KiB, such a partition has them, too. So a minimum may be
//! rounded up, or have some room added.

use cellblock_guest::{FormatError, Request, Shortage, Tree};

use crate::census::Census;
use crate::layout::Layout;
use crate::options::{Options, SMALL_END, block_size_depends};

/// The smallest size in bytes that holds `tree`.
///
/// # Errors
/// [`FormatError`] for what cannot be.
pub(crate) fn smallest(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError> {
    if !block_size_depends(request)? {
        return smallest_at(request, 0, tree);
    }
    let small = smallest_at(request, 0, tree);
    match small {
        Ok(size) if size < SMALL_END => return Ok(size),
        _ => {}
    }
    let usual = smallest_at(request, SMALL_END, tree)?;
    if usual >= SMALL_END {
        return Ok(usual);
    }
    // Half a gigabyte is no answer to a name that small blocks have no room for.
    small.map(|_| SMALL_END)
}

/// The same with what is asked for in a partition of `size` bytes.
fn smallest_at(request: &Request, size: u64, tree: &mut dyn Tree) -> Result<u64, FormatError> {
    let options = Options::new(request, size)?;
    let totals = tree.totals(options.block_size);
    let census = Census::take(&options, &totals, tree, |_| Ok(()))?;
    Ok(Layout::smallest(&options, &census)?.geometry.bytes())
}

/// A tree that is read, and where it goes.
pub(crate) struct Planned {
    pub(crate) options: Options,
    pub(crate) census: Census,
    pub(crate) layout: Layout,
}

impl Planned {
    /// Plans a partition of the request's size, which has these `options` by itself.
    ///
    /// # Errors
    /// [`FormatError`] for what cannot be.
    pub(crate) fn new(
        options: Options,
        request: &Request,
        tree: &mut dyn Tree,
    ) -> Result<Self, FormatError> {
        match Self::with(options, request.size, tree) {
            Err(FormatError::TooSmall(shortage)) if block_size_depends(request)? => {
                Self::with_small_blocks(request, shortage, tree)
            }
            planned => planned,
        }
    }

    fn with(options: Options, size: u64, tree: &mut dyn Tree) -> Result<Self, FormatError> {
        let totals = tree.totals(options.block_size);
        let census = Census::take(&options, &totals, tree, |_| Ok(()))?;
        let layout = Layout::for_size(&options, &census, size)?;
        Ok(Self {
            options,
            census,
            layout,
        })
    }

    /// The same where the blocks of the partition's size are too large, or the tree: then that is told with the smallest size.
    fn with_small_blocks(
        request: &Request,
        shortage: Shortage,
        tree: &mut dyn Tree,
    ) -> Result<Self, FormatError> {
        let needed = smallest(request, tree)?;
        if needed <= request.size {
            return Self::with(Options::new(request, 0)?, request.size, tree);
        }
        Err(FormatError::TooSmall(Shortage { needed, ..shortage }))
    }
}
