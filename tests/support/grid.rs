//! BuildGrid, a server of the Remote Execution API that we did not write, and perhaps a worker (`tests/remote/farm.py`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::bench::{address, repository};
use super::judge;

/// A running BuildGrid; it ends with this, since its standard input does.
pub struct Grid {
    pub address: SocketAddrV4,
    child: Child,
    asked: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Grid {
    /// Starts one with its files in a folder; none where it is missing.
    pub fn start(folder: &Path, arguments: &[&str]) -> Option<Self> {
        let bgd = judge("bgd")?;
        let address = address();
        // That of the environment that BuildGrid is installed in.
        let python = bgd.program().with_file_name("python");
        let mut child = Command::new(python)
            .arg(repository("tests/remote/farm.py"))
            .arg(folder)
            .arg(address.to_string())
            .args(arguments)
            .env("GRPC_VERBOSITY", "NONE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut grid = Self {
            address,
            asked: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(grid.answer(), "ready");
        Some(grid)
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"))
    }

    /// How the actions ended that its worker ran.
    pub fn ran(&mut self) -> Vec<String> {
        writeln!(self.asked.as_mut().unwrap()).unwrap();
        serde_json::from_value(self.answer()).unwrap()
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        drop(self.asked.take());
        let _ = self.child.wait();
    }
}
