//! `wasi:filesystem`: the root, which is preopened as `/`, and the partition in it.

use wasmtime::component::Resource;

use super::State;
use super::bindings::wasi::filesystem::preopens;
use super::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize,
    Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use super::resources::{Descriptor, Failure, Input, Listing, Output};
use crate::bindings::wasi::filesystem::types::ErrorCode as Code;
use crate::state::Services;
use crate::wasi::file::CALL;
use crate::wasi::path::{self, Target, Wish};
use crate::wasi::{Fault, PARTITION};

/// An answer to a command; the outer error ends it.
type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// The same code in the bindings of commands.
pub(super) fn code(code: Code) -> ErrorCode {
    match code {
        Code::Access => ErrorCode::Access,
        Code::BadDescriptor => ErrorCode::BadDescriptor,
        Code::Busy => ErrorCode::Busy,
        Code::Exist => ErrorCode::Exist,
        Code::FileTooLarge => ErrorCode::FileTooLarge,
        Code::InsufficientSpace => ErrorCode::InsufficientSpace,
        Code::Invalid => ErrorCode::Invalid,
        Code::IsDirectory => ErrorCode::IsDirectory,
        Code::NoEntry => ErrorCode::NoEntry,
        Code::NotDirectory => ErrorCode::NotDirectory,
        Code::NotPermitted => ErrorCode::NotPermitted,
        Code::Overflow => ErrorCode::Overflow,
        Code::Unsupported => ErrorCode::Unsupported,
        _ => ErrorCode::Io,
    }
}

fn answer<T>(result: Result<T, Fault>) -> Answer<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Code(refused)) => Ok(Err(code(refused))),
        Err(Fault::End(error)) => Err(error),
    }
}

impl<S: Services> State<S> {
    fn hash(&self, target: Target) -> MetadataHashValue {
        MetadataHashValue {
            lower: self.process.status(target).inode,
            upper: 0,
        }
    }

    /// Whether the open partition may be read and written.
    fn partition(
        &self,
        descriptor: &Resource<Descriptor>,
    ) -> wasmtime::Result<Result<(bool, bool), ErrorCode>> {
        Ok(match self.descriptor(descriptor)? {
            Descriptor::Root => Err(ErrorCode::IsDirectory),
            Descriptor::Partition { reads, writes } => Ok((reads, writes)),
        })
    }

    /// Refuses what may not be written.
    fn writable(&self, descriptor: &Resource<Descriptor>) -> Answer<()> {
        Ok(match self.partition(descriptor)? {
            Ok((_, true)) => Ok(()),
            Ok((_, false)) => Err(ErrorCode::BadDescriptor),
            Err(code) => Err(code),
        })
    }

    /// Refuses what may not be read.
    fn readable(&self, descriptor: &Resource<Descriptor>) -> Answer<()> {
        Ok(match self.partition(descriptor)? {
            Ok((true, _)) => Ok(()),
            Ok((false, _)) => Err(ErrorCode::BadDescriptor),
            Err(code) => Err(code),
        })
    }

    /// What a path leads to, which begins at a directory.
    fn follow<T>(
        &self,
        descriptor: &Resource<Descriptor>,
        path: &str,
        lead: impl FnOnce(&[u8]) -> Result<T, Code>,
    ) -> Answer<T> {
        Ok(match self.descriptor(descriptor)? {
            Descriptor::Root => lead(path.as_bytes()).map_err(code),
            Descriptor::Partition { .. } => Err(ErrorCode::NotDirectory),
        })
    }

    fn refuse<T>(
        &self,
        descriptor: &Resource<Descriptor>,
        path: &str,
        why: impl FnOnce(&[u8]) -> Code,
    ) -> Answer<T> {
        self.follow(descriptor, path, |path| Err(why(path)))
    }

    fn status(&self, target: Target) -> DescriptorStat {
        let status = self.process.status(target);
        let time = Some(self.time());
        DescriptorStat {
            type_: match status.is_directory {
                true => DescriptorType::Directory,
                false => DescriptorType::RegularFile,
            },
            link_count: 1,
            size: status.size,
            data_access_timestamp: time,
            data_modification_timestamp: time,
            status_change_timestamp: time,
        }
    }
}

fn target(descriptor: Descriptor) -> Target {
    match descriptor {
        Descriptor::Root => Target::Root,
        Descriptor::Partition { .. } => Target::Partition,
    }
}

/// As [`?`] on the inner result of an answer.
macro_rules! granted {
    ($answer:expr) => {
        match $answer? {
            Ok(value) => value,
            Err(code) => return Ok(Err(code)),
        }
    };
}

impl<S: Services> preopens::Host for State<S> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let root = self.table.push(Descriptor::Root)?;
        Ok(vec![(root, "/".to_owned())])
    }
}

impl<S: Services> HostDescriptor for State<S> {
    fn read(
        &mut self,
        this: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> Answer<(Vec<u8>, bool)> {
        granted!(self.readable(&this));
        let most = usize::try_from(length.min(CALL as u64)).expect("at most CALL");
        let bytes = granted!(answer(self.process.read_file(offset, most)));
        let end = offset.saturating_add(bytes.len() as u64) >= self.process.file_length();
        Ok(Ok((bytes, end)))
    }

    fn write(
        &mut self,
        this: Resource<Descriptor>,
        buffer: Vec<u8>,
        offset: Filesize,
    ) -> Answer<Filesize> {
        granted!(self.writable(&this));
        let count = granted!(answer(self.process.write_file(offset, &buffer)));
        Ok(Ok(count as u64))
    }

    fn read_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        offset: Filesize,
    ) -> Answer<Resource<Input>> {
        granted!(self.readable(&this));
        Ok(Ok(self.table.push(Input::Partition(offset))?))
    }

    fn write_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        offset: Filesize,
    ) -> Answer<Resource<Output>> {
        granted!(self.writable(&this));
        Ok(Ok(self.table.push(Output::Partition(offset))?))
    }

    fn append_via_stream(&mut self, this: Resource<Descriptor>) -> Answer<Resource<Output>> {
        granted!(self.writable(&this));
        Ok(Ok(self.table.push(Output::End)?))
    }

    fn set_size(&mut self, this: Resource<Descriptor>, size: Filesize) -> Answer<()> {
        granted!(self.writable(&this));
        answer(self.process.resize_file(size))
    }

    fn stat(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorStat> {
        let descriptor = self.descriptor(&this)?;
        Ok(Ok(self.status(target(descriptor))))
    }

    fn get_flags(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorFlags> {
        let (reads, writes) = match self.descriptor(&this)? {
            Descriptor::Root => (true, false),
            Descriptor::Partition { reads, writes } => (reads, writes),
        };
        let or_none = |flag, is_set: bool| match is_set {
            true => flag,
            false => DescriptorFlags::empty(),
        };
        Ok(Ok(
            or_none(DescriptorFlags::READ, reads) | or_none(DescriptorFlags::WRITE, writes)
        ))
    }

    fn get_type(&mut self, this: Resource<Descriptor>) -> Answer<DescriptorType> {
        let descriptor = self.descriptor(&this)?;
        Ok(Ok(self.status(target(descriptor)).type_))
    }

    fn advise(
        &mut self,
        this: Resource<Descriptor>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        Ok(self.partition(&this)?.map(|_| ()))
    }

    fn sync_data(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.descriptor(&this)?;
        answer(self.process.flush_file())
    }

    fn sync(&mut self, this: Resource<Descriptor>) -> Answer<()> {
        self.sync_data(this)
    }

    fn is_same_object(
        &mut self,
        this: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        Ok(target(self.descriptor(&this)?) == target(self.descriptor(&other)?))
    }

    fn metadata_hash(&mut self, this: Resource<Descriptor>) -> Answer<MetadataHashValue> {
        Ok(Ok(self.hash(target(self.descriptor(&this)?))))
    }

    fn set_times(
        &mut self,
        this: Resource<Descriptor>,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        self.descriptor(&this)?;
        Ok(Ok(()))
    }

    fn read_directory(&mut self, this: Resource<Descriptor>) -> Answer<Resource<Listing>> {
        match self.descriptor(&this)? {
            Descriptor::Root => Ok(Ok(self.table.push(Listing { is_told: false })?)),
            Descriptor::Partition { .. } => Ok(Err(ErrorCode::NotDirectory)),
        }
    }

    fn open_at(
        &mut self,
        this: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let wish = Wish {
            create: how.contains(OpenFlags::CREATE),
            exclusive: how.contains(OpenFlags::EXCLUSIVE),
            directory: how.contains(OpenFlags::DIRECTORY),
            truncate: how.contains(OpenFlags::TRUNCATE),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let target = granted!(self.follow(&this, &path, |path| path::open(path, wish)));
        if wish.truncate {
            granted!(answer(self.process.resize_file(0)));
        }
        let descriptor = match target {
            Target::Partition => Descriptor::Partition {
                reads: flags.contains(DescriptorFlags::READ),
                writes: wish.write,
            },
            _ => Descriptor::Root,
        };
        Ok(Ok(self.table.push(descriptor)?))
    }

    fn stat_at(
        &mut self,
        this: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        let target = granted!(self.follow(&this, &path, path::resolve_existing));
        Ok(Ok(self.status(target)))
    }

    fn metadata_hash_at(
        &mut self,
        this: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let target = granted!(self.follow(&this, &path, path::resolve_existing));
        Ok(Ok(self.hash(target)))
    }

    fn set_times_at(
        &mut self,
        this: Resource<Descriptor>,
        _follow: PathFlags,
        path: String,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        granted!(self.follow(&this, &path, path::resolve_existing));
        Ok(Ok(()))
    }

    fn create_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&this, &path, path::refuse_new)
    }

    fn link_at(
        &mut self,
        this: Resource<Descriptor>,
        _follow: PathFlags,
        old_path: String,
        new: Resource<Descriptor>,
        new_path: String,
    ) -> Answer<()> {
        granted!(self.follow(&this, &old_path, path::resolve_existing));
        self.refuse(&new, &new_path, path::refuse_new)
    }

    fn readlink_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<String> {
        self.refuse(&this, &path, path::refuse_readlink)
    }

    fn remove_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&this, &path, path::refuse_remove_directory)
    }

    fn rename_at(
        &mut self,
        this: Resource<Descriptor>,
        old_path: String,
        new: Resource<Descriptor>,
        _new_path: String,
    ) -> Answer<()> {
        self.descriptor(&new)?;
        self.refuse(&this, &old_path, path::refuse_rename)
    }

    fn symlink_at(
        &mut self,
        this: Resource<Descriptor>,
        _old_path: String,
        new_path: String,
    ) -> Answer<()> {
        self.refuse(&this, &new_path, path::refuse_new)
    }

    fn unlink_file_at(&mut self, this: Resource<Descriptor>, path: String) -> Answer<()> {
        self.refuse(&this, &path, path::refuse_unlink)
    }

    fn drop(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<S: Services> HostDirectoryEntryStream for State<S> {
    fn read_directory_entry(&mut self, this: Resource<Listing>) -> Answer<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&this)?;
        let is_told = std::mem::replace(&mut listing.is_told, true);
        Ok(Ok((!is_told).then(|| DirectoryEntry {
            type_: DescriptorType::RegularFile,
            name: PARTITION.to_owned(),
        })))
    }

    fn drop(&mut self, this: Resource<Listing>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<S: Services> Host for State<S> {
    fn filesystem_error_code(
        &mut self,
        error: Resource<Failure>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let Failure(code) = self.table.get(&error)?;
        Ok(Some(*code))
    }
}
