//! What every hostile formatter has in common, so that an attack is only what it does.
//!
//! ```text
//!     0  text           256  description      320  kinds
//!   512  the answer    1024  scratch         4096  what the host passes
//! ```

/// The functions of the contract: the name in the text, where it is from, its name there, its core type.
const IMPORTS: [(&str, &str, &str, &str); 37] = [
    ("$next", TREE, "next", "(param i32 i32)"),
    ("$rewind", TREE, "rewind", ""),
    ("$sum", TREE, "sum", "(param i32 i32)"),
    ("$ranges", TREE, "ranges", "(param i32 i32)"),
    ("$read_file", TREE, "read", "(param i32 i64 i32 i32)"),
    (
        "$place",
        "cellblock:format/placement@0.1.5",
        "place",
        "(param i32 i32 i32)",
    ),
    (
        "$compose",
        "cellblock:format/placement@0.1.5",
        "compose",
        "(param i64 i32 i32 i32 i32 i32)",
    ),
    (
        "$log",
        "cellblock:format/progress@0.1.5",
        "log",
        "(param i32 i32 i32)",
    ),
    (
        "$write",
        FILES,
        "[method]descriptor.write",
        "(param i32 i32 i32 i64 i32)",
    ),
    (
        "$read",
        FILES,
        "[method]descriptor.read",
        "(param i32 i64 i64 i32)",
    ),
    (
        "$set_size",
        FILES,
        "[method]descriptor.set-size",
        "(param i32 i64 i32)",
    ),
    ("$sync", FILES, "[method]descriptor.sync", "(param i32 i32)"),
    ("$drop", FILES, "[resource-drop]descriptor", "(param i32)"),
    (
        "$drop_stream",
        FILES,
        "[resource-drop]directory-entry-stream",
        "(param i32)",
    ),
    (
        "$read_via_stream",
        FILES,
        "[method]descriptor.read-via-stream",
        "(param i32 i64 i32)",
    ),
    (
        "$write_via_stream",
        FILES,
        "[method]descriptor.write-via-stream",
        "(param i32 i64 i32)",
    ),
    (
        "$append_via_stream",
        FILES,
        "[method]descriptor.append-via-stream",
        "(param i32 i32)",
    ),
    (
        "$read_directory",
        FILES,
        "[method]descriptor.read-directory",
        "(param i32 i32)",
    ),
    (
        "$read_entry",
        FILES,
        "[method]directory-entry-stream.read-directory-entry",
        "(param i32 i32)",
    ),
    (
        "$open",
        FILES,
        "[method]descriptor.open-at",
        "(param i32 i32 i32 i32 i32 i32 i32)",
    ),
    (
        "$stat_at",
        FILES,
        "[method]descriptor.stat-at",
        "(param i32 i32 i32 i32 i32)",
    ),
    (
        "$hash_at",
        FILES,
        "[method]descriptor.metadata-hash-at",
        "(param i32 i32 i32 i32 i32)",
    ),
    (
        "$create_directory",
        FILES,
        "[method]descriptor.create-directory-at",
        "(param i32 i32 i32 i32)",
    ),
    (
        "$remove_directory",
        FILES,
        "[method]descriptor.remove-directory-at",
        "(param i32 i32 i32 i32)",
    ),
    (
        "$unlink",
        FILES,
        "[method]descriptor.unlink-file-at",
        "(param i32 i32 i32 i32)",
    ),
    (
        "$readlink",
        FILES,
        "[method]descriptor.readlink-at",
        "(param i32 i32 i32 i32)",
    ),
    (
        "$symlink",
        FILES,
        "[method]descriptor.symlink-at",
        "(param i32 i32 i32 i32 i32 i32)",
    ),
    (
        "$rename",
        FILES,
        "[method]descriptor.rename-at",
        "(param i32 i32 i32 i32 i32 i32 i32)",
    ),
    (
        "$link",
        FILES,
        "[method]descriptor.link-at",
        "(param i32 i32 i32 i32 i32 i32 i32 i32)",
    ),
    (
        "$set_times_at",
        FILES,
        "[method]descriptor.set-times-at",
        "(param i32 i32 i32 i32 i32 i64 i32 i32 i64 i32 i32)",
    ),
    (
        "$encode",
        ENCODING,
        "encode",
        "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)",
    ),
    ("$pieces", ENCODING, "pieces", "(param i32 i32)"),
    ("$bytes", ENCODING, "bytes", "(param i32 i32)"),
    ("$place_pieces", ENCODING, "place", "(param i32 i32 i32)"),
    (
        "$encode_bytes",
        ENCODING,
        "encode-bytes",
        "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)",
    ),
    (
        "$digests",
        "cellblock:format/digests@0.1.5",
        "files",
        "(param i32 i32 i32)",
    ),
    (
        "$block_digests",
        "cellblock:format/digests@0.1.5",
        "blocks",
        "(param i32 i32 i32)",
    ),
];
const TREE: &str = "cellblock:format/tree@0.1.5";
const ENCODING: &str = "cellblock:format/encoding@0.1.5";
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// The parts of a formatter, each left out if the attack has its own: the function that it defines, and the text.
const PARTS: [(&str, &str); 6] = [
    (
        "(func $format ",
        "(func $format (param $partition i32) (result i32) (i32.const -1))",
    ),
    (
        "(func $realloc ",
        r#"
(global $free (mut i32) (i32.const 4096))
(func $realloc (export "cabi_realloc")
  (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $start i32)
  (local.set $start
    (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
  (global.set $free (i32.add (local.get $start) (local.get $size)))
  (local.get $start))"#,
    ),
    // Name, version, summary, kinds, options: an address and a length each; the longest label; what it lacks.
    (
        r#"(data (i32.const 256)"#,
        r#"
(data (i32.const 256)
  "\00\00\00\00" "\07\00\00\00"
  "\07\00\00\00" "\05\00\00\00"
  "\0c\00\00\00" "\16\00\00\00"
  "\40\01\00\00" "\01\00\00\00"
  "\00\00\00\00" "\00\00\00\00"
  "\10\00\00\00" "\00\00\00\00")"#,
    ),
    (
        "(func $describe ",
        r#"
(func $describe (export "cellblock:format/formatter@0.1.5#describe") (result i32)
  (i32.const 256))"#,
    ),
    (
        "(func $measure ",
        r#"
(func $measure (export "cellblock:format/formatter@0.1.5#measure")
  (param i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i32 i32 i32) (result i32)
  (call $measured (i64.const 1048576)))"#,
    ),
    (
        "(func $exported ",
        r#"
(func $exported (export "cellblock:format/formatter@0.1.5#format") (param $arguments i32) (result i32)
  (local $code i32)
  (local.set $code (call $format (i32.load (local.get $arguments))))
  (if (i32.eq (local.get $code) (i32.const -1))
    (then (call $succeed)))
  (if (i32.ge_s (local.get $code) (i32.const 0))
    (then (call $refuse (i32.const 9) (local.get $code))))
  (i32.const 512))"#,
    ),
];

/// What stands in each.
const COMMON: &str = r#"
(memory (export "memory") 1)
(data (i32.const 0) "hostile" "0.1.0" "Tries what it may not." "/etc/passwd")
(data (i32.const 320) "\00\00\00\00" "\07\00\00\00")
;; A summary: nothing used, and no properties.
(func $succeed
  (i32.store8 (i32.const 512) (i32.const 0))
  (i64.store (i32.const 520) (i64.const 0))
  (i64.store (i32.const 528) (i64.const 0)))
;; An error, and what belongs to it.
(func $refuse (param $error i32) (param $detail i32)
  (i32.store8 (i32.const 512) (i32.const 1))
  (i32.store8 (i32.const 520) (local.get $error))
  (i32.store8 (i32.const 528) (local.get $detail)))
(func $measured (param $size i64) (result i32)
  (i32.store8 (i32.const 512) (i32.const 0))
  (i64.store (i32.const 520) (local.get $size))
  (i32.const 512))
"#;

/// A `$format` with this body, in which `$p` is the handle of the partition, and `$i` and `$n` are free to use.
pub fn format(body: &str) -> String {
    format!("(func $format (param $p i32) (result i32) (local $i i32) (local $n i64) {body})")
}

/// The core module of a formatter that does what `text` says.
///
/// The text defines `$format`, which is given the handle of the partition and returns the error code of
/// `wasi:filesystem` to refuse with, or -1 to succeed, or -2 when the answer stands at 512 already; or another of the
/// formatter's functions in place of the usual one. What it calls of the contract is imported.
pub fn module(text: &str) -> String {
    let imports: String = IMPORTS
        .iter()
        .filter(|(name, ..)| {
            text.contains(&format!("(call {name} ")) || text.contains(&format!("(call {name})"))
        })
        .filter(|(name, ..)| !text.contains(&format!("(func {name} ")))
        .map(|(name, from, function, core_type)| {
            format!("(import \"{from}\" \"{function}\" (func {name} {core_type}))\n")
        })
        .collect();
    let parts: String = PARTS
        .iter()
        .filter(|(marker, _)| !text.contains(marker))
        .map(|(_, part)| *part)
        .collect();
    let memory = if text.contains("(export \"memory\")") {
        COMMON.replace("(memory (export \"memory\") 1)\n", "")
    } else {
        COMMON.to_owned()
    };
    if text.contains("(import ") {
        format!("(module {imports}{text}{memory}{parts})")
    } else {
        format!("(module {imports}{memory}{parts}{text})")
    }
}
