//! The members of an archive: headers with everything that extends them.

mod kind;

use std::sync::Arc;

use super::super::error::ArchiveError;
use super::super::store::{Span, long};
use super::behind;
use super::blocks::{BLOCK, BLOCK_BYTES, Blocks, ReadAt};
use super::header::{check, field, name};
use super::notes::Notes;
use super::pax::{AttributeError, Extensions, Unknown};
use super::sparse;
use crate::{Attribute, Kind, Timestamp};
use cellblock_text::PathBytes;
use tar::Header;

/// Bytes of one pax header.
const PAX_LIMIT: u64 = 1024 * 1024;
/// Bytes of all global pax headers: they count for every member.
const GLOBAL_LIMIT: u64 = 16 * 1024;
/// Headers that a member may have beside its own: a pax header, GNU's two, and whatever else tells of it.
const HEADERS: usize = 256;
/// The files of an archive may have so many times the bytes of their partition: some may be replaced.
const SPARE: u64 = 2;
/// Bytes of one path.
const PATH_LIMIT: u64 = 64 * 1024;

/// A member, its numbers checked and its names as the archive has them.
#[derive(Debug)]
pub(in super::super) struct Member {
    pub(in super::super) path: Vec<u8>,
    pub(in super::super) mode: u16,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    pub(in super::super) modified: Timestamp,
    /// One and the same for members that follow each other and have none of their own.
    pub(in super::super) attributes: Arc<[Attribute]>,
    pub(in super::super) kind: MemberKind,
    /// Keywords of pax headers that no member before has had, and that say nothing to this program.
    pub(in super::super) unknown: Vec<String>,
}

#[derive(Debug)]
pub(in super::super) enum MemberKind {
    Directory,
    File {
        size: u64,
        sparse: bool,
        span: Span,
    },
    /// The path of an earlier member.
    HardLink(Vec<u8>),
    /// What has no content.
    Other(Kind),
}

impl MemberKind {
    /// The bytes that are kept of it in memory, beside a few numbers.
    pub(super) fn memory(&self) -> u64 {
        let bytes = match self {
            Self::Other(Kind::Symlink(target)) => target.len(),
            Self::File {
                span: Span::Pieces(pieces),
                ..
            } => size_of_val(&**pieces),
            Self::Directory | Self::File { .. } | Self::HardLink(_) | Self::Other(_) => 0,
        };
        long(bytes)
    }
}

pub(in super::super) struct Members<'a, R> {
    blocks: Blocks<'a, R>,
    /// Bytes of the partition that they go into, where that bounds them.
    partition: Option<u64>,
    /// Bytes that the archive has of all files so far.
    stored: u64,
    /// Stretches of data that the maps of holes to come may have.
    stretches: usize,
    extensions: Extensions,
    /// Whether there was a pax header, and so is no ustar archive of before 2001.
    is_pax: bool,
    /// Keywords of pax headers that say nothing to this program, and that no member has been given yet.
    unknown: Unknown,
    /// The attributes that global headers give to all.
    of_all: Option<Arc<[Attribute]>>,
    /// From GNU's own headers for long names.
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    /// Whether it is a layer of a container image: what Go's `archive/tar`, by which such are run and scanned, reads differently is read
    /// as there, or refused.
    is_layer: bool,
    notes: Arc<Notes>,
}

impl<R: ReadAt> Iterator for Members<'_, R> {
    type Item = Result<Member, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_member().transpose()
    }
}

impl<'a, R: ReadAt> Members<'a, R> {
    pub(in super::super) fn new(blocks: Blocks<'a, R>, partition: Option<u64>) -> Self {
        Self {
            blocks,
            partition,
            stored: 0,
            stretches: sparse::STRETCHES,
            extensions: Extensions::default(),
            is_pax: false,
            unknown: Unknown::default(),
            of_all: None,
            long_path: None,
            long_link: None,
            is_layer: false,
            notes: Arc::default(),
        }
    }

    /// Those of a layer of a container image.
    pub(in super::super) fn of_layer(blocks: Blocks<'a, R>) -> Self {
        Self {
            is_layer: true,
            ..Self::new(blocks, None)
        }
    }

    /// What is known beside the members, once all of them were taken.
    pub(in super::super) fn notes(&self) -> Arc<Notes> {
        Arc::clone(&self.notes)
    }

    /// The next member; `None` at the end of the archive.
    fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extended = false;
        for _ in 0..=HEADERS {
            let offset = self.blocks.offset();
            let mut block = match self.blocks.header()? {
                Some(block) if block != [0; BLOCK] => block,
                end if extended => return Err(self.missing_member(end.is_some())),
                None => return Ok(None),
                Some(_) => return self.end(offset).map(|()| None),
            };
            let header = check(&mut block, offset)?;
            let type_flag = header.as_old().linkflag[0];
            match type_flag {
                b'g' => {
                    let data = self.extension(header, PAX_LIMIT, "global pax header")?;
                    self.extensions.add_global(&data, offset, GLOBAL_LIMIT)?;
                    if self.is_layer {
                        self.refuse_global(offset)?;
                    }
                    self.unknown.note(self.extensions.global());
                    self.is_pax = true;
                    self.of_all = None;
                    continue;
                }
                b'x' | b'X' => {
                    let data = self.extension(header, PAX_LIMIT, "pax header")?;
                    self.extensions.set_local(&data, offset)?;
                    let local = self.extensions.local().iter();
                    self.unknown.note(local.map(|(key, _)| &key[..]));
                    self.is_pax = true;
                }
                b'L' => self.long_path = Some(self.long_name(header, "long name")?),
                b'K' => self.long_link = Some(self.long_name(header, "long link target")?),
                // A volume's label is no file.
                b'V' => {
                    self.skip_member(header)?;
                    continue;
                }
                _ => {
                    let member = self.member(header, type_flag);
                    self.extensions.clear_local();
                    (self.long_path, self.long_link) = (None, None);
                    return member.map(Some);
                }
            }
            extended = true;
        }
        Err(ArchiveError::TooManyHeaders {
            offset: self.blocks.offset(),
            limit: HEADERS,
        })
    }

    /// Looks what is behind the block of zeros at `offset`, which ends the archive. One alone is no end mark: GNU tar ends there with a
    /// warning, Go's `archive/tar` with an error.
    fn end(&self, offset: u64) -> Result<(), ArchiveError> {
        if self.is_layer
            && let Some(next) = self.blocks.peek(offset + BLOCK_BYTES)?
            && next != [0; BLOCK]
        {
            return Err(ArchiveError::LoneZeroBlock { offset });
        }
        if let Some(found) = behind::look(&self.blocks, offset)? {
            self.notes.set_behind(found);
        }
        Ok(())
    }

    /// Refuses global records that name members or say how long they are: Go's `archive/tar` gives them to nobody.
    fn refuse_global(&self, offset: u64) -> Result<(), ArchiveError> {
        const KEYS: [&[u8]; 4] = [b"path", b"linkpath", b"size", b"GNU.sparse.name"];
        match KEYS.into_iter().find(|key| self.extensions.has_global(key)) {
            None => Ok(()),
            Some(key) => Err(ArchiveError::GlobalRecord {
                offset,
                key: key.into(),
            }),
        }
    }

    fn missing_member(&self, at_mark: bool) -> ArchiveError {
        ArchiveError::Pax {
            offset: self
                .blocks
                .offset()
                .saturating_sub(if at_mark { 512 } else { 0 }),
            reason: "the member that the headers before this belong to is missing",
        }
    }

    fn extension(
        &mut self,
        header: &Header,
        limit: u64,
        what: &'static str,
    ) -> Result<Vec<u8>, ArchiveError> {
        let own_name = header.path_bytes();
        let size = field(&header.as_old().size, "size", &own_name)?;
        self.blocks.data(size, limit, what)
    }

    fn long_name(&mut self, header: &Header, what: &'static str) -> Result<Vec<u8>, ArchiveError> {
        let data = self.extension(header, PATH_LIMIT, what)?;
        Ok(name(&data).to_vec())
    }

    fn skip_member(&mut self, header: &Header) -> Result<(), ArchiveError> {
        let size = field(&header.as_old().size, "size", &header.path_bytes())?;
        self.blocks.skip(size, "the data")?;
        Ok(())
    }

    fn member(&mut self, header: &Header, type_flag: u8) -> Result<Member, ArchiveError> {
        let path = self.path(header)?;
        self.blocks.set_member(&path);
        let old = header.as_old();
        let mode: u32 = field(&old.mode, "mode", &path)?;
        Ok(Member {
            mode: u16::try_from(mode & 0o7777).expect("twelve bits fit sixteen"),
            uid: self.owner(b"uid", &old.uid, "user number", &path)?,
            gid: self.owner(b"gid", &old.gid, "group number", &path)?,
            modified: self.modified(header, &path)?,
            attributes: self.attributes(&path)?,
            kind: self.kind(header, type_flag, &path)?,
            unknown: self.unknown.take(),
            path,
        })
    }

    fn path(&self, header: &Header) -> Result<Vec<u8>, ArchiveError> {
        // The pax header of a sparse member gives a name that others shall see in `path`, and the true one here.
        let sparse = self.extensions.get(b"GNU.sparse.name");
        let pax = self.extensions.get(b"path");
        if self.is_layer {
            if !self.extensions.has_map() {
                self.hold_to_one(sparse, pax.or(Some(&header.path_bytes())))?;
            }
            self.hold_to_one(pax, self.long_path.as_deref())?;
        }
        let stated = sparse.or(pax).or(self.long_path.as_deref());
        self.limited(stated.map_or_else(|| header.path_bytes().into_owned(), <[u8]>::to_vec))
    }

    fn link_target(&self, header: &Header) -> Result<Vec<u8>, ArchiveError> {
        let pax = self.extensions.get(b"linkpath");
        if self.is_layer {
            self.hold_to_one(pax, self.long_link.as_deref())?;
        }
        let stated = pax
            .or(self.long_link.as_deref())
            .unwrap_or_else(|| name(&header.as_old().linkname));
        self.limited(stated.to_vec())
    }

    /// Refuses a name that two headers of a member state differently: readers do not agree which one holds.
    fn hold_to_one(&self, one: Option<&[u8]>, other: Option<&[u8]>) -> Result<(), ArchiveError> {
        match (one, other) {
            (Some(one), Some(other)) if one != other => Err(ArchiveError::TwoNames {
                one: one.into(),
                other: other.into(),
            }),
            _ => Ok(()),
        }
    }

    fn limited(&self, path: Vec<u8>) -> Result<Vec<u8>, ArchiveError> {
        if long(path.len()) <= PATH_LIMIT {
            return Ok(path);
        }
        Err(ArchiveError::TooLong {
            what: "path of the member",
            offset: self.blocks.offset(),
            length: u64::try_from(path.len()).expect("a length fits 64 bits"),
            limit: PATH_LIMIT,
        })
    }

    /// A number that the pax header may override.
    fn overridden(
        &self,
        key: &[u8],
        name: &'static str,
        member: &[u8],
    ) -> Result<Option<u64>, ArchiveError> {
        self.extensions.number(key).map_err(|reason| {
            let value = self.extensions.get(key).unwrap_or_default();
            number_error(member, name, value, reason)
        })
    }

    fn owner(
        &self,
        key: &[u8],
        bytes: &[u8],
        name: &'static str,
        member: &[u8],
    ) -> Result<u32, ArchiveError> {
        match self.overridden(key, name, member)? {
            None => field(bytes, name, member),
            Some(id) => u32::try_from(id).map_err(|_| {
                let value = id.to_string();
                number_error(member, name, value.as_bytes(), "does not fit 32 bits")
            }),
        }
    }

    fn modified(&self, header: &Header, member: &[u8]) -> Result<Timestamp, ArchiveError> {
        const NAME: &str = "modification time";
        let stated = self.extensions.modified().map_err(|reason| {
            let value = self.extensions.get(b"mtime").unwrap_or_default();
            number_error(member, NAME, value, reason)
        })?;
        match stated {
            Some(time) => Ok(time),
            None => Ok(Timestamp {
                seconds: field(&header.as_old().mtime, NAME, member)?,
                nanoseconds: 0,
            }),
        }
    }

    fn attributes(&mut self, member: &[u8]) -> Result<Arc<[Attribute]>, ArchiveError> {
        if self.extensions.adds_attributes() {
            return self.read_attributes(member);
        }
        if let Some(of_all) = &self.of_all {
            return Ok(Arc::clone(of_all));
        }
        let of_all = self.read_attributes(member)?;
        self.of_all = Some(Arc::clone(&of_all));
        Ok(of_all)
    }

    fn read_attributes(&self, member: &[u8]) -> Result<Arc<[Attribute]>, ArchiveError> {
        let attributes = self.extensions.attributes().map(Arc::from);
        attributes.map_err(|error| match error {
            AttributeError::Encoding => number_error(
                member,
                "extended attribute",
                b"LIBARCHIVE.xattr",
                "is not encoded as it should be",
            ),
            AttributeError::AccessControlList(bad) => ArchiveError::AccessControlList {
                member: member.into(),
                entry: PathBytes(bad.entry),
                reason: bad.reason,
            },
        })
    }
}

fn number_error(
    member: &[u8],
    field: &'static str,
    value: &[u8],
    reason: &'static str,
) -> ArchiveError {
    ArchiveError::Number {
        member: member.into(),
        field,
        value: value.into(),
        reason,
    }
}
