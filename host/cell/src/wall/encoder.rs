//! A codec worker's side of the wall.

use cellblock_codec::{BLOCK_LIMIT, Codec};

use super::channel::{Channel, ChannelError};
use super::message::{Block, Compressed};

/// Compresses what the host asks for, until the host is gone.
#[expect(unsafe_code, reason = "the block stands in shared memory")]
pub(super) fn work(channel: &mut Channel) -> Result<(), ChannelError> {
    let mut codec = Codec::new();
    let mut output = Vec::new();
    loop {
        let (block, _) = channel.receive::<Block>()?;
        let length = usize::try_from(block.length)
            .ok()
            .filter(|length| *length <= BLOCK_LIMIT)
            .ok_or_else(|| ChannelError::Malformed("a block that is too long".to_owned()))?;
        let (settings, block) = (block.settings, channel.area(0, length));
        // SAFETY: it is mapped as long as the channel is there, and the host leaves it alone until it is answered.
        let block = unsafe { std::slice::from_raw_parts(block, length) };
        output.clear();
        match codec.encode(&settings, block, &mut output) {
            Ok(pieces) => {
                let numbers = pieces
                    .iter()
                    .flat_map(|piece| [piece.consumed, piece.produced]);
                let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
                channel.write_area(BLOCK_LIMIT, &output);
                let produced = u32::try_from(output.len()).expect("less than a block");
                channel.send(&Compressed::Ok(produced), &bytes)?;
            }
            Err(failure) => channel.send(&Compressed::Err(failure.to_string()), &[])?,
        }
    }
}
