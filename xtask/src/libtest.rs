use crate::outcome::{Outcome, Skipped, Totals};

/// Reads what test binaries print, line by line, and counts.
///
/// A test that finds out only when it runs that this machine can't run it says `SKIPPED NAME: REASON` on standard
/// error and returns (`runward_lab::requires!` does that). The test harness calls it passed; here it is skipped.
/// A part of a test, `SKIPPED NAME (PART): REASON`, is skipped beside the test, which did pass or fail.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What the harness says.
    counted: Totals,
    skipped_themselves: u64,
    skipped_parts: u64,
    skipped: Vec<Skipped>,
}

/// No more reasons than this are kept, so that tests which print without end can't fill the memory.
const REASONS: usize = 10_000;

impl Scan {
    /// Takes one line, without its end.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            self.counted.passed += count_before(rest, " passed");
            self.counted.failed += count_before(rest, " failed");
            self.counted.skipped += count_before(rest, " ignored");
        } else if let Some(rest) = skip_in(line) {
            let (name, reason) = rest.split_once(": ").unwrap_or((rest, "no reason given"));
            // One that is run again says so again.
            if self.skipped.iter().any(|skipped| skipped.name == name) {
                return;
            }
            self.skip(name, reason);
            if name.ends_with(')') {
                self.skipped_parts += 1;
            } else {
                self.skipped_themselves += 1;
            }
        } else if let Some(rest) = line.strip_prefix("test ")
            && let Some((name, reason)) = rest.split_once(" ... ignored")
        {
            let reason = reason.strip_prefix(", ").unwrap_or("no reason given");
            self.skip(name, reason);
        }
    }

    /// Counts tests that passed in a binary that never told so itself.
    pub(crate) fn broke_off(&mut self, passed: u64) {
        self.counted.passed += passed;
    }

    pub(crate) fn totals(&self) -> Totals {
        // The harness called those that skipped themselves passed.
        Totals {
            passed: self.counted.passed.saturating_sub(self.skipped_themselves),
            failed: self.counted.failed,
            skipped: self.counted.skipped + self.skipped_themselves + self.skipped_parts,
        }
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        Outcome::Tests(self.totals(), self.skipped)
    }

    fn skip(&mut self, name: &str, reason: &str) {
        if self.skipped.len() >= REASONS {
            return;
        }
        self.skipped.push(Skipped {
            name: name.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// What follows the word. With one thread, the harness has already begun a line about the test when it skips itself.
fn skip_in(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("test ") {
        Some(rest) => rest.split_once(" ... ")?.1,
        None => line,
    };
    line.strip_prefix("SKIPPED ")
}

fn count_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else {
        return 0;
    };
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 5 tests
SKIPPED b: no trampolines on this kernel: 6.18
SKIPPED a (by reflink): needs FICLONE
test a ... ok
test b ... ok
test c ... FAILED
test d ... ignored, needs a printer
test e ... SKIPPED e: needs root
ok

failures:

---- c stdout ----
thread 'c' panicked

failures:
    c

test result: FAILED. 3 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn skipped_tests_are_not_passed_tests() {
        let mut scan = Scan::default();
        OUTPUT.lines().for_each(|line| scan.line(line));
        let expected = Totals {
            passed: 1,
            failed: 1,
            skipped: 4,
        };
        assert_eq!(scan.totals(), expected);
        let reasons: Vec<_> = scan
            .skipped
            .iter()
            .map(|skip| skip.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "no trampolines on this kernel: 6.18",
                "needs FICLONE",
                "needs a printer",
                "needs root"
            ]
        );
    }

    #[test]
    fn lines_that_are_nearly_results_count_nothing() {
        let mut scan = Scan::default();
        for line in [
            "test result: ",
            "test result: ok.",
            "test ",
            "test SKIPPED a",
            "passed",
        ] {
            scan.line(line);
        }
        assert_eq!(scan.totals(), Totals::default());
    }
}
