//! Archives member by member.

use super::*;

/// A tar archive that grows member by member.
#[derive(Default)]
pub(in crate::source) struct Builder(pub(super) Vec<u8>);

impl Builder {
    pub(in crate::source) fn raw(
        mut self,
        name: &[u8],
        kind: u8,
        size: u64,
        edit: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(1);
        header.set_gid(2);
        header.set_mtime(3);
        edit(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    pub(in crate::source) fn member(self, name: &[u8], kind: u8, data: &[u8]) -> Self {
        let size = u64::try_from(data.len()).unwrap();
        self.raw(name, kind, size, |_| ()).data(data)
    }

    pub(in crate::source) fn data(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(in crate::source) fn link(self, name: &[u8], kind: u8, target: &[u8]) -> Self {
        self.raw(name, kind, 0, |header| {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
        })
    }

    pub(in crate::source) fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..)
                .find(|all| rest + all.to_string().len() == *all)
                .unwrap();
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.member(b"pax", kind, &data)
    }

    pub(in crate::source) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
