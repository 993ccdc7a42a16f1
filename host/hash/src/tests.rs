//! Every way to hash against the crate `sha2`, which hashes one message at a time.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sha2::{Digest as _, Sha256, Sha512};

use crate::sha256::{self, Compress, LANES, interleaved, one_after_another};
use crate::{Prefixed, Sha256Stream, each};

/// The ways to take in several messages: the one that all processors have, and what else this one has.
fn ways() -> Vec<(&'static str, Compress<LANES>)> {
    let interleaved = interleaved().map(|way| ("side by side", way));
    if interleaved.is_none() {
        println!(
            "skipped: several messages side by side; this processor has no instructions for it"
        );
    }
    std::iter::once(("one after another", one_after_another as Compress<LANES>))
        .chain(interleaved)
        .collect()
}

fn expected(prefix: &[u8], message: &[u8]) -> Vec<u8> {
    let hash = Sha256::new_with_prefix(prefix).chain_update(message);
    hash.finalize().to_vec()
}

/// Bytes that differ from message to message.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn compare(prefix: &[u8], messages: &[u8], size: usize) {
    let expected: Vec<_> = messages
        .chunks(size)
        .map(|message| expected(prefix, message))
        .collect();
    for (name, way) in ways() {
        let mut found = Vec::new();
        sha256::Prefixed::by(prefix, way).digests(messages, size, |it| found.push(it.to_vec()));
        assert!(
            found == expected,
            "{name}: prefix of {} bytes, messages of {size}",
            prefix.len()
        );
    }
}

#[test]
fn digests_do_not_depend_on_where_prefix_and_messages_end_in_a_block() {
    for prefix in 0..=2 * 64 + 1 {
        for size in 1..=2 * 64 + 1 {
            let messages = bytes(size * LANES, (prefix * 1000 + size) as u64);
            compare(&bytes(prefix, 1), &messages, size);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn digests_are_those_of_sha2(
        prefix in prop::collection::vec(any::<u8>(), 0..=256),
        logarithm in 9_u32..=16,
        count in 0_usize..=9,
        seed in any::<u64>(),
    ) {
        let size = 1 << logarithm;
        compare(&prefix, &bytes(size * count, seed), size);
    }
}

/// Cuts two messages into pieces of these lengths, a pair at a time, and hashes what is left then.
fn in_pieces(way: Compress<LANES>, messages: [&[u8]; 2], lengths: &[[usize; 2]]) -> [[u8; 32]; 2] {
    let (mut one, mut other) = (Sha256Stream::default(), Sha256Stream::default());
    let mut left = messages;
    for lengths in lengths {
        let cut = |lane: usize| left[lane].split_at(lengths[lane].min(left[lane].len()));
        let cut = [cut(0), cut(1)];
        Sha256Stream::update_both_by(way, [&mut one, &mut other], cut.map(|(piece, _)| piece));
        left = cut.map(|(_, rest)| rest);
    }
    one.update(left[0]);
    other.update(left[1]);
    [one.finish(), other.finish()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn pieces_of_two_messages_have_the_digests_of_sha2(
        sizes in prop::array::uniform2(0_usize..=5000),
        lengths in prop::collection::vec(prop::array::uniform2(0_usize..=700), 0..=20),
        seed in any::<u64>(),
    ) {
        let messages = [bytes(sizes[0], seed), bytes(sizes[1], seed ^ 7)];
        for (name, way) in ways() {
            let found = in_pieces(way, [&messages[0], &messages[1]], &lengths);
            for (found, message) in found.iter().zip(&messages) {
                prop_assert_eq!(found.as_slice(), expected(&[], message), "{}", name);
            }
        }
    }
}

#[test]
fn pieces_may_end_anywhere_in_a_block() {
    let messages = [bytes(260, 5), bytes(300, 6)];
    for (name, way) in ways() {
        for one in 0..=2 * 64 + 1 {
            for other in 0..=2 * 64 + 1 {
                let found = in_pieces(way, [&messages[0], &messages[1]], &[[one, other]; 2]);
                for (found, message) in found.iter().zip(&messages) {
                    assert_eq!(
                        found.as_slice(),
                        expected(&[], message),
                        "{name} {one} {other}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_message_of_several_has_the_digest_of_sha2(
        sizes in prop::collection::vec(0_usize..=3000, 0..=7),
        seed in any::<u64>(),
    ) {
        let numbered = sizes.iter().zip(seed..);
        let messages: Vec<Vec<u8>> = numbered.map(|(size, seed)| bytes(*size, seed)).collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        for (name, way) in ways() {
            let found = each::each_by(way, &messages);
            prop_assert_eq!(found.len(), messages.len());
            for (found, message) in found.iter().zip(&messages) {
                prop_assert_eq!(found.as_slice(), expected(&[], message), "{}", name);
            }
        }
    }
}

/// Around the ends of blocks, where a lane is given to the next message.
#[test]
fn each_of_three_messages_may_end_anywhere_in_a_block() {
    let message = bytes(300, 9);
    for (name, way) in ways() {
        for one in 0..=2 * 64 + 1 {
            for other in 0..=2 * 64 + 1 {
                let messages = [&message[..one], &message[1..][..other], &message[..130]];
                let found = each::each_by(way, &messages);
                for (found, message) in found.iter().zip(messages) {
                    assert_eq!(
                        found.as_slice(),
                        expected(&[], message),
                        "{name} {one} {other}"
                    );
                }
            }
        }
    }
}

#[test]
fn both_functions_hash_one_message_as_they_hash_many() {
    let messages = bytes(7 * 512, 3);
    for prefix in [0, 32, 64, 256] {
        let prefix = bytes(prefix, 2);
        for (prefixed, is_256) in [
            (Prefixed::sha256(&prefix), true),
            (Prefixed::sha512(&prefix), false),
        ] {
            let mut found = Vec::new();
            prefixed.digests(&messages, 512, |it| found.push(it.to_vec()));
            let one_by_one: Vec<_> = messages
                .chunks(512)
                .map(|message| prefixed.digest(message))
                .collect();
            assert_eq!(found, one_by_one);
            for (message, digest) in messages.chunks(512).zip(found) {
                let expected = if is_256 {
                    expected(&prefix, message)
                } else {
                    let hash = Sha512::new_with_prefix(&prefix).chain_update(message);
                    hash.finalize().to_vec()
                };
                assert_eq!(digest, expected);
                assert_eq!(digest.len(), prefixed.digest_bytes());
            }
        }
    }
}

#[test]
#[should_panic(expected = "whole messages")]
fn half_a_message_is_a_mistake() {
    Prefixed::sha256(b"").digests(&[0; 700], 512, |_| ());
}
