//! What a process says that has been taken over, from bytes.

use std::sync::Arc;

use super::channel::{Channel, ChannelError};
use super::message::{Attempt, Greeting, Loaded};
use super::outside::{fit, imports_of};
use super::serve::serve;
use crate::call::{Returned, Role, Stopped};
use crate::fuzzing::{Disk, tree};
use crate::legible;
use crate::local::Local;
use crate::reading;
use cellblock_contract::LogLine;
use cellblock_text::printable;

/// The most bytes that are said: fewer than a ring takes before it is read.
const MOST: usize = 64 << 10;

/// The bits of the first byte that say how the rest is said.
const RAW: u8 = 0x80;
const SCRIBBLES: u8 = 0x40;

/// Listens to a process at one of the moments at which the host does, which the first byte tells. It says the rest, as it
/// is or, by that byte too, in messages whose lengths are right: for each a byte with the length of the head and one with that of the bytes.
/// By that byte too it writes the rest over the counters of the shared memory as well.
pub fn channel(data: &[u8]) {
    let Some((mode, said)) = data.split_first() else {
        return;
    };
    let said = &said[..said.len().min(MOST)];
    let said = if mode & RAW == 0 {
        framed(said)
    } else {
        said.to_vec()
    };
    let (host, mut cell) = Channel::pair(0).expect("a channel");
    cell.say(&said).expect("a ring takes so much");
    if mode & SCRIBBLES != 0 {
        // The counters, and what the host waits for: a word of the rest for each.
        let words = said.chunks(8).zip([64, 128, 192, 256, 320]);
        words.for_each(|(word, at)| cell.streams().scribble(at, word));
    }
    cell.streams().hang_up().expect("an open socket");
    listen(mode & !(RAW | SCRIBBLES), host);
}

fn framed(mut said: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let [head, bytes, rest @ ..] = said {
        let length = rest.len().min(usize::from(*head) + usize::from(*bytes));
        messages.extend(u32::from(*head).to_le_bytes());
        messages.extend(u32::from(*bytes).to_le_bytes());
        let (first, second) = rest[..length].split_at(length.min(usize::from(*head)));
        for part in [first, second] {
            messages.extend(part);
            messages.resize(messages.len().next_multiple_of(8), 0);
        }
        said = &rest[length..];
    }
    messages.truncate(MOST);
    messages
}

fn listen(moment: u8, mut channel: Channel) {
    match moment {
        0 => {
            if let Ok((Greeting::Missing(what), _)) = channel.receive() {
                check_words(&fit(&what));
            }
        }
        1 => check_loaded(Role::Formatter, &mut channel),
        4 => check_loaded(Role::Command, &mut channel),
        2 => {
            let attempts = channel.receive::<Result<Vec<Attempt>, String>>();
            attempts.map(|_| ()).unwrap_or_else(check_failure);
        }
        _ => {
            let tree = tree();
            let disk = Disk::new(Arc::clone(&tree));
            let mut local = Local::new(tree, Some(Arc::new(disk)));
            match serve(&mut channel, &mut local) {
                Ok(Ok(returned)) => check_returned(returned),
                Ok(Err(stopped)) => check_stopped(stopped),
                Err(error) => check_failure(error),
            }
            assert!(local.log.lines().len() <= LogLine::LINES);
            let lines = local.log.lines().iter();
            lines.for_each(|line| check_words(&line.text));
        }
    }
}

fn check_loaded(role: Role, channel: &mut Channel) {
    let loaded = channel.receive::<Loaded>();
    match loaded.map(|(loaded, _)| imports_of(loaded, role)) {
        Ok(Ok(Ok(imports))) => imports.iter().for_each(|import| check_words(import)),
        Ok(Ok(Err(failure))) => check_words(&failure.of("guest").to_string()),
        Ok(Err(error)) => check_words(&error.to_string()),
        Err(error) => check_failure(error),
    }
}

fn check_returned(returned: Returned) {
    match returned {
        Returned::Described(description) => {
            let description = legible::description(description);
            check_words(&description.name);
            let kinds = description.kinds.iter();
            kinds.for_each(|kind| check_words(&kind.name));
        }
        Returned::Formatted(Ok(summary)) => {
            let summary = legible::summary(summary);
            let words = |property: &cellblock_contract::Property| check_words(&property.value);
            summary.properties.iter().for_each(words);
        }
        Returned::Measured(Err(error)) | Returned::Formatted(Err(error)) => {
            let refusal = crate::Refusal::new(legible::error(error), &request(), &tree(), &[]);
            check_words(&refusal.to_string());
        }
        Returned::Ended(exit) => {
            let words = legible::lines(&exit.last_words);
            words.iter().for_each(|line| check_words(line));
        }
        Returned::Measured(Ok(_)) => {}
        Returned::ReaderDescribed(told) => check_words(&reading::description(told).name),
        Returned::Read(told) => match reading::volume(told) {
            Ok(volume) => check_words(&volume.label),
            Err(error) => check_words(&error.to_string()),
        },
    }
}

fn request() -> cellblock_contract::Request {
    cellblock_contract::Request {
        kind: "ext4".to_owned(),
        size: 0,
        disk_offset: 0,
        sector_size: 512,
        label: String::new(),
        uuid: [0; 16],
        seed: [0; 16],
        time: Default::default(),
        drop: cellblock_contract::Losses::none(),
        settings: Vec::new(),
    }
}

fn check_stopped(stopped: Stopped) {
    match stopped.map(fit) {
        Stopped::Limit(words) | Stopped::Trap(words) => check_words(&words),
        Stopped::Deadline => {}
    }
}

/// A process that only says something fails by what it says, or by its end.
fn check_failure(error: ChannelError) {
    match error {
        ChannelError::Closed => {}
        ChannelError::Malformed(what) => check_words(&fit(&what)),
        other => panic!("{other}"),
    }
}

/// Words for a terminal act on none: lines are all that divides them.
fn check_words(words: &str) {
    for line in words.split('\n') {
        assert_eq!(printable(line), line);
    }
}
