//! `wasi:filesystem` of WASI 0.2, for formatters and for commands: a shell around [`Files`].

use std::borrow::Cow;

use wasmtime::component::Resource;

use super::path::{Refused, Target, Wish};
use super::{ErrorCode, Fault, Files, Opened, PARTITION};
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, Filesize, Host,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::resources::{Failure, Input, Listing, Output};
use crate::state::State;

/// An answer to a guest; the outer error ends it.
type Answer<T> = wasmtime::Result<Result<T, types::ErrorCode>>;

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Access => Self::Access,
            ErrorCode::BadDescriptor => Self::BadDescriptor,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::Exist => Self::Exist,
            ErrorCode::FileTooLarge => Self::FileTooLarge,
            ErrorCode::InsufficientSpace => Self::InsufficientSpace,
            ErrorCode::Invalid => Self::Invalid,
            ErrorCode::Io => Self::Io,
            ErrorCode::IsDirectory => Self::IsDirectory,
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::NotDirectory => Self::NotDirectory,
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::Overflow => Self::Overflow,
            ErrorCode::Unsupported => Self::Unsupported,
        }
    }
}

fn answer<T>(result: Result<T, impl Into<Fault>>) -> Answer<T> {
    match result.map_err(Into::into) {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Code(code)) => Ok(Err(code.into())),
        Err(Fault::End(error)) => Err(error),
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

impl<F: Files> State<F> {
    /// What a handle stands for; a guest that uses one of something else is ended.
    fn opened(&self, descriptor: &Resource<Opened>) -> wasmtime::Result<Opened> {
        Ok(*self.table.get(descriptor)?)
    }

    /// What is there at a path that begins at a handle.
    fn look(&self, from: &Resource<Opened>, path: &str) -> Answer<Target> {
        answer(self.opened(from)?.look(path.as_bytes()))
    }

    fn refuse<T>(&self, from: &Resource<Opened>, path: &str, refused: Refused) -> Answer<T> {
        let code = self.opened(from)?.refusal(path.as_bytes(), refused);
        Ok(Err(code.into()))
    }

    fn stat_of(&self, target: Target) -> DescriptorStat {
        let status = self.services.status(target);
        let time = status.time.map(|(seconds, nanoseconds)| Datetime {
            seconds,
            nanoseconds,
        });
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

    fn hash_of(&self, target: Target) -> MetadataHashValue {
        MetadataHashValue {
            lower: self.services.status(target).inode,
            upper: 0,
        }
    }
}

impl<F: Files + 'static> HostDescriptor for State<F> {
    fn read(
        &mut self,
        this: Resource<Opened>,
        length: Filesize,
        offset: Filesize,
    ) -> Answer<(Vec<u8>, bool)> {
        let opened = self.opened(&this)?;
        answer(self.services.read(opened, offset, length))
    }

    fn write(
        &mut self,
        this: Resource<Opened>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> Answer<Filesize> {
        let opened = self.opened(&this)?;
        answer(self.services.write(opened, offset, Cow::Owned(bytes)))
    }

    fn read_via_stream(
        &mut self,
        this: Resource<Opened>,
        offset: Filesize,
    ) -> Answer<Resource<Input>> {
        let opened = self.opened(&this)?;
        granted!(answer(self.services.read_stream(opened)));
        Ok(Ok(self.table.push(Input::Partition(offset))?))
    }

    fn write_via_stream(
        &mut self,
        this: Resource<Opened>,
        offset: Filesize,
    ) -> Answer<Resource<Output>> {
        let opened = self.opened(&this)?;
        granted!(answer(self.services.write_stream(opened)));
        Ok(Ok(self.table.push(Output::Partition(offset))?))
    }

    fn append_via_stream(&mut self, this: Resource<Opened>) -> Answer<Resource<Output>> {
        let opened = self.opened(&this)?;
        granted!(answer(self.services.write_stream(opened)));
        Ok(Ok(self.table.push(Output::End)?))
    }

    fn set_size(&mut self, this: Resource<Opened>, size: Filesize) -> Answer<()> {
        let opened = self.opened(&this)?;
        answer(self.services.resize(opened, size))
    }

    fn stat(&mut self, this: Resource<Opened>) -> Answer<DescriptorStat> {
        Ok(Ok(self.stat_of(self.opened(&this)?.target())))
    }

    fn get_flags(&mut self, this: Resource<Opened>) -> Answer<DescriptorFlags> {
        let (reads, writes) = match self.opened(&this)? {
            Opened::Root => (true, false),
            Opened::Partition { reads, writes } => (reads, writes),
        };
        let mut flags = DescriptorFlags::empty();
        if reads {
            flags |= DescriptorFlags::READ;
        }
        if writes {
            flags |= DescriptorFlags::WRITE;
        }
        Ok(Ok(flags))
    }

    fn get_type(&mut self, this: Resource<Opened>) -> Answer<DescriptorType> {
        Ok(Ok(self.stat_of(self.opened(&this)?.target()).type_))
    }

    fn advise(
        &mut self,
        this: Resource<Opened>,
        _offset: Filesize,
        _length: Filesize,
        _advice: Advice,
    ) -> Answer<()> {
        answer(self.opened(&this)?.file().map(|_| ()))
    }

    fn sync_data(&mut self, this: Resource<Opened>) -> Answer<()> {
        self.opened(&this)?;
        answer(self.services.flush_file())
    }

    fn sync(&mut self, this: Resource<Opened>) -> Answer<()> {
        self.sync_data(this)
    }

    fn is_same_object(
        &mut self,
        this: Resource<Opened>,
        other: Resource<Opened>,
    ) -> wasmtime::Result<bool> {
        Ok(self.opened(&this)?.target() == self.opened(&other)?.target())
    }

    fn metadata_hash(&mut self, this: Resource<Opened>) -> Answer<MetadataHashValue> {
        Ok(Ok(self.hash_of(self.opened(&this)?.target())))
    }

    fn set_times(
        &mut self,
        this: Resource<Opened>,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        self.opened(&this)?;
        answer(self.services.set_times())
    }

    fn read_directory(&mut self, this: Resource<Opened>) -> Answer<Resource<Listing>> {
        granted!(answer(self.opened(&this)?.directory()));
        Ok(Ok(self.table.push(Listing { is_told: false })?))
    }

    fn open_at(
        &mut self,
        this: Resource<Opened>,
        _follow: PathFlags,
        path: String,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Opened>> {
        let wish = Wish {
            create: how.contains(OpenFlags::CREATE),
            exclusive: how.contains(OpenFlags::EXCLUSIVE),
            directory: how.contains(OpenFlags::DIRECTORY),
            truncate: how.contains(OpenFlags::TRUNCATE),
            read: flags.contains(DescriptorFlags::READ),
            write: flags.contains(DescriptorFlags::WRITE),
        };
        let from = self.opened(&this)?;
        let opened = granted!(answer(self.services.open(from, path.as_bytes(), wish)));
        Ok(Ok(self.table.push(opened)?))
    }

    fn stat_at(
        &mut self,
        this: Resource<Opened>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<DescriptorStat> {
        let target = granted!(self.look(&this, &path));
        Ok(Ok(self.stat_of(target)))
    }

    fn metadata_hash_at(
        &mut self,
        this: Resource<Opened>,
        _follow: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        let target = granted!(self.look(&this, &path));
        Ok(Ok(self.hash_of(target)))
    }

    fn set_times_at(
        &mut self,
        this: Resource<Opened>,
        _follow: PathFlags,
        path: String,
        _access: NewTimestamp,
        _modification: NewTimestamp,
    ) -> Answer<()> {
        granted!(self.look(&this, &path));
        answer(self.services.set_times())
    }

    fn create_directory_at(&mut self, this: Resource<Opened>, path: String) -> Answer<()> {
        self.refuse(&this, &path, Refused::Make)
    }

    fn link_at(
        &mut self,
        this: Resource<Opened>,
        _follow: PathFlags,
        old_path: String,
        new: Resource<Opened>,
        new_path: String,
    ) -> Answer<()> {
        granted!(self.look(&this, &old_path));
        self.refuse(&new, &new_path, Refused::Make)
    }

    fn readlink_at(&mut self, this: Resource<Opened>, path: String) -> Answer<String> {
        self.refuse(&this, &path, Refused::ReadLink)
    }

    fn remove_directory_at(&mut self, this: Resource<Opened>, path: String) -> Answer<()> {
        self.refuse(&this, &path, Refused::RemoveDirectory)
    }

    fn rename_at(
        &mut self,
        this: Resource<Opened>,
        old_path: String,
        new: Resource<Opened>,
        _new_path: String,
    ) -> Answer<()> {
        self.opened(&new)?;
        self.refuse(&this, &old_path, Refused::Rename)
    }

    fn symlink_at(
        &mut self,
        this: Resource<Opened>,
        _old_path: String,
        new_path: String,
    ) -> Answer<()> {
        self.refuse(&this, &new_path, Refused::Make)
    }

    fn unlink_file_at(&mut self, this: Resource<Opened>, path: String) -> Answer<()> {
        self.refuse(&this, &path, Refused::Unlink)
    }

    fn drop(&mut self, this: Resource<Opened>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl<F: Files + 'static> HostDirectoryEntryStream for State<F> {
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

impl<F: Files + 'static> Host for State<F> {
    fn filesystem_error_code(
        &mut self,
        error: Resource<Failure>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        let Failure(code) = self.table.get(&error)?;
        Ok(Some((*code).into()))
    }
}
