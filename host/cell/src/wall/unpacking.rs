//! Processes behind the wall that decode blocks of file systems that nobody trusts: as codec workers compress, in memory
//! that they share with the host. One that was taken over by a block can give other bytes for what is in it, as that
//! block's author could, and for those that it was given with it, and no more of them than were asked for.

use std::io;
use std::time::Duration;

use cellblock_tree::volume::{Decoder, Decoding};

use super::channel::{Channel, ChannelError};
use super::message::{Hello, Packed, Purpose, Unpacked, places};
use super::outside::{Ending, NoProcess, Process, Starter, fit, lost};
use crate::reading::form;
use cellblock_contract::Limits;

/// The host's side of such a process.
pub(crate) struct Unpacking {
    channel: Channel,
    /// The process; none of a test that plays one.
    child: Option<Ending>,
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
            child: Some(child),
            time: limits.time,
        })
    }

    fn ask(
        &mut self,
        packed: &Vec<Packed>,
        places: &[(usize, usize)],
        blocks: &[Decoding<'_>],
    ) -> Result<Unpacked, ChannelError> {
        self.channel.expect_within(self.time);
        for (one, (at, _)) in blocks.iter().zip(places) {
            self.channel.write_area(*at, one.bytes);
        }
        self.channel.send(packed, &[])?;
        Ok(self.channel.receive::<Unpacked>()?.0)
    }
}

impl Decoder for Unpacking {
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
        let decoded = self.decode_all(std::slice::from_mut(one));
        decoded.map_err(|(_, error)| error)
    }

    fn decode_all(&mut self, blocks: &mut [Decoding<'_>]) -> Result<(), (usize, io::Error)> {
        let narrow = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let packed: Vec<Packed> = blocks
            .iter()
            .map(|one| Packed {
                form: form(one.block.coding),
                length: narrow(one.bytes.len()),
                padded: one.block.padded,
                most: narrow(one.content.len()),
            })
            .collect();
        let Some(places) = places(&packed) else {
            let error = io::Error::other("blocks that are too long to be decoded together");
            return Err((0, error));
        };
        let worker = |what: String| io::Error::other(format!("the codec worker {what}"));
        let impossible = |what: String| worker(format!("answers what cannot be: {what}"));
        match self.ask(&packed, &places, blocks) {
            Ok(Ok(lengths)) if lengths.len() == blocks.len() => {
                for (number, (one, length)) in blocks.iter_mut().zip(lengths).enumerate() {
                    let (length, most) = (length as usize, one.content.len());
                    let Some(content) = one.content.get_mut(..length) else {
                        return Err((number, impossible(format!("{length} bytes of {most}"))));
                    };
                    // A copy, which changes no more once it is looked at.
                    self.channel.read_area(places[number].1, content);
                    one.came = length;
                }
                Ok(())
            }
            Ok(Ok(lengths)) => {
                let what = format!("{} blocks of {}", lengths.len(), blocks.len());
                Err((0, impossible(what)))
            }
            Ok(Err((number, why))) => {
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                let number = number.min(blocks.len().saturating_sub(1));
                Err((number, io::Error::other(fit(&why))))
            }
            Err(error) => Err((0, worker(lost(error, &mut self.child, "", self.time)))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cellblock_codec::{BLOCK_LIMIT, Codec, Method, Settings};
    use cellblock_tree::volume::{Coding, EncodedBlock};

    use super::super::unpacker::work;
    use super::*;

    /// A worker that `play` stands in for.
    fn played(play: impl FnOnce(Channel) + Send + 'static) -> Unpacking {
        let (host, cell) = Channel::pair(2 * BLOCK_LIMIT).unwrap();
        std::thread::spawn(move || play(cell));
        Unpacking {
            channel: host,
            child: None,
            time: Duration::from_millis(500),
        }
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| (at / 7 % 251).to_le_bytes()[0])
            .collect()
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let settings = Settings::new(Method::Zstd, 3);
        Codec::new().encode(&settings, content, &mut bytes).unwrap();
        assert!(!bytes.is_empty(), "it became no smaller");
        bytes
    }

    fn block(bytes: &[u8], decoded: usize) -> EncodedBlock {
        EncodedBlock {
            coding: Coding::Zstd,
            offset: 0,
            length: u32::try_from(bytes.len()).unwrap(),
            padded: false,
            decoded: u32::try_from(decoded).unwrap(),
        }
    }

    fn decode(worker: &mut Unpacking, all: &[(Vec<u8>, usize)]) -> Result<Vec<Vec<u8>>, String> {
        let mut contents: Vec<Vec<u8>> = all.iter().map(|(_, most)| vec![0; *most]).collect();
        let mut blocks: Vec<Decoding<'_>> = all
            .iter()
            .zip(&mut contents)
            .map(|((bytes, most), content)| Decoding {
                block: block(bytes, *most),
                bytes,
                content,
                came: 0,
            })
            .collect();
        let decoded = worker.decode_all(&mut blocks);
        decoded.map_err(|(number, error)| format!("{number}: {error}"))?;
        let came: Vec<usize> = blocks.iter().map(|one| one.came).collect();
        for (content, came) in contents.iter_mut().zip(came) {
            content.truncate(came);
        }
        Ok(contents)
    }

    #[test]
    fn blocks_come_out_together_as_they_do_alone() {
        let mut worker = played(|mut channel| {
            let _ = work(&mut channel);
        });
        let lengths = [500, 501, 507, 4096, 65_536, 300_001];
        let contents = lengths.map(content);
        let all: Vec<_> = contents
            .iter()
            .map(|content| (packed(content), content.len()))
            .collect();
        assert!(decode(&mut worker, &all).unwrap() == contents);
        for (one, content) in all.iter().zip(&contents) {
            let alone = std::slice::from_ref(one);
            assert!(decode(&mut worker, alone).unwrap() == [content.clone()]);
        }
        // As far as there is room.
        let cut = [(packed(&content(5000)), 100)];
        assert!(decode(&mut worker, &cut).unwrap() == [content(100)]);
        let mut damaged = all.clone();
        damaged[3].0[0] ^= 0xff;
        let error = decode(&mut worker, &damaged).unwrap_err();
        assert!(error.starts_with("3: "), "{error}");
        let long = [(vec![0; BLOCK_LIMIT], 1), (vec![0; 8], 1)];
        let error = decode(&mut worker, &long).unwrap_err();
        assert!(error.contains("too long"), "{error}");
        assert!(decode(&mut worker, &all).unwrap() == contents);
    }

    #[test]
    fn a_worker_that_lies_hangs_or_goes_is_an_error() {
        let all = [500, 600].map(|length| (packed(&content(length)), length));
        let answers: [(Unpacked, &str); 5] = [
            (
                Ok(vec![500, 601]),
                "1: the codec worker answers what cannot be: 601 bytes of 600",
            ),
            (
                Ok(vec![u32::MAX, 600]),
                "0: the codec worker answers what cannot be: 4294967295 bytes of 500",
            ),
            (
                Ok(vec![500]),
                "0: the codec worker answers what cannot be: 1 blocks of 2",
            ),
            (Err((7, "no".to_owned())), "1: no"),
            (
                Err((0, "disk full\nerror: no\u{1b}[2J".to_owned())),
                "0: disk full\n    | error: no\u{fffd}",
            ),
        ];
        for (answer, words) in answers {
            let mut worker = played(move |mut channel| {
                channel.receive::<Vec<Packed>>().unwrap();
                channel.send(&answer, &[]).unwrap();
                // It does not go before it is heard.
                let _ = channel.receive::<Vec<Packed>>();
            });
            let error = decode(&mut worker, &all).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        let mut worker = played(|mut channel| {
            let _ = channel.receive::<Vec<Packed>>();
            let _ = channel.receive::<Vec<Packed>>();
        });
        assert_eq!(
            decode(&mut worker, &all).unwrap_err(),
            "0: the codec worker took longer than the 0.5 s that a call may take"
        );
        let mut worker = played(drop);
        assert_eq!(
            decode(&mut worker, &all).unwrap_err(),
            "0: the codec worker has ended"
        );
    }
}
