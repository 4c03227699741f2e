//! One function for each CI system, with the variables that its documentation names.

use runward_event::{JobIdentity, Provider};

use crate::clean::{Environment, short_ref};

/// Recognises one CI system, and reads who the job is.
type Identify = fn(&Environment<'_>) -> Option<JobIdentity>;

/// In the order in which they are tried. Systems that also set another one's variables come before that one: Gitea
/// sets GitHub's, and Woodpecker has set Drone's.
pub(crate) const ALL: [Identify; 10] = [
    gitea, github, gitlab, azure, circleci, buildkite, bitbucket, woodpecker, drone, jenkins,
];

fn github(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("GITHUB_ACTIONS") {
        return None;
    }
    let url =
        github_run_url(env, "GITHUB_RUN_ID").map(|url| match env.number("GITHUB_RUN_ATTEMPT") {
            Some(attempt) if attempt > 1 => format!("{url}/attempts/{attempt}"),
            _ => url,
        });
    Some(JobIdentity {
        provider: Provider::Github,
        url,
        ..github_like(env)
    })
}

/// Gitea and Forgejo set GitHub's variables, and one of their own that says so. Their pages count runs by number.
fn gitea(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("GITEA_ACTIONS") && !env.is_on("FORGEJO_ACTIONS") {
        return None;
    }
    Some(JobIdentity {
        provider: Provider::Gitea,
        url: github_run_url(env, "GITHUB_RUN_NUMBER"),
        ..github_like(env)
    })
}

fn github_like(env: &Environment<'_>) -> JobIdentity {
    let project = env.text("GITHUB_REPOSITORY");
    JobIdentity {
        pipeline: github_workflow_file(env, project.as_deref())
            .or_else(|| env.text("GITHUB_WORKFLOW")),
        project,
        job: env.text("GITHUB_JOB"),
        run: env.text("GITHUB_RUN_ID"),
        attempt: env.number("GITHUB_RUN_ATTEMPT"),
        // `12/merge` for a pull request. GITHUB_HEAD_REF would be the name that a fork chose.
        branch: env
            .text("GITHUB_REF_NAME")
            .or_else(|| env.text("GITHUB_REF").map(short_ref)),
        commit: env.text("GITHUB_SHA"),
        // Who pressed "re-run" is another than who pushed; the run is theirs.
        actor: env.first(&["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"]),
        trigger: env.text("GITHUB_EVENT_NAME"),
        ..JobIdentity::default()
    }
}

/// `.github/workflows/ci.yml` of `GITHUB_WORKFLOW_REF`, `owner/app/.github/workflows/ci.yml@refs/heads/main`.
fn github_workflow_file(env: &Environment<'_>, project: Option<&str>) -> Option<String> {
    let workflow = env.text("GITHUB_WORKFLOW_REF")?;
    let (path, _) = workflow.split_once('@')?;
    let file = path.strip_prefix(project?)?.strip_prefix('/')?;
    (!file.is_empty()).then(|| file.to_owned())
}

fn github_run_url(env: &Environment<'_>, run: &str) -> Option<String> {
    let server = env.url("GITHUB_SERVER_URL")?;
    let project = env.text("GITHUB_REPOSITORY")?;
    let run = env.text(run)?;
    Some(format!(
        "{}/{project}/actions/runs/{run}",
        server.trim_end_matches('/')
    ))
}

fn gitlab(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("GITLAB_CI") {
        return None;
    }
    Some(JobIdentity {
        provider: Provider::Gitlab,
        project: env.text("CI_PROJECT_PATH"),
        pipeline: env.text("CI_CONFIG_PATH"),
        job: env.text("CI_JOB_NAME"),
        run: env.text("CI_PIPELINE_ID"),
        // GitLab gives a retried job a new id and does not count.
        attempt: None,
        branch: env
            .first(&["CI_MERGE_REQUEST_REF_PATH", "CI_COMMIT_REF_NAME"])
            .map(short_ref),
        commit: env.text("CI_COMMIT_SHA"),
        actor: env.text("GITLAB_USER_LOGIN"),
        trigger: env.text("CI_PIPELINE_SOURCE"),
        url: env.url("CI_JOB_URL").or_else(|| env.url("CI_PIPELINE_URL")),
    })
}

fn azure(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("TF_BUILD") {
        return None;
    }
    let team = env.text("SYSTEM_TEAMPROJECT");
    let run = env.text("BUILD_BUILDID");
    let url = match (env.url("SYSTEM_COLLECTIONURI"), &team, &run) {
        (Some(collection), Some(team), Some(run)) => Some(format!(
            "{}/{}/_build/results?buildId={run}",
            collection.trim_end_matches('/'),
            team.replace(' ', "%20"),
        )),
        _ => None,
    };
    // A repository of Azure's own is named inside of its team project; one elsewhere has its full name.
    let project = match (env.text("BUILD_REPOSITORY_NAME"), team) {
        (Some(repository), Some(team)) if !repository.contains('/') => {
            Some(format!("{team}/{repository}"))
        }
        (Some(repository), _) => Some(repository),
        (None, team) => team,
    };
    Some(JobIdentity {
        provider: Provider::Azure,
        project,
        pipeline: env.text("BUILD_DEFINITIONNAME"),
        job: env.first(&["SYSTEM_JOBNAME", "AGENT_JOBNAME"]),
        run,
        attempt: env.number("SYSTEM_JOBATTEMPT"),
        branch: env.text("BUILD_SOURCEBRANCH").map(short_ref),
        commit: env.text("BUILD_SOURCEVERSION"),
        actor: env.text("BUILD_REQUESTEDFOR"),
        trigger: env.text("BUILD_REASON"),
        url,
    })
}

fn circleci(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("CIRCLECI") {
        return None;
    }
    Some(JobIdentity {
        provider: Provider::Circleci,
        project: join(
            env.text("CIRCLE_PROJECT_USERNAME"),
            env.text("CIRCLE_PROJECT_REPONAME"),
        ),
        job: env.text("CIRCLE_JOB"),
        run: env.first(&["CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"]),
        // `pull/12` for a request from a fork.
        branch: env.first(&["CIRCLE_TAG", "CIRCLE_BRANCH"]),
        commit: env.text("CIRCLE_SHA1"),
        actor: env.text("CIRCLE_USERNAME"),
        url: env.url("CIRCLE_BUILD_URL"),
        ..JobIdentity::default()
    })
}

fn buildkite(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("BUILDKITE") {
        return None;
    }
    let pipeline = env.text("BUILDKITE_PIPELINE_SLUG");
    let request = env
        .number("BUILDKITE_PULL_REQUEST")
        .map(|number| format!("pull/{number}"));
    let url = env
        .url("BUILDKITE_BUILD_URL")
        .map(|url| match env.text("BUILDKITE_JOB_ID") {
            Some(job) => format!("{url}#{job}"),
            None => url,
        });
    Some(JobIdentity {
        provider: Provider::Buildkite,
        project: join(env.text("BUILDKITE_ORGANIZATION_SLUG"), pipeline.clone()),
        pipeline,
        job: env.first(&["BUILDKITE_STEP_KEY", "BUILDKITE_LABEL"]),
        run: env.first(&["BUILDKITE_BUILD_ID", "BUILDKITE_BUILD_NUMBER"]),
        attempt: env
            .number("BUILDKITE_RETRY_COUNT")
            .and_then(|retries| retries.checked_add(1)),
        branch: request.or_else(|| env.first(&["BUILDKITE_TAG", "BUILDKITE_BRANCH"])),
        commit: env.text("BUILDKITE_COMMIT"),
        actor: env.text("BUILDKITE_BUILD_CREATOR"),
        trigger: env.text("BUILDKITE_SOURCE"),
        url,
    })
}

fn bitbucket(env: &Environment<'_>) -> Option<JobIdentity> {
    let run = env.text("BITBUCKET_BUILD_NUMBER")?;
    let request = env
        .text("BITBUCKET_PR_ID")
        .map(|id| format!("pull-requests/{id}"));
    let url = env
        .url("BITBUCKET_GIT_HTTP_ORIGIN")
        .map(|origin| format!("{}/pipelines/results/{run}", origin.trim_end_matches('/')));
    Some(JobIdentity {
        provider: Provider::Bitbucket,
        project: env.text("BITBUCKET_REPO_FULL_NAME"),
        // The only file that there can be; no variable names the step.
        pipeline: Some("bitbucket-pipelines.yml".to_owned()),
        job: None,
        attempt: env.number("BITBUCKET_STEP_RUN_NUMBER"),
        branch: request.or_else(|| env.first(&["BITBUCKET_TAG", "BITBUCKET_BRANCH"])),
        commit: env.text("BITBUCKET_COMMIT"),
        actor: env.text("BITBUCKET_STEP_TRIGGERER_UUID"),
        trigger: None,
        url,
        run: Some(run),
    })
}

fn woodpecker(env: &Environment<'_>) -> Option<JobIdentity> {
    if env.text("CI").as_deref() != Some("woodpecker") {
        return None;
    }
    Some(JobIdentity {
        provider: Provider::Woodpecker,
        project: env.text("CI_REPO"),
        pipeline: env.text("CI_WORKFLOW_NAME"),
        job: env.text("CI_STEP_NAME"),
        run: env.text("CI_PIPELINE_NUMBER"),
        attempt: None,
        branch: env
            .first(&["CI_COMMIT_REF", "CI_COMMIT_TAG", "CI_COMMIT_BRANCH"])
            .map(short_ref),
        commit: env.text("CI_COMMIT_SHA"),
        actor: env.first(&["CI_PIPELINE_AUTHOR", "CI_COMMIT_AUTHOR"]),
        trigger: env.text("CI_PIPELINE_EVENT"),
        url: env.url("CI_PIPELINE_URL"),
    })
}

fn drone(env: &Environment<'_>) -> Option<JobIdentity> {
    if !env.is_on("DRONE") {
        return None;
    }
    Some(JobIdentity {
        provider: Provider::Drone,
        project: env.text("DRONE_REPO"),
        pipeline: env.text("DRONE_STAGE_NAME"),
        job: env.text("DRONE_STEP_NAME"),
        run: env.text("DRONE_BUILD_NUMBER"),
        attempt: None,
        // DRONE_BRANCH is the *target* of a pull request.
        branch: env
            .first(&["DRONE_COMMIT_REF", "DRONE_TAG", "DRONE_BRANCH"])
            .map(short_ref),
        commit: env.text("DRONE_COMMIT_SHA"),
        actor: env.text("DRONE_BUILD_TRIGGER"),
        trigger: env.text("DRONE_BUILD_EVENT"),
        url: env.url("DRONE_BUILD_LINK"),
    })
}

/// Last, because Jenkins sets few and common names, and its agents are at times started by another system.
fn jenkins(env: &Environment<'_>) -> Option<JobIdentity> {
    env.first(&["JENKINS_URL", "JENKINS_HOME"])?;
    let run = env.text("BUILD_NUMBER")?;
    // In a multibranch project the job is the branch: `group/app/feature%2Fx`.
    let branch = env.text("BRANCH_NAME");
    let project = match (env.text("JOB_NAME"), env.text("JOB_BASE_NAME")) {
        (Some(name), Some(base)) if branch.is_some() => Some(
            name.strip_suffix(&base)
                .and_then(|folder| folder.strip_suffix('/'))
                .map_or(name.clone(), str::to_owned),
        ),
        (name, _) => name,
    };
    Some(JobIdentity {
        provider: Provider::Jenkins,
        project,
        pipeline: None,
        job: env.text("STAGE_NAME"),
        run: Some(run),
        attempt: None,
        branch: branch.or_else(|| {
            let name = env.text("GIT_BRANCH")?;
            Some(
                name.strip_prefix("origin/")
                    .map_or(name.clone(), str::to_owned),
            )
        }),
        commit: env.text("GIT_COMMIT"),
        actor: env.text("BUILD_USER_ID"),
        trigger: env.text("BUILD_CAUSE"),
        url: env.url("BUILD_URL"),
    })
}

fn join(owner: Option<String>, name: Option<String>) -> Option<String> {
    match (owner, name) {
        (Some(owner), Some(name)) => Some(format!("{owner}/{name}")),
        (None, name) => name,
        (owner, None) => owner,
    }
}
