//! Processes behind the wall that decode blocks of file systems that nobody trusts: as codec workers compress, in memory
//! that they share with the host. One that was taken over by a block can give other bytes for what is in it, as that
//! block's author could, and no more of them than were asked for.

use std::io;
use std::time::Duration;

use cellblock_codec::BLOCK_LIMIT;
use cellblock_tree::volume::{Decoder, EncodedBlock};

use super::channel::{Channel, ChannelError};
use super::message::{Hello, Packed, Purpose, Unpacked};
use super::outside::{Ending, NoProcess, Process, Starter, fit};
use crate::reading::form;
use cellblock_contract::Limits;

/// The host's side of such a process.
pub(crate) struct Unpacking {
    channel: Channel,
    child: Ending,
    time: Duration,
}

impl Unpacking {
    pub(crate) fn start(starter: &Starter, limits: Limits) -> Result<Self, NoProcess> {
        let hello = Hello {
            limits,
            purpose: Purpose::Unpack,
        };
        let (child, channel) = Process::start(starter, "codec", &hello)?.into_parts();
        Ok(Self {
            channel,
            child,
            time: limits.time,
        })
    }

    fn ask(&mut self, packed: &Packed, bytes: &[u8]) -> Result<Unpacked, ChannelError> {
        self.channel.expect_within(self.time);
        self.channel.write_area(0, bytes);
        self.channel.send(packed, &[])?;
        Ok(self.channel.receive::<Unpacked>()?.0)
    }
}

impl Decoder for Unpacking {
    fn decode(
        &mut self,
        block: &EncodedBlock,
        bytes: &[u8],
        content: &mut [u8],
    ) -> io::Result<usize> {
        let most = content.len();
        assert!(
            bytes.len() <= BLOCK_LIMIT,
            "a block of {} bytes",
            bytes.len()
        );
        let packed = Packed {
            form: form(block.coding),
            length: block.length,
            padded: block.padded,
            most: u32::try_from(most).map_err(|_| io::ErrorKind::InvalidInput)?,
        };
        let worker = |what: String| io::Error::other(format!("the codec worker {what}"));
        match self.ask(&packed, bytes) {
            Ok(Ok(length)) if length as usize <= most => {
                // A copy, which changes no more once it is looked at.
                let length = length as usize;
                self.channel.read_area(BLOCK_LIMIT, &mut content[..length]);
                Ok(length)
            }
            Ok(Ok(length)) => Err(worker(format!(
                "answers what cannot be: {length} bytes of {most}"
            ))),
            Ok(Err(why)) => Err(io::Error::other(fit(&why))),
            Err(ChannelError::Deadline) => Err(worker(format!(
                "took longer than the {} s that a call may take",
                self.time.as_secs_f64()
            ))),
            Err(ChannelError::Malformed(what)) => {
                Err(worker(format!("answers what cannot be: {}", fit(&what))))
            }
            Err(ChannelError::Closed | ChannelError::Io(_)) => {
                Err(worker(format!("has ended ({})", self.child.end())))
            }
        }
    }
}
