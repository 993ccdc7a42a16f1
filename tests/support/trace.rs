//! What `strace -f -o FILE` wrote.

use std::collections::HashMap;

/// The system calls of a trace, each whole: `1234 call(…) = …`.
///
/// Where two threads call at once, strace begins a line with `<unfinished ...>` and ends it later with `<... call resumed>`;
/// such halves are joined, in the order in which the calls began. What says how threads ended is left out.
pub fn calls(log: &str) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    let mut begun: HashMap<&str, usize> = HashMap::new();
    for line in log.lines() {
        let Some((thread, said)) = line.split_once(' ') else {
            continue;
        };
        let said = said.trim_start();
        // What a thread was about to do when it was killed, strace does not know: nothing was done.
        if ["+++ ", "--- ", "???(", "<... ??? "]
            .iter()
            .any(|it| said.starts_with(it))
        {
            continue;
        }
        if let Some(resumed) = said.strip_prefix("<... ") {
            // The thread that began an execve may end it under another number: that one is whole as it stands.
            if let Some(call) = begun.remove(thread) {
                let (_, rest) = resumed.split_once(" resumed>").expect("a call resumed");
                calls[call].push_str(rest);
            }
            continue;
        }
        match said.strip_suffix(" <unfinished ...>") {
            Some(start) => {
                begun.insert(thread, calls.len());
                calls.push(format!("{thread} {start}"));
            }
            None => calls.push(format!("{thread} {said}")),
        }
    }
    calls
}

#[test]
fn halves_are_joined() {
    let log = "7 unshare(CLONE_NEWNS <unfinished ...>\n\
               8  fsync(3 <unfinished ...>\n\
               9 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
               7 <... unshare resumed>)            = 0\n\
               8 <... fsync resumed>)    = -1 EIO (Input/output error)\n\
               10 <... execve resumed>) = 0\n\
               11 ???( <unfinished ...>\n\
               11 <... ??? resumed>) = ?\n\
               8 open(\"a\") = 3</a>\n\
               8 exit_group(0 <unfinished ...>\n\
               8 +++ exited with 0 +++\n";
    let expected = [
        "7 unshare(CLONE_NEWNS)            = 0",
        "8 fsync(3)    = -1 EIO (Input/output error)",
        "8 open(\"a\") = 3</a>",
        "8 exit_group(0",
    ];
    assert_eq!(calls(log), expected);
}
