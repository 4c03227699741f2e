//! Where the texts of a policy come from.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use runward_policy::{Action, PolicyError, Source, SourcePolicy, limits, parse_file};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::cli::PolicySources;

/// The policy file of a workspace, at its root.
const WORKSPACE_FILE: &str = ".runward.yml";

pub(crate) const MODE: &str = "RUNWARD_EGRESS_POLICY";
const ALLOWED: &str = "RUNWARD_ALLOWED_ENDPOINTS";
const DENIED: &str = "RUNWARD_DENIED_ENDPOINTS";
/// All variables that say something.
pub(crate) const VARIABLES: [&str; 3] = [MODE, ALLOWED, DENIED];

/// Gives the value of a variable.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Everything that a policy can be read from.
pub(crate) struct Inputs<'a> {
    /// The options of the command line.
    pub(crate) flags: &'a PolicySources,
    /// The policy file; `-` for standard input.
    pub(crate) file: Option<&'a Path>,
    /// The root of the workspace; `None` when its file is not to be read.
    pub(crate) workspace: Option<&'a Path>,
    /// The job's variables; `None` when they are not to be read.
    pub(crate) variable: Option<Variables<'a>>,
}

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is wrong.
    Policy(Vec<PolicyError>),
    /// It could not be read.
    Input(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Input(error)
    }
}

/// Reads every source that is there. All that is wrong with all of them is told at once.
pub(crate) fn read(inputs: &Inputs<'_>) -> Result<Vec<SourcePolicy>, Failure> {
    let mut found = Found::default();
    let flag = |name: &str| Source::Flag(name.to_owned());
    let PolicySources {
        allowed_endpoints,
        denied_endpoints,
        egress_policy,
    } = inputs.flags;
    if let Some(text) = allowed_endpoints {
        found.list(text, Action::Allow, flag("--allowed-endpoints"));
    }
    if let Some(text) = denied_endpoints {
        found.list(text, Action::Deny, flag("--denied-endpoints"));
    }
    if let Some(text) = egress_policy {
        found.add(SourcePolicy::of_mode(text, flag("--egress-policy")));
    }
    if let Some(path) = inputs.file {
        let text = read_file(path)?;
        found.add(parse_file(&text, Source::File(shown(path))));
    }
    if let Some(folder) = inputs.workspace {
        let path = folder.join(WORKSPACE_FILE);
        if let Some(text) = read_workspace_file(&path)? {
            found.add(parse_file(&text, Source::Workspace(shown(&path))));
        }
    }
    if let Some(variable) = inputs.variable {
        let text = |name: &str| variable_text(name, variable);
        if let Some(text) = text(ALLOWED)? {
            found.list(&text, Action::Allow, Source::Variable(ALLOWED.to_owned()));
        }
        if let Some(text) = text(DENIED)? {
            found.list(&text, Action::Deny, Source::Variable(DENIED.to_owned()));
        }
        if let Some(text) = text(MODE)? {
            found.add(SourcePolicy::of_mode(
                &text,
                Source::Variable(MODE.to_owned()),
            ));
        }
    }
    if found.errors.is_empty() {
        Ok(found.sources)
    } else {
        Err(Failure::Policy(found.errors))
    }
}

#[derive(Default)]
struct Found {
    sources: Vec<SourcePolicy>,
    errors: Vec<PolicyError>,
}

impl Found {
    fn add(&mut self, read: Result<SourcePolicy, Vec<PolicyError>>) {
        match read {
            Ok(source) => self.sources.push(source),
            Err(errors) => self.errors.extend(errors),
        }
    }

    fn list(&mut self, text: &str, action: Action, source: Source) {
        self.add(SourcePolicy::of_list(text, action, source));
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.to_string_lossy().into_owned()
}

/// A variable that is empty is one that a CI system has no value for: it says nothing.
fn variable_text(name: &str, variable: Variables<'_>) -> Result<Option<String>> {
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    let Ok(text) = value.into_string() else {
        bail!("the variable {name} is not UTF-8 text");
    };
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

pub(crate) fn read_file(path: &Path) -> Result<String> {
    let context = || format!("cannot read the policy {}", shown(path));
    if path == Path::new("-") {
        return read_text(std::io::stdin().lock(), path);
    }
    read_text(File::open(path).with_context(context)?, path)
}

/// Reads the file that the workspace has, if it has one.
///
/// The workspace belongs to the job. Runward may be root, and an error shows the line that it is about: so the file
/// must be one, and no link to a file that the job could not read by itself.
fn read_workspace_file(path: &Path) -> Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(CWD, path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => bail!("{} is a link: it must be a file", path.display()),
        Err(error) => {
            let error = anyhow::Error::new(std::io::Error::from(error));
            return Err(error.context(format!("cannot read the policy {}", path.display())));
        }
    };
    let is_file = file.metadata().is_ok_and(|found| found.is_file());
    if !is_file {
        bail!("{} is not a file", path.display());
    }
    read_text(file, path).map(Some)
}

/// Reads a little more than a policy can have: the parser says so then.
fn read_text(from: impl std::io::Read, path: &Path) -> Result<String> {
    let most = u64::try_from(limits::TEXT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read the policy {}", shown(path)))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // A character that the bound cut in two.
        Err(error) if error.as_bytes().len() > limits::TEXT_BYTES => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(error) => bail!(
            "the policy {} is not UTF-8 text (byte {})",
            shown(path),
            error.utf8_error().valid_up_to()
        ),
    }
}

/// The workspace of a command that names none: the current folder.
pub(crate) fn workspace_or_here(workspace: Option<&Path>) -> PathBuf {
    workspace.map(Path::to_path_buf).unwrap_or_default()
}
