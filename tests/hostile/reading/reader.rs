//! What every hostile reader has in common: what it tells is laid out here, so that an attack is only what it tells and does.
//!
//! ```text
//!     0  name, version, summary    64  description    128  scratch    1024  the answer    4096  what it tells, what the host passes
//! ```

use std::fmt::Write as _;

/// The functions of the contract: the name in the text, where it is from, its name there, its core type.
const IMPORTS: [(&str, &str, &str, &str); 9] = [
    ("$tell_nodes", LISTING, "tell-nodes", "(param i32)"),
    (
        "$tell_extents",
        LISTING,
        "tell-extents",
        "(param i32 i32 i32 i32)",
    ),
    ("$decode", "decoding", "decode", "(param i32 i32 i32)"),
    ("$log", "progress", "log", "(param i32 i32 i32)"),
    (
        "$read",
        FILES,
        "[method]descriptor.read",
        "(param i32 i64 i64 i32)",
    ),
    (
        "$write",
        FILES,
        "[method]descriptor.write",
        "(param i32 i32 i32 i64 i32)",
    ),
    (
        "$set_size",
        FILES,
        "[method]descriptor.set-size",
        "(param i32 i64 i32)",
    ),
    (
        "$open",
        FILES,
        "[method]descriptor.open-at",
        "(param i32 i32 i32 i32 i32 i32 i32)",
    ),
    ("$drop", FILES, "[resource-drop]descriptor", "(param i32)"),
];
const LISTING: &str = "listing";
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// Where the answer of `probe` and `read` stands.
pub const ANSWER: u32 = 1024;
const TOLD: u32 = 4096;

/// What is in each: names, a description of no kinds, a volume of nothing.
const COMMON: &str = r#"
(data (i32.const 0) "hostile" "0.1.0" "Tries what it may not.")
(data (i32.const 64)
  "\00\00\00\00" "\07\00\00\00" "\07\00\00\00" "\05\00\00\00" "\0c\00\00\00" "\16\00\00\00" "\00\00\00\00" "\00\00\00\00")
(func $succeed (result i32)
  (i32.store8 (i32.const 1024) (i32.const 0))
  (i32.store (i32.const 1036) (i32.const 7))
  (i32.const 1024))
(func $realloc (export "cabi_realloc")
  (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
  (local $start i32)
  (local.set $start
    (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
  (global.set $free (i32.add (local.get $start) (local.get $size)))
  (local.get $start))
"#;

/// A node, as `tell-nodes` takes it.
#[derive(Clone)]
pub struct Node {
    pub parent: u32,
    pub name: Vec<u8>,
    /// The number of the kind in the contract.
    pub kind: u8,
    pub value: u64,
    pub mode: u16,
    pub uid: u32,
    pub seconds: i64,
    pub nanoseconds: u32,
    pub target: Vec<u8>,
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A node of this kind in this directory.
pub fn node(parent: u32, name: impl AsRef<[u8]>, kind: u8, value: u64) -> Node {
    Node {
        parent,
        name: name.as_ref().to_vec(),
        kind,
        value,
        mode: 0o755,
        uid: 0,
        seconds: 0,
        nanoseconds: 0,
        target: Vec::new(),
        attributes: Vec::new(),
    }
}

pub const DIRECTORY: u8 = 0;
pub const FILE: u8 = 1;
pub const SYMLINK: u8 = 3;
pub const HARD_LINK: u8 = 4;
pub const BLOCK_DEVICE: u8 = 6;

pub fn root() -> Node {
    node(0, "", DIRECTORY, 0)
}

pub fn file(parent: u32, name: impl AsRef<[u8]>, size: u64) -> Node {
    node(parent, name, FILE, size)
}

pub fn symlink(parent: u32, name: &str, target: &[u8]) -> Node {
    Node {
        target: target.to_vec(),
        ..node(parent, name, SYMLINK, target.len() as u64)
    }
}

/// Where bytes of a file are.
#[derive(Clone, Copy)]
pub enum Place {
    Plain(u64),
    /// The codec, the first byte, the number of bytes, the most that come out, and how many are skipped.
    Encoded(u8, u64, u32, u32, u32),
    Inline,
}

/// The file, the first byte, the number of bytes, and where they are.
pub type Extent = (u32, u64, u64, Place);

/// A reader that tells this.
#[derive(Default)]
pub struct Reader {
    memory: Vec<u8>,
    read: String,
    parts: String,
}

impl Reader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells a root, and these below it.
    pub fn tree(self, nodes: &[Node]) -> Self {
        self.nodes(&[&[root()], nodes].concat())
    }

    /// Tells nodes.
    pub fn nodes(self, nodes: &[Node]) -> Self {
        self.columns(nodes, |_| ())
    }

    /// Tells nodes, of whose columns `change` may change the lengths: twelve of them, each an address and a length.
    pub fn columns(mut self, nodes: &[Node], change: impl FnOnce(&mut [(u32, u32); 12])) -> Self {
        let record = self.batch(nodes, change);
        write!(self.read, "(call $tell_nodes (i32.const {record}))").unwrap();
        self
    }

    /// Lays out a batch of nodes; its address.
    pub fn batch(&mut self, nodes: &[Node], change: impl FnOnce(&mut [(u32, u32); 12])) -> u32 {
        fn flat<const N: usize>(nodes: &[Node], of: impl Fn(&Node) -> [u8; N]) -> Vec<u8> {
            nodes.iter().flat_map(of).collect()
        }
        let mut attributes = Vec::new();
        let mut attributed = 0;
        for (at, node) in (0_u32..).zip(nodes) {
            for (name, value) in &node.attributes {
                attributes.extend_from_slice(&at.to_le_bytes());
                for bytes in [name, value] {
                    let place = self.put(bytes, 1);
                    attributes.extend(place.to_le_bytes());
                    attributes.extend(count(bytes).to_le_bytes());
                }
                attributed += 1;
            }
        }
        let length = |node: &Node| count(&node.name).to_le_bytes();
        let all = count(nodes);
        let names: Vec<u8> = nodes.iter().flat_map(|it| it.name.clone()).collect();
        let targets: Vec<u8> = nodes.iter().flat_map(|it| it.target.clone()).collect();
        let [names_length, targets_length] = [&names, &targets].map(|it| count(it));
        let columns = [
            (flat(nodes, |it| it.parent.to_le_bytes()), all),
            (flat(nodes, |it| [it.kind]), all),
            (flat(nodes, |it| it.value.to_le_bytes()), all),
            (flat(nodes, |it| it.mode.to_le_bytes()), all),
            (flat(nodes, |it| it.uid.to_le_bytes()), all),
            (flat(nodes, |it| it.uid.to_le_bytes()), all),
            (flat(nodes, |it| it.seconds.to_le_bytes()), all),
            (flat(nodes, |it| it.nanoseconds.to_le_bytes()), all),
            (flat(nodes, length), all),
            (names, names_length),
            (targets, targets_length),
            (attributes, attributed),
        ];
        let mut lists = columns.map(|(bytes, length)| (self.put(&bytes, 8), length));
        change(&mut lists);
        let record: Vec<u8> = lists
            .iter()
            .flat_map(|(place, length)| [place.to_le_bytes(), length.to_le_bytes()].concat())
            .collect();
        self.put(&record, 8)
    }

    /// Tells extents.
    pub fn extents(mut self, extents: &[Extent], inline: &[u8]) -> Self {
        let mut items = Vec::new();
        for (file, offset, length, place) in extents {
            let mut item = [0; 72];
            item[..4].copy_from_slice(&file.to_le_bytes());
            item[8..16].copy_from_slice(&offset.to_le_bytes());
            item[16..24].copy_from_slice(&length.to_le_bytes());
            match place {
                Place::Plain(from) => item[32..40].copy_from_slice(&from.to_le_bytes()),
                Place::Encoded(codec, from, length, decoded, skip) => {
                    item[24] = 1;
                    item[32..64].copy_from_slice(&encoded(*codec, *from, *length, *decoded));
                    item[64..68].copy_from_slice(&skip.to_le_bytes());
                }
                Place::Inline => item[24] = 2,
            }
            items.extend_from_slice(&item);
        }
        let (from, bytes) = (self.put(&items, 8), self.put(inline, 1));
        let (count, length) = (extents.len(), inline.len());
        self.code(&format!(
            "(call $tell_extents (i32.const {from}) (i32.const {count}) (i32.const {bytes}) (i32.const {length}))"
        ))
    }

    /// Asks `times` times for blocks to be decoded, and goes on only if the outcome is this: 0 for bytes, or 1 and the error.
    pub fn decoded(mut self, times: u32, blocks: &[[u8; 32]], outcome: (u8, u8)) -> Self {
        let (from, count) = (self.put(&blocks.concat(), 8), blocks.len());
        let (failed, error) = outcome;
        self.code(&format!(
            "(local.set $i (i32.const {times}))
             (loop $again
               (call $decode (i32.const {from}) (i32.const {count}) (i32.const 128))
               (global.set $free (i32.const 1048576))
               (local.set $i (i32.sub (local.get $i) (i32.const 1)))
               (br_if $again (local.get $i)))
             (if (i32.ne (i32.load8_u (i32.const 128)) (i32.const {failed})) (then (unreachable)))
             (if (i32.and (i32.const {failed}) (i32.ne (i32.load8_u (i32.const 132)) (i32.const {error}))) (then (unreachable)))"
        ))
    }

    /// Does this in `read`, where `$p` is the partition's handle, and `$i` is free to use.
    pub fn code(mut self, text: &str) -> Self {
        self.read.push_str(text);
        self
    }

    /// Has a function of its own in place of the usual one: `$describe`, `$probe` or `$exported`.
    pub fn part(mut self, text: &str) -> Self {
        self.parts.push_str(text);
        self
    }

    /// Puts bytes into the memory; their address.
    pub fn put(&mut self, bytes: &[u8], align: usize) -> u32 {
        self.memory
            .resize(self.memory.len().next_multiple_of(align), 0);
        let place = TOLD + count(&self.memory);
        self.memory.extend_from_slice(bytes);
        place
    }

    /// The core module.
    pub fn module(&self) -> String {
        let Self {
            memory,
            read,
            parts,
        } = self;
        let told: String = memory.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let free = (TOLD as usize + memory.len()).next_multiple_of(4096);
        let version = contract_version();
        let export = |name: &str| format!("(export \"cellblock:format/reader@{version}#{name}\")");
        let mut usual = String::new();
        for (name, function) in [
            (
                "$describe",
                format!("{} (result i32) (i32.const 64))", export("describe")),
            ),
            (
                "$probe",
                format!(
                    "{} (param i32) (result i32) (call $succeed))",
                    export("probe")
                ),
            ),
            (
                "$exported",
                format!(
                    "{} (param $p i32) (param $extents i32) (result i32) (local $i i32) {read} (call $succeed))",
                    export("read")
                ),
            ),
        ] {
            if !parts.contains(&format!("(func {name} ")) {
                writeln!(usual, "(func {name} {function}").unwrap();
            }
        }
        let text = format!("{parts}{usual}");
        let imports: String = IMPORTS
            .iter()
            .filter(|(name, ..)| text.contains(&format!("(call {name} ")))
            .map(|(name, from, function, core_type)| {
                let from = match from.contains('@') {
                    true => (*from).to_owned(),
                    false => format!("cellblock:format/{from}@{version}"),
                };
                format!("(import \"{from}\" \"{function}\" (func {name} {core_type}))\n")
            })
            .collect();
        let pages = free / 65536 + 64;
        format!(
            "(module {imports}(memory (export \"memory\") {pages}) (global $free (mut i32) (i32.const {free}))
             (data (i32.const {TOLD}) \"{told}\") {COMMON} {}
             {usual})",
            parts.replace("EXPORT", &format!("cellblock:format/reader@{version}#"))
        )
    }
}

/// A block, as the contract's `encoded` lies in memory.
pub fn encoded(codec: u8, offset: u64, length: u32, decoded: u32) -> [u8; 32] {
    let mut block = [0; 32];
    block[0] = codec;
    block[8..16].copy_from_slice(&offset.to_le_bytes());
    block[16..20].copy_from_slice(&length.to_le_bytes());
    block[24..28].copy_from_slice(&decoded.to_le_bytes());
    block
}

/// How many there are, as the contract counts.
fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap()
}

/// The version that `wit/cellblock.wit` has.
fn contract_version() -> String {
    let contract = crate::support::bench::repository("wit/cellblock.wit");
    let text = std::fs::read_to_string(contract).unwrap();
    let (_, rest) = text.split_once("package cellblock:format@").unwrap();
    rest.split(';').next().unwrap().to_owned()
}
