//! The side of the wall of a process that decodes blocks of file systems.

use cellblock_codec::{BLOCK_LIMIT, Unpacker};

use super::channel::{Channel, ChannelError};
use super::message::{Packed, Unpacked};

/// Decodes what the host asks for, until the host is gone.
#[expect(
    unsafe_code,
    reason = "the block, and what comes out of it, stand in shared memory"
)]
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
        let (block, content) = (channel.area(0, length), channel.area(BLOCK_LIMIT, most));
        // SAFETY: both are mapped as long as the channel is there, they lie apart, and the host leaves them alone until it is answered.
        let (block, content) = unsafe {
            (
                std::slice::from_raw_parts(block, length),
                std::slice::from_raw_parts_mut(content, most),
            )
        };
        match unpacker.unpack_into(packed.form, block, packed.padded, content) {
            Ok(found) => {
                let length = u32::try_from(found).expect("at most a block");
                channel.send(&Unpacked::Ok(length), &[])?;
            }
            Err(failure) => channel.send(&Unpacked::Err(failure.to_string()), &[])?,
        }
    }
}
