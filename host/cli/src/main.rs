//! The program: what was typed, what is meant, done, and an exit code.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use cellblock::arguments::Arguments;
use cellblock::command;
use cellblock_build::cell;
use clap::Parser as _;

fn main() -> ExitCode {
    if let Some(ended) = cell::run_if_cell() {
        return ended;
    }
    let arguments = Arguments::parse();
    match command::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.message);
            if arguments.json_to_stdout() {
                command::print_failure(&failure);
            }
            ExitCode::from(failure.code)
        }
    }
}
