//! Every seed, and every crash that was found; and any bytes.

use cellblock_fuzz_replay::replay;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{channel, contract};

#[test]
fn seeds_of_contract() {
    replay("contract", contract);
}

#[test]
fn seeds_of_channel() {
    replay("channel", channel);
}

proptest! {
    #[test]
    fn any_calls_of_a_guest(bytes in vec(any::<u8>(), 0..500)) {
        contract(&bytes);
    }

    #[test]
    fn any_words_of_a_process(bytes in vec(any::<u8>(), 0..500)) {
        channel(&bytes);
    }
}
