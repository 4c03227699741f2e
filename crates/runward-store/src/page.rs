use serde::{Deserialize, Serialize};

/// A place in a list that is sorted by time and number, newest first: what comes after it is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The time of the last row.
    pub time: i64,
    /// Its number, for rows of the same time.
    pub id: i64,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Only what comes after this place.
    pub after: Option<Cursor>,
    /// At most so many rows.
    pub limit: u32,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next part begins, if there is one.
    pub next: Option<Cursor>,
}

impl Cursor {
    /// Text for an address: two numbers.
    pub fn to_text(self) -> String {
        format!("{}-{}", self.time, self.id)
    }

    /// Reads what [`Cursor::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Cursor> {
        // A time before 1970 has a sign, and a number of a row has none.
        let (time, id) = text.rsplit_once('-')?;
        Some(Cursor {
            time: time.parse().ok()?,
            id: id.parse().ok()?,
        })
    }
}

impl<T> Page<T> {
    /// Makes a page of the rows that were read, one more than wanted where there are more.
    pub fn of(mut rows: Vec<T>, limit: u32, place: impl Fn(&T) -> Cursor) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(place);
        Page { rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was() {
        for (time, id) in [(0, 0), (1_785_576_612_000, 7), (-5, 3)] {
            let cursor = Cursor { time, id };
            assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        }
    }
}
