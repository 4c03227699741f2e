//! The environment of a process, as the kernel keeps it: variables, each with a NUL at its end.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use runward_event::Provider;

/// Bytes of an environment that are read.
const ENVIRONMENT_MAX: u64 = 1 << 20;

/// The environment that a process was started with, or has made of it; empty where it may not be looked at.
#[must_use]
pub fn environment_of(pid: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = File::open(format!("/proc/{pid}/environ"))
        .and_then(|file| file.take(ENVIRONMENT_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// A process's variables. One that is not text is left out.
#[must_use]
pub fn variables(environment: &[u8]) -> HashMap<String, String> {
    let variables = environment.split(|byte| *byte == 0);
    variables
        .filter_map(|variable| {
            let (name, value) = str::from_utf8(variable).ok()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Whether an environment says whose job it is.
pub(crate) fn names_a_job(environment: &[u8]) -> bool {
    let variables = variables(environment);
    let identity = runward_ci::identify(&|name| variables.get(name).cloned());
    !matches!(identity.provider, Provider::Local | Provider::Unknown) && identity.project.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_a_ci_system_and_a_project() {
        for (environment, want) in [
            (&b"GITHUB_ACTIONS=true\0GITHUB_REPOSITORY=a/b\0"[..], true),
            (b"GITHUB_ACTIONS=true\0", false),
            (b"CI=true\0GITHUB_REPOSITORY=a/b\0", false),
            (b"GITLAB_CI=true\0CI_PROJECT_PATH=a/b", true),
            (b"GITLAB_CI=true\0\xff=\xff\0CI_PROJECT_PATH\0=\0", false),
            (b"", false),
        ] {
            let shown = environment.escape_ascii();
            assert_eq!(names_a_job(environment), want, "{shown}");
        }
    }
}
