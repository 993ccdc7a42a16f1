//! Steps that need one another: each begins when what it needs is there, on several threads.
//!
//! ```text
//!     root: fill ──> root-verity: hash ──┐
//!     boot: fill                         ├──> esp: fill (its command line names the root hash)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// What the steps have made so far, by index.
pub(crate) struct Made<R>(Vec<OnceLock<R>>);

impl<R> Made<R> {
    /// What a step made that the asking one needs.
    ///
    /// # Panics
    /// If it does not need it: it may not be there yet.
    pub(crate) fn get(&self, index: usize) -> &R {
        self.0[index]
            .get()
            .expect("a step begins when what it needs is there")
    }
}

/// A step for each entry of `needs`, the indexes of the steps before it; at most `jobs` at a time, in [`order`] as far as what they
/// need is there. The results are in the order of the steps.
///
/// # Errors
/// The error that one thread alone would come to: of the first step in [`order`] that fails. Steps before it are ended all the
/// same, so that it depends neither on `jobs` nor on which step is the faster.
///
/// # Panics
/// If the steps need one another in a circle: [`circle`] tells.
pub(crate) fn run<R: Send + Sync, E: Send>(
    jobs: usize,
    needs: &[BTreeSet<usize>],
    work: impl Fn(usize, &Made<R>) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    assert_eq!(circle(needs), None, "the planner refuses circles");
    let board = Board {
        made: Made(needs.iter().map(|_| OnceLock::new()).collect()),
        state: Mutex::new(Schedule {
            waiting: order(needs).into_iter().enumerate().collect(),
            running: 0,
            failure: None,
        }),
        changed: Condvar::new(),
        needs,
    };
    let worker = || {
        while let Some((rank, index)) = board.take() {
            let ended = Ended(&board);
            match work(index, &board.made) {
                Ok(made) => drop(board.made.0[index].set(made)),
                Err(error) => board.lock().fail(rank, error),
            }
            drop(ended);
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..jobs.min(needs.len()))
            .map_while(|_| {
                // Where no more threads may be started, those that there are do all of it.
                thread::Builder::new().spawn_scoped(scope, worker).ok()
            })
            .collect();
        worker();
        for other in others {
            if let Err(panic) = other.join() {
                resume_unwind(panic);
            }
        }
    });
    let state = board.state.into_inner();
    match state.unwrap_or_else(PoisonError::into_inner).failure {
        Some((_, error)) => Err(error),
        None => Ok(board
            .made
            .0
            .into_iter()
            .filter_map(OnceLock::into_inner)
            .collect()),
    }
}

/// The order in which one thread takes the steps: of those whose needs are there, the one with the lowest index. Without the
/// steps of a circle.
fn order(needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(needs.len());
    let mut left: BTreeSet<usize> = (0..needs.len()).collect();
    let next = |left: &BTreeSet<usize>| {
        let mut waiting = left.iter().copied();
        waiting.find(|index| needs[*index].is_disjoint(left))
    };
    while let Some(index) = next(&left) {
        left.remove(&index);
        order.push(index);
    }
    order
}

/// Steps each of which needs the next one, and the last one the first.
pub(crate) fn circle(needs: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let mut is_clear = vec![false; needs.len()];
    (0..needs.len()).find_map(|start| search(start, needs, &mut Vec::new(), &mut is_clear))
}

fn search(
    at: usize,
    needs: &[BTreeSet<usize>],
    way: &mut Vec<usize>,
    is_clear: &mut [bool],
) -> Option<Vec<usize>> {
    if let Some(begin) = way.iter().position(|passed| *passed == at) {
        return Some(way.split_off(begin));
    }
    if is_clear[at] {
        return None;
    }
    way.push(at);
    let found = needs[at]
        .iter()
        .find_map(|next| search(*next, needs, way, is_clear));
    way.pop();
    is_clear[at] = true;
    found
}

struct Board<'a, R, E> {
    made: Made<R>,
    state: Mutex<Schedule<E>>,
    /// Signalled when a step ends.
    changed: Condvar,
    needs: &'a [BTreeSet<usize>],
}

struct Schedule<E> {
    /// Steps that nobody has taken, by their rank in [`order`].
    waiting: BTreeMap<usize, usize>,
    running: usize,
    /// The failure with the lowest rank so far.
    failure: Option<(usize, E)>,
}

impl<E> Schedule<E> {
    /// Keeps the failure of the step with this rank, if it is the first in order. What comes after it is not begun.
    fn fail(&mut self, rank: usize, error: E) {
        if self.failure.as_ref().is_none_or(|(first, _)| rank < *first) {
            self.waiting.split_off(&rank);
            self.failure = Some((rank, error));
        }
    }
}

impl<R, E> Board<'_, R, E> {
    fn lock(&self) -> MutexGuard<'_, Schedule<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next step to do, behind its rank; none when nothing is left, or what is left comes after one that has failed.
    fn take(&self) -> Option<(usize, usize)> {
        let mut state = self.lock();
        loop {
            let is_ready = |(_, index): &(&usize, &usize)| {
                let mut needs = self.needs[**index].iter();
                needs.all(|need| self.made.0[*need].get().is_some())
            };
            if let Some((&rank, &index)) = state.waiting.iter().find(is_ready) {
                state.waiting.remove(&rank);
                state.running += 1;
                return Some((rank, index));
            }
            if state.waiting.is_empty() || state.running == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A step that a thread works on; whoever waits is told when it ends, even by a panic.
struct Ended<'a, 'b, R, E>(&'a Board<'b, R, E>);

impl<R, E> Drop for Ended<'_, '_, R, E> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        if thread::panicking() {
            state.waiting.clear();
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn needs(of: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        of.iter().map(|of| of.iter().copied().collect()).collect()
    }

    #[test]
    fn steps_wait_for_what_they_need() {
        // A chain, written from its end to its beginning, and one beside it.
        let needs = needs(&[&[1], &[2], &[3], &[], &[]]);
        for jobs in [1, 2, 7] {
            let made = run(jobs, &needs, |index, made: &Made<u32>| {
                Ok::<_, ()>(match needs[index].first() {
                    Some(need) => made.get(*need) * 2,
                    None => 1,
                })
            });
            assert_eq!(made, Ok(vec![8, 4, 2, 1, 1]));
        }
    }

    #[test]
    fn a_failure_ends_what_waits_for_it() {
        let needs = needs(&[&[2], &[], &[1]]);
        for jobs in [1, 3] {
            let made = run(jobs, &needs, |index, _: &Made<()>| match index {
                0 => panic!("it needs what failed"),
                1 => Ok(()),
                other => Err(other),
            });
            assert_eq!(made, Err(2));
        }
    }

    #[test]
    fn the_error_is_that_of_one_thread_whatever_fails_first() {
        // The last step fails while the first one is at work; then the one between them, which needs the first, fails.
        let needs = needs(&[&[], &[0], &[]]);
        let (failing, failed) = std::sync::mpsc::channel();
        let failed = Mutex::new(failed);
        let made = run(2, &needs, |index, _: &Made<()>| match index {
            0 => {
                failed.lock().unwrap().recv().unwrap();
                Ok(())
            }
            2 => {
                failing.send(()).unwrap();
                Err(2)
            }
            other => Err(other),
        });
        assert_eq!(made, Err(1));
    }

    #[test]
    fn one_thread_takes_what_is_ready_by_index() {
        let needs = needs(&[&[2], &[], &[1], &[], &[0, 3]]);
        assert_eq!(order(&needs), [1, 2, 0, 3, 4]);
    }

    #[test]
    fn circles_are_shown() {
        assert_eq!(circle(&needs(&[&[1], &[2], &[]])), None);
        assert_eq!(circle(&needs(&[&[1], &[2], &[1]])), Some(vec![1, 2]));
        assert_eq!(circle(&needs(&[&[0]])), Some(vec![0]));
        assert_eq!(circle(&needs(&[&[1, 2], &[3], &[3], &[]])), None);
    }
}
