//! Readers that break off, and answers that are none.

use super::reader::{ANSWER, Reader};
use super::runner::{Attack, harmless, refused, withstand};

const TYPED: &str = "typed answers";
const FAILED: &str = "the guest 'hostile' failed: ";

/// A reader whose `probe` is this.
fn probe(body: &str) -> Reader {
    Reader::new().tree(&[]).part(&format!(
        "(func $probe (export \"EXPORTprobe\") (param $p i32) (result i32) {body})"
    ))
}

/// A reader that answers `read` with this error, and these words behind it.
fn error(name: &str, error: u32, words: &[u32], cause: &str) -> Attack {
    let stores: String = (0..)
        .zip(words)
        .map(|(at, word)| {
            format!(
                "(i32.store (i32.const {}) (i32.const {word}))",
                ANSWER + 16 + 4 * at
            )
        })
        .collect();
    let reader = Reader::new().tree(&[]).code(&format!(
        "(i32.store8 (i32.const {ANSWER}) (i32.const 1)) (i32.store8 (i32.const {}) (i32.const {error})) {stores}
         (return (i32.const {ANSWER}))",
        ANSWER + 8
    ));
    refused(name, TYPED, reader, cause)
}

/// A text in the memory of a reader, and what it tells with it as the kind of the volume.
fn kind(name: &str, text: &[u8], end: impl Fn(Reader) -> Attack) -> Attack {
    let mut reader = Reader::new().tree(&[]);
    let place = reader.put(text, 1);
    let mut attack = end(reader.code(&format!(
        "(drop (call $succeed))
         (i32.store (i32.const {}) (i32.const {place})) (i32.store (i32.const {}) (i32.const {}))
         (return (i32.const {ANSWER}))",
        ANSWER + 8,
        ANSWER + 12,
        text.len()
    )));
    attack.rename(name);
    attack
}

#[test]
fn answers() {
    let may = |reader| harmless("", "escapes", reader, 1);
    withstand(
        "answers",
        vec![
            refused(
                "a trap in probe",
                "trap",
                probe("(unreachable)"),
                "`unreachable` instruction executed",
            ),
            refused(
                "a trap in read",
                "trap",
                Reader::new().tree(&[]).code("(unreachable)"),
                "`unreachable` instruction executed",
            ),
            refused(
                "an answer from nowhere",
                "checked addresses",
                probe("(i32.const -64)"),
                FAILED,
            ),
            refused(
                "an answer that is not aligned",
                "checked addresses",
                probe("(i32.const 1025)"),
                FAILED,
            ),
            refused(
                "a result that is none",
                TYPED,
                probe("(i32.store8 (i32.const 1024) (i32.const 9)) (i32.const 1024)"),
                FAILED,
            ),
            error(
                "unrecognised, after all",
                0,
                &[],
                "it is no file system that the reader knows",
            ),
            error(
                "unsupported, by a text from nowhere",
                1,
                &[u32::MAX - 8, 64],
                FAILED,
            ),
            error("unsupported, by no text", 1, &[0, 0], "disk.img: "),
            error(
                "damaged, without words",
                2,
                &[0, 0, 0, 0, 0, 0, 0, 0],
                "disk.img: ",
            ),
            error(
                "a code of wasi:filesystem that does not exist",
                3,
                &[99],
                FAILED,
            ),
            error(
                "a block that was never asked for",
                4,
                &[0, 77],
                "disk.img: ",
            ),
            error("an error that does not exist", 200, &[], FAILED),
            kind("a kind that acts on a terminal", b"\x1b[2J\x07\r\n", may),
            kind("a kind that is no text", b"\xff\xfe", |reader| {
                refused("", TYPED, reader, FAILED)
            }),
            kind("a kind of 10 MB", &vec![b'k'; 10_000_000], |reader| {
                harmless("", "bounded text", reader, 1)
                    .memory(128 << 20)
                    .host(128 << 20)
            }),
        ],
    );
}
