//! `cellblock walls`: whether the second wall stands here.

use super::{Failure, print, print_json};
use crate::arguments;
use serde_json::{Value, json};

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
        if walls.json {
            let calls: Vec<Value> = tried.iter().map(call_document).collect();
            return print_json(&json!({ "calls": calls }));
        }
        return print(&tried.iter().map(call_line).collect::<String>());
    }
    let attempts = runtime.attempts().map_err(Failure::failed)?;
    if walls.json {
        let tried: Vec<Value> = attempts.iter().map(document).collect();
        print_json(&json!({ "attempts": tried }))?;
    } else {
        print(&attempts.iter().map(line).collect::<String>())?;
    }
    if let Some(refusal) = runtime.cache_refusal() {
        tell!("warning: compiled formatters are not kept: {refusal}");
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

fn document(attempt: &Attempt) -> Value {
    json!({
        "what": attempt.what,
        "succeeded": attempt.refusal.is_none(),
        "refusal": attempt.refusal,
    })
}

fn call_document(tried: &CallTried) -> Value {
    json!({
        "stage": stage(tried),
        "call": tried.call,
        "arguments": tried.arguments,
    })
}

fn stage(tried: &CallTried) -> &'static str {
    match tried.stage {
        Stage::Compiling => "compiling",
        Stage::Running => "running",
    }
}

fn line(attempt: &Attempt) -> String {
    let result = attempt.refusal.as_deref().unwrap_or("done");
    format!("{:40}  {result}\n", attempt.what)
}

fn call_line(tried: &CallTried) -> String {
    let stage = stage(tried);
    let arguments = if tried.arguments.is_empty() {
        "any arguments"
    } else {
        &tried.arguments
    };
    format!("{stage:9}  {:16}  {arguments}\n", tried.call)
}
