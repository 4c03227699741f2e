use runward_event::{JobContext, JobIdentity, Provider};
use serde::Deserialize;

use crate::clean::Environment;

/// Parts of a pipeline file that are looked at; nobody's file has as many.
const PINNED_MAX: usize = 2_000;

/// What the variables of a job say of what it was made with. Files are for the caller to read: see [`is_fork`] and
/// [`pinned`].
pub fn context(identity: &JobIdentity, env: &dyn Fn(&str) -> Option<String>) -> JobContext {
    let env = Environment::new(env);
    match identity.provider {
        Provider::Github | Provider::Gitea => github(identity, &env),
        Provider::Gitlab => gitlab(identity, &env),
        _ => JobContext::default(),
    }
}

fn github(identity: &JobIdentity, env: &Environment<'_>) -> JobContext {
    let trigger = identity.trigger.as_deref().unwrap_or_default();
    JobContext {
        protected: env.flag("GITHUB_REF_PROTECTED"),
        // Whose request it is stands in the event's file only.
        fork: (!trigger.starts_with("pull_request")).then_some(false),
        hosted: env
            .text("RUNNER_ENVIRONMENT")
            .map(|environment| environment == "github-hosted"),
        image: match (env.text("ImageOS"), env.text("ImageVersion")) {
            (Some(system), Some(version)) => Some(format!("{system} {version}")),
            (system, _) => system,
        },
        ..JobContext::default()
    }
}

fn gitlab(identity: &JobIdentity, env: &Environment<'_>) -> JobContext {
    let is_request = identity.trigger.as_deref() == Some("merge_request_event");
    let source = env.text("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH");
    // A request from a fork may run in the fork: then it is its own project's.
    let target = env.text("CI_PROJECT_PATH");
    let gitlab_com = env.text("CI_SERVER_HOST").as_deref() == Some("gitlab.com");
    JobContext {
        protected: env.flag("CI_COMMIT_REF_PROTECTED"),
        fork: match (is_request, source, target) {
            (false, ..) => Some(false),
            (true, Some(source), Some(target)) => Some(source != target),
            (true, ..) => None,
        },
        // The machines of gitlab.com are known by their tags.
        hosted: env
            .text("CI_RUNNER_TAGS")
            .filter(|_| gitlab_com)
            .map(|tags| tags.contains("\"saas-")),
        image: env.text("CI_JOB_IMAGE"),
        ..JobContext::default()
    }
}

/// Whether the event of a GitHub workflow, as the file of `GITHUB_EVENT_PATH` tells it, is of a request from a fork.
/// `None` when it says nothing of it.
pub fn is_fork(event: &str) -> Option<bool> {
    #[derive(Deserialize)]
    struct Event {
        pull_request: Option<Request>,
    }
    #[derive(Deserialize)]
    struct Request {
        head: Side,
        base: Side,
    }
    #[derive(Deserialize)]
    struct Side {
        /// Null when the fork was deleted.
        repo: Option<Repository>,
    }
    #[derive(Deserialize)]
    struct Repository {
        id: u64,
    }
    let event: Event = serde_json::from_str(event).ok()?;
    let request = event.pull_request?;
    let base = request.base.repo?.id;
    Some(request.head.repo.is_none_or(|head| head.id != base))
}

/// What a pipeline file takes from elsewhere: actions, images, components and files that it includes, each as it is
/// written, sorted, each once. Read line by line and without understanding the file: it is looked at only for whether
/// this changed.
pub fn pinned(pipeline: &str) -> Vec<&str> {
    const KEYS: [&str; 6] = [
        "uses:",
        "image:",
        "component:",
        "ref:",
        "remote:",
        "template:",
    ];
    let mut found: Vec<&str> = pipeline
        .lines()
        .filter_map(|line| {
            let line = line.trim_start().trim_start_matches("- ").trim_start();
            let value = KEYS.iter().find_map(|key| line.strip_prefix(key))?;
            let value = value.split(" #").next()?.trim();
            (!value.is_empty()).then_some(value)
        })
        .take(PINNED_MAX)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_forks_are_known_by_the_event() {
        for (event, expected) in [
            (
                r#"{"pull_request":{"head":{"repo":{"id":1}},"base":{"repo":{"id":1}}}}"#,
                Some(false),
            ),
            (
                r#"{"pull_request":{"head":{"repo":{"id":2}},"base":{"repo":{"id":1}}}}"#,
                Some(true),
            ),
            (
                r#"{"pull_request":{"head":{"repo":null},"base":{"repo":{"id":1}}}}"#,
                Some(true),
            ),
            (r#"{"ref":"refs/heads/main"}"#, None),
            (r#"{"pull_request":{"head":7}}"#, None),
            ("", None),
        ] {
            assert_eq!(is_fork(event), expected, "{event}");
        }
    }

    #[test]
    fn a_pipeline_file_pins_what_it_says() {
        let github = "jobs:\n  build:\n    steps:\n      - uses: actions/checkout@v4 # v4.2\n      - name: x\n        \
                      uses: actions/cache@0c45773\n      - uses: actions/checkout@v4\n      - run: echo uses: x\n";
        assert_eq!(
            pinned(github),
            ["actions/cache@0c45773", "actions/checkout@v4"]
        );
        let gitlab =
            "image: rust:1.90\ninclude:\n  - project: a/b\n    ref: v1\n  - component: c/d@1\n";
        assert_eq!(pinned(gitlab), ["c/d@1", "rust:1.90", "v1"]);
        assert!(pinned("").is_empty());
    }
}
