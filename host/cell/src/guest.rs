//! Guests, and the cells that they run in.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::call::{Call, Returned, Stopped};
use super::codecs::Codecs;
use super::encode::{Pool, Session};
use super::engine::{Compiled, Ticker};
use super::legible::{self, legible};
use super::local::Local;
use super::reading::{self, ReadOnly, ReadVolume, Taking};
use super::wall::{Confined, Process, Starter};
use super::wasi::End;
use super::{CellError, Refusal, Wall, Walls, imports, wasi};
use cellblock_contract::{
    CommandLine, Description, EncodedCounts, FormatError, LabelProblem, Level, Limits, Log,
    Partition, ReaderDescription, Request, Setting, SettingError, SettingProblem, Summary, Volume,
};
use cellblock_text::{exact, grouped};
use cellblock_tree::Tree;
use cellblock_tree::source::{self, ReadOptions};
use cellblock_tree::volume::{Blocks, FinishedVolume};

/// A formatter, compiled and linked to the contract, or to what a command gets, and to nothing else.
pub struct Guest {
    pub(super) name: String,
    pub(super) digest: [u8; 32],
    /// Whether somebody brought it: its words are then told from the program's own.
    pub(super) is_foreign: bool,
    /// What it says that it is, once it was asked.
    pub(super) described: OnceLock<Description>,
    /// How it is called, if it is a command.
    pub(super) line: Option<CommandLine>,
    pub(super) limits: Limits,
    /// Who starts processes behind the second wall, if one was wished for.
    pub(super) starter: Option<Arc<Starter>>,
    pub(super) walls: Walls,
    pub(super) wall: Wall,
    pub(super) place: Location,
}

/// Where a guest runs.
pub(super) enum Location {
    /// In this process.
    Here(
        Compiled<Local>,
        #[expect(dead_code, reason = "it ticks")] Ticker,
    ),
    /// In a process for each cell.
    Behind(Box<Confined>),
}

/// One guest with its tree, and a partition when it formats one. Every call gets an instance of its own, and behind the
/// second wall no two cells share a process.
pub struct Cell {
    guest: Arc<Guest>,
    tree: Arc<Tree>,
    process: Mutex<Option<Process>>,
    /// Who encodes for it; none of a guest that does not ask for that.
    pool: Option<Arc<Pool>>,
    /// The smallest size in bytes that it measured, once it did.
    smallest: OnceLock<u64>,
}

/// What a cell measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The smallest size in bytes of a partition that holds the tree.
    pub size: u64,
    /// What the formatter logged.
    pub log: Log,
}

/// What a cell did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the formatter says of the file system.
    pub summary: Summary,
    /// What it logged.
    pub log: Log,
    /// The arguments of a command, its name first; none of a component of the contract.
    pub arguments: Vec<String>,
}

impl Guest {
    /// The name that it was loaded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 digest of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its capabilities: the functions that it imports, each as `interface#function`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        match &self.place {
            Location::Here(compiled, _) => compiled.imports(),
            Location::Behind(confined) => confined.imports(),
        }
    }

    /// How it is called, if it is a command.
    #[must_use]
    pub fn command_line(&self) -> Option<&CommandLine> {
        self.line.as_ref()
    }

    /// What stands between it and the rest of the machine.
    #[must_use]
    pub fn wall(&self) -> &Wall {
        &self.wall
    }

    /// Who runs the codecs of a file system that it makes: in processes where they were wished for around guests.
    #[must_use]
    pub fn codecs(&self) -> Arc<Codecs> {
        let starter = self.starter.clone();
        Arc::new(Codecs::new(starter, self.walls, self.limits))
    }

    /// A cell that shows it `tree`.
    #[must_use]
    pub fn cell(self: &Arc<Self>, tree: &Arc<Tree>) -> Cell {
        Cell {
            guest: Arc::clone(self),
            tree: Arc::clone(tree),
            process: Mutex::default(),
            pool: None,
            smallest: OnceLock::new(),
        }
    }

    /// Whether it has content compressed or compared: its cells then need [`Cell::encoding_on`].
    #[must_use]
    pub fn encodes(&self) -> bool {
        self.imports()
            .iter()
            .any(|import| imports::is_encoding(import))
    }

    /// What the formatter says that it is.
    ///
    /// # Errors
    /// [`CellError`] if it traps or meets a limit.
    pub fn describe(&self) -> Result<Description, CellError> {
        self.described().cloned()
    }

    /// The same, which it is asked for once.
    fn described(&self) -> Result<&Description, CellError> {
        if let Some(described) = self.described.get() {
            return Ok(described);
        }
        let local = Local::new(nothing()?, None);
        let mut process = None;
        let (returned, local) = self.call(&Call::Describe, local, &mut process);
        if let (Location::Behind(confined), Some(process)) = (&self.place, process) {
            confined.give_back(process);
        }
        match returned.map_err(|error| error.after(local.log))? {
            Returned::Described(told) => {
                Ok((self.described).get_or_init(|| legible::description(told)))
            }
            _ => Err(self.babbled()),
        }
    }

    /// Refuses a label that is longer than the formatter says that it has room for, and options that it does not describe, so
    /// that no formatter need do it. Of a command nothing is known.
    ///
    /// # Errors
    /// [`CellError::Refused`], and others if it does not say what it is.
    pub fn check(&self, kind: &str, label: &str, settings: &[Setting]) -> Result<(), CellError> {
        if self.line.is_some() {
            return Ok(());
        }
        let described = self.described()?;
        let limit = described.label_limit;
        let is_known = |setting: &&Setting| {
            let name = legible(&setting.name);
            described.options.iter().any(|option| option.name == name)
        };
        let unknown = settings.iter().find(|setting| !is_known(setting));
        let error = match unknown {
            Some(Setting { name, .. }) => FormatError::Setting(SettingError {
                name: legible(name),
                problem: SettingProblem::Unknown,
            }),
            None if label.len() as u64 > u64::from(limit) => {
                FormatError::Label(LabelProblem::TooLong(limit))
            }
            None => return Ok(()),
        };
        Err(Box::new(Refusal::of_description(
            error,
            kind,
            label,
            &described.options,
        ))
        .into())
    }

    /// What the reader says that it is.
    ///
    /// # Errors
    /// [`CellError`] if it traps or meets a limit.
    pub fn describe_reader(&self) -> Result<ReaderDescription, CellError> {
        let mut process = None;
        let local = Local::new(nothing()?, None);
        let (returned, local) = self.call(&Call::DescribeReader, local, &mut process);
        if let (Location::Behind(confined), Some(process)) = (&self.place, process) {
            confined.give_back(process);
        }
        match returned.map_err(|error| error.after(local.log))? {
            Returned::ReaderDescribed(told) => Ok(reading::description(told)),
            _ => Err(self.babbled()),
        }
    }

    /// What the file system in `blocks` says of itself.
    ///
    /// # Errors
    /// [`CellError::NotReadable`] if the reader cannot read it, and others if it does not end well.
    pub fn probe_volume(&self, blocks: &Arc<dyn Blocks>) -> Result<Volume, CellError> {
        let call = Call::Probe(blocks.size());
        let taking = Taking::new(blocks, self.codecs(), false, false);
        Ok(self.read_with(&call, blocks, taking)?.0)
    }

    /// Reads the file system in `blocks`, which messages call `name`. Without `extents`, no file of the tree can be read.
    ///
    /// # Errors
    /// [`CellError::NotReadable`] if the reader cannot read it, and others if what it tells is no tree, or it does not end
    /// well.
    pub fn read_volume(
        &self,
        blocks: &Arc<dyn Blocks>,
        name: &Path,
        extents: bool,
    ) -> Result<ReadVolume, CellError> {
        let size = blocks.size();
        let taking = Taking::new(blocks, self.codecs(), true, extents);
        let (volume, local) = self.read_with(&Call::Read { size, extents }, blocks, taking)?;
        let Local {
            taking, mut log, ..
        } = local;
        let taking = taking.expect("it was put there");
        let no_tree = |fault| CellError::NoTree {
            guest: self.name.clone(),
            fault,
        };
        let FinishedVolume { tree, left_out } = taking.finish(name.to_owned()).map_err(no_tree)?;
        if let Some(left_out) = left_out {
            log.push(Level::Warning, left_out.to_string());
        }
        Ok(ReadVolume { volume, tree, log })
    }

    fn read_with(
        &self,
        call: &Call,
        blocks: &Arc<dyn Blocks>,
        taking: Taking,
    ) -> Result<(Volume, Local), CellError> {
        let partition = Arc::new(ReadOnly(Arc::clone(blocks)));
        let mut local = Local::new(nothing()?, Some(partition));
        local.taking = Some(taking);
        let (returned, mut local) = self.call(call, local, &mut None);
        let fault = local.taking.as_mut().and_then(|it| it.fault.take());
        let volume = match (fault, returned) {
            (Some(fault), _) => Err(CellError::NoTree {
                guest: self.name.clone(),
                fault,
            }),
            (None, Ok(Returned::Read(told))) => {
                reading::volume(told).map_err(|reason| CellError::NotReadable {
                    guest: self.name.clone(),
                    is_foreign: self.is_foreign,
                    reason,
                })
            }
            (None, Ok(_)) => Err(self.babbled()),
            (None, Err(error)) => Err(error),
        };
        match volume {
            Ok(volume) => Ok((volume, local)),
            Err(error) => Err(error.after(local.log)),
        }
    }

    /// Calls it in this process, or in `process`, which is started if need be and ends if the call does not end well.
    fn call(
        &self,
        call: &Call,
        mut local: Local,
        process: &mut Option<Process>,
    ) -> (Result<Returned, CellError>, Local) {
        local.deadline = Instant::now().checked_add(self.limits.time);
        match &self.place {
            Location::Here(compiled, _) => {
                let (ended, local) = compiled.call(call, local, self.limits);
                (ended.map_err(|stopped| self.stopped(stopped)), local)
            }
            Location::Behind(confined) => {
                let ended = process
                    .take()
                    .map_or_else(|| confined.process(), Ok)
                    .and_then(|mut taken| {
                        let ended = taken.call(call, &mut local)?;
                        let returned = ended.map_err(|stopped| self.stopped(stopped))?;
                        *process = Some(taken);
                        Ok(returned)
                    });
                (ended, local)
            }
        }
    }

    fn stopped(&self, stopped: Stopped) -> CellError {
        let guest = self.name.clone();
        match stopped {
            Stopped::Limit(what) => CellError::Limit { guest, what },
            Stopped::Deadline => CellError::Deadline {
                guest,
                limit: self.limits.time,
            },
            Stopped::Trap(reason) => CellError::Trap { guest, reason },
        }
    }

    /// Only a process that has been taken over answers a call with what another returns.
    fn babbled(&self) -> CellError {
        CellError::Babble {
            guest: self.name.clone(),
            what: "what another call returns".to_owned(),
        }
    }
}

/// A tree of a root directory alone.
fn nothing() -> Result<Arc<Tree>, CellError> {
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let empty = source::read_sources(&[], &no_spool, &ReadOptions::within(0)).map_err(Box::new)?;
    Ok(Arc::new(empty.tree))
}

impl Cell {
    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The same cell, for which content is compressed by `codecs`, and compared, on at most `jobs` threads. What comes of it is kept in
    /// `spool`, an empty file, until the cell is dropped: what one call had encoded, the next finds.
    #[must_use]
    pub fn encoding_on(self, codecs: &Arc<Codecs>, jobs: usize, spool: File) -> Self {
        let codecs = Arc::clone(codecs) as _;
        let pool = Pool::new(&self.tree, codecs, jobs, spool);
        Self {
            pool: Some(Arc::new(pool)),
            ..self
        }
    }

    /// What was encoded for it so far; none if nothing can be.
    #[must_use]
    pub fn encoded(&self) -> Option<EncodedCounts> {
        self.pool.as_ref().map(|pool| pool.counts())
    }

    /// What serves a call.
    fn local(&self, partition: Option<Arc<dyn Partition>>) -> Local {
        let mut local = Local::new(Arc::clone(&self.tree), partition);
        local.session = self.pool.as_ref().map(Session::new);
        local
    }

    /// Takes the smallest size in bytes of a partition that holds the tree from who has measured it elsewhere.
    pub fn is_measured(&self, size: u64) {
        self.smallest.get_or_init(|| size);
    }

    /// The smallest size of a partition that holds the tree.
    ///
    /// # Errors
    /// [`CellError`] if no size would do, or the cell does not end well.
    pub fn measure(&self, request: &Request) -> Result<Measured, CellError> {
        if self.guest.line.is_some() {
            return Err(CellError::Unmeasured {
                guest: self.guest.name.clone(),
            });
        }
        self.check(request)?;
        let local = self.local(None);
        let mut process = self.take_process();
        let (returned, mut local) =
            self.guest
                .call(&Call::Measure(request.clone()), local, &mut process);
        *self.lock() = process;
        let log = std::mem::take(&mut local.log);
        let measured = match self.returned(returned, &mut local) {
            // No plan has room for it, and none would say whose it is.
            Ok(Returned::Measured(Ok(0))) => {
                Err(self.faulty("it says that its file system takes no bytes"))
            }
            Ok(Returned::Measured(Ok(size))) => Ok(size),
            Ok(Returned::Measured(Err(error))) => Err(self.refused(error, request, local)),
            Ok(_) => Err(self.guest.babbled()),
            Err(error) => Err(error),
        };
        match measured {
            Ok(size) => {
                self.is_measured(size);
                Ok(Measured { size, log })
            }
            Err(error) => Err(error.after(log)),
        }
    }

    /// Makes the file system with the tree in `partition`. What was placed may still be on its way.
    ///
    /// # Errors
    /// [`CellError`] if the formatter refuses, or the cell does not end well. If the cause is a failure of `partition`,
    /// that keeps the better reason.
    pub fn format(
        &self,
        request: &Request,
        partition: Arc<dyn Partition>,
    ) -> Result<Outcome, CellError> {
        if let Some(line) = &self.guest.line {
            return self.run(line, request, partition);
        }
        self.check(request)?;
        let local = self.local(Some(partition));
        let mut process = self.take_process();
        let (returned, mut local) =
            self.guest
                .call(&Call::Format(request.clone()), local, &mut process);
        drop(process);
        let log = std::mem::take(&mut local.log);
        let formatted = match self.returned(returned, &mut local) {
            Ok(Returned::Formatted(Ok(summary))) if summary.used > request.size => Err(self
                .faulty(&format!(
                    "it says that {} of its partition are used, which has {}",
                    exact(summary.used),
                    grouped(request.size)
                ))),
            Ok(Returned::Formatted(Ok(summary))) => Ok(legible::summary(summary)),
            Ok(Returned::Formatted(Err(error))) => Err(self.refused(error, request, local)),
            Ok(_) => Err(self.guest.babbled()),
            Err(error) => Err(error),
        };
        match formatted {
            Ok(summary) => Ok(Outcome {
                summary,
                log,
                arguments: Vec::new(),
            }),
            Err(error) => Err(error.after(log)),
        }
    }

    fn check(&self, request: &Request) -> Result<(), CellError> {
        let Request {
            kind,
            label,
            settings,
            ..
        } = request;
        self.guest.check(kind, label, settings)
    }

    /// The error of a formatter that says what cannot be.
    fn faulty(&self, what: &str) -> CellError {
        self.guest.stopped(Stopped::Trap(what.to_owned()))
    }

    /// Runs a command.
    fn run(
        &self,
        line: &CommandLine,
        request: &Request,
        partition: Arc<dyn Partition>,
    ) -> Result<Outcome, CellError> {
        let guest = || self.guest.name.clone();
        let invocation =
            wasi::invocation(line, request, &self.tree).map_err(|reason| CellError::Start {
                guest: guest(),
                reason: Box::new(reason),
            })?;
        let arguments = invocation.arguments.clone();
        let local = Local::new(Arc::clone(&self.tree), Some(partition));
        let mut process = self.take_process();
        let (returned, mut local) = self.guest.call(&Call::Run(invocation), local, &mut process);
        drop(process);
        let log = std::mem::take(&mut local.log);
        match self.ended(returned, &mut local) {
            Ok(()) => Ok(Outcome {
                summary: Summary {
                    used: local.ledger.written.total(),
                    properties: Vec::new(),
                },
                log,
                arguments,
            }),
            Err(error) => Err(error.after(log)),
        }
    }

    /// How a command ended.
    fn ended(
        &self,
        returned: Result<Returned, CellError>,
        local: &mut Local,
    ) -> Result<(), CellError> {
        let guest = || self.guest.name.clone();
        let Returned::Ended(exit) = self.returned(returned, local)? else {
            return Err(self.guest.babbled());
        };
        if let Some(failure) = local.source_failure.take() {
            return Err(Box::new(failure).into());
        }
        let last_words = legible::lines(&exit.last_words);
        match exit.how {
            End::Code(0) => {}
            End::Code(code) => {
                return Err(CellError::Exit {
                    guest: guest(),
                    code,
                    last_words,
                });
            }
            End::Trap(reason) => {
                return Err(CellError::CommandTrap {
                    guest: guest(),
                    reason: legible(&reason),
                    last_words,
                });
            }
        }
        if self.tree.len() > 1 && !exit.has_read_all {
            return Err(CellError::Unread {
                guest: guest(),
                last_words,
            });
        }
        Ok(())
    }

    /// What failed in the tree's source is the better reason than the guest's.
    fn returned(
        &self,
        returned: Result<Returned, CellError>,
        local: &mut Local,
    ) -> Result<Returned, CellError> {
        returned.map_err(|error| local.take_failure().unwrap_or(error))
    }

    fn refused(&self, error: FormatError, request: &Request, mut local: Local) -> CellError {
        match local.take_failure() {
            Some(failure) => failure,
            None => {
                let described = self.guest.described.get();
                let options = described.map_or(&[][..], |it| &it.options);
                let error = legible::error(error);
                let denied = local.denied(&error);
                let refusal = Refusal::new(error, request, &local.tree, options);
                let guest = &self.guest;
                let speaker = guest.is_foreign.then(|| guest.name.clone());
                let refusal = refusal
                    .said_by(speaker)
                    .denied(denied)
                    .of_size(self.smallest.get().copied());
                Box::new(refusal).into()
            }
        }
    }

    fn take_process(&self) -> Option<Process> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
