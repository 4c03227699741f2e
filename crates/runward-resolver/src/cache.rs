//! Answers that are still true, least recently used out first.

use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;

use crate::answer::Answer;

/// The most answers that are kept.
const MOST_ENTRIES: usize = 8192;

/// The most memory that the kept answers take, in bytes.
const MOST_BYTES: usize = 8 << 20;

/// What an entry takes beside its key and its answer, about, in bytes: the list's and the table's places.
const OVERHEAD: usize = 128;

/// No answer may take more of the cache than this, in bytes: 64 huge answers would drive out all others.
const MOST_ENTRY_BYTES: usize = MOST_BYTES / 64;

/// Answers by their question's key.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: LruCache<Box<[u8]>, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<Answer>,
    born: Instant,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Cache {
            entries: LruCache::unbounded(),
            bytes: 0,
        }
    }

    /// The answer to a question, if it is still true, and its age in whole seconds.
    pub(crate) fn find(&mut self, key: &[u8], now: Instant) -> Option<(Arc<Answer>, u32)> {
        let entry = self.entries.get(key)?;
        let age = now.saturating_duration_since(entry.born).as_secs();
        match u32::try_from(age) {
            Ok(age) if age < entry.answer.lifetime() => Some((Arc::clone(&entry.answer), age)),
            _ => {
                self.remove(key);
                None
            }
        }
    }

    /// Keeps an answer, unless it is for once only or too large.
    pub(crate) fn keep(&mut self, key: Box<[u8]>, answer: Arc<Answer>, now: Instant) {
        let size = size(&key, &answer);
        if answer.lifetime() == 0 || size > MOST_ENTRY_BYTES {
            return;
        }
        self.remove(&key);
        self.bytes += size;
        self.entries.put(key, Entry { answer, born: now });
        while self.bytes > MOST_BYTES || self.entries.len() > MOST_ENTRIES {
            let Some((key, entry)) = self.entries.pop_lru() else {
                break;
            };
            self.forgot(&key, &entry);
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, entry)) = self.entries.pop_entry(key) {
            self.forgot(&key, &entry);
        }
    }

    fn forgot(&mut self, key: &[u8], entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(size(key, &entry.answer));
    }
}

fn size(key: &[u8], answer: &Answer) -> usize {
    key.len() + answer.size() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_proto::rr::rdata::{SOA, TXT};
    use hickory_proto::rr::{Name, RData, Record, RecordType};

    use super::*;
    use crate::accept::{Inquiry, Reply};

    fn answer(ttl: u32, text: usize) -> Arc<Answer> {
        let name = Name::from_ascii("a.example.").unwrap();
        let text = TXT::new(vec!["x".repeat(255); text]);
        reply(
            vec![Record::from_rdata(name, ttl, RData::TXT(text))],
            vec![],
        )
    }

    fn reply(answers: Vec<Record>, authorities: Vec<Record>) -> Arc<Answer> {
        let inquiry = Inquiry {
            name: Name::from_ascii("a.example.").unwrap(),
            kind: RecordType::TXT,
            dnssec: false,
            checking_disabled: false,
        };
        let reply = Reply {
            exists: true,
            authentic: false,
            answers,
            authorities,
            malformed: 0,
        };
        Arc::new(Answer::new(&inquiry, reply).unwrap().0)
    }

    fn key(number: usize) -> Box<[u8]> {
        number.to_be_bytes().into()
    }

    #[test]
    fn an_answer_is_found_until_its_time_is_over() {
        let start = Instant::now();
        let mut cache = Cache::new();
        cache.keep(key(1), answer(2, 1), start);
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for (time, expected) in [(0, Some(0)), (999, Some(0)), (1999, Some(1)), (2000, None)] {
            let age = cache.find(&key(1), at(time)).map(|(_, age)| age);
            assert_eq!(age, expected, "after {time} ms");
        }
        assert_eq!((cache.entries.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn the_absence_of_records_is_kept_as_long_as_the_zone_says_and_no_longer_than_the_bound() {
        let start = |ttl, minimum| {
            let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, minimum);
            Record::from_rdata(Name::root(), ttl, RData::SOA(soa))
        };
        for (ttl, minimum, expected) in [(60, 30, 30), (30, 60, 30), (7200, 7200, 900)] {
            assert_eq!(
                reply(vec![], vec![start(ttl, minimum)]).lifetime(),
                expected
            );
        }
        assert_eq!(reply(vec![], vec![]).lifetime(), 0);
    }

    #[test]
    fn an_answer_for_once_is_not_kept() {
        let mut cache = Cache::new();
        cache.keep(key(1), answer(0, 1), Instant::now());
        assert_eq!(cache.entries.len(), 0);
    }

    #[test]
    fn entries_are_bounded_and_the_least_recently_used_goes_first() {
        let now = Instant::now();
        let mut cache = Cache::new();
        for number in 0..MOST_ENTRIES {
            cache.keep(key(number), answer(60, 1), now);
        }
        assert!(cache.find(&key(0), now).is_some());
        cache.keep(key(MOST_ENTRIES), answer(60, 1), now);
        assert_eq!(cache.entries.len(), MOST_ENTRIES);
        assert!(cache.find(&key(0), now).is_some());
        assert!(cache.find(&key(1), now).is_none());
    }

    #[test]
    fn bytes_are_bounded() {
        let now = Instant::now();
        let mut cache = Cache::new();
        for number in 0..100 {
            cache.keep(key(number), answer(60, 250), now);
        }
        for number in 0..1000 {
            cache.keep(key(number % 300), answer(60, 200), now);
            assert!(cache.bytes <= MOST_BYTES);
        }
        assert!(cache.entries.len() > 100);
        let counted: usize = cache
            .entries
            .iter()
            .map(|(key, entry)| size(key, &entry.answer))
            .sum();
        assert_eq!(cache.bytes, counted);
    }
}
