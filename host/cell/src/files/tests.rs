//! What a formatter's partition and a command's file have in common behind WASI 0.2, and what tells them apart. What a module of
//! preview 1 gets of the same is asked beside its shell.

#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use wasmtime::component::Resource;

use super::{Files, Opened};
use crate::bindings::wasi::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, NewTimestamp, OpenFlags, PathFlags,
};
use crate::fuzzing::{Disk, tree};
use crate::local::Local;
use crate::state::State;
use crate::wasi::{Invocation, Process};
use cellblock_contract::{Limits, Losses, Request};
use cellblock_tree::Timestamp;

fn local() -> Local {
    let tree = tree();
    let disk = Arc::new(Disk::new(Arc::clone(&tree)));
    Local::new(tree, Some(disk))
}

fn command() -> State<Process<Local>> {
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
        arguments: Vec::new(),
        request,
    };
    State::new(Process::new(&invocation, local()), Limits::default())
}

/// A handle of something open: a number, as a guest has it.
fn handle<F: Files + 'static>(state: &mut State<F>, opened: Opened) -> u32 {
    state.table.push(opened).unwrap().rep()
}

fn on(handle: u32) -> Resource<Opened> {
    Resource::new_borrow(handle)
}

const BOTH: Opened = Opened::Partition {
    reads: true,
    writes: true,
};
const READING: Opened = Opened::Partition {
    reads: true,
    writes: false,
};
const WRITING: Opened = Opened::Partition {
    reads: false,
    writes: true,
};

#[test]
fn what_may_be_done_is_what_it_was_opened_for() {
    let mut state = command();
    let [both, reading, writing, root] =
        [BOTH, READING, WRITING, Opened::Root].map(|opened| handle(&mut state, opened));
    assert!(state.write(on(both), vec![7; 3], 0).unwrap().is_ok());
    assert_eq!(state.read(on(reading), 3, 0).unwrap().unwrap().0, [7; 3]);
    for (refused, code) in [
        (writing, ErrorCode::BadDescriptor),
        (root, ErrorCode::IsDirectory),
    ] {
        assert_eq!(state.read(on(refused), 3, 0).unwrap().unwrap_err(), code);
        let stream = state.read_via_stream(on(refused), 0).unwrap();
        assert_eq!(stream.map(|_| ()).unwrap_err(), code);
    }
    for (refused, write, resize) in [
        (reading, ErrorCode::BadDescriptor, ErrorCode::Invalid),
        (root, ErrorCode::IsDirectory, ErrorCode::IsDirectory),
    ] {
        let written = state.write(on(refused), vec![1], 0).unwrap();
        assert_eq!(written.unwrap_err(), write);
        assert_eq!(state.set_size(on(refused), 1).unwrap(), Err(resize));
    }
    assert_eq!(state.stat(on(both)).unwrap().unwrap().size, Disk::SIZE);
    assert_eq!(state.set_size(on(writing), 1).unwrap(), Ok(()));
    assert_eq!(state.stat(on(both)).unwrap().unwrap().size, 1);
}

#[test]
fn a_formatter_gets_a_file_of_one_size_and_nothing_else() {
    let mut formatter = State::new(local(), Limits::default());
    let mut command = command();
    let partition = handle(&mut formatter, BOTH);
    let file = handle(&mut command, BOTH);
    let beyond = Disk::SIZE + 1;
    // What lies outside is refused here, and cut there.
    assert_eq!(
        formatter.read(on(partition), 1, beyond).unwrap(),
        Err(ErrorCode::Invalid)
    );
    assert_eq!(
        command.read(on(file), 1, beyond).unwrap(),
        Ok((Vec::new(), true))
    );
    assert_eq!(
        formatter
            .write(on(partition), vec![1; 2], Disk::SIZE - 1)
            .unwrap(),
        Err(ErrorCode::InsufficientSpace)
    );
    assert_eq!(
        command.write(on(file), vec![1; 2], Disk::SIZE - 1).unwrap(),
        Ok(1)
    );
    assert_eq!(
        formatter.set_size(on(partition), 1).unwrap(),
        Err(ErrorCode::NotPermitted)
    );
    let now = || NewTimestamp::Now;
    assert_eq!(
        formatter.set_times(on(partition), now(), now()).unwrap(),
        Err(ErrorCode::NotPermitted)
    );
    assert_eq!(command.set_times(on(file), now(), now()).unwrap(), Ok(()));
    let stream = formatter.write_via_stream(on(partition), 0).unwrap();
    assert_eq!(stream.map(|_| ()).unwrap_err(), ErrorCode::Unsupported);
    assert!(command.write_via_stream(on(file), 0).unwrap().is_ok());
}

#[test]
fn paths_begin_at_the_root_alone() {
    let mut state = command();
    let [root, file] = [Opened::Root, BOTH].map(|opened| handle(&mut state, opened));
    let open = |state: &mut State<Process<Local>>, from: u32, path: &str, how: OpenFlags| {
        let flags = DescriptorFlags::READ;
        let opened = state.open_at(on(from), PathFlags::empty(), path.to_owned(), how, flags);
        opened
            .unwrap()
            .map(|opened| *state.table.get(&opened).unwrap())
    };
    let none = OpenFlags::empty();
    assert_eq!(open(&mut state, root, "partition.img", none), Ok(READING));
    assert_eq!(open(&mut state, root, "..", none), Ok(Opened::Root));
    for (from, path, how, code) in [
        (root, "other", none, ErrorCode::NoEntry),
        (root, "other", OpenFlags::CREATE, ErrorCode::Access),
        (
            root,
            "partition.img",
            OpenFlags::TRUNCATE,
            ErrorCode::Access,
        ),
        (
            root,
            "partition.img",
            OpenFlags::DIRECTORY,
            ErrorCode::NotDirectory,
        ),
        (file, "partition.img", none, ErrorCode::NotDirectory),
    ] {
        assert_eq!(open(&mut state, from, path, how), Err(code), "{path}");
    }
    let name = || "partition.img".to_owned();
    for (answer, code) in [
        (
            state.create_directory_at(on(root), "new".to_owned()),
            ErrorCode::Access,
        ),
        (
            state.create_directory_at(on(root), name()),
            ErrorCode::Exist,
        ),
        (state.unlink_file_at(on(root), name()), ErrorCode::Access),
        (
            state.unlink_file_at(on(root), ".".to_owned()),
            ErrorCode::IsDirectory,
        ),
        (
            state.remove_directory_at(on(root), ".".to_owned()),
            ErrorCode::Busy,
        ),
        (
            state.remove_directory_at(on(root), name()),
            ErrorCode::NotDirectory,
        ),
        (
            state.unlink_file_at(on(file), name()),
            ErrorCode::NotDirectory,
        ),
    ] {
        assert_eq!(answer.unwrap(), Err(code));
    }
    assert_eq!(
        state.readlink_at(on(root), name()).unwrap(),
        Err(ErrorCode::Invalid)
    );
}
