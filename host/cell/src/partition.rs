//! The contract's `wasi:filesystem/types`: one file of a fixed size, and nothing else.
//!
//! Reads and writes outside the file are refused, its size cannot change, and what takes a path refuses without looking
//! at it: no code that resolves a path is here.

use wasmtime::component::Resource;

use super::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream,
    ErrorCode, Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use super::io::streams::{Error, InputStream, OutputStream};
use super::local::Local;
use super::resources::Descriptor;
use super::state::{Answer, Services, State};

/// A longer read than this is answered with this many bytes.
const READ_LIMIT: u64 = 16 << 20;

impl<S: Services> State<S> {
    /// Traps a guest that uses a handle of something else.
    fn descriptor(&self, descriptor: &Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.get(descriptor)?;
        Ok(())
    }

    fn refuse<T>(&self, descriptor: &Resource<Descriptor>, code: ErrorCode) -> Answer<T> {
        self.descriptor(descriptor)?;
        Ok(Err(code))
    }
}

impl Local {
    pub(super) fn read_within(
        &self,
        length: u64,
        offset: u64,
    ) -> Result<(Vec<u8>, bool), ErrorCode> {
        let partition = self.partition.as_ref().ok_or(ErrorCode::BadDescriptor)?;
        let rest = partition
            .size()
            .checked_sub(offset)
            .ok_or(ErrorCode::Invalid)?;
        let count = length.min(rest).min(READ_LIMIT);
        if self.placed.overlaps(offset, offset + count) {
            partition.settle().map_err(|_| ErrorCode::Io)?;
        }
        let size = usize::try_from(count).map_err(|_| ErrorCode::Overflow)?;
        let mut buffer = vec![0; size];
        partition
            .read(offset, &mut buffer)
            .map_err(|_| ErrorCode::Io)?;
        Ok((buffer, count == rest))
    }

    pub(super) fn write_within(&mut self, bytes: &[u8], offset: u64) -> Result<u64, ErrorCode> {
        let partition = self.partition.as_ref().ok_or(ErrorCode::BadDescriptor)?;
        let count = bytes.len() as u64;
        let end = offset
            .checked_add(count)
            .filter(|end| *end <= partition.size())
            .ok_or(ErrorCode::InsufficientSpace)?;
        if self.placed.overlaps(offset, end) {
            return Err(ErrorCode::Busy);
        }
        partition.write(offset, bytes).map_err(|_| ErrorCode::Io)?;
        self.written.cover(offset, end);
        Ok(count)
    }
}

impl<S: Services> HostDescriptor for State<S> {
    fn read(
        &mut self,
        this: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> Answer<(Vec<u8>, bool)> {
        self.descriptor(&this)?;
        self.services.read_partition(length, offset)
    }

    fn write(
        &mut self,
        this: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: Filesize,
    ) -> Answer<Filesize> {
        self.descriptor(&this)?;
        self.services.write_partition(buffer, offset)
    }

    fn set_size(&mut self, this: Resource<Descriptor>, size: Filesize) -> Answer<()> {
        self.descriptor(&this)?;
        if self.services.partition_size() == Some(size) {
            return Ok(Ok(()));
        }
        Ok(Err(ErrorCode::NotPermitted))
    }

    fn stat(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorStat> {
        self.descriptor(&this)?;
        Ok(Ok(DescriptorStat {
            type_: DescriptorType::RegularFile,
            link_count: 1,
            size: self.services.partition_size().unwrap_or_default(),
            data_access_timestamp: None,
            data_modification_timestamp: None,
            status_change_timestamp: None,
        }))
    }

    fn get_flags(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        self.descriptor(&this)?;
        Ok(Ok(DescriptorFlags::READ | DescriptorFlags::WRITE))
    }

    fn get_type(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorType> {
        self.descriptor(&this)?;
        Ok(Ok(DescriptorType::RegularFile))
    }

    fn advise(
        &mut self,
        this: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        self.descriptor(&this)?;
        Ok(Ok(()))
    }

    fn sync_data(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.descriptor(&this)?;
        Ok(Ok(()))
    }

    fn sync(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.descriptor(&this)?;
        Ok(Ok(()))
    }

    fn is_same_object(
        &mut self,
        this: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.descriptor(&this)?;
        self.descriptor(&other)?;
        Ok(true)
    }

    fn metadata_hash(&mut self, this: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        self.descriptor(&this)?;
        Ok(Ok(MetadataHashValue { lower: 0, upper: 0 }))
    }

    fn set_times(
        &mut self,
        this: Resource<Descriptor>,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotPermitted)
    }

    fn read_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        _offset: Filesize,
    ) -> Answer<Resource<InputStream>> {
        self.refuse(&this, ErrorCode::Unsupported)
    }

    fn write_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        _offset: Filesize,
    ) -> Answer<Resource<OutputStream>> {
        self.refuse(&this, ErrorCode::Unsupported)
    }

    fn append_via_stream(&mut self, this: Resource<Descriptor>) -> Answer<Resource<OutputStream>> {
        self.refuse(&this, ErrorCode::Unsupported)
    }

    fn read_directory(
        &mut self,
        this: Resource<Descriptor>,
    ) -> Answer<Resource<DirectoryEntryStream>> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn create_directory_at(&mut self, this: Resource<Descriptor>, _path: String) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn stat_at(
        &mut self,
        this: Resource<Descriptor>,
        _flags: PathFlags,
        _path: String,
    ) -> Answer<DescriptorStat> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn set_times_at(
        &mut self,
        this: Resource<Descriptor>,
        _flags: PathFlags,
        _path: String,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn link_at(
        &mut self,
        this: Resource<Descriptor>,
        _flags: PathFlags,
        _old_path: String,
        _new_descriptor: Resource<Descriptor>,
        _new_path: String,
    ) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn open_at(
        &mut self,
        this: Resource<Descriptor>,
        _path_flags: PathFlags,
        _path: String,
        _open_flags: OpenFlags,
        _flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn readlink_at(&mut self, this: Resource<Descriptor>, _path: String) -> Answer<String> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn remove_directory_at(&mut self, this: Resource<Descriptor>, _path: String) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn rename_at(
        &mut self,
        this: Resource<Descriptor>,
        _old_path: String,
        _new_descriptor: Resource<Descriptor>,
        _new_path: String,
    ) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn symlink_at(
        &mut self,
        this: Resource<Descriptor>,
        _old_path: String,
        _new_path: String,
    ) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn unlink_file_at(&mut self, this: Resource<Descriptor>, _path: String) -> Answer<()> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn metadata_hash_at(
        &mut self,
        this: Resource<Descriptor>,
        _flags: PathFlags,
        _path: String,
    ) -> Answer<MetadataHashValue> {
        self.refuse(&this, ErrorCode::NotDirectory)
    }

    fn drop(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<S: Services> HostDirectoryEntryStream for State<S> {
    fn read_directory_entry(
        &mut self,
        _this: Resource<DirectoryEntryStream>,
    ) -> Answer<Option<DirectoryEntry>> {
        Ok(Err(ErrorCode::BadDescriptor))
    }

    fn drop(&mut self, this: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<S: Services> Host for State<S> {
    fn filesystem_error_code(
        &mut self,
        _error: Resource<Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}
