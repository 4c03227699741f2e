use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::libtest::Scan;
use crate::outcome::{Outcome, Report};
use crate::{action, shell, vm};

/// The crates whose tests need root: they load BPF programs, make namespaces and mark file systems.
pub(crate) const NEED_ROOT: [&str; 4] =
    ["runward", "runward-agent", "runward-lab", "runward-sensor"];

/// Everything that this machine can check. Goes on after a failure, so that one run shows all of them.
pub(crate) fn everything() -> anyhow::Result<Report> {
    let mut report = lint()?;
    headline("tests");
    report.add("tests", tests()?);
    headline("tests of the GitHub action");
    report.add("GitHub action", action::tests(sudo()));
    headline("tests in virtual machines");
    report.append(vm::run(&vm::Options::default())?);
    Ok(report)
}

/// The format, the lints, and the rules about dependencies.
pub(crate) fn lint() -> anyhow::Result<Report> {
    let mut report = Report::default();
    headline("format");
    report.add(
        "format",
        step(shell::cargo().args(["fmt", "--all", "--check"])),
    );
    report.add("fuzz targets", fuzz_targets());
    headline("lints");
    let clippy = [
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-targets",
    ];
    report.add(
        "lints",
        step(
            shell::cargo()
                .args(clippy)
                .args(["--", "--deny", "warnings"]),
        ),
    );
    report.add("types of the GitHub action", action::types());
    headline("dependencies");
    report.add("dependencies", dependencies());
    Ok(report)
}

/// Their format, and that the dependencies that they are locked to are still those of the crates. Building them, with
/// everything anew, is left to `make fuzz`.
fn fuzz_targets() -> Outcome {
    let fuzz = shell::workspace().join("fuzz/Cargo.toml");
    let cargo = |arguments: &[&str]| {
        let mut cargo = shell::cargo();
        step(cargo.args(arguments).arg("--manifest-path").arg(&fuzz))
    };
    match cargo(&["fmt", "--check"]) {
        Outcome::Ok => cargo(&["fetch", "--quiet", "--locked"]),
        wrong => wrong,
    }
}

fn dependencies() -> Outcome {
    if !shell::succeeds(shell::cargo().args(["deny", "--version"])) {
        return Outcome::Skipped(
            "cargo-deny is not installed; `cargo install --locked cargo-deny` brings it".into(),
        );
    }
    // Not the advisories: what they say changes from day to day, and must not turn a sound commit red.
    let checks = ["bans", "licenses", "sources"];
    step(
        shell::cargo()
            .args(["deny", "--workspace", "check"])
            .args(checks),
    )
}

/// Whether this is not root but can be, without a password.
fn sudo() -> bool {
    !rustix::process::geteuid().is_root()
        && shell::succeeds(Command::new("sudo").args(["-n", "--preserve-env", "true"]))
}

/// Root's tests run through sudo where a person has it without a password; otherwise they skip themselves by name.
fn tests() -> anyhow::Result<Outcome> {
    let mut scan = Scan::default();
    let mut sound = true;
    if sudo() {
        let mut rest = cargo_test();
        rest.arg("--workspace");
        for package in NEED_ROOT {
            rest.args(["--exclude", package]);
        }
        sound &= scanned(&mut rest, &mut scan)?;
        let mut root = cargo_test();
        root.env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
            "sudo -n --preserve-env",
        );
        for package in NEED_ROOT {
            root.args(["--package", package]);
        }
        sound &= scanned(&mut root, &mut scan)?;
    } else {
        sound &= scanned(cargo_test().arg("--workspace"), &mut scan)?;
    }
    if !sound && scan.totals().failed == 0 {
        return Ok(Outcome::Failed(
            "the tests did not build, or a test binary ended early; see above".into(),
        ));
    }
    Ok(scan.into_outcome())
}

fn cargo_test() -> Command {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast"]);
    // A snapshot that is not committed yet must fail here instead of being accepted.
    cargo.env("INSTA_UPDATE", "no");
    cargo
}

/// Runs `cargo test …`, shows what it prints, and counts. Answers whether cargo was content.
fn scanned(command: &mut Command, scan: &mut Scan) -> anyhow::Result<bool> {
    // One pipe for both streams keeps their lines in order.
    let (reader, writer) = std::io::pipe().context("can't make a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .context("can't start cargo")?;
    // The command keeps its ends of the pipe until these are gone too.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("can't read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        scan.line(&line);
        println!("{line}");
    }
    Ok(child.wait()?.success())
}

fn step(command: &mut Command) -> Outcome {
    match shell::run(command) {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn headline(name: &str) {
    println!("== {name}");
}
