//! Why a file is left as it is.

use runward_yaml::{Documents, PartId, YamlError, YamlFault};

use crate::remark::visible;

/// A file that can't be taken over by machine, and the place that is the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// Why.
    pub reason: RefusalReason,
}

/// Why a file is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// In the library's words.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// More than [`crate::TEXT_BYTES`], or more parts than any workflow has.
    #[error("larger than a workflow can be")]
    TooLarge,
    /// Deeper than any workflow.
    #[error("nested deeper than a workflow can be")]
    TooDeep,
    /// GitHub refuses such a file, too.
    #[error("this key is there twice: remove one of them, then migrate again")]
    Twice,
    /// GitHub reads no merge keys.
    #[error(
        "a merge key (`<<`) in a step: GitHub does not read these; write the keys out, then migrate again"
    )]
    MergeKey,
    /// A step whose inputs are no map, or whose keys are no words.
    #[error("the step has another form than GitHub reads: its `with` is a map of words and values")]
    Form,
    /// A file of GitHub's firewall that is none.
    #[error(
        "GitHub's firewall reads a map with `mode`, `allow` and `no-default-urls` here, and `allow` is a list of hosts"
    )]
    Firewall,
    /// A policy file of Runward's has none of these.
    #[error(
        "anchors, aliases, tags and second documents are not carried over: write the values out, then migrate again"
    )]
    Plain,
    /// What came out would not mean the same.
    #[error(
        "this can't be changed by machine so that everything else stays as it is, perhaps because of an anchor: change it by hand"
    )]
    NotTheSame,
}

impl Refusal {
    pub(crate) fn at(documents: &Documents, id: PartId, reason: RefusalReason) -> Refusal {
        let at = documents.part(id).at;
        Refusal {
            line: at.line,
            column: at.column,
            reason,
        }
    }
}

impl From<YamlError> for Refusal {
    fn from(error: YamlError) -> Refusal {
        Refusal {
            line: error.at.line,
            column: error.at.column,
            reason: match error.fault {
                // The words may repeat the text.
                YamlFault::Syntax(words) => RefusalReason::Yaml(visible(&words)),
                YamlFault::Feature(feature) => RefusalReason::Yaml(feature.to_owned()),
                YamlFault::TooDeep => RefusalReason::TooDeep,
                YamlFault::TooLarge => RefusalReason::TooLarge,
            },
        }
    }
}
