//! Emission: the first page, of which most stays the zeros that it is.

use cellblock_guest::{FormatError, Output, Uuid};
use zerocopy::IntoBytes as _;
use zerocopy::little_endian::U32;

use crate::format::{HEADER_OFFSET, Header, SIGNATURE};
use crate::layout::Layout;

/// Writes a swap space that ends with `last_page`.
pub(crate) fn write(
    layout: &Layout,
    uuid: Uuid,
    last_page: u32,
    output: &mut dyn Output,
) -> Result<(), FormatError> {
    let header = Header {
        version: U32::new(Header::VERSION),
        last_page: U32::new(last_page),
        bad_page_count: U32::ZERO,
        uuid: uuid.0,
        label: layout.label,
    };
    output.write(HEADER_OFFSET, header.as_bytes())?;
    let end_of_page = u64::from(layout.page_bytes);
    output.write(end_of_page - SIGNATURE.len() as u64, &SIGNATURE)
}
