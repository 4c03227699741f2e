/// The arguments of a program, in two pieces of memory however many they are: a build starts thousands of programs with
/// dozens each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    text: String,
    /// Where each one ends in `text`.
    ends: Vec<u32>,
}

impl Arguments {
    /// These, in this order. What is beyond four gigabytes is left out.
    pub fn of<'a, S: AsRef<str> + 'a>(args: impl IntoIterator<Item = &'a S> + Clone) -> Arguments {
        let (count, bytes) =
            args.clone()
                .into_iter()
                .fold((0, 0), |(count, bytes): (usize, usize), arg| {
                    (count + 1, bytes.saturating_add(arg.as_ref().len()))
                });
        let mut all = Arguments {
            text: String::with_capacity(bytes.min(u32::MAX as usize)),
            ends: Vec::with_capacity(count),
        };
        for arg in args {
            let arg = arg.as_ref();
            let Ok(end) = u32::try_from(all.text.len() + arg.len()) else {
                break;
            };
            all.text.push_str(arg);
            all.ends.push(end);
        }
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The one with this index; the first is what the program was called as.
    pub fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.text.get(start..end)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// What they cost in memory, in bytes, near enough for a budget. In a report, each is a text of its own.
    pub(crate) fn weight(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<String>()
    }

    /// Keeps the first `count`, and of their text the first `bytes`. Returns whether something was left out.
    pub(crate) fn shorten(&mut self, count: usize, bytes: usize) -> bool {
        let all = self.len();
        let fitting = self.ends.partition_point(|end| *end as usize <= bytes);
        let whole = count.min(fitting);
        let mut length = match whole.checked_sub(1) {
            Some(last) => self.ends.get(last).map_or(0, |end| *end as usize),
            None => 0,
        };
        self.ends.truncate(whole);
        if whole < count && whole < all && length < bytes {
            // Of the next one, what there is room for.
            length = self.text.floor_char_boundary(bytes);
            self.ends.extend(u32::try_from(length).ok());
        } else if whole == all {
            return false;
        }
        self.text.truncate(length);
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_what_they_were_made_of() {
        for args in [&[][..], &["a"], &["", "", "x", ""], &["ls", "-l", "grün"]] {
            let all = Arguments::of(args);
            assert_eq!(all.iter().collect::<Vec<_>>(), args);
            assert_eq!((all.len(), all.is_empty()), (args.len(), args.is_empty()));
            assert_eq!(all.get(0), args.first().copied());
            assert_eq!(all.get(args.len()), None);
        }
    }

    #[test]
    fn shortening_keeps_the_beginning() {
        for (count, bytes, kept, cut) in [
            (9, 100, &["ls", "-l", "grün"][..], false),
            (3, 9, &["ls", "-l", "grün"], false),
            (9, 8, &["ls", "-l", "grü"], true),
            (9, 6, &["ls", "-l", "gr"], true),
            // Half of a character is no character.
            (9, 7, &["ls", "-l", "gr"], true),
            (9, 4, &["ls", "-l"], true),
            (9, 1, &["l"], true),
            (9, 0, &[], true),
            (2, 100, &["ls", "-l"], true),
            (2, 3, &["ls", "-"], true),
        ] {
            let mut all = Arguments::of(&["ls", "-l", "grün"]);
            assert_eq!(all.shorten(count, bytes), cut, "{count} {bytes}");
            assert_eq!(all.iter().collect::<Vec<_>>(), kept, "{count} {bytes}");
        }
    }
}
