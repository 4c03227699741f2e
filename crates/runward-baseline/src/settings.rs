//! What an administrator sets.

/// How a baseline decides. The same for all jobs of a project or organisation, usually.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Runs before a baseline stops being `creating`.
    pub min_runs: u32,
    /// Days since the first run after which it stops, too, whatever the number of runs is.
    pub min_days: Option<u32>,
    /// The alerts that one run may raise falsely, on average: 0.005 is one in 200 runs.
    pub alert_budget: f64,
    /// When something new becomes normal without a person.
    pub recurrence: Recurrence,
    /// How many times likelier in an attack than in an ordinary run something must be to raise an alert, as a power of
    /// ten.
    pub alert_score: f64,
    /// Alerts of one run that are told one by one; above, there is one summary.
    pub storm: usize,
}

/// In how many runs something new must recur to become normal without a person. Only runs of protected branches count,
/// each commit once, and none that has a detection beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// For what is expected news, and raised no alert.
    pub news: u32,
    /// For what raised an alert that nobody has answered; `None` if only a person may accept it.
    pub alerts: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            min_runs: 100,
            min_days: None,
            alert_budget: 1.0 / 200.0,
            recurrence: Recurrence::default(),
            alert_score: 1.0,
            storm: 10,
        }
    }
}

impl Default for Recurrence {
    fn default() -> Recurrence {
        Recurrence {
            news: 5,
            alerts: Some(50),
        }
    }
}
