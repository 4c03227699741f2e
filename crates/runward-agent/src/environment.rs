//! The environment of a process, as the kernel keeps it: variables, each with a NUL at its end.

use std::collections::HashMap;

use runward_event::Provider;

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
