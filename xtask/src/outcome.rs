use std::fmt;

/// How many tests ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Something that could not run here, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// How one part of a check ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A check without tests to count.
    Ok,
    /// Tests ran.
    Tests(Totals, Vec<Skipped>),
    /// It did not hold, or broke; with a sentence.
    Failed(String),
    /// This machine can't run it; with the reason.
    Skipped(String),
}

/// What a whole run of checks found. Printed, it is one line for each part, what was skipped, and the totals.
#[derive(Debug, Default)]
pub(crate) struct Report {
    parts: Vec<(String, Outcome)>,
}

impl Report {
    pub(crate) fn add(&mut self, name: impl Into<String>, outcome: Outcome) {
        self.parts.push((name.into(), outcome));
    }

    pub(crate) fn append(&mut self, other: Report) {
        self.parts.extend(other.parts);
    }

    pub(crate) fn failed(&self) -> bool {
        self.totals().failed > 0
    }

    /// A part without tests counts as one test.
    fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for (_, outcome) in &self.parts {
            match outcome {
                Outcome::Ok => sum.passed += 1,
                Outcome::Tests(totals, _) => sum += *totals,
                Outcome::Failed(_) => sum.failed += 1,
                Outcome::Skipped(_) => sum.skipped += 1,
            }
        }
        sum
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.parts.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or(0);
        for (name, outcome) in &self.parts {
            match outcome {
                Outcome::Ok => writeln!(f, "{name:width$}  ok")?,
                Outcome::Tests(totals, _) => writeln!(f, "{name:width$}  {totals}")?,
                Outcome::Failed(why) => writeln!(f, "{name:width$}  FAILED: {why}")?,
                Outcome::Skipped(why) => writeln!(f, "{name:width$}  skipped: {why}")?,
            }
        }
        for (part, outcome) in &self.parts {
            if let Outcome::Tests(_, skipped) = outcome {
                for Skipped { name, reason } in skipped {
                    writeln!(f, "skipped in {part}: {name}: {reason}")?;
                }
            }
        }
        writeln!(f, "total: {}", self.totals())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_each_part_each_skip_and_the_totals() {
        let mut report = Report::default();
        report.add("format", Outcome::Ok);
        report.add("dependencies", Outcome::Skipped("no cargo-deny".into()));
        let skipped = Skipped {
            name: "tier_a".into(),
            reason: "no trampolines".into(),
        };
        let totals = Totals {
            passed: 5,
            failed: 0,
            skipped: 1,
        };
        report.add("tests", Outcome::Tests(totals, vec![skipped]));
        assert_eq!(
            report.to_string(),
            "format        ok\n\
             dependencies  skipped: no cargo-deny\n\
             tests         5 passed, 0 failed, 1 skipped\n\
             skipped in tests: tier_a: no trampolines\n\
             total: 6 passed, 0 failed, 2 skipped\n"
        );
        assert!(!report.failed());
        report.add("vm", Outcome::Failed("the kernel panicked".into()));
        assert!(report.failed());
    }
}
