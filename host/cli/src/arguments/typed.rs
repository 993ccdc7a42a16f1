//! What was typed, seen as a whole: the files that it names, and what standard output takes.

use std::path::{Path, PathBuf};

use super::{Arguments, Command, TypedOutput};

impl Arguments {
    /// Whether standard output takes JSON, so that a failure is told there too.
    #[must_use]
    pub fn json_to_stdout(&self) -> bool {
        let is_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        let go_there = |outputs: &[TypedOutput]| outputs.iter().any(|it| it.path == Path::new("-"));
        match &self.command {
            Command::Build(it) | Command::Plan(it) | Command::Derive(it) => {
                is_stdout(&it.run.json) && !go_there(&it.output)
            }
            Command::Mkfs(it) => is_stdout(&it.run.json) && !go_there(&it.output),
            Command::Export(it) => is_stdout(&it.run.json) && !it.goes_to_stdout(),
            Command::Fill(it) => is_stdout(&it.run.json),
            Command::VerifyBuild(it) => is_stdout(&it.run.json),
            Command::Verify(it) => is_stdout(&it.run.json),
            Command::Splice(it) => is_stdout(&it.json),
            Command::Cut(it) => {
                is_stdout(&it.json) && it.output().is_ok_and(|it| it.file().is_some())
            }
            Command::Repair(it) => is_stdout(&it.json),
            Command::Show(it) => it.json,
            Command::Ls(it) => it.json,
            Command::Du(it) => it.json,
            Command::Stat(it) => it.json,
            Command::Cp(it) => it.json,
            Command::Tree(it) => it.json,
            Command::Tar(it) => is_stdout(&it.json) && it.output != Path::new("-"),
            Command::Report(it) => is_stdout(&it.json) && it.output != Path::new("-"),
            // Standard output takes the file.
            Command::Cat(_) => false,
            Command::Diff(it) => it.json,
            Command::Convert(it) => it.json,
            Command::Guests(it) => it.json,
            Command::Walls(it) => it.json,
            #[cfg(feature = "cache")]
            Command::Cache(it) => it.json,
            Command::Init(it) => it.json,
            Command::Manual(it) => it.json,
            #[cfg(feature = "cache")]
            Command::Action(_) => false,
            Command::Schema | Command::Completions(_) => false,
        }
    }

    /// The files that a command reads first of all, as typed: specs and images. What those name is known later.
    #[must_use]
    pub fn typed_inputs(&self) -> Vec<&Path> {
        match &self.command {
            Command::Build(it) | Command::Plan(it) | Command::Derive(it) => {
                let also = it.contents.also();
                [it.spec.as_path()].into_iter().chain(also).collect()
            }
            Command::Convert(it) => {
                let also = it.contents.also();
                [it.file.as_path()].into_iter().chain(also).collect()
            }
            Command::VerifyBuild(it) => {
                let image = it.image.as_deref();
                [it.statement.as_path()].into_iter().chain(image).collect()
            }
            Command::Verify(it) => {
                let files = it.spec.iter().chain(&it.record).map(PathBuf::as_path);
                let also = it.contents.also();
                [it.image.as_path()]
                    .into_iter()
                    .chain(files)
                    .chain(also)
                    .collect()
            }
            Command::Fill(it) => vec![&it.chosen.image],
            Command::Splice(it) => vec![&it.chosen.image, &it.file],
            Command::Cut(it) => vec![&it.chosen.image],
            Command::Export(it) => {
                let base = it.base.as_ref().map(|base| base.image.as_path());
                [it.image.image.as_path()].into_iter().chain(base).collect()
            }
            Command::Repair(it) => vec![&it.image],
            Command::Show(it) => vec![&it.image],
            Command::Ls(it) => vec![&it.place.image],
            Command::Cat(it) => vec![&it.place.image],
            Command::Cp(it) => vec![&it.place.image],
            Command::Tree(it) => vec![&it.place.image],
            Command::Du(it) => vec![&it.place.image],
            Command::Stat(it) => vec![&it.place.image],
            Command::Tar(it) => vec![&it.place.image],
            Command::Report(it) => [Some(&it.image), it.base.as_ref()]
                .into_iter()
                .flatten()
                .map(PathBuf::as_path)
                .collect(),
            Command::Diff(it) => vec![&it.first.image, &it.second.image],
            #[cfg(feature = "cache")]
            Command::Cache(_) | Command::Action(_) => Vec::new(),
            Command::Init(_)
            | Command::Mkfs(_)
            | Command::Guests(_)
            | Command::Walls(_)
            | Command::Manual(_)
            | Command::Schema
            | Command::Completions(_) => Vec::new(),
        }
    }
}
