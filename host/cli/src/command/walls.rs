//! `cellblock walls`: whether the second wall stands here.

use super::{Failure, print};
use crate::arguments;
use cellblock_build::cell::{Attempt, CallTried, Runtime, RuntimeOptions, Stage, Walls};

pub(super) fn run(walls: &arguments::Walls) -> Result<(), Failure> {
    let options = RuntimeOptions {
        cache: cellblock_build::cache_folder(),
        walls: Walls::Process,
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(&options).map_err(Failure::failed)?;
    if walls.calls {
        let tried = runtime.calls().map_err(Failure::failed)?;
        return print(&tried.iter().map(call_line).collect::<String>());
    }
    let attempts = runtime.attempts().map_err(Failure::failed)?;
    print(&attempts.iter().map(line).collect::<String>())?;
    if let Some(refusal) = runtime.cache_refusal() {
        eprintln!("warning: compiled formatters are not kept: {refusal}");
    }
    let succeeded = attempts
        .iter()
        .filter(|attempt| attempt.refusal.is_none())
        .count();
    if succeeded > 0 {
        return Err(Failure::failed(format_args!(
            "{succeeded} of {} attempts to get out succeeded",
            attempts.len()
        )));
    }
    Ok(())
}

fn line(attempt: &Attempt) -> String {
    let result = attempt.refusal.as_deref().unwrap_or("done");
    format!("{:40}  {result}\n", attempt.what)
}

fn call_line(tried: &CallTried) -> String {
    let stage = match tried.stage {
        Stage::Compiling => "compiling",
        Stage::Running => "running",
    };
    let arguments = if tried.arguments.is_empty() {
        "any arguments"
    } else {
        &tried.arguments
    };
    format!("{stage:9}  {:16}  {arguments}\n", tried.call)
}
