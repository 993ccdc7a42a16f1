//! What was asked for, and how many pages that is.

use cellblock_guest::{
    Description, FormatError, Identifier, KindDescription, LabelProblem, Losses, OptionDescription,
    Request, SettingProblem, Shortage,
};

use crate::format::LABEL_BYTES;

/// The fewest pages that `mkswap` makes a swap space of, and the kernel has use for.
const FEWEST_PAGES: u64 = 10;
/// The most pages: the number of the last one has 32 bits.
const MOST_PAGES: u64 = 1 << 32;
const PAGE_SIZE: &str = "page-size";
const PAGE_SIZES: [u32; 4] = [4096, 8192, 16_384, 65_536];

/// What this formatter is.
pub(crate) const DESCRIPTION: Description = Description {
    name: "swap",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Linux swap space, version 1",
    kinds: &[KindDescription::plain("swap", Identifier::Uuid)],
    options: &[OptionDescription {
        name: PAGE_SIZE,
        value: "4096|8192|16384|65536",
        default: "4096",
        documentation: "The page of the machine that will swap, in bytes; on x86-64 it is 4096.",
    }],
    label_limit: 16,
    // Nothing can be left out: a node that is there at all is an error.
    lacks: Losses::empty(),
};

const _: () = assert!(DESCRIPTION.label_limit as usize == LABEL_BYTES);

/// A swap space but for its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes.
    pub(crate) page_bytes: u32,
    /// Padded with zeros.
    pub(crate) label: [u8; LABEL_BYTES],
}

impl Layout {
    /// Checks `request`.
    pub(crate) fn new(request: &Request) -> Result<Self, FormatError> {
        request.check_settings(&DESCRIPTION)?;
        if !DESCRIPTION.makes(&request.kind) {
            return Err(FormatError::Kind);
        }
        Ok(Self {
            page_bytes: page_bytes(request)?,
            label: label(&request.label)?,
        })
    }

    /// The bytes of the smallest partition.
    pub(crate) fn smallest(&self) -> u64 {
        FEWEST_PAGES * u64::from(self.page_bytes)
    }

    /// The number of the last page in a partition of so many bytes; what is no whole page stays unused.
    pub(crate) fn last_page(&self, partition_bytes: u64) -> Result<u32, FormatError> {
        let page_bytes = u64::from(self.page_bytes);
        let pages = partition_bytes / page_bytes;
        if pages < FEWEST_PAGES {
            return Err(FormatError::TooSmall(Shortage {
                needed: self.smallest(),
                available: partition_bytes,
            }));
        }
        u32::try_from(pages - 1).map_err(|_| FormatError::TooLarge(MOST_PAGES * page_bytes))
    }
}

fn page_bytes(request: &Request) -> Result<u32, FormatError> {
    let Some(value) = request.setting(PAGE_SIZE) else {
        return Ok(PAGE_SIZES[0]);
    };
    PAGE_SIZES
        .into_iter()
        .find(|size| size.to_string() == value)
        .ok_or_else(|| FormatError::setting(PAGE_SIZE, SettingProblem::Malformed))
}

fn label(label: &str) -> Result<[u8; LABEL_BYTES], FormatError> {
    if label.contains('\0') {
        return Err(FormatError::Label(LabelProblem::Character('\0')));
    }
    let mut padded = [0; LABEL_BYTES];
    let place = padded
        .get_mut(..label.len())
        .ok_or(FormatError::Label(LabelProblem::TooLong(
            DESCRIPTION.label_limit,
        )))?;
    place.copy_from_slice(label.as_bytes());
    Ok(padded)
}
