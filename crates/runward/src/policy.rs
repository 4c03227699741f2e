//! `runward policy`: the shell around `runward-policy`. It finds the texts and prints the answers.

mod check;
mod explain;
mod render;
mod show;
pub(crate) mod sources;
mod suggest;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use runward_policy::{Policy, PolicyWarning, SourcePolicy, combine};
use serde::Serialize;

use crate::cli::{PolicyCommand, PolicySources};
use crate::{exit, output};
use sources::Failure;

/// `runward policy`.
pub(crate) fn policy(command: &PolicyCommand) -> ExitCode {
    match command {
        PolicyCommand::Check(options) => check::check(options),
        PolicyCommand::Explain(options) => explain::explain(options),
        PolicyCommand::Show(options) => show::show(options),
        PolicyCommand::Suggest(options) => suggest::suggest(options),
    }
}

/// A policy that was read, and what is odd about it.
pub(crate) struct Read {
    pub(crate) policy: Policy,
    pub(crate) warnings: Vec<PolicyWarning>,
}

/// Reads all sources and joins them.
pub(crate) fn read(inputs: &sources::Inputs<'_>) -> Result<Read, Failure> {
    let mut sources = sources::read(inputs)?;
    let warnings = sources
        .iter_mut()
        .flat_map(|source| std::mem::take(&mut source.warnings))
        .collect();
    let policy = combine(sources).map_err(Failure::Policy)?;
    Ok(Read { policy, warnings })
}

/// What is said about a job that is about to start: by the command line, a file, the workspace and the job's variables.
/// What is wrong with it is told here.
pub(crate) fn of_job(
    flags: &PolicySources,
    file: Option<&Path>,
    workspace: &Path,
) -> anyhow::Result<Vec<SourcePolicy>> {
    let inputs = sources::Inputs {
        flags,
        file,
        workspace: Some(workspace),
        variable: Some(&|name| std::env::var_os(name)),
    };
    match sources::read(&inputs) {
        Ok(mut sources) => {
            for source in &mut sources {
                render::warnings(&std::mem::take(&mut source.warnings));
            }
            Ok(sources)
        }
        Err(Failure::Policy(errors)) => {
            render::errors(&errors);
            anyhow::bail!("the policy has errors, so the command was not started")
        }
        Err(Failure::Input(error)) => Err(error),
    }
}

/// Joins what is said about a job.
pub(crate) fn joined(sources: Vec<SourcePolicy>) -> anyhow::Result<Policy> {
    combine(sources).map_err(|errors| {
        render::errors(&errors);
        anyhow::anyhow!("the policy has errors, so the command was not started")
    })
}

/// Where a policy was written, each place once.
pub(crate) fn written_in(policy: &Policy) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for layer in policy.layers() {
        let source = layer.source.to_string();
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}

/// Tells why there is no policy: on standard error for people, or as JSON on standard output.
pub(crate) fn refuse(failure: &Failure, json: bool) -> ExitCode {
    if json {
        print_json(&check::Checked::failed(failure));
    } else {
        match failure {
            Failure::Policy(errors) => render::errors(errors),
            Failure::Input(error) => output::say(format_args!("{error:#}")),
        }
    }
    ExitCode::from(exit::USAGE)
}

/// Prints on standard output.
pub(crate) fn print(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        output::say(format_args!("cannot print: {error}"));
    }
}

/// Prints as JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) {
    print(&(serde_json::to_string_pretty(value).unwrap_or_default() + "\n"));
}

pub(crate) use render::{errors as tell_errors, warnings as tell_warnings};
pub(crate) use suggest::events;
