//! `cargo guests`: builds the formatters from this tree into `guests/dist/`.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use cellblock_guests_build::{Workspace, build};

const USAGE: &str = "\
Builds formatters and readers into WebAssembly components.

  cargo guests [NAME]...              builds the named guests, or all, into guests/dist/
  cargo guests --check [NAME]...      builds them elsewhere, and compares with guests/dist/; a guest that another
                                      compiler has built is skipped, which CELLBLOCK_JUDGES=required makes a failure
  cargo guests --crate DIR -o FILE    builds the formatter or reader in DIR, a crate that is not one of this workspace's
                                      guests

It takes the toolchain's own wasm32-unknown-unknown target if it is installed (rustup target add
wasm32-unknown-unknown), or else Debian's packages rustc-web and rust-web-src.
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let workspace = Workspace::here();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--help" | "-h", ..] => print!("{USAGE}"),
        ref words if words.iter().any(|word| matches!(*word, "--crate" | "-o")) => {
            let (folder, file) = foreign_arguments(words)?;
            build_foreign(&workspace, folder.into(), file.into())?;
        }
        ["--check", ref names @ ..] => return check(&workspace, &chosen(&workspace, names)?),
        ref names => build_all(&workspace, &chosen(&workspace, names)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder and the file of `--crate DIR -o FILE`, in either order.
fn foreign_arguments<'w>(words: &[&'w str]) -> Result<(&'w str, &'w str)> {
    let value = |option: &str, what: &str| {
        let at = words.iter().position(|word| *word == option);
        let value = at.and_then(|at| words.get(at + 1));
        match value.filter(|value| !value.starts_with('-')) {
            Some(value) => Ok(*value),
            None => bail!("{option} {what} is missing: write `cargo guests --crate DIR -o FILE`"),
        }
    };
    let both = (value("--crate", "DIR")?, value("-o", "FILE")?);
    if words.len() > 4 {
        bail!("there is more than `--crate DIR -o FILE`, which builds one crate\n\n{USAGE}");
    }
    Ok(both)
}

fn chosen(workspace: &Workspace, names: &[&str]) -> Result<Vec<String>> {
    let known = workspace.guests()?;
    if names.is_empty() {
        return Ok(known);
    }
    for name in names {
        if !known.iter().any(|guest| guest == name) {
            bail!(
                "there is no guest '{name}'; there are {}\n\n{USAGE}",
                known.join(", ")
            );
        }
    }
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

fn build_all(workspace: &Workspace, names: &[String]) -> Result<()> {
    let compiler = build::Compiler::find()?;
    for name in names {
        let component = build::guest(workspace, &compiler, name)?;
        let file = workspace.dist(name);
        std::fs::write(&file, &component).with_context(|| file.display().to_string())?;
        println!(
            "{}: {} bytes, {}",
            file.display(),
            component.len(),
            compiler.version
        );
    }
    Ok(())
}

fn check(workspace: &Workspace, names: &[String]) -> Result<ExitCode> {
    let compiler = build::Compiler::find()?;
    let mut code = ExitCode::SUCCESS;
    for name in names {
        let recorded = std::fs::read(workspace.dist(name))
            .with_context(|| workspace.dist(name).display().to_string())?;
        let recorded_compiler = build::provenance(&recorded)?.compiler;
        if recorded_compiler != compiler.version {
            eprintln!(
                "skipped: {name}: bytes not compared: built with {recorded_compiler}, and here is {}",
                compiler.version
            );
            if std::env::var_os("CELLBLOCK_JUDGES").is_some_and(|value| value == "required") {
                code = ExitCode::FAILURE;
            }
        } else if build::guest(workspace, &compiler, name)? == recorded {
            println!("{name}: the same bytes");
        } else {
            println!(
                "{name}: guests/dist/ differs from what this tree gives; run `cargo guests {name}`"
            );
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn build_foreign(workspace: &Workspace, folder: PathBuf, file: PathBuf) -> Result<()> {
    let compiler = build::Compiler::find()?;
    let component = build::foreign(workspace, &compiler, &folder)?;
    std::fs::write(&file, &component).with_context(|| file.display().to_string())?;
    println!(
        "{}: {}, {} bytes, {}",
        file.display(),
        build::Role::of(&component)?,
        component.len(),
        compiler.version
    );
    Ok(())
}
