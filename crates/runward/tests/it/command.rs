//! The command's own life is left alone: its code, its streams, its signals, its user.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use runward_lab::{requires, run};
use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, LIMIT};

#[test]
fn ends_as_the_command_ends() {
    requires!(Root);
    let table: [(&[&str], i32); 7] = [
        (&["true"], 0),
        (&["false"], 1),
        (&["sh", "-c", "exit 42"], 42),
        (&["sh", "-c", "exit 255"], 255),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
        (&["sh", "-c", "kill -KILL $$"], 128 + 9),
        (&["./not-there"], 127),
    ];
    for (command, code) in table {
        assert_eq!(Bed::new().record(command).ran.code(), code, "{command:?}");
    }
}

#[test]
fn a_command_that_cannot_run_is_said() {
    requires!(Root);
    let bed = Bed::new();
    std::fs::write(bed.path().join("data"), "not a program").unwrap();
    let recorded = bed.record(["./data"]);
    assert_eq!(recorded.ran.code(), 126);
    assert!(
        recorded
            .ran
            .stderr
            .contains("cannot run the command `./data`"),
        "{}",
        recorded.ran.stderr
    );
    let recorded = bed.record(["not-there"]);
    assert_eq!(recorded.ran.code(), 127);
    assert!(
        recorded
            .ran
            .stderr
            .contains("cannot find the command `not-there`"),
        "{}",
        recorded.ran.stderr
    );
}

#[test]
fn refuses_before_the_command_starts() {
    let bed = Bed::new();
    std::fs::write(bed.path().join("file"), "").unwrap();
    let touch = ["--", "touch", "started"];
    let table: [(&[&str], &str); 8] = [
        (
            &[
                "run",
                "--egress-policy",
                "block",
                "--allowed-endpoints",
                "example.com:443q",
            ],
            "did you mean `example.com:443`?",
        ),
        (
            &["run", "--egress-policy", "audti"],
            "did you mean `audit`?",
        ),
        (
            &["run", "--no-such-flag"],
            "unexpected argument '--no-such-flag'",
        ),
        (
            &["run", "--workspace", "not-there"],
            "cannot read the workspace not-there",
        ),
        (
            &["run", "--workspace", "file"],
            "cannot read the workspace file",
        ),
        (
            &["run", "--report", "file/report"],
            "cannot write the report to file/report",
        ),
        (
            &["run", "--policy", "not-there"],
            "cannot read the policy not-there",
        ),
        (
            &["run", "--fail-on", "source-code-overwriten"],
            "neither a severity nor a detection",
        ),
    ];
    for (arguments, sentence) in table {
        if arguments.contains(&"--report") {
            // Nobody but root comes so far.
            requires!(Root);
        }
        let ran = run(bed.runward(arguments).args(touch), LIMIT).unwrap();
        assert_eq!(ran.code(), 125, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(sentence),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(!bed.path().join("started").exists(), "{arguments:?}");
    }
    let ran = run(&mut bed.runward(["run"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 125, "without a command: {}", ran.stderr);
    let ran = run(&mut bed.runward(["doctor", "--no-such-flag"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 2, "{}", ran.stderr);
}

#[test]
fn the_doctor_finds_the_tier() {
    requires!(Root);
    let bed = Bed::new();
    let ran = run(&mut bed.runward(["doctor", "--json"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let tier = found["tier"].as_str().unwrap_or_default();
    let present = |name: &str| {
        let capabilities = found["capabilities"].as_array().unwrap();
        let mut named = capabilities.iter().filter(|one| one["name"] == name);
        named.next().unwrap()["present"] == true
    };
    // A virtual machine says what its kernel must give; here, the tier follows from what could be loaded.
    let expected = std::env::var("RUNWARD_EXPECT_TIER").unwrap_or_else(|_| {
        let trampolines = present("trampolines that refuse (fmod_ret)");
        if trampolines { "A" } else { "B" }.to_owned()
    });
    assert_eq!(tier, expected, "{found:#}");
    // Tier A that can't guard the agent could not run in block mode.
    assert_eq!(present("trampolines that guard the agent"), tier == "A");
    let recorded = bed.record(["true"]);
    assert_eq!(recorded.report["tier"], expected.as_str());
}

#[test]
fn says_so_when_it_is_not_root() {
    requires!(Root, Program("setpriv"));
    let bed = Bed::new();
    let mut command = std::process::Command::new("setpriv");
    // A copy, because the folder of the build need not be open to everybody.
    let copy = bed.path().join("runward");
    std::fs::copy(crate::bed::binary(), &copy).unwrap();
    make_public(bed.path());
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(copy);
    command
        .args(["run", "--", "touch", "started"])
        .current_dir(bed.path());
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 125);
    assert!(ran.stderr.contains("needs root"), "{}", ran.stderr);
    assert!(!bed.path().join("runward-report").exists());
}

fn make_public(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn streams_pass_through() {
    requires!(Root);
    let bed = Bed::new();
    let mut child = bed
        .runward(["run", "--quiet", "--", "sh", "-c", "cat; echo aside >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut sent = vec![0u8; 1 << 20];
    for (index, byte) in sent.iter_mut().enumerate() {
        *byte = u8::try_from(index % 251).unwrap();
    }
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn({
        let sent = sent.clone();
        move || stdin.write_all(&sent).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(output.stdout, sent);
    assert_eq!(output.stderr, b"aside\n");
}

#[test]
fn the_summary_goes_to_standard_error_only() {
    requires!(Root);
    let bed = Bed::new();
    let ran = run(&mut bed.runward(["run", "--", "echo", "result"]), LIMIT).unwrap();
    assert_eq!(ran.stdout, "result\n");
    assert!(ran.stderr.contains("echo result"), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains('\u{1b}'),
        "no colour where nobody looks: {}",
        ran.stderr
    );
    let ran = run(
        &mut bed.runward(["run", "--json", "--", "echo", "result"]),
        LIMIT,
    )
    .unwrap();
    let report: serde_json::Value = serde_json::from_str(ran.stderr.trim_end()).unwrap();
    assert_eq!(report["exit_code"], 0);
}

#[test]
fn signals_reach_the_command() {
    requires!(Root);
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
    ] {
        let bed = Bed::new();
        // The shell says when its trap is set; `wait` is what a signal interrupts.
        let script = format!("trap 'echo got; exit 7' {name}; echo ready; sleep 60 & wait");
        let mut child = bed
            .runward(["run", "--quiet", "--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut seen = [0; 6];
        stdout.read_exact(&mut seen).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(wait(&mut child), Some(7), "{name}");
    }
}

#[test]
fn ctrl_c_reaches_both_once() {
    requires!(Root, Program("setsid"));
    let bed = Bed::new();
    // As a terminal does it: the signal goes to the whole process group. Runward outlives it and keeps the record.
    let script = "trap 'echo int >> ints; exit 3' INT; echo ready; sleep 60 & wait";
    let mut command = std::process::Command::new("setsid");
    let inner = bed.runward(["run", "--quiet", "--", "sh", "-c", script]);
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(bed.path());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = [0; 6];
    stdout.read_exact(&mut seen).unwrap();
    rustix::process::kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(wait(&mut child), Some(3));
    // A signal that comes from kill(2) is passed on, so the trap may run for both; the record is what counts here.
    assert!(
        std::fs::read_to_string(bed.path().join("ints"))
            .unwrap()
            .starts_with("int\n")
    );
    assert!(bed.path().join("runward-report/report.html").exists());
}

fn wait(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().or(status.signal());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            let _ = child.kill();
            panic!("the command did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn through_sudo_the_command_runs_as_the_caller() {
    requires!(Root, Program("id"), Program("getent"));
    let bed = Bed::new();
    make_public(bed.path());
    // What sudo sets; `nobody` is on every machine.
    let mut command = bed.runward([
        "run",
        "--quiet",
        "--",
        "sh",
        "-c",
        "id -u; id -g; echo $HOME:$SUDO_UID; echo x > made",
    ]);
    command
        .env("SUDO_UID", "65534")
        .env("SUDO_GID", "65534")
        .env("SUDO_USER", "nobody");
    let recorded = bed.finish(&mut command);
    let lines: Vec<&str> = recorded.ran.stdout.lines().collect();
    assert_eq!(&lines[..2], ["65534", "65534"], "{}", recorded.ran.stderr);
    assert!(!lines[2].starts_with("/root"), "{lines:?}");
    assert!(lines[2].ends_with(':'), "SUDO_UID is gone: {lines:?}");
    assert_eq!(recorded.execs()[0].uid, 65534);
    use std::os::unix::fs::MetadataExt;
    for file in ["events.jsonl", "report.json", "summary.md", "report.html"] {
        assert_eq!(
            recorded.folder.join(file).metadata().unwrap().uid(),
            65534,
            "{file}"
        );
    }
}

#[test]
fn disabled_sudo_gains_nothing() {
    requires!(Root, Program("id"), Program("getent"));
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    make_public(bed.path());
    // What sudo is to the kernel: a program that belongs to root and runs as its owner.
    let id = bed.path().join("id-as-root");
    std::fs::copy(on_path("id"), &id).unwrap();
    std::fs::set_permissions(&id, std::fs::Permissions::from_mode(0o4755)).unwrap();
    for (options, user) in [
        (&[][..], "0"),
        (&["--disable-sudo"], "65534"),
        (&["--disable-sudo-and-containers"], "65534"),
    ] {
        let mut command = bed.runward(["run", "--quiet"]);
        command
            .args(options)
            .args(["--", "./id-as-root", "-u"])
            .env("SUDO_UID", "65534")
            .env("SUDO_GID", "65534")
            .env("SUDO_USER", "nobody");
        let recorded = bed.finish(&mut command);
        assert_eq!(
            recorded.ran.stdout.trim(),
            user,
            "{options:?}: {}",
            recorded.ran.stderr
        );
    }
    // Root itself would be root all the same.
    let mut command = bed.runward(["run", "--disable-sudo", "--", "touch", "started"]);
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 125);
    assert!(
        ran.stderr.contains("a job that runs as root"),
        "{}",
        ran.stderr
    );
    assert!(!bed.path().join("started").exists());
}

fn on_path(program: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap()
}

#[test]
fn runs_inside_and_beside_each_other() {
    requires!(Root);
    let bed = Bed::new();
    let inner = crate::bed::binary();
    let mut command = bed.runward(["run", "--quiet", "--report", "outer", "--"]);
    command.arg(inner).args([
        "run",
        "--quiet",
        "--report",
        "inner",
        "--",
        "sh",
        "-c",
        "/bin/true; exit 5",
    ]);
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 5, "{}", ran.stderr);
    for report in ["outer", "inner"] {
        let text = std::fs::read_to_string(bed.path().join(report).join("events.jsonl")).unwrap();
        assert!(text.contains("\"path\":\"/bin/true\""), "{report}");
    }

    let both: Vec<Child> = (0..2)
        .map(|n| {
            bed.runward([
                "run",
                "--quiet",
                "--",
                "sh",
                "-c",
                &format!("sleep 0.5; exit {n}"),
            ])
            .spawn()
            .unwrap()
        })
        .collect();
    let codes: Vec<_> = both.into_iter().map(|mut child| wait(&mut child)).collect();
    assert_eq!(codes, [Some(0), Some(1)]);
    for report in ["runward-report", "runward-report-2"] {
        let text = std::fs::read_to_string(bed.path().join(report).join("events.jsonl")).unwrap();
        let commands = text.matches("\"kind\":\"job_start\"").count();
        assert_eq!(commands, 1, "{report} belongs to one run");
    }
}
