//! Paging: by place for lists of the store, by number for the rows of one run's report.

use runward_report::text::count;

use super::address::Address;
use super::number::length;

/// Links of a list that is read part by part, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Older {
    /// The next part.
    pub(crate) next: Option<String>,
    /// Back to the newest, for those who are not there.
    pub(crate) newest: Option<String>,
}

/// One part of rows that are numbered.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// `1–200 of 1,204`.
    pub(crate) said: String,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
}

/// The rows of a part, and the part, of a list in which `page` counts from 1. A page past the end is the last one.
pub(crate) fn part<T>(
    rows: Vec<T>,
    page: usize,
    size: usize,
    address: impl Fn(usize) -> Address,
) -> (Vec<T>, Part) {
    let all = rows.len();
    let size = size.max(1);
    let pages = all.div_ceil(size).max(1);
    let page = page.clamp(1, pages);
    let skipped = (page - 1).saturating_mul(size);
    let total = length(&rows);
    let kept: Vec<T> = rows.into_iter().skip(skipped).take(size).collect();
    let said = match kept.len() {
        0 => "0 of 0".to_owned(),
        n => format!(
            "{}–{} of {}",
            number(skipped + 1),
            number(skipped + n),
            count(total)
        ),
    };
    let part = Part {
        said,
        previous: (page > 1).then(|| address(page - 1).to_string()),
        next: (page < pages).then(|| address(page + 1).to_string()),
    };
    (kept, part)
}

fn number(n: usize) -> String {
    count(u64::try_from(n).unwrap_or(u64::MAX))
}

impl Part {
    /// Whether there is more than one part.
    pub(crate) fn is_needed(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_list_and_nothing_else() {
        let address = |page: usize| Address::of(&["x"]).with("page", &page.to_string());
        let (rows, first) = part((0..5).collect(), 1, 2, address);
        assert_eq!((rows, first.said.as_str()), (vec![0, 1], "1–2 of 5"));
        assert_eq!(
            (first.previous, first.next.as_deref()),
            (None, Some("/x?page=2"))
        );
        let (rows, last) = part((0..5).collect(), usize::MAX, 2, address);
        assert_eq!((rows, last.said.as_str()), (vec![4], "5–5 of 5"));
        assert_eq!(last.next, None);
        let (rows, none) = part(Vec::<u8>::new(), 0, 2, address);
        assert!(rows.is_empty() && !none.is_needed());
    }
}
