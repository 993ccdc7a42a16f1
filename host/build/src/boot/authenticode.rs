//! EFI applications, signed (Microsoft, "Windows Authenticode Portable Executable Signature Format"; "PE Format", section "The
//! Attribute Certificate Table").
//!
//! ```text
//!     | headers | section | section | … | signature | signature |
//!       │    └ where the signatures are: not hashed
//!       └ checksum: not hashed
//! ```

use std::ops::Range;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zerocopy::FromBytes as _;
use zerocopy::little_endian::U32;

use super::pe::{
    CERTIFICATES, CHECKSUM, CoffHeader, Directory, HEADERS_SIZE, SectionHeader, checksum,
    headers_at,
};

/// Why an application cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignFault {
    /// It is none.
    #[error("it is no EFI application that can be signed: {0}")]
    NotAnApplication(&'static str),
    /// Bytes between what is hashed would be in no signature, and those that are hashed twice hide others.
    #[error(
        "its sections do not follow one another: one begins at byte {found}, and what is before it ends at byte {expected}"
    )]
    Gap {
        /// Where the one before it ends.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
    /// Signatures are at its end.
    #[error("its signatures are not at its end")]
    SignatureInside,
    /// The image would be larger than a PE image can be.
    #[error("it would be larger than 4 GiB, the most that an EFI application can have")]
    TooLarge,
}

/// Signatures begin at multiples of this many bytes.
const ALIGNMENT: usize = 8;
/// Before each signature: its length, its revision (2.0) and its type (PKCS #7).
const ENTRY_HEAD: usize = 8;
const REVISION_AND_TYPE: [u8; 4] = [0, 2, 2, 0];
/// Where signatures are, as the optional header has it.
const DIRECTORY_BYTES: usize = size_of::<Directory>();

/// An application that is to be signed.
pub struct Application {
    /// Without signatures, filled up to where they begin.
    bytes: Vec<u8>,
    /// Those that it has.
    signatures: Vec<u8>,
    checksum_at: usize,
    directory_at: usize,
    digest: [u8; 32],
}

impl Application {
    /// The application in the bytes of a file. Signatures that it has stay valid, and stay.
    ///
    /// # Errors
    /// [`SignFault`].
    pub fn of(file: &[u8]) -> Result<Self, SignFault> {
        let headers = Headers::of(file)?;
        let Headers {
            checksum_at,
            directory_at,
            ref signed,
            ..
        } = headers;
        let end = match signed {
            Some(range) if range.end != file.len() => return Err(SignFault::SignatureInside),
            Some(range) => range.start,
            None => file.len(),
        };
        headers.check_sections(end)?;
        let mut bytes = file[..end].to_vec();
        bytes.resize(end.next_multiple_of(ALIGNMENT), 0);
        let mut hash = Sha256::new();
        hash.update(&bytes[..checksum_at]);
        hash.update(&bytes[checksum_at + 4..directory_at]);
        hash.update(&bytes[directory_at + DIRECTORY_BYTES..]);
        Ok(Self {
            signatures: file[end..].to_vec(),
            bytes,
            checksum_at,
            directory_at,
            digest: hash.finalize().into(),
        })
    }

    /// What is signed of it: its Authenticode digest, SHA-256.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The application with one more signature behind it: PKCS #7, DER.
    ///
    /// # Errors
    /// [`SignFault::TooLarge`].
    pub fn signed(self, signature: &[u8]) -> Result<Vec<u8>, SignFault> {
        let too_large = |_| SignFault::TooLarge;
        let mut bytes = self.bytes;
        let begin = bytes.len();
        bytes.extend(self.signatures);
        let entry = (ENTRY_HEAD + signature.len()).next_multiple_of(ALIGNMENT);
        let entry_end = bytes.len() + entry;
        bytes.extend(u32::try_from(entry).map_err(too_large)?.to_le_bytes());
        bytes.extend(REVISION_AND_TYPE);
        bytes.extend(signature);
        bytes.resize(entry_end, 0);
        let place = [begin, entry_end - begin];
        for (index, value) in place.into_iter().enumerate() {
            let at = self.directory_at + 4 * index;
            let value = u32::try_from(value).map_err(too_large)?;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        u32::try_from(entry_end).map_err(too_large)?;
        let field = self.checksum_at..self.checksum_at + 4;
        bytes[field.clone()].fill(0);
        let sum = checksum(&bytes);
        bytes[field].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }
}

/// What the headers of an image say.
struct Headers<'a> {
    checksum_at: usize,
    directory_at: usize,
    size: usize,
    sections: &'a [SectionHeader],
    /// Where its signatures are.
    signed: Option<Range<usize>>,
}

impl<'a> Headers<'a> {
    fn of(file: &'a [u8]) -> Result<Self, SignFault> {
        let fault = SignFault::NotAnApplication;
        let short = || fault("it ends in its headers");
        let at = headers_at(file).ok_or_else(|| fault("it is no PE image"))?;
        let (coff, _) = CoffHeader::ref_from_prefix(&file[at..]).map_err(|_| short())?;
        let optional_at = at + size_of::<CoffHeader>();
        let [count, optional_size] =
            [&coff.sections, &coff.optional_size].map(|field| usize::from(field.get()));
        let optional = file
            .get(optional_at..optional_at + optional_size)
            .ok_or_else(short)?;
        let directories = match optional {
            [0x0b, 0x01, ..] => 96,
            [0x0b, 0x02, ..] => 112,
            _ => return Err(fault("its optional header is neither PE32 nor PE32+")),
        };
        let directory = directories + CERTIFICATES * DIRECTORY_BYTES;
        let directory_count = bits32(optional, directories - 4).ok_or_else(short)?;
        let missing = || fault("its headers have no place for signatures");
        if directory_count <= CERTIFICATES {
            return Err(missing());
        }
        let start = bits32(optional, directory).ok_or_else(missing)?;
        let length = bits32(optional, directory + 4).ok_or_else(missing)?;
        let signed = (length > 0).then(|| start..start.saturating_add(length));
        if signed.as_ref().is_some_and(|it| it.end > file.len()) {
            return Err(SignFault::SignatureInside);
        }
        let table = file.get(optional_at + optional_size..).ok_or_else(short)?;
        let (sections, _) =
            <[SectionHeader]>::ref_from_prefix_with_elems(table, count).map_err(|_| short())?;
        let size = bits32(optional, HEADERS_SIZE).ok_or_else(short)?;
        let table_end = optional_at + optional_size + size_of_val(sections);
        if size < table_end || size > file.len() {
            return Err(fault("its headers do not end where they say"));
        }
        Ok(Self {
            checksum_at: optional_at + CHECKSUM,
            directory_at: optional_at + directory,
            size,
            sections,
            signed,
        })
    }

    /// Checks that headers and sections follow one another: what signers hash is then the whole of the file, in order.
    fn check_sections(&self, end: usize) -> Result<(), SignFault> {
        let mut places: Vec<(u64, u64)> = self
            .sections
            .iter()
            .map(|section| {
                (
                    section.raw_offset.get().into(),
                    section.raw_size.get().into(),
                )
            })
            .filter(|(_, size)| *size > 0)
            .collect();
        places.sort_unstable();
        let mut expected = self.size as u64;
        for (found, size) in places {
            if found != expected {
                return Err(SignFault::Gap { expected, found });
            }
            expected += size;
        }
        if expected > end as u64 {
            return Err(SignFault::NotAnApplication("it ends in its sections"));
        }
        Ok(())
    }
}

fn bits32(bytes: &[u8], at: usize) -> Option<usize> {
    let (value, _) = U32::read_from_prefix(bytes.get(at..)?).ok()?;
    usize::try_from(value.get()).ok()
}
