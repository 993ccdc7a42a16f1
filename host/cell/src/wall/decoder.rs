//! The side of the wall of a process that decompresses an archive.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::rc::Rc;

use cellblock_tree::recognise::Compression;
use cellblock_tree::source::{BeyondWindow, decompressor};

use super::channel::{Channel, ChannelError};
use super::message::{Decompressed, PIECE, Trouble};
use crate::legible::cut;

/// Decompresses one archive, and ends with it.
pub(super) fn work(mut channel: Channel) -> Result<(), ChannelError> {
    let (compression, _) = channel.receive::<Compression>()?;
    let channel = Rc::new(RefCell::new(channel));
    let input = Input {
        channel: Rc::clone(&channel),
        piece: Vec::new(),
        taken: 0,
        state: Pieces::NotBegun,
    };
    let ended = match decompressor(compression, input) {
        Ok(mut plain) => send_all(&mut plain, &channel)?,
        Err(error) => Err(error),
    };
    let last = match ended {
        Ok(()) => Decompressed::End,
        Err(error) => Decompressed::Failed(trouble(&error)),
    };
    channel.borrow_mut().send(&last, &[])
}

/// Sends what is read of `plain`, in whole pieces but for the last.
fn send_all(
    plain: &mut dyn Read,
    channel: &RefCell<Channel>,
) -> Result<io::Result<()>, ChannelError> {
    let mut buffer = vec![0; PIECE];
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match plain.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        if filled > 0 {
            let mut channel = channel.borrow_mut();
            channel.send(&Decompressed::Plain, &buffer[..filled])?;
        }
        if filled < PIECE {
            return Ok(Ok(()));
        }
    }
}

fn trouble(error: &io::Error) -> Trouble {
    if let Some(BeyondWindow { wanted }) = BeyondWindow::of(error) {
        return Trouble::BeyondWindow(wanted);
    }
    let words = cut(&error.to_string());
    match error.kind() {
        ErrorKind::UnexpectedEof => Trouble::EndedEarly(words),
        _ => Trouble::Other(words),
    }
}

/// The compressed bytes, piece by piece. A piece is given back once more is needed than it has.
struct Input {
    channel: Rc<RefCell<Channel>>,
    piece: Vec<u8>,
    /// How much of the piece was taken.
    taken: usize,
    state: Pieces,
}

#[derive(PartialEq, Eq)]
enum Pieces {
    NotBegun,
    Begun,
    Ended,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && self.state != Pieces::Ended {
            let mut channel = self.channel.borrow_mut();
            channel.give_back(std::mem::take(&mut self.piece));
            let lost = |error: ChannelError| io::Error::other(error.to_string());
            if self.state == Pieces::Begun {
                channel.send(&Decompressed::Took, &[]).map_err(lost)?;
            }
            (_, self.piece) = channel.receive::<()>().map_err(lost)?;
            self.taken = 0;
            self.state = if self.piece.is_empty() {
                Pieces::Ended
            } else {
                Pieces::Begun
            };
        }
        let rest = &self.piece[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}
