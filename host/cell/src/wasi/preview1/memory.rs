//! The memory of a module, as the host reads and writes it: nothing outside it is touched.

use super::errno::Errno;

pub(super) struct Memory<'a>(pub(super) &'a mut [u8]);

impl Memory<'_> {
    pub(super) fn bytes(&self, address: u32, length: u32) -> Result<&[u8], Errno> {
        let (start, end) = span(address, length)?;
        self.0.get(start..end).ok_or(Errno::FAULT)
    }

    pub(super) fn bytes_mut(&mut self, address: u32, length: u32) -> Result<&mut [u8], Errno> {
        let (start, end) = span(address, length)?;
        self.0.get_mut(start..end).ok_or(Errno::FAULT)
    }

    pub(super) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        self.bytes_mut(address, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, address: u32, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, address: u32, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    pub(super) fn u16(&self, address: u32) -> Result<u16, Errno> {
        self.array(address).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, address: u32) -> Result<u32, Errno> {
        self.array(address).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, address: u32) -> Result<u64, Errno> {
        self.array(address).map(u64::from_le_bytes)
    }

    fn array<const N: usize>(&self, address: u32) -> Result<[u8; N], Errno> {
        let start = usize::try_from(address).map_err(|_| Errno::FAULT)?;
        self.0
            .get(start..)
            .and_then(|rest| rest.first_chunk())
            .copied()
            .ok_or(Errno::FAULT)
    }
}

/// The address that lies `offset` bytes behind another.
pub(super) fn behind(address: u32, offset: u32) -> Result<u32, Errno> {
    address.checked_add(offset).ok_or(Errno::FAULT)
}

fn span(address: u32, length: u32) -> Result<(usize, usize), Errno> {
    let start = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let length = usize::try_from(length).map_err(|_| Errno::FAULT)?;
    Ok((start, start.checked_add(length).ok_or(Errno::FAULT)?))
}
