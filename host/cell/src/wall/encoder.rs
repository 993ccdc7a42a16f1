//! A codec worker's side of the wall.

use cellblock_codec::{BLOCK_LIMIT, Codec, Piece, encode_all};

use super::channel::{Channel, ChannelError};
use super::message::{Block, Compressed};

/// Compresses what the host asks for, until the host is gone.
#[expect(unsafe_code, reason = "the blocks stand in shared memory")]
pub(super) fn work(channel: &mut Channel) -> Result<(), ChannelError> {
    let mut codec = Codec::new();
    let (mut pieces, mut output) = (Vec::new(), Vec::new());
    loop {
        let (asked, _) = channel.receive::<Vec<Block>>()?;
        let blocks: Vec<_> = asked.iter().map(Block::asked).collect();
        let length = blocks
            .iter()
            .try_fold(0_usize, |sum, block| sum.checked_add(block.length))
            .filter(|length| *length <= BLOCK_LIMIT)
            .ok_or_else(|| ChannelError::Malformed("blocks that are too long".to_owned()))?;
        let room = channel.area(0, length);
        // SAFETY: it is mapped as long as the channel is there, and the host leaves it alone until it is answered.
        let room = unsafe { std::slice::from_raw_parts(room, length) };
        pieces.clear();
        output.clear();
        match encode_all(&mut codec, &blocks, room, &mut pieces, &mut output) {
            Ok(()) => {
                let numbers = pieces
                    .iter()
                    .flat_map(|piece: &Piece| [piece.consumed, piece.produced]);
                let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
                channel.write_area(BLOCK_LIMIT, &output);
                let produced = u32::try_from(output.len()).expect("no more than went in");
                channel.send(&Compressed::Ok(produced), &bytes)?;
            }
            Err(failure) => channel.send(&Compressed::Err(failure.to_string()), &[])?,
        }
    }
}
