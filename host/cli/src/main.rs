//! The program: what was typed, what is meant, done, and an exit code.

#![forbid(unsafe_code)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::hash::RandomState;
use std::panic;
use std::process::ExitCode;

use cellblock::arguments::Arguments;
use cellblock::{command, completion, tell};
use cellblock_build::cell;
use clap::{CommandFactory as _, Parser as _};

fn main() -> ExitCode {
    if let Some(ended) = cell::run_if_cell() {
        return ended;
    }
    cell::outlive_file_limits();
    if !has_random_numbers() {
        tell!("error: the kernel gives no random numbers (getrandom), which hash tables need");
        return ExitCode::FAILURE;
    }
    match completion::answer(Arguments::command) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            tell!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    let arguments = Arguments::parse();
    match command::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell!("{}", failure.message);
            if arguments.json_to_stdout() && !failure.keeps_stdout {
                command::print_failure(&failure);
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Whether the kernel gives random numbers: the standard library panics where it does not.
fn has_random_numbers() -> bool {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let drawn = panic::catch_unwind(RandomState::new);
    panic::set_hook(hook);
    drawn.is_ok()
}
