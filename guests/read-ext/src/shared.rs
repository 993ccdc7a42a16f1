//! Values of attributes that stand in inodes of their own (`ea_inode`), of which the kernel stores equal ones once. How often each
//! is named costs an image next to nothing, so that what is read of them again has a bound of its own.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

use cellblock_guest::reader::ReaderError;

/// The values that were read.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The inodes of all of them.
    seen: RefCell<BTreeSet<u32>>,
    /// At most `KEPT`, by their inodes, the one that was used last at the front.
    kept: RefCell<VecDeque<(u32, Vec<u8>)>>,
    /// How many more bytes may be told or read of values that were read before.
    left: Cell<u64>,
    /// Whether one of these is being read.
    is_counting: Cell<bool>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            seen: RefCell::default(),
            kept: RefCell::default(),
            left: Cell::new(Self::LIMIT),
            is_counting: Cell::new(false),
        }
    }
}

impl Shared {
    /// No tree of the host has more, since it keeps them in memory.
    const LIMIT: u64 = 4 << 30;
    const KEPT: usize = 64;

    /// The value of inode `number`, if it is one of those that were used last and has `size` bytes.
    ///
    /// # Errors
    /// As [`Shared::spend`].
    pub(crate) fn get(&self, number: u32, size: u32) -> Result<Option<Vec<u8>>, ReaderError> {
        let mut kept = self.kept.borrow_mut();
        let is_it =
            |(kept, value): &(u32, Vec<u8>)| *kept == number && value.len() == size as usize;
        let Some(found) = kept.iter().position(is_it) else {
            return Ok(None);
        };
        self.spend(size.into())?;
        let used = kept.remove(found).expect("it was just found");
        let value = used.1.clone();
        kept.push_front(used);
        Ok(Some(value))
    }

    /// The value of inode `number`, which `read` reads. If it was read before, what that spends is taken from what is left here.
    ///
    /// # Errors
    /// Those of `read`.
    pub(crate) fn read(
        &self,
        number: u32,
        read: impl FnOnce() -> Result<Vec<u8>, ReaderError>,
    ) -> Result<Vec<u8>, ReaderError> {
        let is_first = self.seen.borrow_mut().insert(number);
        self.is_counting.set(!is_first);
        let value = read();
        self.is_counting.set(false);
        let value = value?;
        let mut kept = self.kept.borrow_mut();
        kept.truncate(Self::KEPT - 1);
        kept.push_front((number, value.clone()));
        Ok(value)
    }

    /// Whether what is read now is to be spent here.
    pub(crate) fn is_counting(&self) -> bool {
        self.is_counting.get()
    }

    /// Counts bytes of values that were read before.
    ///
    /// # Errors
    /// If there are more than [`Shared::LIMIT`].
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), ReaderError> {
        let left = self.left.get().checked_sub(bytes).ok_or_else(|| {
            let limit = Self::LIMIT;
            let what = format!("room for more than {limit} bytes of attributes that files share");
            ReaderError::Unsupported(what)
        })?;
        self.left.set(left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_and_what_is_told_of_them_again_is_counted() {
        let shared = Shared::default();
        let value = || {
            shared.read(7, || {
                // The first time it is the image's own budget that pays.
                if shared.is_counting() {
                    shared.spend(1024)?;
                }
                Ok(vec![1; 1000])
            })
        };
        assert_eq!(shared.get(7, 1000), Ok(None));
        assert_eq!(value(), Ok(vec![1; 1000]));
        assert_eq!(shared.left.get(), Shared::LIMIT);
        assert_eq!(shared.get(7, 1000), Ok(Some(vec![1; 1000])));
        assert_eq!(shared.get(7, 999), Ok(None));
        assert_eq!(shared.left.get(), Shared::LIMIT - 1000);
        assert_eq!(value(), Ok(vec![1; 1000]));
        assert_eq!(shared.left.get(), Shared::LIMIT - 2024);
    }

    #[test]
    fn what_is_shared_has_an_end() {
        let shared = Shared::default();
        shared.left.set(1500);
        assert!(shared.read(7, || Ok(vec![1; 1000])).is_ok());
        assert!(shared.get(7, 1000).is_ok());
        assert!(matches!(
            shared.get(7, 1000),
            Err(ReaderError::Unsupported(_))
        ));
    }
}
