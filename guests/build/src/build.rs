//! From a guest's crate to its component.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::ComponentEncoder;

use crate::{Workspace, sources};

const TARGET: &str = "wasm32-unknown-unknown";
/// The custom section that says what a component was built from.
const SECTION: &str = "cellblock:sources";

/// A compiler that can build guests.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// What it says of itself.
    pub version: String,
    rustc: PathBuf,
    /// Whether the standard library is built from its source as well.
    builds_std: bool,
}

/// What a component was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The digest of its sources, as [`sources::digest`] gives it.
    pub sources: String,
    /// The compiler's own words.
    pub compiler: String,
}

impl Compiler {
    /// The installed toolchain if it has the target, or else Debian's packages for the web.
    ///
    /// # Errors
    /// If neither is there; the error says what to install.
    pub fn find() -> Result<Self> {
        let own = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        if let Ok(library) = ask(&own, &["--print", "target-libdir", "--target", TARGET])
            && Path::new(&library).is_dir()
        {
            return Ok(Self {
                version: ask(&own, &["--version"])?,
                rustc: own,
                builds_std: false,
            });
        }
        let debian = PathBuf::from("/usr/bin/rustc");
        if let Ok(sysroot) = ask(&debian, &["--print", "sysroot"])
            && Path::new(&sysroot)
                .join("lib/rustlib/src/rust/library")
                .is_dir()
        {
            return Ok(Self {
                version: ask(&debian, &["--version"])?,
                rustc: debian,
                builds_std: true,
            });
        }
        bail!(
            "no compiler for {TARGET} is installed: run `rustup target add {TARGET}`, \
             or `apt-get install rustc-web rust-web-src` on Debian"
        );
    }
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It exports the contract's formatter.
    Formatter,
    /// It exports the contract's reader.
    Reader,
    /// It exports what a WASI command begins with.
    Command,
}

impl Role {
    /// What `component` is by its exports.
    ///
    /// # Errors
    /// If it is no component, or none of these.
    pub fn of(component: &[u8]) -> Result<Self> {
        for payload in wasmparser::Parser::new(0).parse_all(component) {
            let wasmparser::Payload::ComponentExportSection(exports) = payload? else {
                continue;
            };
            for export in exports {
                let name = export?.name.name;
                let interface = name
                    .split_once('@')
                    .map_or(name, |(interface, _)| interface);
                match interface {
                    "cellblock:format/formatter" => return Ok(Self::Formatter),
                    "cellblock:format/reader" => return Ok(Self::Reader),
                    "wasi:cli/run" => return Ok(Self::Command),
                    _ => {}
                }
            }
        }
        bail!(
            "the crate exports no formatter, no reader and no command: have a module for wasm32 say \
             `cellblock_guest::export!(crate::MyFormatter);`, or export_encoding! or export_reader!, as src/component.rs of \
             guests/template does"
        );
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Formatter => "a formatter",
            Self::Reader => "a reader",
            Self::Command => "a WASI command",
        })
    }
}

/// Builds the guest `name` of the workspace.
///
/// # Errors
/// If it does not compile, or has no [`Role`].
pub fn guest(workspace: &Workspace, compiler: &Compiler, name: &str) -> Result<Vec<u8>> {
    let manifest = workspace.root.join("guests").join(name).join("Cargo.toml");
    let module = compile(workspace, compiler, &manifest)?;
    component(
        &module,
        &Provenance {
            sources: sources::digest(workspace, name)?,
            compiler: compiler.version.clone(),
        },
    )
}

/// Builds the guest in `folder`, a crate of somebody else.
///
/// # Errors
/// If it does not compile, or has no [`Role`].
pub fn foreign(workspace: &Workspace, compiler: &Compiler, folder: &Path) -> Result<Vec<u8>> {
    let module = compile(workspace, compiler, &folder.join("Cargo.toml"))?;
    component(
        &module,
        &Provenance {
            sources: "not of this repository".to_owned(),
            compiler: compiler.version.clone(),
        },
    )
}

/// What `component` says that it was built from.
///
/// # Errors
/// If it is no component, or says nothing.
pub fn provenance(component: &[u8]) -> Result<Provenance> {
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        if let wasmparser::Payload::CustomSection(section) = payload?
            && section.name() == SECTION
        {
            let text = std::str::from_utf8(section.data())?;
            let (sources, compiler) = text.split_once('\n').context("a section of one line")?;
            return Ok(Provenance {
                sources: sources.to_owned(),
                compiler: compiler.to_owned(),
            });
        }
    }
    bail!("the component has no section {SECTION}");
}

fn compile(workspace: &Workspace, compiler: &Compiler, manifest: &Path) -> Result<Vec<u8>> {
    let target_folder = workspace.root.join("target/guests");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--lib", "--target", TARGET])
        .arg("--manifest-path")
        .arg(manifest)
        .env("RUSTC", &compiler.rustc)
        .env("CARGO_TARGET_DIR", &target_folder)
        .env("CARGO_ENCODED_RUSTFLAGS", remap_flags(workspace, compiler)?)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    for (key, value) in GUEST_PROFILE {
        command.env(key, value);
    }
    command.arg("--release");
    if compiler.builds_std {
        command
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", path_with_linker()?);
    }
    let status = command.status().context("cargo")?;
    if !status.success() {
        bail!("cargo could not build {}: {status}", manifest.display());
    }
    let name = library_name(manifest)?;
    let module = target_folder
        .join(TARGET)
        .join("release")
        .join(format!("{name}.wasm"));
    fs::read(&module).with_context(|| {
        format!(
            "{} (does the crate have crate-type = [\"cdylib\"]?)",
            module.display()
        )
    })
}

/// What every guest is built with, also those of other workspaces.
const GUEST_PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

fn component(module: &[u8], provenance: &Provenance) -> Result<Vec<u8>> {
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()
        .context("the module cannot become a component")?;
    Role::of(&component)?;
    let text = format!("{}\n{}", provenance.sources, provenance.compiler);
    CustomSection {
        name: SECTION.into(),
        data: text.as_bytes().into(),
    }
    .append_to_component(&mut component);
    Ok(component)
}

/// Flags that keep this machine's paths out of the module.
fn remap_flags(workspace: &Workspace, compiler: &Compiler) -> Result<OsString> {
    let mut remaps = vec![(workspace.root.clone(), "/cellblock")];
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    if let Ok(registries) = cargo_home.join("registry/src").read_dir() {
        for registry in registries {
            remaps.push((registry?.path(), "/crates"));
        }
    }
    let sysroot = ask(&compiler.rustc, &["--print", "sysroot"])?;
    remaps.push((Path::new(&sysroot).join("lib/rustlib/src/rust"), "/rust"));
    let flags: Vec<OsString> = remaps
        .into_iter()
        .map(|(from, to)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flag
        })
        .collect();
    Ok(flags.join(&OsString::from("\u{1f}")))
}

/// Debian's compiler for the web brings no linker: the installed toolchain's `rust-lld` serves.
fn path_with_linker() -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(sysroot) = ask(Path::new("rustc"), &["--print", "sysroot"])
        && let Ok(targets) = Path::new(&sysroot).join("lib/rustlib").read_dir()
    {
        folders.extend(
            targets
                .flatten()
                .map(|target| target.path().join("bin"))
                .filter(|bin| bin.join("rust-lld").exists()),
        );
    }
    Ok(env::join_paths(folders)?)
}

fn library_name(manifest: &Path) -> Result<String> {
    let text = fs::read_to_string(manifest).with_context(|| manifest.display().to_string())?;
    let table: toml::Table = text.parse()?;
    let name = ["lib", "package"]
        .iter()
        .filter_map(|section| table.get(*section)?.get("name")?.as_str())
        .next()
        .context("the manifest has no package name")?;
    Ok(name.replace('-', "_"))
}

fn ask(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!("{} failed", program.display());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
