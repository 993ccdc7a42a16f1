//! Archives that no tar would write, block by block.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::io::Errno;
use tar::{EntryType, Header};

/// A tar archive that is written member by member.
pub struct Archive<W>(pub W);

impl Archive<Vec<u8>> {
    /// In memory.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Its bytes, with the end.
    pub fn bytes(self) -> Vec<u8> {
        self.end().unwrap()
    }

    /// A member with its data.
    pub fn with(mut self, name: &str, kind: u8, data: &[u8]) -> Self {
        self.member(name, kind, data).unwrap();
        self
    }

    /// A link or a symbolic link.
    pub fn link(mut self, name: &str, kind: u8, target: &str) -> Self {
        self.header(name, kind, 0, |header| {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
        .unwrap();
        self
    }

    /// A header whose size field holds these bytes, and nothing behind it.
    pub fn sized(mut self, name: &str, kind: u8, size: &[u8; 12]) -> Self {
        self.header(name, kind, 0, |header| header.as_old_mut().size = *size)
            .unwrap();
        self
    }

    /// A pax header of these records.
    pub fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        self.with("pax", kind, &data)
    }
}

impl<W: Write> Archive<W> {
    /// A header, whose checksum is right after `edit`.
    pub fn header(
        &mut self,
        name: &str,
        kind: u8,
        size: u64,
        edit: impl FnOnce(&mut Header),
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_size(size);
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        edit(&mut header);
        header.set_cksum();
        self.0.write_all(header.as_bytes())
    }

    /// A member with its data.
    pub fn member(&mut self, name: &str, kind: u8, data: &[u8]) -> io::Result<()> {
        self.header(name, kind, data.len() as u64, |_| ())?;
        self.0.write_all(data)?;
        let padding = data.len().next_multiple_of(512) - data.len();
        self.0.write_all(&[0; 512][..padding])
    }

    /// So many bytes of zeros.
    pub fn zeros(&mut self, mut length: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while length > 0 {
            let part = length.min(1 << 16);
            self.0.write_all(&ZEROS[..usize::try_from(part).unwrap()])?;
            length -= part;
        }
        Ok(())
    }

    /// The end, and what it was written to.
    pub fn end(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 1024])?;
        Ok(self.0)
    }
}

/// A record of a pax header.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..)
        .find(|all| rest + all.to_string().len() == *all)
        .unwrap();
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

/// Writes an archive compressed with zstd.
pub fn compressed(
    path: &Path,
    write: impl FnOnce(&mut Archive<zstd::Encoder<'static, BufWriter<File>>>) -> io::Result<()>,
) {
    let file = BufWriter::new(File::create(path).unwrap());
    let mut archive = Archive(zstd::Encoder::new(file, 1).unwrap());
    write(&mut archive).unwrap();
    let file = archive.end().unwrap().finish().unwrap();
    file.into_inner().unwrap();
}

/// Makes a fifo.
pub fn make_fifo(path: &Path) {
    let mode = Mode::RUSR | Mode::WUSR;
    mkfifoat(CWD, path, mode).unwrap();
}

/// Opens a fifo for writing once somebody reads it; none if nobody comes.
pub fn feed(path: &Path) -> Option<File> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        match open(path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
            Ok(fd) => {
                rustix::fs::fcntl_setfl(&fd, OFlags::empty()).unwrap();
                return Some(File::from(fd));
            }
            Err(Errno::NXIO) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    None
}
