//! What a module has open.

use std::collections::BTreeMap;

use super::errno::Errno;
use crate::files::Opened;
use crate::resources::Stream;

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Descriptor {
    Input,
    Output(Stream),
    /// The root, whether it was there from the start.
    Directory {
        is_preopened: bool,
    },
    File(Open),
}

/// An open partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) position: u64,
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// The flags that it was opened with: [`Open::APPEND`] among them makes a difference, and the others are told.
    pub(super) flags: u16,
}

impl Open {
    /// Every write goes to the end.
    const APPEND: u16 = 1;
    /// All flags that there are.
    const FLAGS: u16 = 0x1f;

    /// The flags in what a module gives.
    pub(super) fn flags(given: u32) -> Result<u16, Errno> {
        let flags = u16::try_from(given).map_err(|_| Errno::INVAL)?;
        match flags & !Self::FLAGS {
            0 => Ok(flags),
            _ => Err(Errno::INVAL),
        }
    }

    pub(super) fn opened(&self) -> Opened {
        Opened::Partition {
            reads: self.reads,
            writes: self.writes,
        }
    }

    pub(super) fn appends(&self) -> bool {
        self.flags & Self::APPEND != 0
    }
}

pub(super) struct Descriptors {
    open: BTreeMap<u32, Descriptor>,
    most: usize,
}

impl Descriptors {
    /// The first four, of at most `most`.
    pub(super) fn new(most: usize) -> Self {
        let first = [
            Descriptor::Input,
            Descriptor::Output(Stream::Output),
            Descriptor::Output(Stream::Error),
            Descriptor::Directory { is_preopened: true },
        ];
        Self {
            open: (0..).zip(first).collect(),
            most,
        }
    }

    pub(super) fn get(&self, number: u32) -> Result<Descriptor, Errno> {
        self.open.get(&number).copied().ok_or(Errno::BADF)
    }

    pub(super) fn file(&mut self, number: u32) -> Result<&mut Open, Errno> {
        match self.open.get_mut(&number) {
            Some(Descriptor::File(open)) => Ok(open),
            Some(Descriptor::Directory { .. }) => Err(Errno::ISDIR),
            Some(Descriptor::Input | Descriptor::Output(_)) => Err(Errno::SPIPE),
            None => Err(Errno::BADF),
        }
    }

    /// What paths may begin at: streams may not.
    pub(super) fn base(&self, number: u32) -> Result<Opened, Errno> {
        match self.get(number)? {
            Descriptor::Directory { .. } => Ok(Opened::Root),
            Descriptor::File(open) => Ok(open.opened()),
            Descriptor::Input | Descriptor::Output(_) => Err(Errno::NOTDIR),
        }
    }

    /// The lowest number that is free.
    pub(super) fn free(&self) -> Result<u32, Errno> {
        if self.open.len() >= self.most {
            return Err(Errno::MFILE);
        }
        let number = (0..).find(|number| !self.open.contains_key(number));
        number.ok_or(Errno::MFILE)
    }

    /// Opens `descriptor` under a number that is free.
    pub(super) fn open(&mut self, number: u32, descriptor: Descriptor) {
        self.open.insert(number, descriptor);
    }

    pub(super) fn close(&mut self, number: u32) -> Result<Descriptor, Errno> {
        self.open.remove(&number).ok_or(Errno::BADF)
    }

    /// Gives what is open as `from` the number `to`, and closes what had it.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        let descriptor = self.close(from)?;
        self.open.insert(to, descriptor);
        Ok(())
    }
}
