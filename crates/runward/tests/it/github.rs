//! The GitHub action with the real program, in workflows that a real implementation of the runner plays (`act`, on the
//! machine itself and not in containers): `integrations/github-action`.

use std::fs;
use std::path::Path;
use std::process::Command;

use runward_lab::{Ran, requires, run, skip, test_name};

use crate::bed::{LIMIT, within};
use crate::pipeline::{ALLOWED, CALL, FORBIDDEN, Pipeline, tool};

/// How a workflow names the action: README.md, and what `runward migrate` writes.
const ACTION: &str = "runward/runward/integrations/github-action";

/// Plays a workflow of one job, as root: our action with these inputs, then these steps.
fn play(pipeline: &Pipeline, act: &Path, inputs: &str, steps: &str) -> Ran {
    prepare(pipeline, inputs, steps);
    finish(pipeline, pipeline.runner(act, "project"))
}

fn prepare(pipeline: &Pipeline, inputs: &str, steps: &str) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../integrations/github-action");
    // The runner takes all of a repository, so it gets one with nothing else in it.
    copy(
        &sources,
        &pipeline.path("action/integrations/github-action"),
    );
    let workflow = format!(
        "on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: {ACTION}@v1
        id: runward
        with:
          binary: {program}
          report: {report}
          start-limit: 60
{inputs}
{steps}
",
        program = pipeline.program().display(),
        report = pipeline.path("report").display(),
    );
    pipeline.write("project/.github/workflows/ci.yml", &workflow);
}

fn finish(pipeline: &Pipeline, mut command: Command) -> Ran {
    let action = pipeline.path("action");
    command
        .args(["push", "--no-cache-server", "--container-daemon-socket=-"])
        .args(["--platform", "ubuntu-latest=-self-hosted"])
        .arg(format!(
            "--local-repository=runward/runward@v1={}",
            action.display()
        ));
    run(&mut command, LIMIT).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A step that calls this host.
fn calls(host: &str) -> String {
    let call = CALL.replace('\n', "\n          ");
    format!("      - run: |\n          {call}\n          call {host}\n")
}

/// Ends a test where no workflow can be played.
macro_rules! act {
    () => {{
        requires!(Root, Netns, Program("node"), Program("git"));
        match tool("bin/act") {
            Some(act) => act,
            None => return skip(test_name!(), "needs the program act: scripts/setup test"),
        }
    }};
}

#[test]
fn a_workflow_in_audit_mode_is_recorded_and_summarised() {
    let act = act!();
    let pipeline = Pipeline::new();
    let steps = format!(
        "{}{}      - run: echo \"mode is ${{{{ steps.runward.outputs.effective-mode }}}}\"\n",
        calls(ALLOWED),
        calls(FORBIDDEN)
    );
    let ran = play(&pipeline, &act, "          egress-policy: audit", &steps);
    let said = &ran.stdout;
    assert!(ran.worked(), "{said}{}", ran.stderr);
    assert!(said.contains("Effective mode: audit, proved in"), "{said}");
    assert!(said.contains("mode is audit"), "{said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert_eq!(pipeline.arrived(), 1, "audit stops nothing: {said}");
    // The runner shows what the action put on the job's page.
    assert!(said.contains("Summary - ## Runward"), "{said}");
    let report = pipeline.report();
    assert_eq!(report["effective_mode"], "audit");
    assert_eq!(report["job"]["provider"], "github");
    let destinations = report["destinations"].to_string();
    for host in [ALLOWED, FORBIDDEN] {
        assert!(destinations.contains(host), "{destinations}");
    }
}

#[test]
fn a_workflow_in_block_mode_reaches_what_its_policy_allows() {
    let act = act!();
    let pipeline = Pipeline::new();
    let inputs = format!(
        "          egress-policy: block\n          allowed-endpoints: >\n            {ALLOWED}:80"
    );
    let ran = play(&pipeline, &act, &inputs, &calls(ALLOWED));
    let said = &ran.stdout;
    assert!(ran.worked(), "{said}{}", ran.stderr);
    assert!(said.contains("Effective mode: block, proved in"), "{said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert_eq!(pipeline.report()["effective_mode"], "block");
}

#[test]
fn a_forbidden_call_of_a_workflow_is_stopped_and_stands_in_the_summary() {
    let act = act!();
    let pipeline = Pipeline::new();
    // Nothing but a list: block mode is what there is unless somebody says audit.
    let inputs = format!(
        "          allowed-endpoints: {ALLOWED}:80\n          fail-on: outbound-call-blocked"
    );
    let steps = format!("{}{}", calls(ALLOWED), calls(FORBIDDEN));
    let ran = play(&pipeline, &act, &inputs, &steps);
    let said = &ran.stdout;
    assert!(!ran.worked(), "fail-on fails the job: {said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert!(said.contains("refused: collect.evil.example"), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
    let (_, summary) = said
        .split_once("Summary - ## Runward")
        .unwrap_or_else(|| panic!("{said}"));
    assert!(summary.contains(FORBIDDEN), "{summary}");
    assert!(said.contains("`fail-on` names"), "{said}");
    let annotation = |line: &str| line.contains("title=Runward outbound-call-blocked");
    let line = said.lines().find(|line| annotation(line));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(!line.contains('|'), "a command and no text: {line}");
    let refused = pipeline.report()["detections"].to_string();
    assert!(refused.contains("outbound-call-blocked"), "{refused}");
}

#[test]
fn a_runner_that_is_not_root_is_fenced_through_sudo() {
    requires!(Program("sudo"), Program("setpriv"), Program("unshare"));
    let act = act!();
    let pipeline = Pipeline::new();
    let inputs = format!("          allowed-endpoints: {ALLOWED}:80");
    let steps = format!("      - run: id -u\n{}{}", calls(ALLOWED), calls(FORBIDDEN));
    prepare(&pipeline, &inputs, &steps);
    let ran = finish(&pipeline, pipeline.runner_with_sudo(&act, "project"));
    let said = &ran.stdout;
    assert!(ran.worked(), "{said}{}", ran.stderr);
    assert!(said.contains("| 65534\n"), "{said}");
    assert!(said.contains("Effective mode: block, proved in"), "{said}");
    assert!(said.contains("got welcome from packages.example"), "{said}");
    assert!(said.contains("refused: collect.evil.example"), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
    // The last phase, which is not root either, shows what root has written.
    let (_, summary) = said
        .split_once("Summary - ## Runward")
        .unwrap_or_else(|| panic!("{said}"));
    assert!(summary.contains(FORBIDDEN), "{summary}");
}

#[test]
fn no_step_can_call_sudo_where_that_was_asked_for() {
    requires!(Program("sudo"), Program("setpriv"), Program("unshare"));
    let act = act!();
    let steps = "      - run: sudo -n id -u || echo refused\n";
    for (inputs, machine, said) in [
        ("disable-sudo: false", "github-hosted", Some("| 0\n")),
        ("disable-sudo: true", "github-hosted", Some("| refused\n")),
        (
            "disable-sudo-and-containers: true",
            "github-hosted",
            Some("| refused\n"),
        ),
        // Whoever's machine it is would miss it in the next job.
        ("disable-sudo: true", "self-hosted", None),
    ] {
        let pipeline = Pipeline::new();
        let inputs = format!("          allowed-endpoints: {ALLOWED}:80\n          {inputs}");
        prepare(&pipeline, &inputs, steps);
        let mut command = pipeline.runner_with_sudo(&act, "project");
        command.arg(format!("--env=RUNNER_ENVIRONMENT={machine}"));
        let ran = finish(&pipeline, command);
        assert_eq!(ran.worked(), said.is_some(), "{inputs}: {}", ran.stdout);
        let expected = said.unwrap_or("only done on GitHub's own machines");
        assert!(ran.stdout.contains(expected), "{inputs}: {}", ran.stdout);
        // What we do to the machine is no finding.
        assert!(
            !ran.stdout.contains("persistence"),
            "{inputs}: {}",
            ran.stdout
        );
    }
}

#[test]
fn a_workflow_in_lockdown_is_killed_and_its_next_step_does_not_run() {
    let act = act!();
    let pipeline = Pipeline::new();
    let inputs = format!(
        "          allowed-endpoints: {ALLOWED}:80\n          lockdown: outbound-call-blocked"
    );
    let marker = pipeline.path("marker");
    let steps = format!(
        "{}          sleep 5\n      - if: always()\n        run: touch {}\n",
        calls(FORBIDDEN),
        marker.display()
    );
    let ran = play(&pipeline, &act, &inputs, &steps);
    let said = &ran.stdout;
    assert!(!ran.worked(), "{said}");
    assert!(!marker.exists(), "{said}");
    assert_eq!(pipeline.arrived(), 0, "{said}");
    let written = || pipeline.path("report/report.json").exists();
    assert!(within(LIMIT, written), "a report is left: {said}");
    let report = pipeline.report();
    assert!(!report["lockdown"].is_null(), "{report}");
}

#[test]
fn a_workflow_whose_fence_cannot_be_raised_comes_to_no_step() {
    let act = act!();
    let pipeline = Pipeline::new();
    let marker = pipeline.path("marker");
    let step = format!("      - run: touch {}\n", marker.display());
    // A policy that nobody can read.
    let inputs = "          allowed-endpoints: 'https://not an endpoint/'";
    let ran = play(&pipeline, &act, inputs, &step);
    let said = &ran.stdout;
    assert!(!ran.worked(), "{said}");
    assert!(
        said.contains("The job is stopped, because Runward does not watch it"),
        "{said}"
    );
    assert!(!marker.exists(), "{said}");
}
