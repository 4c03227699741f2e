//! What the lists don't tell, one number for each answer. The same for every rule.

/// What the lists don't tell.
#[derive(Clone, Debug)]
pub(crate) struct Assumptions {
    /// Runs of a job in a day, in the median, and how much repositories and jobs differ (of the natural logarithm).
    pub(crate) runs_a_day: f64,
    pub(crate) spread_of_repositories: f64,
    pub(crate) spread_of_jobs: f64,
    /// Runs of one job, at most: the rest would add time and nothing else.
    pub(crate) runs_at_most: f64,
    /// Endpoints that are called in nearly every run, in some, and seldom; the rest is never called any more.
    pub(crate) always: f64,
    pub(crate) sometimes: f64,
    pub(crate) seldom: f64,
    /// How seldom, at least.
    pub(crate) rarest: f64,
    /// Repositories whose jobs run on machines of GitHub, and so call its platform beside what is on the list.
    pub(crate) hosted: f64,
    /// Names behind one `*` of which the lists have no examples: at least and at most, and days after which one of them is replaced.
    pub(crate) names: (f64, f64),
    pub(crate) days_of_name: f64,
    /// New endpoints that a new program calls, and changes of a list with which a program begins to call a known one.
    pub(crate) new_program: f64,
    pub(crate) new_lineage: f64,
    /// Days after which a program or dependency of a repository begins to call a known endpoint, without any change of a
    /// list, and the part of its jobs in which that happens.
    pub(crate) days_of_lineage: f64,
    pub(crate) shared: f64,
    /// Days between images, between bumps of pinned actions, between changes of the pipeline file and of the lockfile.
    pub(crate) days_of_image: f64,
    pub(crate) days_of_actions: f64,
    pub(crate) days_of_pipeline: f64,
    pub(crate) days_of_lockfile: f64,
    /// Changes of a list that come with a change of the pipeline file (measured: the steps changed visibly), of the
    /// pinned actions, of the lockfile.
    pub(crate) with_pipeline: f64,
    pub(crate) with_actions: f64,
    pub(crate) with_lockfile: f64,
    /// Whether all repositories belong to one organisation, and not each to its owner.
    pub(crate) one_organisation: bool,
    /// Runs of forks' pull requests, and of protected branches.
    pub(crate) forks: f64,
    pub(crate) protected: f64,
}

impl Default for Assumptions {
    fn default() -> Assumptions {
        Assumptions {
            runs_a_day: 4.0,
            spread_of_repositories: 0.8,
            spread_of_jobs: 0.5,
            runs_at_most: 2_500.0,
            always: 0.60,
            sometimes: 0.20,
            seldom: 0.15,
            rarest: 0.002,
            hosted: 0.85,
            names: (3.0, 40.0),
            days_of_name: 30.0,
            new_program: 0.25,
            new_lineage: 0.25,
            days_of_lineage: 30.0,
            shared: 0.7,
            days_of_image: 8.0,
            days_of_actions: 20.0,
            days_of_pipeline: 40.0,
            days_of_lockfile: 6.0,
            with_pipeline: 0.11,
            with_actions: 0.3,
            with_lockfile: 0.4,
            one_organisation: false,
            forks: 0.08,
            protected: 0.45,
        }
    }
}
