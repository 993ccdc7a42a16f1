//! Which clusters have an owner: in pages, which take room only where some clusters have one and others have none.

/// The words of a page.
const WORDS: usize = 512;

#[derive(Clone, Debug)]
enum Page {
    None,
    All,
    Some(Box<[u64; WORDS]>),
}

/// Clusters that have an owner, by their index: 0 is the first.
#[derive(Clone, Debug)]
pub(crate) struct Owned(Vec<Page>);

impl Owned {
    /// The clusters of a page.
    pub(crate) const PAGE: u64 = WORDS as u64 * 64;

    pub(crate) fn new(clusters: u32) -> Self {
        let pages = u64::from(clusters).div_ceil(Self::PAGE);
        Self(vec![
            Page::None;
            usize::try_from(pages).expect("it is at most 2^17")
        ])
    }

    /// Gives `count` clusters from `first` on an owner, which must be among those that there are.
    ///
    /// # Errors
    /// With the first one that has an owner.
    pub(crate) fn own(&mut self, first: u32, count: u64) -> Result<(), u32> {
        let mut at = u64::from(first);
        let end = at + count;
        while at < end {
            let index = usize::try_from(at / Self::PAGE).expect("it is at most 2^17");
            let (from, to) = (
                at % Self::PAGE,
                (end - at).min(Self::PAGE - at % Self::PAGE),
            );
            let to = from + to;
            let taken = self.0[index].own(from, to);
            let base = at - from;
            taken.map_err(|taken| u32::try_from(base + taken).expect("it is a cluster"))?;
            at = base + to;
        }
        Ok(())
    }

    /// How many clusters of a page have an owner and no bit in `bits`, and the first of them, by its index in the page.
    pub(crate) fn beyond(&self, page: usize, bits: &[u8]) -> (u64, Option<u64>) {
        let Some(page) = self.0.get(page) else {
            return (0, None);
        };
        let (mut count, mut first) = (0, None);
        let words = bits.chunks(8).enumerate();
        for (index, bytes) in words {
            let owned = match page {
                Page::None => return (0, None),
                Page::All => u64::MAX,
                Page::Some(words) => words.get(index).copied().unwrap_or(0),
            };
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            let beyond = owned & !u64::from_le_bytes(word);
            if beyond != 0 {
                count += u64::from(beyond.count_ones());
                first.get_or_insert(index as u64 * 64 + u64::from(beyond.trailing_zeros()));
            }
        }
        (count, first)
    }
}

impl Page {
    /// # Errors
    /// With the first one that has an owner.
    fn own(&mut self, from: u64, to: u64) -> Result<(), u64> {
        let words = match self {
            Self::All => return Err(from),
            Self::None if to - from == Owned::PAGE => {
                *self = Self::All;
                return Ok(());
            }
            Self::None => {
                *self = Self::Some(Box::new([0; WORDS]));
                let Self::Some(words) = self else {
                    return Ok(());
                };
                words
            }
            Self::Some(words) => words,
        };
        let mut at = from;
        while at < to {
            let (word, bit) = (at / 64, at % 64);
            let count = (to - at).min(64 - bit);
            let bits = (u64::MAX >> (64 - count)) << bit;
            let word = &mut words[usize::try_from(word).expect("it is less than 512")];
            let taken = *word & bits;
            if taken != 0 {
                return Err(at - bit + u64::from(taken.trailing_zeros()));
            }
            *word |= bits;
            at += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_has_one_owner() {
        let mut owned = Owned::new(100_000);
        assert_eq!(owned.own(5, 3), Ok(()));
        assert_eq!(owned.own(0, 5), Ok(()));
        assert_eq!(owned.own(8, 120), Ok(()));
        assert_eq!(owned.own(127, 1), Err(127));
        assert_eq!(owned.own(200, 80_000), Ok(()));
        assert_eq!(owned.own(150, 100), Err(200));
        assert_eq!(owned.own(40_000, 1), Err(40_000));
        assert_eq!(owned.own(90_000, 10_000), Ok(()));
        assert_eq!(owned.own(99_999, 1), Err(99_999));
    }

    #[test]
    fn what_the_bits_do_not_say_is_found() {
        let mut owned = Owned::new(100_000);
        owned.own(3, 2).expect("they are free");
        assert_eq!(owned.beyond(0, &[0b1000]), (1, Some(4)));
        assert_eq!(owned.beyond(0, &[0xFF; 4096]), (0, None));
        assert_eq!(owned.beyond(1, &[0; 4096]), (0, None));
        owned.own(32_768, 32_768).expect("they are free");
        let mut bits = [0xFF; 4096];
        bits[4095] = 0x7F;
        assert_eq!(owned.beyond(1, &bits), (1, Some(32_767)));
        assert_eq!(owned.beyond(99, &bits), (0, None));
    }
}
