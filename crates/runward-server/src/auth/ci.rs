//! Jobs that show who they are by a token of their CI system.
//!
//! GitHub and GitLab sign, for each job that asks, whose job it is. Such a token can't be copied from a settings page or
//! left in a repository, and it tells the project, which a key does not. What a run says that it is must be what the token
//! says: a job of one repository can't send records in the name of another.

use runward_event::{JobIdentity, Provider};
use runward_store::{OrgId, Project, Run, Trust};
use serde_json::{Map, Value};

/// Bytes of a pattern.
const PATTERN_MAX: usize = 300;

/// What a token says about its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    provider: Provider,
    /// The project's full name.
    pub(crate) project: String,
    /// The provider's number of the run.
    run: String,
    attempt: Option<u32>,
    /// Names under which the branch or tag may stand in the record; the first one is the best.
    branches: Vec<String>,
    /// For a merge request the token names no more than its kind: then the record's name is of this form.
    request: bool,
    commit: String,
    /// Names under which the pipeline may stand; none where the token does not say.
    pipelines: Vec<String>,
}

/// A field of the record that is not what the token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record's {0} is not the token's")]
pub(crate) struct Mismatch(&'static str);

impl Job {
    /// Reads the claims of a token; which ones, depends on who signed it. None if one is missing.
    pub(crate) fn new(provider: Provider, claims: &Map<String, Value>) -> Option<Job> {
        match provider {
            Provider::Github => github(claims),
            Provider::Gitlab => gitlab(claims),
            _ => None,
        }
    }

    /// Compares what a run says that it is. What it leaves out is taken from the token.
    pub(crate) fn claims(&self, run: &mut JobIdentity) -> Result<(), Mismatch> {
        if run.provider != self.provider {
            return Err(Mismatch("provider"));
        }
        same("project", &mut run.project, [&self.project])?;
        same("run", &mut run.run, [&self.run])?;
        same("commit", &mut run.commit, [&self.commit])?;
        match (&run.branch, self.request) {
            (Some(branch), true) if is_request(branch) => {}
            (Some(_), true) => return Err(Mismatch("branch")),
            _ => same("branch", &mut run.branch, &self.branches)?,
        }
        if !self.pipelines.is_empty() {
            same("pipeline", &mut run.pipeline, &self.pipelines)?;
        }
        match (run.attempt, self.attempt) {
            (Some(said), Some(true_one)) if said != true_one => Err(Mismatch("attempt")),
            (None, attempt) => {
                run.attempt = attempt;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a run that is known already is this job's.
    pub(crate) fn owns(&self, run: &Run, project: &Project) -> Result<(), Mismatch> {
        if project.provider != self.provider || project.name != self.project {
            return Err(Mismatch("project"));
        }
        let attempt = run.attempt.is_none()
            || self.attempt.is_none()
            || run.attempt == self.attempt.map(i64::from);
        if run.provider_run.as_ref() != Some(&self.run) || !attempt {
            return Err(Mismatch("run"));
        }
        Ok(())
    }
}

/// Whom a job's records belong to: the organisation that its token is made for, if it trusts the project. Whoever else
/// trusts it gets nothing, because otherwise one organisation could take what is meant for another.
pub(crate) fn owner(job: &Job, trusts: &[Trust], meant_for: OrgId) -> Result<OrgId, NoOwner> {
    let trusted = trusts
        .iter()
        .any(|trust| trust.org == meant_for && covers(&trust.pattern, &job.project));
    trusted.then_some(meant_for).ok_or(NoOwner)
}

/// A job's records belong to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the organisation that the token is made for does not trust this project's tokens: an admin can say so in \
     Settings; for another organisation, end the token's audience with /o/ and its name"
)]
pub(crate) struct NoOwner;

/// Whether a text can be a pattern: a project's full name, or `group/*`.
pub(crate) fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix("/*").unwrap_or(text);
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let whole = name.len() < text.len() || name.contains('/');
    text.len() <= PATTERN_MAX && whole && name.split('/').all(is_part)
}

fn covers(pattern: &str, project: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(group) => project
            .strip_prefix(group)
            .is_some_and(|rest| rest.starts_with('/')),
        None => pattern == project,
    }
}

fn same<'a>(
    what: &'static str,
    said: &mut Option<String>,
    allowed: impl IntoIterator<Item = &'a String>,
) -> Result<(), Mismatch> {
    let mut allowed = allowed.into_iter();
    match said {
        Some(said) if allowed.any(|name| name == said) => Ok(()),
        Some(_) => Err(Mismatch(what)),
        None => {
            *said = allowed.next().cloned();
            Ok(())
        }
    }
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    match claims.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        // GitLab's numbers are texts in its documentation, and have not always been.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// <https://docs.github.com/actions/reference/security/oidc>
fn github(claims: &Map<String, Value>) -> Option<Job> {
    let text = |name| text(claims, name);
    let project = text("repository")?;
    let file = text("workflow_ref").and_then(|workflow| {
        let (path, _) = workflow.split_once('@')?;
        let file = path.strip_prefix(&project)?.strip_prefix('/')?;
        Some(file.to_owned())
    });
    Some(Job {
        provider: Provider::Github,
        run: text("run_id")?,
        attempt: text("run_attempt").and_then(|attempt| attempt.parse().ok()),
        branches: names_of_ref(&text("ref")?),
        request: false,
        commit: text("sha")?,
        pipelines: file.into_iter().chain(text("workflow")).collect(),
        project,
    })
}

/// As `runward-ci` names a ref: GitHub's own short name, or what is left without `refs/`.
fn names_of_ref(name: &str) -> Vec<String> {
    let short = ["refs/heads/", "refs/tags/", "refs/pull/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let names = [short, name.strip_prefix("refs/"), Some(name)];
    match (short, name.strip_prefix("refs/pull/")) {
        // A branch has one name: `heads/main` would be another branch's.
        (Some(short), None) => vec![short.to_owned()],
        _ => names.into_iter().flatten().map(str::to_owned).collect(),
    }
}

/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>
fn gitlab(claims: &Map<String, Value>) -> Option<Job> {
    let text = |name| text(claims, name);
    let project = text("project_path")?;
    // `gitlab.example/group/app//.gitlab-ci.yml@refs/heads/main`; a file of another project is named differently in the
    // job's variables, and is not compared.
    let file = text("ci_config_ref_uri").and_then(|uri| {
        let (place, rest) = uri.split_once("//")?;
        let (_, of) = place.split_once('/')?;
        let (file, _) = rest.rsplit_once('@')?;
        (of == project).then(|| file.to_owned())
    });
    Some(Job {
        provider: Provider::Gitlab,
        run: text("pipeline_id")?,
        attempt: None,
        branches: vec![text("ref")?],
        request: text("pipeline_source")? == "merge_request_event",
        commit: text("sha")?,
        pipelines: file.into_iter().collect(),
        project,
    })
}

/// `merge-requests/7/head`, or `merge` or `train` at the end.
fn is_request(branch: &str) -> bool {
    let parts: Vec<&str> = branch.split('/').collect();
    match parts.as_slice() {
        ["merge-requests", number, kind] => {
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && matches!(*kind, "head" | "merge" | "train")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn of_github() -> Job {
        let claims = claims(json!({
            "repository": "acme/app", "ref": "refs/heads/main", "sha": "c0ffee", "run_id": "77", "run_attempt": "2",
            "workflow": "CI", "workflow_ref": "acme/app/.github/workflows/ci.yml@refs/heads/main",
        }));
        Job::new(Provider::Github, &claims).unwrap()
    }

    fn of_gitlab(source: &str) -> Job {
        let claims = claims(json!({
            "project_path": "acme/app", "ref": "topic", "sha": "c0ffee", "pipeline_id": "77",
            "pipeline_source": source, "ci_config_ref_uri": "gitlab.example/acme/app//.gitlab-ci.yml@refs/heads/topic",
        }));
        Job::new(Provider::Gitlab, &claims).unwrap()
    }

    fn said(provider: Provider, branch: &str, pipeline: &str) -> JobIdentity {
        JobIdentity {
            provider,
            project: Some("acme/app".to_owned()),
            pipeline: Some(pipeline.to_owned()),
            run: Some("77".to_owned()),
            branch: Some(branch.to_owned()),
            commit: Some("c0ffee".to_owned()),
            ..JobIdentity::default()
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_run_is_what_its_token_says() {
        let good = || said(Provider::Github, "main", ".github/workflows/ci.yml");
        let mut identity = good();
        of_github().claims(&mut identity).unwrap();
        assert_eq!(identity.attempt, Some(2));
        type Change = fn(&mut JobIdentity);
        let lies: [(&str, Change); 8] = [
            ("provider", |run| run.provider = Provider::Local),
            ("project", |run| run.project = some("acme/other")),
            ("run", |run| run.run = some("78")),
            ("commit", |run| run.commit = some("beef")),
            ("branch", |run| run.branch = some("release")),
            ("branch", |run| run.branch = some("heads/main")),
            ("pipeline", |run| {
                run.pipeline = some(".github/workflows/release.yml")
            }),
            ("attempt", |run| run.attempt = Some(3)),
        ];
        for (what, lie) in lies {
            let mut identity = good();
            lie(&mut identity);
            assert_eq!(of_github().claims(&mut identity), Err(Mismatch(what)));
        }
        let mut silent = JobIdentity {
            provider: Provider::Github,
            ..JobIdentity::default()
        };
        of_github().claims(&mut silent).unwrap();
        let mut whole = good();
        whole.attempt = Some(2);
        assert_eq!(silent, whole);
        let named = &mut said(Provider::Github, "main", "CI");
        of_github().claims(named).unwrap();
    }

    #[test]
    fn requests_have_names_of_their_own() {
        let pulled = Job {
            branches: names_of_ref("refs/pull/12/merge"),
            ..of_github()
        };
        for (branch, good) in [("12/merge", true), ("pull/12/merge", true), ("main", false)] {
            let run = &mut said(Provider::Github, branch, "CI");
            assert_eq!(pulled.claims(run).is_ok(), good, "{branch}");
        }
        for (source, branch, good) in [
            ("push", "topic", true),
            ("push", "main", false),
            ("push", "merge-requests/7/head", false),
            ("merge_request_event", "merge-requests/7/head", true),
            ("merge_request_event", "merge-requests/7/merge", true),
            ("merge_request_event", "merge-requests//head", false),
            ("merge_request_event", "topic", false),
        ] {
            let run = &mut said(Provider::Gitlab, branch, ".gitlab-ci.yml");
            assert_eq!(
                of_gitlab(source).claims(run).is_ok(),
                good,
                "{source} {branch}"
            );
        }
    }

    #[test]
    fn a_token_without_the_claims_says_nothing() {
        for missing in ["repository", "ref", "sha", "run_id"] {
            let mut all =
                claims(json!({ "repository": "a/b", "ref": "main", "sha": "c", "run_id": 7 }));
            assert!(Job::new(Provider::Github, &all).is_some());
            all.remove(missing);
            assert_eq!(Job::new(Provider::Github, &all), None, "{missing}");
        }
        assert_eq!(Job::new(Provider::Jenkins, &claims(json!({}))), None);
    }

    #[test]
    fn patterns_name_somebody() {
        for (pattern, good) in [
            ("acme/app", true),
            ("acme/*", true),
            ("acme/team/*", true),
            ("acme", false),
            ("*", false),
            ("/*", false),
            ("*/app", false),
            ("acme/*/app", false),
            ("acme/a*", false),
            ("acme//app", false),
            ("acme/app/", false),
            ("", false),
        ] {
            assert_eq!(is_pattern(pattern), good, "{pattern}");
        }
        assert!(covers("acme/*", "acme/app") && covers("acme/*", "acme/team/app"));
        assert!(!covers("acme/*", "acme") && !covers("acme/*", "acme-evil/app"));
        assert!(!covers("acme/app", "acme/app2") && !covers("acme/app", "acme/app/x"));
    }

    #[test]
    fn nobody_takes_what_is_meant_for_somebody_else() {
        let trust = |org, pattern: &str| Trust {
            id: 1,
            org: OrgId(org),
            issuer: String::new(),
            pattern: pattern.to_owned(),
            created_at: 0,
        };
        let job = of_github();
        let one = [
            trust(1, "acme/*"),
            trust(1, "acme/app"),
            trust(2, "other/*"),
        ];
        assert_eq!(owner(&job, &one, OrgId(1)), Ok(OrgId(1)));
        assert_eq!(owner(&job, &one, OrgId(2)), Err(NoOwner));
        assert_eq!(owner(&job, &[], OrgId(1)), Err(NoOwner));
        let both = [trust(1, "acme/*"), trust(2, "acme/app")];
        assert_eq!(owner(&job, &both, OrgId(1)), Ok(OrgId(1)));
        assert_eq!(owner(&job, &both, OrgId(2)), Ok(OrgId(2)));
    }
}
