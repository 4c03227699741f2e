//! `runward migrate`. None of it needs root or a kernel.

use std::os::unix::fs::symlink;
use std::path::Path;

use runward_lab::{Ran, run};

use crate::bed::{Bed, LIMIT};

const WORKFLOW: &str = "\
# Builds it
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: step-security/harden-runner@v2 # v2
        with:
          egress-policy: block
          allowed-endpoints: >
            github.com:443
            crates.example
          deploy-on-self-hosted-vm: true
      - uses: actions/checkout@v4
";

const FIREWALL: &str = "# Hosts\nmode: enforce\nallow:\n  - api.github.com # the API\n";

fn bed(files: &[(&str, &str)]) -> Bed {
    let bed = Bed::new();
    for (name, text) in files {
        let path = bed.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    bed
}

fn migrate(bed: &Bed, args: &[&str]) -> Ran {
    let args = ["migrate"].iter().chain(args);
    run(&mut bed.runward(args), LIMIT).unwrap()
}

fn text(bed: &Bed, name: &str) -> String {
    std::fs::read_to_string(bed.path().join(name)).unwrap()
}

/// Everything that a person sees.
fn seen(ran: &Ran) -> String {
    format!("{}--\n{}-- {}\n", ran.stdout, ran.stderr, ran.code())
}

#[test]
fn nothing_is_written_until_it_is_asked_for_and_then_it_is_what_was_shown() {
    let bed = bed(&[
        (".github/workflows/ci.yml", WORKFLOW),
        (".github/workflows/other.yaml", "on: push\njobs: {}\n"),
        (
            ".github/workflows/README.md",
            "uses: step-security/harden-runner@v2",
        ),
        (".github/egress-firewall.yaml", FIREWALL),
    ]);
    let ran = migrate(&bed, &[".github"]);
    insta::assert_snapshot!(seen(&ran));
    assert_eq!(text(&bed, ".github/workflows/ci.yml"), WORKFLOW);
    assert!(!bed.path().join(".runward.yml").exists());

    // What is shown is what a program that patches makes of it.
    let patch = bed.path().join("shown.patch");
    std::fs::write(&patch, &ran.stdout).unwrap();
    let ran = migrate(&bed, &["--write", ".github"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let written = (
        text(&bed, ".github/workflows/ci.yml"),
        text(&bed, ".runward.yml"),
    );
    std::fs::write(bed.path().join(".github/workflows/ci.yml"), WORKFLOW).unwrap();
    std::fs::remove_file(bed.path().join(".runward.yml")).unwrap();
    let mut git = std::process::Command::new("git");
    git.args(["apply", "-p0", "shown.patch"])
        .current_dir(bed.path());
    let ran = run(&mut git, LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert_eq!(
        written,
        (
            text(&bed, ".github/workflows/ci.yml"),
            text(&bed, ".runward.yml")
        )
    );

    let ran = run(&mut bed.runward(["policy", "check", ".runward.yml"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert_eq!(text(&bed, ".github/egress-firewall.yaml"), FIREWALL);
    let ran = migrate(&bed, &["--check", ".github"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
}

#[test]
fn check_says_by_its_exit_code_whether_something_would_change() {
    let bed = bed(&[("a/ci.yml", WORKFLOW), ("b/ci.yml", "on: push\n")]);
    let ran = migrate(&bed, &["--check", "a"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (1, ""));
    assert_eq!(text(&bed, "a/ci.yml"), WORKFLOW);
    assert_eq!(migrate(&bed, &["--check", "b"]).code(), 0);
    assert_eq!(migrate(&bed, &["--check", "--write", "b"]).code(), 2);
    assert_eq!(migrate(&bed, &["nowhere"]).code(), 2);
    assert_eq!(migrate(&bed, &[]).code(), 2);
}

#[test]
fn a_file_with_an_error_is_told_and_stops_no_other() {
    let bed = bed(&[
        ("a.yml", "jobs:\n  a: [\n"),
        ("b.yml", WORKFLOW),
        ("c\u{1b}[31m.yml", "jobs: *nowhere\n"),
        (
            "d.yml",
            "jobs: {a: {steps: [{uses: bullfrogsec/bullfrog@v1, with: x}]}}\n",
        ),
    ]);
    std::fs::write(bed.path().join("e.yml"), b"a: \xff\n").unwrap();
    let ran = migrate(&bed, &["--write", "."]);
    insta::assert_snapshot!(seen(&ran));
    assert!(text(&bed, "b.yml").contains("runward"));
    assert_eq!(text(&bed, "a.yml"), "jobs:\n  a: [\n");
}

#[test]
fn a_link_that_leads_out_is_not_followed() {
    let bed = bed(&[("outside.yml", WORKFLOW), ("in/ci.yml", WORKFLOW)]);
    symlink("../outside.yml", bed.path().join("in/out.yml")).unwrap();
    symlink("ci.yml", bed.path().join("in/again.yml")).unwrap();
    symlink("nowhere", bed.path().join("in/broken.yml")).unwrap();
    symlink("..", bed.path().join("in/up.yml")).unwrap();
    let ran = migrate(&bed, &["--write", "in", "in/ci.yml"]);
    assert_eq!(ran.code(), 2);
    for said in [
        "in/out.yml is a link that leads out of its folder",
        "cannot follow the link in/broken.yml",
        "in/up.yml is a link that leads out of its folder",
        "1 file written",
    ] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert_eq!(text(&bed, "outside.yml"), WORKFLOW);
    assert!(text(&bed, "in/ci.yml").contains("runward"));
    let is_link = |name: &str| {
        bed.path()
            .join(name)
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    };
    assert!(is_link("in/again.yml"));
    assert_eq!(migrate(&bed, &["in/out.yml"]).code(), 2);
    assert_eq!(migrate(&bed, &["outside.yml", "--check"]).code(), 1);
}

#[test]
fn the_action_can_be_another_one() {
    let bed = bed(&[("ci.yml", WORKFLOW)]);
    let ran = migrate(
        &bed,
        &[
            "--write",
            "--action",
            "example/watch@0123456789abcdef0123456789abcdef01234567",
            "ci.yml",
        ],
    );
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(
        text(&bed, "ci.yml")
            .contains("uses: example/watch@0123456789abcdef0123456789abcdef01234567\n")
    );
    for wrong in ["example", "a/b@c # d", "step-security/harden-runner@v3"] {
        assert_eq!(
            migrate(&bed, &["--action", wrong, "ci.yml"]).code(),
            2,
            "{wrong}"
        );
    }
}

#[test]
fn a_policy_that_is_there_is_not_written_over() {
    let bed = bed(&[
        (".github/egress-firewall.yaml", FIREWALL),
        (".runward.yml", "egress-policy: block\n"),
        ("elsewhere/egress-firewall.yaml", FIREWALL),
    ]);
    let ran = migrate(&bed, &["--write", "."]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("with something else in it"),
        "{}",
        ran.stderr
    );
    assert_eq!(text(&bed, ".runward.yml"), "egress-policy: block\n");
    assert!(!Path::new(&bed.path().join("elsewhere/.runward.yml")).exists());
}
