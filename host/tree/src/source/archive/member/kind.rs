//! What a member is, and how many bytes of data it has, on which readers do not always agree.

use tar::Header;

use super::super::super::error::ArchiveError;
use super::super::super::store::Span;
use super::super::WITHOUT;
use super::super::blocks::{BLOCK, BLOCK_BYTES, ReadAt};
use super::super::header::{field, is_one};
use super::super::sparse;
use super::{MemberKind, Members, PAX_LIMIT, SPARE, number_error};
use crate::Kind;

impl<R: ReadAt> Members<'_, R> {
    /// Of symbolic links, directories and special files the size says nothing: they have no data (POSIX.1-2017, pax, "ustar
    /// Header Block"). Hard links may have some in pax archives.
    pub(super) fn kind(
        &mut self,
        header: &Header,
        type_flag: u8,
        path: &[u8],
    ) -> Result<MemberKind, ArchiveError> {
        Ok(match type_flag {
            // Before POSIX a directory was a file whose name ends in a slash.
            b'0' if self.is_layer && path.ends_with(b"/") => {
                self.directory_by_name(header, path)?
            }
            0 | b'0' if path.ends_with(b"/") => MemberKind::Directory,
            0 | b'0' | b'7' | b'S' => self.file(header, type_flag, path)?,
            b'1' => {
                self.skip_data_of_link(header, path)?;
                MemberKind::HardLink(self.link_target(header)?)
            }
            b'2' => self.symlink(header, path)?,
            b'3' => {
                let (major, minor) = self.device(header, path)?;
                MemberKind::Other(Kind::CharacterDevice { major, minor })
            }
            b'4' => {
                let (major, minor) = self.device(header, path)?;
                MemberKind::Other(Kind::BlockDevice { major, minor })
            }
            b'5' => {
                if let Some(names) = self.extensions.get(b"GNU.dumpdir") {
                    self.notes.add_dumpdir(names);
                }
                MemberKind::Directory
            }
            b'6' => MemberKind::Other(Kind::Fifo),
            // GNU tar's incremental archives: a directory, whose data lists its names.
            b'D' => {
                self.dumpdir(header, path)?;
                MemberKind::Directory
            }
            b'M' => {
                return Err(ArchiveError::OtherVolume {
                    member: path.into(),
                });
            }
            _ => {
                return Err(ArchiveError::UnknownType {
                    member: path.into(),
                    type_flag,
                });
            }
        })
    }

    /// In a pax archive a hard link may bring its data along, once more (POSIX.1-2017, pax, "ustar Header Block", `typeflag` 1). In
    /// those without pax headers old writers give links the size of the file, and no data: there what follows tells. This is how bsdtar
    /// tells them. For GNU tar and Go's `archive/tar` there is never any: where what follows may be a header as well as data, a layer is
    /// read so, and in a pax archive nobody knows.
    fn skip_data_of_link(&mut self, header: &Header, path: &[u8]) -> Result<(), ArchiveError> {
        if header.as_ustar().is_none() {
            return Ok(());
        }
        let own_size = field(&header.as_old().size, "size", path)?;
        let size = self.overridden(b"size", "size", path)?.unwrap_or(own_size);
        let refuse = |reading| ArchiveError::DataOfLink {
            member: path.into(),
            size,
            reading,
        };
        let next = self.blocks.offset();
        if size == 0 {
            return Ok(());
        }
        if self.is_layer {
            return match self.blocks.peek(next)? {
                Some(block) if block != [0; BLOCK] && !is_one(&block) => {
                    Err(refuse("what follows is no header"))
                }
                _ => Ok(()),
            };
        }
        if !self.is_pax && !self.data_follows(size)? {
            return Ok(());
        }
        if self.blocks.peek(next)?.is_some_and(|block| is_one(&block)) {
            return Err(refuse("a header follows"));
        }
        self.count(size, path)?;
        self.blocks.skip(size, "the data")?;
        Ok(())
    }

    /// A member of a layer that is a directory by its name alone. Go's `archive/tar` reads a file there.
    fn directory_by_name(&self, header: &Header, path: &[u8]) -> Result<MemberKind, ArchiveError> {
        let own_size = field(&header.as_old().size, "size", path)?;
        match self.overridden(b"size", "size", path)?.unwrap_or(own_size) {
            0 => Ok(MemberKind::Directory),
            size => Err(ArchiveError::DataOfDirectory {
                member: path.into(),
                size,
            }),
        }
    }

    /// The names in a directory of an incremental archive.
    fn dumpdir(&mut self, header: &Header, path: &[u8]) -> Result<(), ArchiveError> {
        let size: u64 = field(&header.as_old().size, "size", path)?;
        let names = self
            .blocks
            .data(size.min(PAX_LIMIT), PAX_LIMIT, "the data")?;
        self.blocks
            .skip(size.saturating_sub(PAX_LIMIT), "the data")?;
        self.notes.add_dumpdir(&names);
        Ok(())
    }

    /// Whether what comes next is data of so many bytes: no header, nor the end. Zeros are the end, unless where the data would end there
    /// is another header.
    fn data_follows(&self, size: u64) -> Result<bool, ArchiveError> {
        let next = self.blocks.offset();
        Ok(match self.blocks.peek(next)? {
            None => false,
            Some(block) if block == [0; BLOCK] => {
                let behind = size.checked_next_multiple_of(BLOCK_BYTES);
                let behind = behind.and_then(|length| next.checked_add(length));
                let behind = behind.map(|offset| self.blocks.peek(offset)).transpose()?;
                behind.flatten().is_some_and(|block| is_one(&block))
            }
            Some(block) => !is_one(&block),
        })
    }

    fn symlink(&self, header: &Header, path: &[u8]) -> Result<MemberKind, ArchiveError> {
        let target = self.link_target(header)?;
        let reason = if target.is_empty() {
            "is a symbolic link without a target"
        } else if target.contains(&0) {
            "is a symbolic link with a NUL byte in its target"
        } else {
            return Ok(MemberKind::Other(Kind::Symlink(target.into())));
        };
        Err(ArchiveError::Name {
            member: path.into(),
            reason,
            advice: WITHOUT,
        })
    }

    fn file(
        &mut self,
        header: &Header,
        type_flag: u8,
        path: &[u8],
    ) -> Result<MemberKind, ArchiveError> {
        let own_size = field(&header.as_old().size, "size", path)?;
        let mut stored = self.overridden(b"size", "size", path)?.unwrap_or(own_size);
        let map = if type_flag == b'S' {
            Some(sparse::old(header, &mut self.blocks, path, self.stretches)?)
        } else {
            sparse::pax(
                &self.extensions,
                &mut self.blocks,
                &mut stored,
                path,
                self.stretches,
            )?
        };
        self.stretches -= map.as_ref().map_or(0, sparse::Map::len);
        self.count(stored, path)?;
        let position = self.blocks.skip(stored, "the data")?;
        let (size, sparse, span) = match map {
            Some(map) => map.place(position, stored, path)?,
            None => (stored, false, Span::From(position)),
        };
        if i64::try_from(size).is_err() {
            let value = size.to_string();
            return Err(number_error(
                path,
                "size",
                value.as_bytes(),
                "is out of range",
            ));
        }
        Ok(MemberKind::File { size, sparse, span })
    }

    /// Counts the bytes of a file before they are read.
    fn count(&mut self, stored: u64, path: &[u8]) -> Result<(), ArchiveError> {
        self.stored = self.stored.saturating_add(stored);
        match self.partition {
            Some(partition) if self.stored > partition.saturating_mul(SPARE) => {
                Err(ArchiveError::BeyondPartition {
                    member: path.into(),
                    stored: self.stored,
                    partition,
                })
            }
            _ => Ok(()),
        }
    }

    fn device(&self, header: &Header, path: &[u8]) -> Result<(u32, u32), ArchiveError> {
        let number = |key: &[u8], bytes: Option<&[u8]>, name| {
            self.owner(key, bytes.unwrap_or_default(), name, path)
        };
        // Both formats have them in the same place; the v7 format has none.
        let fields = header
            .as_ustar()
            .map(|ustar| (&ustar.dev_major[..], &ustar.dev_minor[..]))
            .or_else(|| {
                let gnu = header.as_gnu()?;
                Some((&gnu.dev_major[..], &gnu.dev_minor[..]))
            });
        Ok((
            number(
                b"SCHILY.devmajor",
                fields.map(|(major, _)| major),
                "major number",
            )?,
            number(
                b"SCHILY.devminor",
                fields.map(|(_, minor)| minor),
                "minor number",
            )?,
        ))
    }
}
