use std::collections::HashSet;
use std::hash::Hash;

/// How many are remembered.
const MAX: usize = 2_000;

/// Remembers what was told. When it is full, it starts over: something may then be told again, nothing is missed, and
/// memory stays bounded as long as one key is.
#[derive(Debug)]
pub struct Once<Key> {
    told: HashSet<Key>,
}

impl<Key> Default for Once<Key> {
    fn default() -> Once<Key> {
        Once {
            told: HashSet::new(),
        }
    }
}

impl<Key: Eq + Hash> Once<Key> {
    /// Whether this is the first time, as far as it is remembered.
    pub fn is_new(&mut self, key: Key) -> bool {
        if self.told.contains(&key) {
            return false;
        }
        if self.told.len() >= MAX {
            self.told.clear();
        }
        self.told.insert(key)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.told.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_new_once_and_memory_is_bounded() {
        let mut once = Once::default();
        for n in 0..3 * MAX {
            assert!(once.is_new(n));
            assert!(!once.is_new(n));
            assert!(once.len() <= MAX);
        }
    }
}
