//! `--cache` and `--spec-cache` of those commands that make file systems, and `cellblock cache`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cellblock_build::cache::{Cache, Counts, Mode, Options, Place};
use cellblock_build::footprint::Footprint;
use cellblock_build::sign::{MOST_BYTES, SigningKey, VerifyingKey};
use cellblock_build::spec::{CachePlace, CacheSpec, Spec};
use cellblock_build::text::{human, printable};
use cellblock_build::{BuildOptions, KnownDigests, cache_folder, make_private_folder};
use serde_json::{Value, json};

use super::{Failure, print, print_json};
use crate::arguments::{CacheAction, CacheTool, Run};

/// The folder of locks in that of compiled guests, for caches that are no folders.
const LOCKS: &str = "locks";
/// The folder of digests of files in that of compiled guests.
const DIGESTS: &str = "digests";

/// The caches of a run.
struct Chosen {
    places: Vec<Place>,
    mode: Mode,
    /// The files of the keys whose entries are used.
    trust: Vec<PathBuf>,
}

/// The caches that are typed, else those of the environment, else those of the spec if that is asked for; none if there are
/// none.
fn chosen(run: &Run, spec: Option<&Spec>) -> Result<Option<Chosen>, Failure> {
    let typed = &run.caches;
    let mut places = named(run)?;
    if run.limits.no_cache {
        return Ok(None);
    }
    let mut trust = typed.trust.clone();
    let mut mode = typed.mode().unwrap_or_default();
    if typed.spec_cache && places.is_empty() {
        let of_spec = spec.and_then(|spec| spec.cache.as_ref());
        let Some(of_spec) = of_spec else {
            let why = "--spec-cache: no spec here has a [cache]; name one with --cache PLACE";
            return Err(Failure::usage(why));
        };
        places = places_of(of_spec)?;
        // Nothing is sent to where a spec says unless it is typed that it is.
        mode = typed.mode().unwrap_or(Mode::Read);
        if trust.is_empty() {
            let files = of_spec.trust.iter();
            trust = files.map(|file| file.value.clone()).collect();
        }
    }
    Ok((!places.is_empty()).then_some(Chosen {
        places,
        mode,
        trust,
    }))
}

/// The caches of the command line or of the environment.
fn named(run: &Run) -> Result<Vec<Place>, Failure> {
    let places = run.caches.places();
    places.map_err(|error| Failure::usage(format_args!("--cache, or CELLBLOCK_CACHE: {error}")))
}

fn places_of(spec: &CacheSpec) -> Result<Vec<Place>, Failure> {
    let places = spec.places.iter().map(|place| match &place.value {
        CachePlace::Folder(path) => Ok(Place::Folder(path.clone())),
        CachePlace::Address(address) => Place::parse(address)
            .map_err(|error| Failure::usage(format_args!("[cache] of the spec: {error}"))),
    });
    places.collect()
}

/// Says that a spec names caches which are not used, as long as nobody has said what is.
pub(super) fn say_unused(run: &Run, spec: &Spec) -> Result<(), Failure> {
    let is_decided = run.caches.is_typed() || run.limits.no_cache || !named(run)?.is_empty();
    let Some(of_spec) = spec.cache.as_ref().filter(|_| !is_decided) else {
        return Ok(());
    };
    let places = places_of(of_spec)?;
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    tell!(
        "note: [cache] of the spec is not used ({}): --spec-cache takes partitions from there",
        printable(&places.join(", "))
    );
    Ok(())
}

/// Opens the caches for a run that reads what `footprint` has, to build this `spec` if there is one.
pub(super) fn use_caches(
    options: &mut BuildOptions,
    run: &Run,
    spec: Option<&Spec>,
    footprint: &Footprint,
    only_reads: bool,
) -> Result<(), Failure> {
    let typed = &run.caches;
    let Some(Chosen {
        places,
        mode,
        trust,
    }) = chosen(run, spec)?
    else {
        return Ok(());
    };
    let mut footprint = footprint.clone();
    for place in &places {
        if let Place::Folder(path) = place {
            footprint.fills("the cache", path);
        }
    }
    footprint.check()?;
    let signer = typed.key.as_deref();
    let signer = signer.map(|path| key(path, SigningKey::read)).transpose()?;
    let trusted = trust.iter();
    let trusted = trusted.map(|path| key(path, VerifyingKey::read));
    let opened = Cache::open(Options {
        places,
        mode: if only_reads { Mode::Read } else { mode },
        signer,
        trusted: trusted.collect::<Result<_, _>>()?,
        limit: typed.limit,
        patience: Duration::from_secs(typed.timeout),
        verify_percent: typed.verify,
        jobs: run.jobs().get(),
        locks: locks(),
    });
    options.cache = Some(Arc::new(opened.map_err(Failure::usage)?));
    if !typed.paranoid {
        options.known = known();
    }
    Ok(())
}

/// The digests of files that were hashed before; none where no folder can be this user's alone.
fn known() -> Option<Arc<KnownDigests>> {
    let folder = cache_folder()?.join(DIGESTS);
    KnownDigests::open(&folder).ok().map(Arc::new)
}

/// The folder of locks, which is made if it can be.
fn locks() -> Option<PathBuf> {
    let folder = cache_folder()?.join(LOCKS);
    make_private_folder(&folder).ok()?;
    Some(folder)
}

fn key<K, E: std::fmt::Display>(
    path: &Path,
    read: impl FnOnce(&[u8]) -> Result<K, E>,
) -> Result<K, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::usage(format_args!("{}: {why}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES as u64).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    read(&bytes).map_err(|error| failed(&error))
}

pub(super) fn run(tool: &CacheTool) -> Result<(), Failure> {
    let places = tool.places().map_err(Failure::usage)?;
    let is_folder = |place: &Place| matches!(place, Place::Folder(_));
    if !places.iter().any(is_folder) {
        let why = "no folder is named: give --cache FOLDER, or set CELLBLOCK_CACHE";
        return Err(Failure::usage(why));
    }
    let done = match tool.action {
        CacheAction::Stats => stats(&places),
        CacheAction::Gc => collected(&places, tool.max),
        CacheAction::Clear => collected(&places, 0),
    };
    let done = done.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => Failure::usage(error),
        _ => Failure::failed(error),
    })?;
    if tool.json {
        let documents: Vec<&Value> = done.iter().map(|(_, document)| document).collect();
        return print_json(&documents);
    }
    done.iter().try_for_each(|(text, _)| print(text))
}

/// What is printed of a folder, as text and as JSON.
type Told = (String, Value);

fn stats(places: &[Place]) -> io::Result<Vec<Told>> {
    let folders = Cache::stats(places)?.into_iter();
    let told = folders.map(|(path, counts)| {
        let path = path.display().to_string();
        let text = format!("{path}: {}\n", in_words(counts));
        (text, json!({ "cache": path, "holds": document(counts) }))
    });
    Ok(told.collect())
}

fn collected(places: &[Place], limit: u64) -> io::Result<Vec<Told>> {
    let folders = Cache::collect(places, limit)?.into_iter();
    let told = folders.map(|(path, collected)| {
        let path = path.display().to_string();
        let (before, after) = (collected.before, collected.after);
        let removed = before.bytes - after.bytes;
        let text = format!("{path}: {} removed; {}\n", human(removed), in_words(after));
        let document = json!({ "cache": path, "held": document(before), "holds": document(after) });
        (text, document)
    });
    Ok(told.collect())
}

fn in_words(counts: Counts) -> String {
    format!(
        "{} entries, {} chunks, {}",
        counts.entries,
        counts.chunks,
        human(counts.bytes)
    )
}

fn document(counts: Counts) -> Value {
    json!({ "entries": counts.entries, "chunks": counts.chunks, "bytes": counts.bytes })
}
