//! Components that ask for more than the contract has.

use super::runner::{Attack, whole, withstand};

/// A component that imports one function of an interface.
fn import(interface: &str, function: &str, signature: &str) -> Attack {
    let text = format!(
        "(component (import \"{interface}\" (instance (export \"{function}\" (func {signature})))))"
    );
    whole(format!("{interface}#{function}"), "import list", &text).no_guest(format!(
        "imports {interface}#{function}, which is not in the contract"
    ))
}

#[test]
fn imports() {
    let strings = "(result (list string))";
    let pairs = "(result (list (tuple string string)))";
    let functions: String = (0..1000)
        .map(|index| format!("(import \"function-{index}\" (func))"))
        .collect();
    let instances: String = (0..1000)
        .map(|index| {
            format!(
                "(import \"hostile:many/interface-{index}\" (instance (export \"run\" (func))))"
            )
        })
        .collect();
    let long = "a".repeat(50_000);
    withstand(
        "imports",
        vec![
            import("wasi:cli/environment@0.2.12", "get-environment", pairs),
            import("wasi:cli/environment@0.2.12", "get-arguments", strings),
            import("wasi:cli/environment@0.2.12", "initial-cwd", "(result (option string))"),
            import("wasi:cli/exit@0.2.12", "exit", "(param \"status\" (result))"),
            import("wasi:clocks/monotonic-clock@0.2.12", "now", "(result u64)"),
            import("wasi:clocks/wall-clock@0.2.12", "now", "(result u64)"),
            import("wasi:random/random@0.2.12", "get-random-bytes", "(param \"len\" u64) (result (list u8))"),
            import("wasi:random/insecure@0.2.12", "get-insecure-random-u64", "(result u64)"),
            import("wasi:random/insecure-seed@0.2.12", "insecure-seed", "(result (tuple u64 u64))"),
            import("wasi:http/outgoing-handler@0.2.12", "handle", "(param \"request\" u32)"),
            import("hostile:host/process@1.0.0", "execute", "(param \"command\" string) (result s32)"),
            whole("a thousand functions", "import list", &format!("(component {functions})")).no_guest("imports function-0, which is not in the contract"),
            whole("a thousand interfaces", "import list", &format!("(component {instances})")).no_guest("imports hostile:many/interface-0#run, which is not"),
            whole("a name of 50,000 letters", "import list", &format!("(component (import \"{long}\" (func)))")).no_guest("which is not in the contract"),
            whole("a function that the contract lacks", "types of the contract", "(component (import \"cellblock:format/tree@0.1.5\" (instance (export \"read-host-file\" (func)))))").no_guest("read-host-file"),
            whole("a function with another type", "types of the contract", "(component (import \"cellblock:format/tree@0.1.5\" (instance (export \"rewind\" (func (param \"path\" string))))))").no_guest("rewind"),
            whole("a resource of the host's", "types of the contract", "(component (import \"cellblock:format/tree@0.1.5\" (instance (export \"file\" (type (sub resource))))))").no_guest("file"),
        ],
    );
}
