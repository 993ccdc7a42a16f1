//! The side of the wall of a process that decodes blocks of file systems.

use cellblock_codec::{BLOCK_LIMIT, Unpacker};

use super::channel::{Channel, ChannelError};
use super::message::{Packed, Unpacked};

/// Decodes what the host asks for, until the host is gone.
#[expect(unsafe_code, reason = "the block stands in shared memory")]
pub(super) fn work(channel: &mut Channel) -> Result<(), ChannelError> {
    let mut unpacker = Unpacker::new();
    loop {
        let (packed, _) = channel.receive::<Packed>()?;
        let length = |length: u32| {
            usize::try_from(length)
                .ok()
                .filter(|length| *length <= BLOCK_LIMIT)
                .ok_or_else(|| ChannelError::Malformed("a block that is too long".to_owned()))
        };
        let (length, most) = (length(packed.length)?, length(packed.most)?);
        let block = channel.area(0, length);
        // SAFETY: it is mapped as long as the channel is there, and the host leaves it alone until it is answered.
        let block = unsafe { std::slice::from_raw_parts(block, length) };
        match unpacker.unpack(packed.form, block, packed.padded, most) {
            Ok(content) => {
                channel.write_area(BLOCK_LIMIT, &content);
                let length = u32::try_from(content.len()).expect("at most a block");
                channel.send(&Unpacked::Ok(length), &[])?;
            }
            Err(failure) => channel.send(&Unpacked::Err(failure.to_string()), &[])?,
        }
    }
}
