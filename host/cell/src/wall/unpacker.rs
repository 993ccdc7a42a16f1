//! The side of the wall of a process that decodes blocks of file systems.

use cellblock_codec::Unpacker;

use super::channel::{Channel, ChannelError};
use super::message::{Packed, Unpacked, places};

/// Decodes what the host asks for, until the host is gone.
pub(super) fn work(channel: &mut Channel) -> Result<(), ChannelError> {
    let mut unpacker = Unpacker::new();
    loop {
        let (blocks, _) = channel.receive::<Vec<Packed>>()?;
        let unpacked = unpack(&mut unpacker, channel, &blocks)?;
        channel.send(&unpacked, &[])?;
    }
}

#[expect(
    unsafe_code,
    reason = "blocks, and what comes out of them, stand in shared memory"
)]
fn unpack(
    unpacker: &mut Unpacker,
    channel: &Channel,
    blocks: &[Packed],
) -> Result<Unpacked, ChannelError> {
    let too_long = || ChannelError::Malformed("blocks that are too long".to_owned());
    let places = places(blocks).ok_or_else(too_long)?;
    let mut lengths = Vec::with_capacity(blocks.len());
    for (number, (one, (block_at, content_at))) in (0..).zip(blocks.iter().zip(places)) {
        let (length, most) = (one.length as usize, one.most as usize);
        let block = channel.area(block_at, length);
        let content = channel.area(content_at, most);
        // SAFETY: both are mapped as long as the channel is there, they lie apart, and the host leaves them alone until it is answered.
        let (block, content) = unsafe {
            (
                std::slice::from_raw_parts(block, length),
                std::slice::from_raw_parts_mut(content, most),
            )
        };
        match unpacker.unpack_into(one.form, block, one.padded, content) {
            Ok(found) => lengths.push(u32::try_from(found).expect("at most a block")),
            Err(failure) => return Ok(Err((number, failure.to_string()))),
        }
    }
    Ok(Ok(lengths))
}
