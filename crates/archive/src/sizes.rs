//! Sizes of trees: walked once after the last change, a number from then on.
//!
//! ```text
//!   somebody may write ── walked whenever it is asked for ──► nobody may ── walked once ──► known
//!                      ◄────────────────────── writing ────────────────────────────────────┘
//! ```

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What is known of the sizes of some trees. Clones share it.
#[derive(Debug)]
pub struct Sizes<K> {
    shared: Arc<Mutex<Shared<K>>>,
}

#[derive(Debug)]
struct Shared<K> {
    trees: HashMap<K, Tree>,
    /// The last state that was given out: no two states of any tree have the same number.
    state: u64,
}

#[derive(Debug)]
struct Tree {
    /// How many may write.
    writers: usize,
    /// Another one whenever somebody has ended to write.
    state: u64,
    /// Since then.
    known: Option<Known>,
}

/// A size and when it was right.
#[derive(Debug, Clone, Copy)]
struct Known {
    bytes: u64,
    at: Instant,
}

/// Somebody may write into a tree as long as this lives.
#[derive(Debug)]
pub struct Writing<K: Eq + Hash> {
    sizes: Sizes<K>,
    key: K,
}

impl<K> Clone for Sizes<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> Default for Sizes<K> {
    fn default() -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { trees: HashMap::new(), state: 0 })) }
    }
}

impl<K: Eq + Hash> Shared<K> {
    fn tree(&mut self, key: K) -> &mut Tree {
        let state = &mut self.state;
        self.trees.entry(key).or_insert_with(|| {
            *state += 1;
            Tree { writers: 0, state: *state, known: None }
        })
    }
}

impl<K: Eq + Hash + Clone> Sizes<K> {
    fn lock(&self) -> MutexGuard<'_, Shared<K>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on until the result is dropped, somebody may write into the tree.
    pub fn writing(&self, key: K) -> Writing<K> {
        self.lock().tree(key.clone()).writers += 1;
        Writing { sizes: self.clone(), key }
    }

    /// The tree is gone: another one may get its name.
    pub fn forget(&self, key: &K) {
        let mut shared = self.lock();
        match shared.trees.get(key).map(|tree| tree.writers) {
            Some(0) => drop(shared.trees.remove(key)),
            // counted to the end
            Some(_) => shared.changed(key),
            None => {}
        }
    }

    /// The number, if nobody may have changed the tree since it was walked; and how long ago that was.
    pub fn known(&self, key: &K) -> Option<(u64, Duration)> {
        let shared = self.lock();
        let tree = shared.trees.get(key).filter(|tree| tree.writers == 0)?;
        tree.known.map(|known| (known.bytes, known.at.elapsed()))
    }

    /// Walks the tree, and keeps the number if nobody may have written meanwhile.
    ///
    /// # Errors
    /// Those of `walk`.
    pub fn walk<E>(&self, key: &K, walk: impl FnOnce() -> Result<u64, E>) -> Result<u64, E> {
        let (state, at) = (self.lock().tree(key.clone()).state, Instant::now());
        let bytes = walk()?;
        let mut shared = self.lock();
        if let Some(tree) = shared.trees.get_mut(key)
            && tree.writers == 0
            && tree.state == state
        {
            tree.known = Some(Known { bytes, at });
        }
        Ok(bytes)
    }
}

impl<K: Eq + Hash> Shared<K> {
    /// What was known of the tree is no longer right.
    fn changed(&mut self, key: &K) {
        self.state += 1;
        if let Some(tree) = self.trees.get_mut(key) {
            tree.state = self.state;
            tree.known = None;
        }
    }
}

impl<K: Eq + Hash> Drop for Writing<K> {
    fn drop(&mut self) {
        let mut shared = self.sizes.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.changed(&self.key);
        if let Some(tree) = shared.trees.get_mut(&self.key) {
            tree.writers -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(sizes: &Sizes<&'static str>, bytes: u64) -> u64 {
        sizes.walk(&"a", || Ok::<_, ()>(bytes)).unwrap()
    }

    fn known(sizes: &Sizes<&'static str>) -> Option<u64> {
        sizes.known(&"a").map(|(bytes, _)| bytes)
    }

    #[test]
    fn a_tree_at_rest_is_walked_once() {
        let sizes = Sizes::default();
        assert_eq!(known(&sizes), None);
        assert_eq!(walk(&sizes, 7), 7);
        assert_eq!(known(&sizes), Some(7));
        sizes.forget(&"a");
        assert_eq!(known(&sizes), None);
    }

    #[test]
    fn a_number_ends_with_the_first_writer_and_comes_back_after_the_last() {
        let sizes = Sizes::default();
        walk(&sizes, 7);
        let first = sizes.writing("a");
        let second = sizes.writing("a");
        assert_eq!(known(&sizes), None);
        drop(first);
        assert_eq!(walk(&sizes, 8), 8);
        assert_eq!(known(&sizes), None);
        drop(second);
        assert_eq!(known(&sizes), None, "walked before the last write");
        walk(&sizes, 9);
        assert_eq!(known(&sizes), Some(9));
    }

    #[test]
    fn a_walk_that_somebody_wrote_into_does_not_count() {
        let sizes = Sizes::default();
        let whole = |sizes: &Sizes<&'static str>| {
            let writing = sizes.writing("a");
            drop(writing);
            Ok::<_, ()>(3)
        };
        assert_eq!(sizes.walk(&"a", || whole(&sizes)), Ok(3));
        assert_eq!(known(&sizes), None);
        // and one that began while somebody wrote
        let writing = sizes.writing("a");
        let walked = sizes.walk(&"a", || {
            drop(writing);
            Ok::<_, ()>(4)
        });
        assert_eq!((walked, known(&sizes)), (Ok(4), None));
    }

    #[test]
    fn another_tree_of_the_same_name_is_another_tree() {
        let sizes = Sizes::default();
        let walked = sizes.walk(&"a", || {
            sizes.forget(&"a");
            // there is one of the name again, and nothing is known of it
            assert_eq!(sizes.walk(&"a", || Err(())), Err(()));
            Ok::<_, ()>(5)
        });
        assert_eq!((walked, known(&sizes)), (Ok(5), None));
    }
}
