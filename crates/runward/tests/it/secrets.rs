//! Secrets in what a job prints, and the process between the job and its output.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use runward_event::{Body, Encoding, OutputPlace, SecretFound};
use runward_lab::requires;

use crate::bed::{Bed, Recorded};

/// No secret, but a variable called so makes it one. Put together here, so that it stands in no file.
fn value() -> String {
    ["inert", "Q7x", "aB3", "Zz91"].join("-")
}

fn secrets(recorded: &Recorded) -> Vec<&SecretFound> {
    let events = recorded.events.iter();
    events
        .filter_map(|event| match &event.body {
            Body::SecretFound(secret) => Some(&**secret),
            _ => None,
        })
        .collect()
}

fn record(bed: &Bed, options: &[&str], script: &str) -> Recorded {
    let mut command = bed.runward(["run", "--quiet"]);
    command.args(options).args(["--", "sh", "-c", script]);
    let recorded = bed.finish(command.env("DEPLOY_TOKEN", value()));
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    let text = fs::read_to_string(recorded.folder.join("events.jsonl")).unwrap();
    assert!(!text.contains(&value()), "the secret is in the record");
    recorded
}

#[test]
fn a_secret_is_found_on_both_outputs_in_every_encoding_and_told_at_once() {
    requires!(Root);
    let script = "echo \"$DEPLOY_TOKEN\"; printf '{%s}' \"$DEPLOY_TOKEN\" | base64 >&2
        printf %s \"$DEPLOY_TOKEN\" | base64 -w 0 | base64 -w 0; sleep 0.5; echo end >&2";
    let recorded = record(&Bed::new(), &[], script);
    let mut got: Vec<_> = secrets(&recorded)
        .iter()
        .map(|secret| (secret.place, secret.encoding, secret.line))
        .collect();
    got.sort();
    assert_eq!(
        got,
        [
            (OutputPlace::Stdout, Encoding::Plain, 1),
            (OutputPlace::Stdout, Encoding::Base64Twice, 2),
            (OutputPlace::Stderr, Encoding::Base64, 1),
        ]
    );
    for secret in secrets(&recorded) {
        assert_eq!(secret.variable.as_deref(), Some("DEPLOY_TOKEN"));
        assert!(secret.process.is_some());
    }
    // Not only in the report: a text without the end of its line, too, is told before the job goes on.
    let stderr = &recorded.ran.stderr;
    let told = stderr.find("found secret-in-output").unwrap();
    assert!(told < stderr.find("end\n").unwrap(), "{stderr}");
}

#[test]
fn outputs_come_out_byte_for_byte_and_in_order() {
    requires!(Root);
    let bed = Bed::new();
    // Binary, long without a newline, and both outputs in one file.
    let script =
        "head -c 3000000 /dev/zero; for n in 1 2 3 4 5; do echo out $n; echo err $n >&2; done";
    let log = bed.path().join("log");
    let file = File::create(&log).unwrap();
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", script]);
    command.stdout(file.try_clone().unwrap()).stderr(file);
    assert!(command.status().unwrap().success());
    let mut expected = vec![0; 3_000_000];
    for n in 1..=5 {
        expected.extend(format!("out {n}\nerr {n}\n").bytes());
    }
    assert!(fs::read(&log).unwrap() == expected);
}

#[test]
fn a_socket_is_an_output_too() {
    requires!(Root);
    let bed = Bed::new();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", "echo \"$T_TOKEN\""]);
    command
        .env("T_TOKEN", value())
        .stdout(OwnedFd::from(theirs))
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("{}\n", value()));
    assert!(child.wait().unwrap().success());
    let report = fs::read_to_string(bed.path().join("runward-report/report.json")).unwrap();
    assert!(report.contains("secret-in-output"), "{report}");
}

#[test]
fn what_nobody_looks_at_is_said() {
    requires!(Root);
    let script = "echo \"$DEPLOY_TOKEN\"";
    let recorded = record(&Bed::new(), &["--no-output-scan"], script);
    assert_eq!(secrets(&recorded).len(), 0);
    let notes = recorded.report["notes"].to_string();
    assert!(notes.contains("--no-output-scan"), "{notes}");

    let bed = Bed::new();
    let mut command = bed.runward(["run", "--quiet", "--", "true"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    assert!(command.status().unwrap().success());
    let report = fs::read_to_string(bed.path().join("runward-report/report.json")).unwrap();
    assert!(report.contains("it is a device"), "{report}");
}

#[test]
fn artifacts_are_searched_and_what_is_packed_is_said() {
    requires!(Root);
    let script =
        "mkdir -p dist/sub; echo a > dist/a; printf 'x\\n%s' \"$DEPLOY_TOKEN\" > dist/sub/app.log
        printf 'PK\\003\\004' > dist/all.zip; ln -s /etc dist/etc; mkfifo dist/pipe";
    let recorded = record(&Bed::new(), &["--artifacts", "dist"], script);
    let got: Vec<_> = secrets(&recorded)
        .iter()
        .map(|secret| (secret.path.as_deref(), secret.line))
        .collect();
    assert_eq!(got, [(Some("dist/sub/app.log"), 2)]);
    let notes = recorded.report["notes"].to_string();
    assert!(notes.contains("looked into for secrets: 1"), "{notes}");
}

#[test]
fn who_stops_reading_ends_the_job_as_without_us() {
    requires!(Root);
    let bed = Bed::new();
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", "yes; true"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut some = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    // The pipe is closed here, and `yes` ends by it.
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_process_that_outlives_its_job_prints_on_and_keeps_nobody_waiting() {
    requires!(Root);
    let bed = Bed::new();
    let script = "(sleep 1; echo late) & echo soon";
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", script]);
    let begun = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text, "soon\nlate\n");
    assert!(child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn the_relay_outlives_the_agent() {
    requires!(Root);
    let bed = Bed::new();
    let script = "echo begun; sleep 2; echo after; sleep 0.2; echo end";
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", script]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 6];
    stdout.read_exact(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "after\nend\n");
}

#[test]
fn the_command_gets_its_streams_and_nothing_else() {
    requires!(Root);
    let bed = Bed::new();
    let script = "for fd in /proc/self/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; echo opened > /dev/stdout";
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let without = command.output().unwrap().stdout;
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", script]);
    let with = command.stdin(Stdio::null()).output().unwrap().stdout;
    assert_eq!(
        String::from_utf8_lossy(&with),
        String::from_utf8_lossy(&without)
    );
}
