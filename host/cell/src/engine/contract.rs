//! Components of the contract: linked to it and to nothing else, and called.

use wasmtime::component::{self as model, Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::LoadFailure;
use crate::bindings::cellblock::format::{placement, progress, tree};
use crate::bindings::described::SelfDescribedIndices;
use crate::bindings::encoding::cellblock::format::{digests, encoding};
use crate::bindings::reading::cellblock::format::{decoding, listing};
use crate::bindings::reading::{ReaderGuest, ReaderGuestIndices};
use crate::bindings::wasi::filesystem;
use crate::bindings::{Guest as Exports, GuestIndices};
use crate::call::{Call, Returned};
use crate::legible::legible;
use crate::resources::Opened;
use crate::state::{Services, State};
use crate::version::{self, Unserved};
use crate::{imports, io as wasi_io, translate};

/// The interface that a formatter exports, without its version.
pub(super) const FORMATTER: &str = "cellblock:format/formatter";
/// The interface in which a formatter may tell what its kinds are, without its version.
const KINDS: &str = "cellblock:format/kinds";
/// The interface that a reader exports, without its version.
pub(super) const READER: &str = "cellblock:format/reader";

/// A component of the contract, linked.
pub(super) struct Formatter<S: Services> {
    pre: model::InstancePre<State<S>>,
    exports: GuestIndices,
    /// Where it tells what its kinds are, if it does.
    kinds: Option<SelfDescribedIndices>,
}

/// A reader, linked.
pub(super) struct Reader<S: Services> {
    pre: model::InstancePre<State<S>>,
    exports: ReaderGuestIndices,
}

impl<S: Services> Formatter<S> {
    /// Links a component, which imports `imports`.
    pub(super) fn link(
        engine: &Engine,
        component: &Component,
        imports: &[String],
    ) -> wasmtime::Result<Self> {
        let pre = formatter_linker(engine, imports)?.instantiate_pre(component)?;
        let exports = GuestIndices::new(&pre)?;
        let kinds = imports::exports(engine, component, KINDS)
            .then(|| SelfDescribedIndices::new(&pre))
            .transpose()?;
        Ok(Self {
            pre,
            exports,
            kinds,
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Makes a call in an instance of its own.
    pub(super) fn call(
        &self,
        store: &mut Store<State<S>>,
        call: &Call,
    ) -> wasmtime::Result<Returned> {
        let instance = self.pre.instantiate(&mut *store)?;
        let exports = self.exports.load(&mut *store, &instance)?;
        let returned = enter(&exports, &mut *store, call)?;
        match (returned, &self.kinds) {
            (Returned::Described(mut description), Some(kinds)) => {
                let kinds = kinds.load(&mut *store, &instance)?;
                let told = kinds.cellblock_format_kinds().call_describe_kinds(store)?;
                translate::tell(&mut description, told).map_err(wasmtime::Error::msg)?;
                Ok(Returned::Described(description))
            }
            (returned, _) => Ok(returned),
        }
    }
}

fn enter<S: Services>(
    exports: &Exports,
    store: &mut Store<State<S>>,
    call: &Call,
) -> wasmtime::Result<Returned> {
    let formatter = exports.cellblock_format_formatter();
    Ok(match call {
        Call::Describe => Returned::Described(formatter.call_describe(store)?.into()),
        Call::Measure(request) => Returned::Measured(
            formatter
                .call_measure(store, &request.into())?
                .map_err(Into::into),
        ),
        Call::Format(request) => {
            let partition = Opened::Partition {
                reads: true,
                writes: true,
            };
            let partition = store.data_mut().table.push(partition)?;
            let ended = formatter.call_format(store, partition, &request.into())?;
            Returned::Formatted(ended.map(Into::into).map_err(Into::into))
        }
        Call::Run(_) | Call::DescribeReader | Call::Probe(_) | Call::Read { .. } => {
            wasmtime::bail!("a formatter is called as one")
        }
    })
}

impl<S: Services> Reader<S> {
    /// Links a component.
    pub(super) fn link(engine: &Engine, component: &Component) -> wasmtime::Result<Self> {
        let pre = reader_linker(engine)?.instantiate_pre(component)?;
        let exports = ReaderGuestIndices::new(&pre)?;
        Ok(Self { pre, exports })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }

    /// Makes a call in an instance of its own.
    pub(super) fn call(
        &self,
        store: &mut Store<State<S>>,
        call: &Call,
    ) -> wasmtime::Result<Returned> {
        let instance = self.pre.instantiate(&mut *store)?;
        let exports: ReaderGuest = self.exports.load(&mut *store, &instance)?;
        let reader = exports.cellblock_format_reader();
        if let Call::DescribeReader = call {
            return Ok(Returned::ReaderDescribed(
                reader.call_describe(store)?.into(),
            ));
        }
        let partition = Opened::Partition {
            reads: true,
            writes: false,
        };
        let partition = store.data_mut().table.push(partition)?;
        let read = match call {
            Call::Probe(_) => reader.call_probe(store, partition)?,
            Call::Read { extents, .. } => {
                reader.call_read(store, partition, translate::reader_request(*extents))?
            }
            _ => wasmtime::bail!("a reader is called as one"),
        };
        Ok(Returned::Read(read.map(Into::into).map_err(Into::into)))
    }
}

/// Another version of the contract may have what this one has not: it is the better reason than the first such import.
pub(super) fn check_version(engine: &Engine, component: &Component) -> Result<(), LoadFailure> {
    let kind = component.component_type();
    let imported = kind.imports(engine).map(|(name, _)| name);
    let names = imported.chain(kind.exports(engine).map(|(name, _)| name));
    match version::first_unserved(names, version::ours()) {
        Some(Unserved(version)) => Err(LoadFailure::Version(legible(&version))),
        None => Ok(()),
    }
}

fn formatter_linker<S: Services>(
    engine: &Engine,
    imports: &[String],
) -> wasmtime::Result<Linker<State<S>>> {
    let mut linker = Linker::new(engine);
    tree::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    placement::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    progress::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    filesystem::types::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::error::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::streams::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    if imports.iter().any(|import| imports::is_encoding(import)) {
        encoding::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
        digests::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    }
    Ok(linker)
}

fn reader_linker<S: Services>(engine: &Engine) -> wasmtime::Result<Linker<State<S>>> {
    let mut linker = Linker::new(engine);
    // For its types: what imports a function of it has been refused.
    tree::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    listing::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    decoding::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    progress::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    filesystem::types::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::error::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::streams::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    Ok(linker)
}
