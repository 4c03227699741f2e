use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::text::visible;

/// What a piece of a policy was read from. Ordered by strength, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An option of the command line, with its dashes: `--allowed-endpoints`.
    Flag(String),
    /// A policy file that was named explicitly, by the path as given.
    File(String),
    /// The policy file at the root of the workspace, by its path.
    Workspace(String),
    /// A variable of the job, by its name.
    Variable(String),
    /// A policy of the control plane, by its name.
    Store(String),
}

impl Source {
    /// The kind in one word, as it stands in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Flag(_) => "flag",
            Source::File(_) => "file",
            Source::Workspace(_) => "workspace",
            Source::Variable(_) => "variable",
            Source::Store(_) => "store",
        }
    }

    /// The option, path or variable.
    pub fn name(&self) -> &str {
        match self {
            Source::Flag(name)
            | Source::File(name)
            | Source::Workspace(name)
            | Source::Variable(name)
            | Source::Store(name) => name,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(self.name()))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Where a rule stands in the text that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Origin {
    /// What it was read from.
    pub source: Arc<Source>,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// The text of the endpoint, as it was written.
    pub text: String,
    /// For an endpoint that came with a named group, the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupRef>,
}

/// The group that an endpoint came with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupRef {
    /// The name, without the `@`.
    pub name: &'static str,
    /// The version of the group's list: the day on which it was last checked.
    pub version: &'static str,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.line, self.column)?;
        if let Some(group) = &self.group {
            write!(f, " (@{} of {})", group.name, group.version)?;
        }
        Ok(())
    }
}
