//! Whole environments, as CI systems set them, and what is made of each.

use std::collections::HashMap;

use runward_event::{JobContext, JobIdentity, Provider};

/// Reads a fixture of `NAME=value` lines.
fn identify(fixture: &str) -> (JobIdentity, JobContext) {
    let env: HashMap<&str, &str> = fixture
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let env = |name: &str| env.get(name).map(|value| (*value).to_owned());
    let identity = runward_ci::identify(&env);
    let context = runward_ci::context(&identity, &env);
    (identity, context)
}

macro_rules! fixtures {
    ($($test:ident: $file:literal is $provider:ident),* $(,)?) => {$(
        #[test]
        fn $test() {
            let (identity, context) = identify(include_str!(concat!("fixtures/", $file, ".env")));
            assert_eq!(identity.provider, Provider::$provider);
            insta::assert_json_snapshot!($file, (identity, context));
        }
    )*};
}

fixtures! {
    github_push: "github-push" is Github,
    // A pull request from a fork whose branch is called `main` must not look like the branch `main`.
    github_pull_request_rerun: "github-pull-request-rerun" is Github,
    forgejo: "forgejo" is Gitea,
    gitlab_branch: "gitlab-branch" is Gitlab,
    gitlab_merge_request: "gitlab-merge-request" is Gitlab,
    jenkins_multibranch: "jenkins-multibranch" is Jenkins,
    jenkins_freestyle: "jenkins-freestyle" is Jenkins,
    azure: "azure" is Azure,
    circleci: "circleci" is Circleci,
    buildkite: "buildkite" is Buildkite,
    bitbucket: "bitbucket" is Bitbucket,
    woodpecker: "woodpecker" is Woodpecker,
    drone: "drone" is Drone,
    unknown: "unknown" is Unknown,
    local: "local" is Local,
    hostile: "hostile" is Github,
}

#[test]
fn an_environment_that_answers_everything_is_bounded() {
    let long = "\u{1b}x".repeat(1 << 20);
    for mark in [
        "GITHUB_ACTIONS",
        "GITLAB_CI",
        "TF_BUILD",
        "BUILDKITE",
        "DRONE",
        "JENKINS_URL",
    ] {
        let identity = runward_ci::identify(&|name| match name {
            "GITHUB_SERVER_URL" | "SYSTEM_COLLECTIONURI" | "BUILDKITE_BUILD_URL" => {
                Some("https://ci.example/".to_owned())
            }
            name if MARKS.contains(&name) => (name == mark).then(|| "1".to_owned()),
            _ => Some(long.clone()),
        });
        assert_bounded(identity);
    }
}

/// The variables by which systems are recognised.
const MARKS: [&str; 12] = [
    "BITBUCKET_BUILD_NUMBER",
    "BUILDKITE",
    "CIRCLECI",
    "DRONE",
    "FORGEJO_ACTIONS",
    "GITEA_ACTIONS",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_HOME",
    "JENKINS_URL",
    "TF_BUILD",
    "CI",
];

fn assert_bounded(identity: JobIdentity) {
    assert_ne!(identity.provider, Provider::Local);
    assert!(identity.project.is_some());
    let texts = [
        identity.project,
        identity.pipeline,
        identity.job,
        identity.run,
        identity.branch,
        identity.commit,
        identity.actor,
        identity.trigger,
        identity.url,
    ];
    for text in texts.into_iter().flatten() {
        assert!(
            text.chars().count() <= 512 && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
