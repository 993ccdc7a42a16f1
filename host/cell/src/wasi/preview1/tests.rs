//! Preview 1 as programs expect it: what the public `wasi-testsuite` asks for, in what a root with one file allows. The
//! table in `guests/README.md` tells what is refused on purpose.

#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use super::errno::Fault;
use super::memory::Memory;
use super::{Command, files, paths, system};
use crate::fuzzing::{Disk, tree};
use crate::local::Local;
use crate::wasi::{Invocation, Process};
use cellblock_contract::{Limits, Losses, Request};
use cellblock_tree::Timestamp;

const BADF: i32 = 8;
const EXIST: i32 = 20;
const FBIG: i32 = 22;
const INVAL: i32 = 28;
const ISDIR: i32 = 31;
const ACCES: i32 = 2;
const NAMETOOLONG: i32 = 37;
const NOENT: i32 = 44;
const NOTDIR: i32 = 54;
const SPIPE: i32 = 70;
const NOTCAPABLE: i32 = 76;

/// The preopened root.
const ROOT: u32 = 3;
/// Addresses in the memory of the module.
const PATH: u32 = 0;
const VECTORS: u32 = 256;
const DATA: u32 = 512;
const RESULT: u32 = 2048;

const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const APPEND: u32 = 1;
const SYNC: u32 = 1 << 4;
const CREATE: u32 = 1;
const DIRECTORY: u32 = 1 << 1;
const EXCLUSIVE: u32 = 1 << 2;
const TRUNCATE: u32 = 1 << 3;

/// A command with its memory.
struct Module {
    command: Command<Local>,
    memory: Vec<u8>,
}

/// Calls a function of the interface: its error number, or why the command ends.
macro_rules! call {
    ($module:expr, $room:ident::$name:ident($($argument:expr),*)) => {{
        let Module { command, memory } = &mut *$module;
        match $room::$name(command, &mut Memory(memory), $($argument),*) {
            Ok(()) => Ok(0),
            Err(Fault::Errno(errno)) => Ok(errno.number()),
            Err(Fault::End(error)) => Err(error.to_string()),
        }
    }};
}

impl Module {
    fn new() -> Self {
        let tree = tree();
        let request = Request {
            kind: "command".to_owned(),
            size: Disk::SIZE,
            disk_offset: 0,
            sector_size: 512,
            label: String::new(),
            uuid: [0; 16],
            seed: [0; 16],
            time: Timestamp {
                seconds: 1000,
                nanoseconds: 7,
            },
            drop: Losses::none(),
            settings: Vec::new(),
        };
        let invocation = Invocation {
            arguments: ["command", "", "--long"].map(str::to_owned).to_vec(),
            request,
        };
        let disk = Arc::new(Disk::new(Arc::clone(&tree)));
        let local = Local::new(tree, Some(disk));
        Self {
            command: Command::new(Process::new(&invocation, local), Limits::default()),
            memory: vec![0; 8192],
        }
    }

    fn bytes(&mut self, at: u32, length: usize) -> &mut [u8] {
        let start = usize::try_from(at).unwrap();
        &mut self.memory[start..start + length]
    }

    fn u32(&mut self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    fn u64(&mut self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts a path into memory: its length.
    fn path(&mut self, path: &str) -> u32 {
        self.bytes(PATH, path.len())
            .copy_from_slice(path.as_bytes());
        u32::try_from(path.len()).unwrap()
    }

    /// Puts vectors of these lengths into memory, for bytes one behind the other: their number.
    fn vectors(&mut self, lengths: &[u32]) -> u32 {
        let mut address = DATA;
        for (at, length) in (VECTORS..).step_by(8).zip(lengths) {
            self.bytes(at, 4).copy_from_slice(&address.to_le_bytes());
            self.bytes(at + 4, 4).copy_from_slice(&length.to_le_bytes());
            address += length;
        }
        u32::try_from(lengths.len()).unwrap()
    }

    fn open(&mut self, fd: u32, path: &str, how: u32, rights: u64, flags: u32) -> Result<u32, i32> {
        let length = self.path(path);
        let opened = call!(
            self,
            paths::path_open(fd, 0, PATH, length, how, rights, 0, flags, RESULT)
        );
        match opened.unwrap() {
            0 => Ok(self.u32(RESULT)),
            errno => Err(errno),
        }
    }

    /// The partition, open and cut to nothing.
    fn empty_file(&mut self, flags: u32) -> u32 {
        self.open(ROOT, "partition.img", TRUNCATE, READ | WRITE, flags)
            .unwrap()
    }

    fn write(&mut self, fd: u32, bytes: &[u8]) -> u32 {
        self.bytes(DATA, bytes.len()).copy_from_slice(bytes);
        let count = self.vectors(&[u32::try_from(bytes.len()).unwrap()]);
        assert_eq!(
            call!(self, files::fd_write(fd, VECTORS, count, RESULT)),
            Ok(0)
        );
        self.u32(RESULT)
    }

    fn pread(&mut self, fd: u32, offset: u64, lengths: &[u32]) -> Vec<u8> {
        let count = self.vectors(lengths);
        assert_eq!(
            call!(self, files::fd_pread(fd, VECTORS, count, offset, RESULT)),
            Ok(0)
        );
        let read = usize::try_from(self.u32(RESULT)).unwrap();
        self.bytes(DATA, read).to_vec()
    }

    fn seek(&mut self, fd: u32, delta: i64, whence: u32) -> Result<u64, i32> {
        match call!(self, files::fd_seek(fd, delta, whence, RESULT)).unwrap() {
            0 => Ok(self.u64(RESULT)),
            errno => Err(errno),
        }
    }

    fn tell(&mut self, fd: u32) -> u64 {
        assert_eq!(call!(self, files::fd_tell(fd, RESULT)), Ok(0));
        self.u64(RESULT)
    }

    fn size(&mut self, fd: u32) -> u64 {
        assert_eq!(call!(self, files::fd_filestat_get(fd, RESULT)), Ok(0));
        self.u64(RESULT + 32)
    }

    /// The kind, the flags and the rights of what is open.
    fn status(&mut self, fd: u32) -> (u8, u8, u64) {
        assert_eq!(call!(self, files::fd_fdstat_get(fd, RESULT)), Ok(0));
        let rights = self.u64(RESULT + 8);
        let bytes = self.bytes(RESULT, 4);
        (bytes[0], bytes[2], rights)
    }
}

#[test]
fn positions_are_told_and_moved() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    assert_eq!(module.tell(file), 0);
    assert_eq!(module.write(file, &[1; 100]), 100);
    assert_eq!(module.tell(file), 100);
    assert_eq!(module.seek(file, -50, 1), Ok(50));
    assert_eq!(module.seek(file, 0, 0), Ok(0));
    assert_eq!(module.seek(file, -1, 2), Ok(99));
    assert_eq!(module.seek(file, 1000, 1), Ok(1099));
    assert_eq!(module.size(file), 100);
    for (delta, whence) in [(-2000, 1), (-1, 0), (i64::MIN, 2), (0, 3)] {
        assert_eq!(module.seek(file, delta, whence), Err(INVAL));
    }
    assert_eq!(module.tell(file), 1099);
}

#[test]
fn reads_and_writes_at_offsets_move_no_position() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    module.bytes(DATA, 4).copy_from_slice(&[0, 1, 2, 3]);
    let count = module.vectors(&[2, 2]);
    assert_eq!(
        call!(
            &mut module,
            files::fd_pwrite(file, VECTORS, count, 0, RESULT)
        ),
        Ok(0)
    );
    assert_eq!(module.u32(RESULT), 4);
    assert_eq!(module.pread(file, 0, &[2, 2]), [0, 1, 2, 3]);
    assert_eq!(module.pread(file, 2, &[4]), [2, 3]);
    assert_eq!(module.pread(file, 4, &[4]), [0_u8; 0]);
    assert_eq!(module.tell(file), 0);
}

#[test]
fn what_is_appended_goes_to_the_end_until_the_flag_is_taken_away() {
    let mut module = Module::new();
    let file = module.empty_file(APPEND | SYNC);
    assert_eq!(u32::from(module.status(file).1), APPEND | SYNC);
    module.write(file, &[1; 100]);
    module.seek(file, 0, 0).unwrap();
    module.write(file, &[2; 100]);
    assert_eq!((module.tell(file), module.size(file)), (200, 200));
    assert_eq!(
        call!(&mut module, files::fd_fdstat_set_flags(file, 0)),
        Ok(0)
    );
    module.seek(file, 0, 0).unwrap();
    module.write(file, &[3; 100]);
    assert_eq!(module.size(file), 200);
    assert_eq!(module.pread(file, 99, &[2]), [3, 2]);
    let unknown = call!(&mut module, files::fd_fdstat_set_flags(file, 1 << 5));
    assert_eq!(unknown, Ok(INVAL));
}

#[test]
fn the_file_grows_to_the_partition_and_no_further() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    for (offset, length, size) in [(0, 100, 100), (10, 10, 100), (90, 20, 110)] {
        assert_eq!(
            call!(&mut module, files::fd_allocate(file, offset, length)),
            Ok(0)
        );
        assert_eq!(module.size(file), size);
    }
    assert_eq!(
        call!(&mut module, files::fd_allocate(file, 1, Disk::SIZE)),
        Ok(FBIG)
    );
    assert_eq!(
        call!(&mut module, files::fd_allocate(file, u64::MAX, 1)),
        Ok(FBIG)
    );
    assert_eq!(
        call!(&mut module, files::fd_filestat_set_size(file, Disk::SIZE)),
        Ok(0)
    );
    assert_eq!(
        call!(
            &mut module,
            files::fd_filestat_set_size(file, Disk::SIZE + 1)
        ),
        Ok(FBIG)
    );
    assert_eq!(module.size(file), Disk::SIZE);
    assert_eq!(call!(&mut module, files::fd_advise(file, 10, 50, 0)), Ok(0));
}

#[test]
fn what_is_cut_off_reads_as_zeros() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    module.write(file, b"cut off");
    let again = module.empty_file(0);
    assert_eq!(module.pread(again, 0, &[100]), [0_u8; 0]);
    assert_eq!(
        call!(&mut module, files::fd_filestat_set_size(again, 3)),
        Ok(0)
    );
    assert_eq!(module.pread(again, 0, &[100]), [0; 3]);
}

#[test]
fn rights_can_be_given_up_and_not_taken() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    let (kind, _, rights) = module.status(file);
    assert_eq!((kind, rights & (READ | WRITE)), (4, READ | WRITE));
    assert_eq!(
        call!(&mut module, files::fd_fdstat_set_rights(file, READ, 0)),
        Ok(0)
    );
    let count = module.vectors(&[4]);
    assert_eq!(
        call!(&mut module, files::fd_write(file, VECTORS, count, RESULT)),
        Ok(BADF)
    );
    assert_eq!(
        call!(&mut module, files::fd_fdstat_set_rights(file, WRITE, 0)),
        Ok(NOTCAPABLE)
    );
    assert_eq!(module.status(file).2 & (READ | WRITE), READ);
    // Neither sizes nor positions are a directory's.
    let (kind, flags, rights) = module.status(ROOT);
    assert_eq!((kind, flags, rights & (1 << 22 | 1 << 2)), (3, 0, 0));
}

#[test]
fn a_directory_is_no_file() {
    let mut module = Module::new();
    let count = module.vectors(&[4]);
    assert_eq!(
        call!(&mut module, files::fd_read(ROOT, VECTORS, count, RESULT)),
        Ok(ISDIR)
    );
    assert_eq!(
        call!(
            &mut module,
            files::fd_pread(ROOT, VECTORS, count, 0, RESULT)
        ),
        Ok(ISDIR)
    );
    assert_eq!(
        call!(&mut module, files::fd_write(ROOT, VECTORS, count, RESULT)),
        Ok(ISDIR)
    );
    assert_eq!(
        call!(
            &mut module,
            files::fd_pwrite(ROOT, VECTORS, count, 0, RESULT)
        ),
        Ok(ISDIR)
    );
    assert_eq!(module.seek(ROOT, 0, 0), Err(ISDIR));
    assert_eq!(module.seek(0, 0, 0), Err(SPIPE));
    assert_eq!(
        call!(&mut module, files::fd_prestat_dir_name(ROOT, DATA, 0)),
        Ok(NAMETOOLONG)
    );
    assert_eq!(
        call!(&mut module, files::fd_prestat_dir_name(ROOT, DATA, 2)),
        Ok(0)
    );
    assert_eq!(module.bytes(DATA, 1), b"/");
}

#[test]
fn a_listing_can_be_read_in_pieces() {
    let mut module = Module::new();
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        // Room for one entry at a time.
        let listed = call!(
            &mut module,
            files::fd_readdir(ROOT, DATA, 24 + 13, cookie, RESULT)
        );
        assert_eq!(listed, Ok(0));
        if module.u32(RESULT) < 24 {
            break;
        }
        cookie = module.u64(DATA);
        let length = usize::try_from(module.u32(DATA + 16)).unwrap();
        let kind = module.bytes(DATA + 20, 1)[0];
        let name = module.bytes(DATA + 24, length).to_vec();
        names.push((String::from_utf8(name).unwrap(), kind));
    }
    let expected = [(".", 3), ("..", 3), ("partition.img", 4)];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
    assert_eq!(names, expected);
    let file = module.empty_file(0);
    let listed = call!(&mut module, files::fd_readdir(file, DATA, 256, 0, RESULT));
    assert_eq!(listed, Ok(NOTDIR));
}

#[test]
fn opening_does_what_its_flags_say_or_fails() {
    let mut module = Module::new();
    for (path, how, rights, expected) in [
        ("partition.img", 0, READ, Ok(())),
        ("./partition.img", CREATE, READ, Ok(())),
        (".", DIRECTORY, READ, Ok(())),
        (".", 0, 0, Ok(())),
        ("partition.img", CREATE | EXCLUSIVE, READ, Err(EXIST)),
        ("partition.img", DIRECTORY, READ, Err(NOTDIR)),
        ("partition.img/", 0, READ, Err(NOTDIR)),
        ("partition.img\0", 0, READ, Err(NOENT)),
        ("partition.img", TRUNCATE, READ, Err(ACCES)),
        ("absent", 0, READ, Err(NOENT)),
        ("absent", CREATE, WRITE, Err(ACCES)),
        (".", DIRECTORY, READ | WRITE, Err(ISDIR)),
    ] {
        let opened = module.open(ROOT, path, how, rights, 0).map(|_| ());
        assert_eq!(opened, expected, "{path:?} with {how}");
    }
    let file = module.empty_file(0);
    assert_eq!(module.open(file, "partition.img", 0, READ, 0), Err(NOTDIR));
    assert_eq!(module.open(99, "partition.img", 0, READ, 0), Err(BADF));
    assert_eq!(
        module.open(ROOT, "partition.img", 0, READ, 1 << 5),
        Err(INVAL)
    );
}

#[test]
fn a_number_is_given_to_another_descriptor() {
    let mut module = Module::new();
    let [from, to] = [READ, READ | WRITE].map(|rights| {
        let opened = module.open(ROOT, "partition.img", 0, rights, 0);
        opened.unwrap()
    });
    let status = module.status(from);
    assert_eq!(call!(&mut module, files::fd_renumber(from, to)), Ok(0));
    assert_eq!(module.status(to), status);
    assert_eq!(call!(&mut module, files::fd_close(from)), Ok(BADF));
    assert_eq!(call!(&mut module, files::fd_renumber(to, from)), Ok(BADF));
    assert_eq!(call!(&mut module, files::fd_renumber(to, 1)), Ok(0));
    assert_eq!(module.status(1), status);
    assert_eq!(call!(&mut module, files::fd_close(ROOT)), Ok(0));
    assert_eq!(
        call!(&mut module, files::fd_fdstat_get(ROOT, RESULT)),
        Ok(BADF)
    );
}

#[test]
fn times_are_those_of_the_request_and_one_that_contradicts_itself_is_refused() {
    let mut module = Module::new();
    let file = module.empty_file(0);
    for flags in 0..16 {
        let contradicts = flags & 3 == 3 || flags & 12 == 12;
        let expected = Ok(if contradicts { INVAL } else { 0 });
        let set = call!(&mut module, files::fd_filestat_set_times(file, 1, 1, flags));
        assert_eq!(set, expected, "{flags}");
        let length = module.path("partition.img");
        let set = call!(
            &mut module,
            paths::path_filestat_set_times(ROOT, 0, PATH, length, 1, 1, flags)
        );
        assert_eq!(set, expected, "{flags}");
    }
    assert_eq!(
        call!(&mut module, files::fd_filestat_get(file, RESULT)),
        Ok(0)
    );
    for at in [40, 48, 56] {
        assert_eq!(module.u64(RESULT + at), 1_000_000_000_007);
    }
}

#[test]
fn the_wall_clock_is_frozen_and_the_others_go() {
    let mut module = Module::new();
    let mut now = |clock| {
        let told = call!(&mut module, system::clock_time_get(clock, 0, RESULT));
        told.map(|errno| (errno, module.u64(RESULT)))
    };
    assert_eq!(now(0), Ok((0, 1_000_000_000_007)));
    assert_eq!(now(0), Ok((0, 1_000_000_000_007)));
    for clock in 1..=3 {
        let first = now(clock).unwrap().1;
        assert!(now(clock).unwrap().1 > first);
    }
    assert_eq!(now(4).unwrap().0, INVAL);
    for (clock, expected) in [(0, 0), (1, 0), (4, INVAL)] {
        assert_eq!(
            call!(&mut module, system::clock_res_get(clock, RESULT)),
            Ok(expected)
        );
    }
}

#[test]
fn arguments_come_as_they_are_and_there_is_no_environment() {
    let mut module = Module::new();
    assert_eq!(
        call!(&mut module, system::args_sizes_get(RESULT, RESULT + 4)),
        Ok(0)
    );
    assert_eq!((module.u32(RESULT), module.u32(RESULT + 4)), (3, 16));
    assert_eq!(call!(&mut module, system::args_get(RESULT, DATA)), Ok(0));
    assert_eq!(module.bytes(DATA, 16), b"command\0\0--long\0");
    let starts = [0, 4, 8].map(|at| module.u32(RESULT + at) - DATA);
    assert_eq!(starts, [0, 8, 9]);
    assert_eq!(
        call!(&mut module, system::environ_sizes_get(RESULT, RESULT + 4)),
        Ok(0)
    );
    assert_eq!((module.u32(RESULT), module.u32(RESULT + 4)), (0, 0));
}

#[test]
fn random_bytes_are_as_many_as_asked_for_and_differ() {
    let mut module = Module::new();
    assert_eq!(call!(&mut module, system::random_get(DATA, 0)), Ok(0));
    assert_eq!(module.bytes(DATA, 32), [0; 32]);
    assert_eq!(call!(&mut module, system::random_get(DATA, 32)), Ok(0));
    let first = module.bytes(DATA, 32).to_vec();
    assert_eq!(call!(&mut module, system::random_get(DATA, 32)), Ok(0));
    assert_ne!(module.bytes(DATA, 32), first);
}

/// What is waited for: a clock's number, a time in nanoseconds, and whether that is absolute; or a descriptor.
enum Wait {
    Clock(u32, u64, bool),
    Descriptor(u8, u32),
}

impl Module {
    /// Waits: what happened, each by its index and its error.
    fn poll(&mut self, waits: &[Wait]) -> Result<Vec<(u64, u16)>, String> {
        for (index, wait) in (0_u32..).zip(waits) {
            let at = DATA + 48 * index;
            self.bytes(at, 48).fill(0);
            self.bytes(at, 8)
                .copy_from_slice(&u64::from(index).to_le_bytes());
            let (kind, number) = match wait {
                Wait::Clock(number, time, is_absolute) => {
                    self.bytes(at + 24, 8).copy_from_slice(&time.to_le_bytes());
                    self.bytes(at + 40, 1)[0] = u8::from(*is_absolute);
                    (0, number)
                }
                Wait::Descriptor(kind, number) => (*kind, number),
            };
            self.bytes(at + 8, 1)[0] = kind;
            self.bytes(at + 16, 4)
                .copy_from_slice(&number.to_le_bytes());
        }
        let count = u32::try_from(waits.len()).unwrap();
        let polled = call!(self, system::poll_oneoff(DATA, RESULT, count, RESULT - 4));
        assert_eq!(polled?, 0);
        let happened = self.u32(RESULT - 4);
        Ok((0..happened)
            .map(|index| {
                let at = RESULT + 32 * index;
                let errno = u16::from_le_bytes(self.bytes(at + 8, 2).try_into().unwrap());
                (self.u64(at), errno)
            })
            .collect())
    }
}

#[test]
fn nobody_waits_for_a_clock_that_goes_or_for_a_descriptor() {
    let mut module = Module::new();
    let second = 1_000_000_000;
    let clock = || Wait::Clock(1, 1000 * second, false);
    assert_eq!(module.poll(&[clock()]), Ok(vec![(0, 0)]));
    assert_eq!(
        module.poll(&[Wait::Clock(0, second, false)]),
        Ok(vec![(0, 0)])
    );
    // A moment of the wall clock that is past.
    assert_eq!(
        module.poll(&[Wait::Clock(0, second, true)]),
        Ok(vec![(0, 0)])
    );
    let waits = [clock(), Wait::Descriptor(1, 0), Wait::Descriptor(2, 1)];
    assert_eq!(module.poll(&waits), Ok(vec![(1, 0), (2, 0)]));
    assert_eq!(module.poll(&[Wait::Descriptor(1, 99)]), Ok(vec![(0, 8)]));
    let none = call!(
        &mut module,
        system::poll_oneoff(DATA, RESULT, 0, RESULT - 4)
    );
    assert_eq!(none, Ok(INVAL));
}

#[test]
fn who_waits_for_ever_is_told_why() {
    let mut module = Module::new();
    let future = || Wait::Clock(0, 2_000_000_000_000, true);
    for waits in [
        vec![future()],
        vec![Wait::Clock(1, u64::MAX, false), future()],
    ] {
        let told = module.poll(&waits).unwrap_err();
        assert!(
            told.contains("frozen at 1000000000007 nanoseconds"),
            "{told}"
        );
    }
    // Something else happens.
    let happened = module.poll(&[future(), Wait::Clock(1, 5, false)]);
    assert_eq!(happened, Ok(vec![(1, 0)]));
    let happened = module.poll(&[future(), Wait::Descriptor(2, 1)]);
    assert_eq!(happened, Ok(vec![(1, 0)]));
}
