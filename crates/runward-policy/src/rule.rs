use std::fmt;

use serde::Serialize;

use crate::endpoint::{Action, Endpoint};
use crate::narrowing::Narrowing;
use crate::origin::Origin;

/// One line of a policy: an endpoint that is allowed or denied, perhaps only to some processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether it allows or denies.
    pub action: Action,
    /// Where to.
    pub endpoint: Endpoint,
    /// To which processes it applies.
    pub narrowing: Narrowing,
    /// Why it is there, in the words of who wrote it.
    pub reason: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// Names a rule of one [`crate::Policy`]: the number of its place, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RuleId(pub u32);

impl RuleId {
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Rule {
    /// The endpoint in its canonical spelling for this action.
    pub fn spelled(&self) -> String {
        self.endpoint.spelled(self.action)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
