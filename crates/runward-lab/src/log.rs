//! What a server saw, kept for the test.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No log keeps more entries than this; later ones are counted in [`Log::lost`].
const MOST_ENTRIES: usize = 10_000;

/// A bounded list of what a server saw, in order. Clones share it, and it outlives its server.
pub struct Log<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    entries: Mutex<Entries<T>>,
    changed: Condvar,
}

struct Entries<T> {
    kept: Vec<T>,
    lost: u64,
}

/// Where an entry is, for [`Log::update`]. Absent if the log was full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryId(Option<usize>);

impl<T: Clone> Log<T> {
    pub(crate) fn new() -> Self {
        let entries = Mutex::new(Entries {
            kept: Vec::new(),
            lost: 0,
        });
        Log {
            shared: Arc::new(Shared {
                entries,
                changed: Condvar::new(),
            }),
        }
    }

    /// All entries so far.
    #[must_use]
    pub fn all(&self) -> Vec<T> {
        self.lock().kept.clone()
    }

    /// How many entries came after the log was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Waits until the entries satisfy `enough` or the time is over, and returns them either way: the assertion that
    /// follows then shows what there was.
    #[must_use]
    pub fn wait(&self, limit: Duration, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
        let deadline = Instant::now() + limit;
        let mut entries = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if enough(&entries.kept) || left.is_zero() {
                return entries.kept.clone();
            }
            entries = self
                .shared
                .changed
                .wait_timeout(entries, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(crate) fn push(&self, entry: T) -> EntryId {
        let mut entries = self.lock();
        let id = if entries.kept.len() < MOST_ENTRIES {
            entries.kept.push(entry);
            Some(entries.kept.len() - 1)
        } else {
            entries.lost += 1;
            None
        };
        self.shared.changed.notify_all();
        EntryId(id)
    }

    pub(crate) fn update(&self, id: EntryId, change: impl FnOnce(&mut T)) {
        let mut entries = self.lock();
        if let Some(entry) = id.0.and_then(|place| entries.kept.get_mut(place)) {
            change(entry);
        }
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Log {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for Log<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all()).finish()
    }
}
