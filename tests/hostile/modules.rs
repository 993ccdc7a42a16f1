//! Bytes that are no formatter, or too much of one.

use super::runner::{Attack, bytes, formatter, whole, withstand};
use super::template::format;
use crate::support::component::formatter_of;

const MODULE_SECTION: u8 = 1;
const INSTANCE_SECTION: u8 = 2;
const COMPONENT_SECTION: u8 = 4;
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A number as binaries have it.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], leb128(content.len()), content.to_vec()].concat()
}

/// How many sections of the component have this id.
fn count(component: &[u8], id: u8) -> usize {
    let (mut at, mut found) = (8, 0);
    while at < component.len() {
        let is = component[at];
        let (mut size, mut shift) = (0, 0);
        loop {
            at += 1;
            size |= usize::from(component[at] & 0x7f) << shift;
            shift += 7;
            if component[at] & 0x80 == 0 {
                break;
            }
        }
        at += 1 + size;
        found += usize::from(is == id);
    }
    found
}

/// A formatter with this many instances of an empty module beside its own.
pub(super) fn with_instances(number: usize) -> Vec<u8> {
    let mut component = formatter_of(&format("(i32.const -1)"));
    let module = leb128(count(&component, MODULE_SECTION));
    let instance = [vec![0], module, vec![0]].concat();
    let instances = [leb128(number), instance.repeat(number)].concat();
    component.extend(section(MODULE_SECTION, EMPTY_MODULE));
    component.extend(section(INSTANCE_SECTION, &instances));
    component
}

fn malformed(name: &str, component: impl Into<Vec<u8>>) -> Attack {
    bytes(name, "validation", component.into())
        .no_guest("is not a WebAssembly component that can run here: ")
}

#[test]
fn modules() {
    let sound = formatter_of(&format("(i32.const -1)"));
    let mut flipped = sound.clone();
    let middle = flipped.len() / 3;
    flipped[middle..middle + 64].fill(0xff);
    let mut custom = sound.clone();
    custom.extend(section(0, &[vec![1, b'x'], vec![0; 32 << 20]].concat()));
    let mut short = sound.clone();
    short.extend([0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let functions = |count| "(func)".repeat(count);
    let deep = (0..2000).fold(sound.clone(), |inner, _| {
        [EMPTY_COMPONENT, &section(COMPONENT_SECTION, &inner)].concat()
    });
    withstand(
        "modules",
        vec![
            malformed("nothing", ""),
            malformed("a text", "no component"),
            bytes(
                "a header alone, of a module",
                "validation",
                EMPTY_MODULE.to_vec(),
            )
            .no_guest("is a WebAssembly module and no component of the contract"),
            malformed("half of a component", &sound[..sound.len() / 2]),
            malformed("a component with 64 bytes of 255", flipped),
            malformed("a section of 4 GiB that is not there", short),
            malformed("a version of the future", b"\0asm\x7f\0\x01\0".as_slice()),
            malformed("zeros", vec![0; 1 << 20]),
            malformed(
                "a gzip of something",
                b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(),
            ),
            whole("no exports", "types of the contract", "(component)")
                .no_guest("does not fit the contract"),
            bytes(
                "two thousand components, one in another",
                "types of the contract",
                deep,
            )
            .no_guest("does not fit the contract"),
            bytes(
                "a custom section of 32 MiB",
                "nothing: it is not read",
                custom,
            ),
            formatter(
                "twenty thousand functions",
                "nothing: it may",
                &functions(20_000),
            ),
            formatter(
                "two hundred thousand functions",
                "deadline",
                &functions(200_000),
            )
            .seconds(1)
            .not_loaded("was stopped after 1 seconds"),
            formatter(
                "a function of two million instructions",
                "nothing: it may",
                &format!("(func {})", "i32.const 1 drop ".repeat(1_000_000)),
            )
            .seconds(600),
        ],
    );
}
