//! `runward policy` and `runward replay`. None of it needs root or a kernel.

use runward_lab::{Ran, run};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT};

const POLICY: &str = r#"egress-policy: block
allowed-endpoints:
  - github.com
  - endpoint: "*.example.com:80"
    executables: curl
    reason: the tests
  - "@buildkite"
denied-endpoints: [evil.example.com, 10.0.0.0/8]
"#;

fn bed(files: &[(&str, &str)]) -> Bed {
    let bed = Bed::new();
    for (name, text) in files {
        std::fs::write(bed.path().join(name), text).unwrap();
    }
    bed
}

fn runward(bed: &Bed, args: &[&str]) -> Ran {
    run(&mut bed.runward(args), LIMIT).unwrap()
}

#[test]
fn check_shows_each_error_where_it_stands() {
    let text = "egress-policy: audti\nallowed-endpoints:\n  - github.com:g443\n  - größe.漢.example:443q\n  - \"evil\\x1b[31m.example:443\"\n";
    let bed = bed(&[("policy.yml", text), ("good.yml", POLICY)]);
    let ran = runward(&bed, &["policy", "check", "policy.yml"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stderr);
    let ran = runward(&bed, &["policy", "check", "good.yml"]);
    assert_eq!((ran.code(), ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "The policy is valid: block, 5 allowed, 2 denied.\n"
    );
    let ran = runward(&bed, &["policy", "check", "not-there.yml"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr.contains("cannot read the policy not-there.yml"));
    assert_eq!(runward(&bed, &["policy", "check"]).code(), 2);
}

#[test]
fn check_takes_a_list_and_prints_json() {
    let bed = bed(&[]);
    let check = |list: &str| {
        let ran = runward(
            &bed,
            &["policy", "check", "--json", "--allowed-endpoints", list],
        );
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
        (ran.code(), answer)
    };
    let (code, answer) = check("github.com:443 artifacts.example:433");
    assert_eq!(
        (code, &answer["valid"], &answer["allowed-endpoints"]),
        (0, &json!(true), &json!(2))
    );
    assert_eq!(answer["warnings"][0]["suggestion"], "artifacts.example:443");
    let (code, answer) = check("github.com:443q ${{ env.MORE }}");
    assert_eq!((code, &answer["valid"]), (2, &json!(false)));
    assert_eq!(answer["errors"][0]["kind"], "port");
    assert_eq!(answer["errors"][0]["suggestion"], "github.com:443");
    assert_eq!(answer["errors"][1]["kind"], "expression");
    assert_eq!(answer["errors"][1]["column"], 17);
}

#[test]
fn explain_names_the_line() {
    let bed = bed(&[("policy.yml", POLICY)]);
    for (destination, code, said) in [
        (
            "github.com",
            0,
            "github.com:443 is allowed by\n  github.com:443  policy.yml:3:5\n",
        ),
        ("GITHUB.com.:443", 0, "policy.yml:3:5"),
        (
            "agent.buildkite.com:443",
            0,
            "policy.yml:7:6 (@buildkite of ",
        ),
        ("127.0.0.1:8080", 0, "needs no rule: loopback"),
        (
            "github.com:80",
            1,
            "no line of policy.yml allows it\nThis line would allow it:\n  - github.com:80\n",
        ),
        (
            "github.com:80",
            1,
            "github.com:443  policy.yml:3:5 (other ports)",
        ),
        (
            "evil.example.com:22",
            1,
            "is denied by\n  evil.example.com:*  policy.yml:8:20",
        ),
        (
            "10.1.2.3:443",
            1,
            "is denied by\n  10.0.0.0/8:*  policy.yml:8:38",
        ),
        ("x.example.com:80", 1, "(other processes)"),
        ("[2001:db8::1]:53/udp", 0, "the resolver"),
        ("169.254.169.254:80", 1, "is not allowed"),
        ("*.example.com:80", 2, ""),
        ("github.com:x", 2, ""),
    ] {
        let ran = runward(
            &bed,
            &["policy", "explain", "--policy", "policy.yml", destination],
        );
        assert_eq!(ran.code(), code, "{destination}: {}", ran.stderr);
        assert!(ran.stdout.contains(said), "{destination}: {}", ran.stdout);
    }
    let ran = runward(
        &bed,
        &[
            "policy",
            "explain",
            "--policy",
            "policy.yml",
            "x.example.com:80",
            "--executable",
            "/usr/bin/curl",
            "--json",
        ],
    );
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code(), &answer["verdict"]), (0, &json!("allowed")));
    assert_eq!(answer["because"][0]["origin"]["line"], 4);
}

#[test]
fn show_joins_all_sources_and_a_weaker_one_only_tightens() {
    let bed = bed(&[
        ("policy.yml", POLICY),
        (
            ".runward.yml",
            "allowed-endpoints: github.com x.example.com:80 evil.example:443\n",
        ),
    ]);
    let mut command = bed.runward(["policy", "show", "--policy", "policy.yml"]);
    command
        .env("RUNWARD_ALLOWED_ENDPOINTS", "github.com\n")
        .env("RUNWARD_DENIED_ENDPOINTS", "")
        .env("RUNWARD_EGRESS_POLICY", "audit");
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
    let ran = runward(&bed, &["policy", "explain", "github.com"]);
    assert!(ran.stdout.contains(".runward.yml:1:20"), "{}", ran.stdout);
    let ran = runward(
        &bed,
        &["policy", "show", "--json", "--policy", "policy.yml"],
    );
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["egress-policy"], "block");
    assert_eq!(answer["allowed-endpoints"][1]["kind"], "workspace");
    assert_eq!(
        answer["allowed-endpoints"][0]["rules"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn an_error_in_any_source_is_an_error_of_the_policy() {
    let bed = bed(&[("policy.yml", POLICY), (".runward.yml", "allow: []\n")]);
    let mut command = bed.runward(["policy", "show", "--policy", "policy.yml"]);
    command.env("RUNWARD_ALLOWED_ENDPOINTS", "github.com:x");
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 2);
    assert!(
        ran.stderr.contains("--> .runward.yml:1:1"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("--> RUNWARD_ALLOWED_ENDPOINTS:1:12"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_file_of_a_workspace_is_no_way_to_read_another() {
    let bed = bed(&[("secret", "allowed-endpoints: hidden words\n")]);
    let file = bed.path().join(".runward.yml");
    std::os::unix::fs::symlink("secret", &file).unwrap();
    let ran = runward(&bed, &["policy", "show"]);
    assert_eq!(ran.code(), 2);
    assert!(
        ran.stderr.contains("is a link") && !ran.stderr.contains("hidden"),
        "{}",
        ran.stderr
    );
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let ran = runward(&bed, &["policy", "show"]);
    assert!(ran.stderr.contains("is not a file"), "{}", ran.stderr);
}

/// A record of a run that connected to these names, with a program for each.
fn record(connections: &[(&str, &str)]) -> String {
    let event = |seq: usize, rest: &str| {
        format!(r#"{{"seq":{seq},"time":"2026-01-01T00:00:00.00000000{seq}Z",{rest}}}"#) + "\n"
    };
    let mut text = event(
        1,
        r#""kind":"job_start","format":1,"runward":"0.1.0","identity":{"provider":"local"},"args":["make"],"cwd":"/w","workspace":"/w","files_watched":true,"requested_mode":"audit","effective_mode":"audit","tier":"A","kernel":"6.1""#,
    );
    for (number, (name, exe)) in connections.iter().enumerate() {
        let process = number + 1;
        text += &event(
            2,
            &format!(
                r#""kind":"process_exec","process":{process},"pid":{process},"ppid":0,"exe":"{exe}","path":"{exe}","args":["x"],"cwd":"/w","uid":0,"gid":0"#
            ),
        );
        text += &event(
            3,
            &format!(
                r#""kind":"connect","connection":{process},"process":{process},"pid":{process},"protocol":"tcp","ip":"192.0.2.1","port":443,"name":"{name}","status":"allowed""#
            ),
        );
    }
    text
}

#[test]
fn suggest_makes_a_policy_by_which_a_replay_blocks_nothing() {
    let first = record(&[
        ("github.com", "/usr/bin/git"),
        ("shard1.store.example.com", "/usr/bin/npm"),
        ("shard2.store.example.com", "/usr/bin/npm"),
        ("user1.github.io", "/usr/bin/curl"),
    ]);
    let second = record(&[
        ("github.com", "/usr/bin/git"),
        ("shard7.store.example.com", "/usr/bin/npm"),
    ]);
    let bed = bed(&[
        ("one.jsonl", &first),
        (
            "strict.yml",
            "allowed-endpoints: [github.com]\ndenied-endpoints: [user1.github.io]\n",
        ),
    ]);
    std::fs::create_dir(bed.path().join("two")).unwrap();
    std::fs::write(bed.path().join("two/events.jsonl"), second).unwrap();
    let ran = runward(&bed, &["policy", "suggest", "one.jsonl", "two"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    insta::assert_snapshot!("suggested", ran.stdout);
    std::fs::write(bed.path().join("suggested.yml"), &ran.stdout).unwrap();
    let ran = runward(
        &bed,
        &["replay", "--policy", "suggested.yml", "one.jsonl", "two"],
    );
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("No connection would have been blocked"),
        "{}",
        ran.stdout
    );
    let ran = runward(
        &bed,
        &["replay", "--policy", "strict.yml", "one.jsonl", "two"],
    );
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    // What is found in the runs stands before.
    let (_, blocked) = ran.stdout.split_once("\n\n").unwrap();
    insta::assert_snapshot!("replayed", blocked);
    let ran = runward(
        &bed,
        &[
            "replay",
            "--json",
            "--policy",
            "strict.yml",
            "one.jsonl",
            "two",
        ],
    );
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["runs"][1]["blocked_connections"], 1);
    assert_eq!(answer["blocked"].as_array().unwrap().len(), 4);
    assert_eq!(answer["denied_by"][0]["origin"]["line"], 2);
    let ran = runward(&bed, &["replay", "--policy", "strict.yml", "not-there"]);
    assert_eq!(ran.code(), 2);
}
