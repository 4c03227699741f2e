//! The GitLab template with the real program, in pipelines that a real implementation of the runner's shell executor
//! plays (`gitlab-ci-local`): `integrations/gitlab`.

use std::path::{Path, PathBuf};
use std::process::Command;

use runward_lab::{Ran, requires, run, skip, test_name};

use crate::bed::{LIMIT, within};
use crate::pipeline::{ALLOWED, CALL, FORBIDDEN, Pipeline, tool};

const TEMPLATE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../integrations/gitlab/templates/runward.yml"
));

/// Plays one job of a pipeline that takes the template with these inputs.
fn play(pipeline: &Pipeline, local: &Path, inputs: &str, job: &str) -> Ran {
    pipeline.write("project/templates/runward.yml", TEMPLATE);
    let call = CALL.replace('\n', "\n      ");
    let text = format!(
        "include:
  - local: templates/runward.yml
    inputs:
      binary: {}
{inputs}
.calls:
  script:
    - |
      {call}
build:
{job}
",
        pipeline.program().display(),
    );
    pipeline.write("project/.gitlab-ci.yml", &text);
    // Another home's git configuration is not there.
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(pipeline.path("project")).args(args);
        let git = run(&mut git, LIMIT).unwrap();
        assert!(git.worked(), "{args:?}: {}", git.stderr);
    };
    git(&["init", "--quiet"]);
    git(&[
        "remote",
        "add",
        "origin",
        "https://gitlab.example/acme/shop.git",
    ]);
    git(&["add", "."]);
    let author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
    git(&[&author[..], &["commit", "--quiet", "-m", "begin"]].concat());
    let mut command = pipeline.runner(Path::new("node"), "project");
    // It says that it is no GitLab; what a job sees on one is the opposite.
    command.arg(local).args([
        "--force-shell-executor",
        "--variable",
        "GITLAB_CI=true",
        "build",
    ]);
    run(&mut command, LIMIT).unwrap()
}

/// Ends a test where no pipeline can be played.
macro_rules! local {
    () => {{
        requires!(
            Root,
            Netns,
            Program("node"),
            Program("git"),
            Program("rsync"),
            Program("bash")
        );
        match tool("gitlab-ci-local/node_modules/gitlab-ci-local/src/index.js") {
            Some(local) => local,
            None => return skip(test_name!(), "needs gitlab-ci-local: scripts/setup test"),
        }
    }};
}

/// A job that calls these hosts.
fn calls(variables: &str, hosts: &[&str]) -> String {
    let calls: String = hosts
        .iter()
        .map(|host| format!("    - call {host}\n"))
        .collect();
    format!("{variables}  script:\n    - !reference [.calls, script]\n{calls}")
}

fn report_of(pipeline: &Pipeline) -> PathBuf {
    pipeline.path("project/runward-report/report.json")
}

#[test]
fn a_pipeline_takes_its_policy_from_the_template_and_a_forbidden_call_is_stopped() {
    let local = local!();
    let pipeline = Pipeline::new();
    let inputs = format!("      allowed-endpoints: {ALLOWED}:80");
    let job = calls("", &[ALLOWED, FORBIDDEN]);
    let ran = play(&pipeline, &local, &inputs, &job);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(ran.worked(), "nothing says that this fails the job: {said}");
    assert!(said.contains("in block mode"), "{said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert!(said.contains("refused: collect.evil.example"), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
    let report = pipeline.report_at(&report_of(&pipeline));
    assert_eq!(report["effective_mode"], "block");
    assert_eq!(report["job"]["provider"], "gitlab");
    assert_eq!(report["job"]["job"], "build");
    assert!(report["detections"].to_string().contains(FORBIDDEN));
    // By after_script, when the record is complete.
    assert!(said.contains("1 destination blocked"), "{said}");
    assert!(!said.contains("breaks off"), "{said}");
}

#[test]
fn a_job_says_its_own_policy_in_variables_and_fails_by_what_is_found() {
    let local = local!();
    let pipeline = Pipeline::new();
    let variables = format!(
        "  variables:\n    RUNWARD_ALLOWED_ENDPOINTS: {ALLOWED}:80\n    RUNWARD_FAIL_ON: outbound-call-blocked\n"
    );
    let job = calls(&variables, &[ALLOWED, FORBIDDEN]);
    let ran = play(
        &pipeline,
        &local,
        "      allowed-endpoints: other.example",
        &job,
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!ran.worked(), "{said}");
    assert!(said.contains("FAIL 86"), "{said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
}

#[test]
fn a_job_in_audit_mode_reaches_everything_and_ends_as_it_would() {
    let local = local!();
    let pipeline = Pipeline::new();
    let variables = "  variables:\n    RUNWARD_EGRESS_POLICY: audit\n";
    let job = calls(variables, &[ALLOWED, FORBIDDEN]) + "    - exit 7\n";
    let ran = play(&pipeline, &local, "", &job);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("FAIL 7"), "{said}");
    assert_eq!(pipeline.arrived(), 1, "{said}");
    let report = pipeline.report_at(&report_of(&pipeline));
    assert_eq!(report["effective_mode"], "audit");
}

#[test]
fn a_job_in_lockdown_is_killed_and_after_script_says_why() {
    let local = local!();
    let pipeline = Pipeline::new();
    let marker = pipeline.path("marker");
    let inputs =
        format!("      allowed-endpoints: {ALLOWED}:80\n      lockdown: outbound-call-blocked");
    let job =
        calls("", &[FORBIDDEN]) + &format!("    - sleep 5\n    - touch {}\n", marker.display());
    let ran = play(&pipeline, &local, &inputs, &job);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!ran.worked() && !marker.exists(), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
    assert!(within(LIMIT, || report_of(&pipeline).exists()), "{said}");
    let report = pipeline.report_at(&report_of(&pipeline));
    assert!(!report["lockdown"].is_null(), "{report}");
}

#[test]
fn a_job_whose_fence_cannot_be_raised_comes_to_no_line_of_its_script() {
    let local = local!();
    let pipeline = Pipeline::new();
    let marker = pipeline.path("marker");
    let job = format!("  script:\n    - touch {}\n", marker.display());
    let ran = play(
        &pipeline,
        &local,
        "      allowed-endpoints: 'https://no endpoint/'",
        &job,
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("FAIL 125"), "{said}");
    assert!(!marker.exists(), "{said}");
}
