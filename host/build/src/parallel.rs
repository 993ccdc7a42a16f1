//! Doing the same to several things on several threads, with the same result as one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// `work` on each of `items`, on at most `jobs` threads; the results in the order of the items.
///
/// # Errors
/// The error of the first item, in their order, that has one; later items may not have been begun.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = jobs.min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<R, E>>>> =
        items.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        while let Some(index) = take(&next, items.len()) {
            let result = work(&items[index]);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            *results[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no more threads may be started, those that there are do all of it.
            if thread::Builder::new().spawn_scoped(scope, worker).is_err() {
                break;
            }
        }
        worker();
    });
    // Items are begun in order: before one that was not begun there is one that failed.
    results
        .into_iter()
        .filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

fn take(next: &AtomicUsize, count: usize) -> Option<usize> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    (index < count).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u32> = (0..1000).collect();
        let squares = map(4, &items, |item| Ok::<_, ()>(item * item));
        assert_eq!(squares, Ok(items.iter().map(|item| item * item).collect()));
    }

    #[test]
    fn an_error_is_returned() {
        let items: Vec<u32> = (0..100).collect();
        let result = map(
            4,
            &items,
            |item| if *item == 50 { Err(*item) } else { Ok(()) },
        );
        assert_eq!(result, Err(50));
    }
}
