//! What can go wrong with a guest. The partition's name is added by the caller.

use std::time::Duration;

use super::{Refusal, StartError};
use cellblock_contract::{Level, Log, ReaderError};
use cellblock_tree::source::SourceError;
use cellblock_tree::volume::VolumeFault;

/// Why a guest cannot be used, or a cell did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The engine could not be set up.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The bytes are no component that this host can run.
    #[error("the guest '{guest}' is not a WebAssembly component that can run here: {reason}")]
    Malformed {
        /// The guest's name.
        guest: String,
        /// What the engine says.
        reason: String,
    },
    /// The guest is built for a version of the contract that this host does not serve.
    #[error(
        "the guest '{guest}' needs cellblock:format {needed}, and this program has {ours}: \
         get a cellblock that has it, or build the guest for {ours}"
    )]
    Version {
        /// The guest's name.
        guest: String,
        /// The version that it is built for.
        needed: String,
        /// The version that there is.
        ours: String,
    },
    /// The guest wants more than the contract gives.
    #[error(
        "the guest '{guest}' imports {import}, which is not in the contract: \
         a formatter gets its partition, its tree and nothing else"
    )]
    Import {
        /// The guest's name.
        guest: String,
        /// The first import that is refused, as `interface#function`.
        import: String,
    },
    /// The reader wants more than a reader gets.
    #[error(
        "the reader '{guest}' imports {import}, which it does not get: \
         a reader has its partition, where it tells what it finds, and nothing else"
    )]
    ReaderImport {
        /// The reader's name.
        guest: String,
        /// The first import that is refused, as `interface#function`.
        import: String,
    },
    /// The reader says why the file system is not read.
    #[error("{}{reason}", if *is_foreign { format!("the reader '{guest}' says: ") } else { String::new() })]
    NotReadable {
        /// The reader's name.
        guest: String,
        /// Whether somebody brought it: the words are then told from the program's own.
        is_foreign: bool,
        /// Why.
        reason: ReaderError,
    },
    /// What the reader told is no tree.
    #[error("the reader '{guest}' tells what no file system holds: {fault}")]
    NoTree {
        /// The reader's name.
        guest: String,
        /// What it told.
        fault: VolumeFault,
    },
    /// The guest is a command, and was to be a formatter of the contract.
    #[error(
        "the guest '{guest}' is a WASI command and no component of the contract; say how it is called: \
         command = [\"mkfs\", \"{{partition}}\"] in [guests.{guest}], or --guest-command {guest}='mkfs {{partition}}'"
    )]
    IsCommand {
        /// The guest's name.
        guest: String,
    },
    /// The guest is a WebAssembly module without a beginning: neither a component nor a command.
    #[error(
        "the guest '{guest}' is a WebAssembly module and no component of the contract: `cargo guests --crate DIR` makes a component of a \
         crate, and `wasm-tools component new` one of a module that was built for the contract"
    )]
    IsModule {
        /// The guest's name.
        guest: String,
    },
    /// The guest is a reader, and was to be a formatter.
    #[error(
        "the guest '{guest}' is a reader, and makes no file systems: --reader {guest}=FILE.wasm has it read them"
    )]
    IsReader {
        /// The guest's name.
        guest: String,
    },
    /// The guest is a formatter, and was to be a reader.
    #[error(
        "the reader '{guest}' is a formatter, and reads no file systems: --guest {guest}=FILE.wasm has it make them"
    )]
    IsFormatter {
        /// The guest's name.
        guest: String,
    },
    /// The command wants more than a command gets.
    #[error(
        "the command '{guest}' imports {import}, which it does not get: \
         a command has its arguments, its partition, standard streams, clocks and random numbers"
    )]
    CommandImport {
        /// The guest's name.
        guest: String,
        /// The first import that is refused, as `interface#function`.
        import: String,
    },
    /// The command cannot say how large its file system will be.
    #[error(
        "the command '{guest}' cannot tell the smallest size; give one, such as size = \"256MiB\" or --size 256MiB"
    )]
    Unmeasured {
        /// The guest's name.
        guest: String,
    },
    /// The command cannot be started.
    #[error("the command '{guest}': {reason}")]
    Start {
        /// The guest's name.
        guest: String,
        /// Why.
        reason: Box<StartError>,
    },
    /// The command ended with an error.
    #[error(
        "the command '{guest}' ended with exit code {code}{}",
        said(last_words)
    )]
    Exit {
        /// The guest's name.
        guest: String,
        /// The exit code, which is not 0.
        code: u32,
        /// The last lines that it wrote to standard error.
        last_words: Vec<String>,
    },
    /// The command was stopped by a trap.
    #[error("the command '{guest}' failed: {reason}{}", said(last_words))]
    CommandTrap {
        /// The guest's name.
        guest: String,
        /// The trap.
        reason: String,
        /// The last lines that it wrote to standard error.
        last_words: Vec<String>,
    },
    /// The command ended as if all were well, and had not read its content.
    #[error(
        "the command '{guest}' ended without an error, but has not read its content, the tar archive on its standard input, \
         to the end: what is left would be lost{}",
        said(last_words)
    )]
    Unread {
        /// The guest's name.
        guest: String,
        /// The last lines that it wrote to standard error.
        last_words: Vec<String>,
    },
    /// Content could not be compressed.
    #[error("compressing {}: {reason}", path.as_deref().unwrap_or("metadata"))]
    Codec {
        /// The file that the block begins with; none of what is the guest's own.
        path: Option<String>,
        /// What the codec says, or what became of its worker.
        reason: String,
    },
    /// What was compressed could not be kept until it is placed.
    #[error("keeping what was compressed in a temporary file: {source}")]
    Spool {
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The guest does not export the contract's formatter.
    #[error("the guest '{guest}' does not fit the contract: {reason}")]
    Contract {
        /// The guest's name.
        guest: String,
        /// What is missing or of another type.
        reason: String,
    },
    /// The guest was stopped by a trap.
    #[error("the guest '{guest}' failed: {reason}")]
    Trap {
        /// The guest's name.
        guest: String,
        /// The trap.
        reason: String,
    },
    /// The guest ran for too long.
    #[error(
        "the guest '{guest}' was stopped after {} seconds; give it more with --time-limit",
        limit.as_secs()
    )]
    Deadline {
        /// The guest's name.
        guest: String,
        /// The limit.
        limit: Duration,
    },
    /// The guest exceeded a limit.
    #[error("the guest '{guest}' exceeded a limit: {what}")]
    Limit {
        /// The guest's name.
        guest: String,
        /// Which, with the numbers.
        what: String,
    },
    /// The guest's process ended before it had answered.
    #[error(
        "the guest '{guest}' has lost its process ({how}): it was killed from outside, or needed more memory than there is"
    )]
    Lost {
        /// The guest's name.
        guest: String,
        /// How the process ended.
        how: String,
    },
    /// The guest's process broke the protocol of the wall, so the guest has taken it over.
    #[error("the guest '{guest}' was stopped: its process broke the protocol: {what}")]
    Babble {
        /// The guest's name.
        guest: String,
        /// What it sent, in its own words where it has some.
        what: String,
    },
    /// There can be no second wall.
    #[error(
        "a cell cannot be confined to a process here: the kernel, or the container around this program, does not allow {missing}; \
         use --walls wasm to do without one"
    )]
    NoWall {
        /// What is missing, and what the kernel says of it.
        missing: String,
    },
    /// There can be no second wall around a guest that somebody brought.
    #[error(
        "the guest '{guest}' is not built in, and cannot be confined to a process here: the kernel, or the container around \
         this program, does not allow {missing}; use --walls wasm to run it behind WebAssembly alone"
    )]
    NoWallForForeign {
        /// The guest's name.
        guest: String,
        /// What is missing, and what the kernel says of it.
        missing: String,
    },
    /// The program cannot be started once more to be a cell.
    #[error(
        "this program does not begin its main function with run_if_cell(), so that it cannot be a cell's process: \
         call it first, or ask for Walls::Wasm"
    )]
    NotPrepared,
    /// The formatter says why there can be no file system.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The content failed while the guest read it.
    #[error(transparent)]
    Source(#[from] Box<SourceError>),
    /// A guest logged something, and then did not end well.
    #[error("{error}{}", warned(error, log))]
    Heard {
        /// How it ended: none of these.
        error: Box<CellError>,
        /// What it had logged.
        log: Box<Log>,
    },
}

impl CellError {
    /// The same of a guest that had logged this before.
    pub(super) fn after(self, log: Log) -> Self {
        match self {
            Self::Heard { .. } => self,
            error if log.lines().is_empty() => error,
            error => Self::Heard {
                error: Box::new(error),
                log: Box::new(log),
            },
        }
    }

    /// How a guest ended, without what it had logged.
    #[must_use]
    pub fn bare(&self) -> &Self {
        match self {
            Self::Heard { error, .. } => error,
            error => error,
        }
    }

    /// What a guest had logged before it ended, if anything.
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        match self {
            Self::Heard { log, .. } => Some(log),
            _ => None,
        }
    }

    /// Whether the file that was named cannot be the guest that it was to be: it is refused before anything of it runs.
    #[must_use]
    pub fn is_of_the_file(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. }
                | Self::Version { .. }
                | Self::Import { .. }
                | Self::ReaderImport { .. }
                | Self::CommandImport { .. }
                | Self::IsCommand { .. }
                | Self::IsModule { .. }
                | Self::IsReader { .. }
                | Self::IsFormatter { .. }
                | Self::Contract { .. }
        )
    }

    /// Whether a guest ended a call by itself, perhaps because the host had failed it.
    #[must_use]
    pub fn is_of_guest(&self) -> bool {
        matches!(
            self.bare(),
            Self::Refused(_)
                | Self::Trap { .. }
                | Self::Exit { .. }
                | Self::CommandTrap { .. }
                | Self::Unread { .. }
        )
    }
}

/// The last warnings of a guest that did not end well. A command has said them as its last words.
fn warned(error: &CellError, log: &Log) -> String {
    const LAST: usize = 10;
    if matches!(
        error,
        CellError::Exit { .. } | CellError::CommandTrap { .. } | CellError::Unread { .. }
    ) {
        return String::new();
    }
    let lines = log.lines().iter();
    let warnings = lines.filter(|line| line.level == Level::Warning);
    let warnings: Vec<String> = warnings.map(|line| line.text.clone()).collect();
    let cut = log.cut("it").map(|cut| format!("; {cut}"));
    let said = said(&warnings[warnings.len().saturating_sub(LAST)..]);
    format!("{}{said}", cut.unwrap_or_default())
}

/// Lines, each indented below a message.
fn said(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("\n    | {line}")).collect();
    format!("; it says:{lines}")
}
