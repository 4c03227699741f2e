use std::process::ExitCode;

use runward_event::Mode;
use runward_policy::{PolicyError, PolicyWarning, Spot};
use serde::Serialize;

use super::sources::{Failure, Inputs};
use super::{Read, print, print_json, read, refuse, render};
use crate::cli::CheckOptions;

/// What `runward policy check --json` prints; of other subcommands, what they print when there is no policy.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Checked {
    /// Whether the policy can be applied.
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    egress_policy: Option<Mode>,
    /// How many endpoints are allowed, groups expanded.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_endpoints: Option<usize>,
    /// How many endpoints are denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied_endpoints: Option<usize>,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    kind: &'static str,
    message: String,
    #[serde(flatten)]
    place: Option<Spot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

impl Finding {
    fn error(error: &PolicyError) -> Finding {
        Finding {
            kind: error.fault.kind(),
            message: error.fault.to_string(),
            place: Some(error.place.clone()),
            suggestion: error.suggestion.clone(),
        }
    }

    fn warning(warning: &PolicyWarning) -> Finding {
        Finding {
            kind: warning.doubt.kind(),
            message: warning.doubt.to_string(),
            place: Some(warning.place.clone()),
            suggestion: warning.suggestion.clone(),
        }
    }
}

impl Checked {
    pub(super) fn failed(failure: &Failure) -> Checked {
        let errors = match failure {
            Failure::Policy(errors) => errors.iter().map(Finding::error).collect(),
            Failure::Input(error) => vec![Finding {
                kind: "input",
                message: format!("{error:#}"),
                place: None,
                suggestion: None,
            }],
        };
        Checked {
            errors,
            ..Checked::default()
        }
    }

    fn passed(read: &Read) -> Checked {
        let policy = &read.policy;
        Checked {
            valid: true,
            egress_policy: Some(policy.mode()),
            allowed_endpoints: Some(policy.layers().iter().map(|layer| layer.rules.len()).sum()),
            denied_endpoints: Some(policy.denied().count()),
            errors: Vec::new(),
            warnings: read.warnings.iter().map(Finding::warning).collect(),
        }
    }
}

/// `runward policy check`.
pub(super) fn check(options: &CheckOptions) -> ExitCode {
    let read = read(&Inputs {
        flags: &options.sources,
        file: options.file.as_deref(),
        workspace: None,
        variable: None,
    });
    let read = match read {
        Ok(read) => read,
        Err(failure) => return refuse(&failure, options.json),
    };
    let checked = Checked::passed(&read);
    if options.json {
        print_json(&checked);
        return ExitCode::SUCCESS;
    }
    render::warnings(&read.warnings);
    let mode = match read.policy.mode() {
        Mode::Audit => "audit",
        Mode::Block => "block",
    };
    print(&format!(
        "The policy is valid: {mode}, {} allowed, {} denied.\n",
        checked.allowed_endpoints.unwrap_or_default(),
        checked.denied_endpoints.unwrap_or_default(),
    ));
    ExitCode::SUCCESS
}
