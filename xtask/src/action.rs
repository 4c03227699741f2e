//! The GitHub action: its sources are JavaScript, so its own tests run under Node. How it works with the real program
//! is tested in `crates/runward/tests/it/github.rs`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::outcome::{Outcome, Skipped, Totals};
use crate::shell;

/// As in action.yml: what runs on it must run on the oldest Node that people test with, too.
const NODE_MIN: u32 = 20;

/// Runs the action's tests, as root where that takes no password: it installs and starts programs as root.
pub(crate) fn tests(sudo: bool) -> Outcome {
    let node = shell::output(Command::new("node").arg("--version"));
    let major = node.ok().and_then(|version| {
        let version = version.trim().strip_prefix('v')?;
        version.split('.').next()?.parse::<u32>().ok()
    });
    if major.is_none_or(|major| major < NODE_MIN) {
        return Outcome::Skipped(format!("needs Node {NODE_MIN} or newer"));
    }
    let files = match test_files() {
        Ok(files) => files,
        Err(error) => return Outcome::Failed(format!("{error:#}")),
    };
    let mut command = if sudo {
        let mut command = Command::new("sudo");
        command.args(["-n", "--", "node"]);
        command
    } else {
        Command::new("node")
    };
    let output = command
        .args(["--test", "--test-reporter=tap"])
        .args(files)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return Outcome::Failed(format!("can't start node: {error}")),
    };
    let tap = String::from_utf8_lossy(&output.stdout);
    let (totals, skipped) = read(&tap);
    if !output.status.success() {
        print!("{tap}");
    }
    if !output.status.success() && totals.failed == 0 || totals == Totals::default() {
        return Outcome::Failed("the tests of the action ended early; see above".into());
    }
    Outcome::Tests(totals, skipped)
}

/// Checks the types that its comments name.
pub(crate) fn types() -> Outcome {
    let tools = shell::target_dir().join("tools/typescript/node_modules");
    if !tools.exists() {
        return Outcome::Skipped("needs TypeScript; `scripts/setup test` brings it".into());
    }
    let mut tsc = Command::new("node");
    tsc.arg(tools.join("typescript/bin/tsc"))
        .arg("--project")
        .arg(folder())
        .arg("--typeRoots")
        .arg(tools.join("@types"));
    match shell::run(&mut tsc) {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn folder() -> PathBuf {
    shell::workspace().join("integrations/github-action")
}

fn test_files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder().join("test").read_dir()? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.js") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Counts in the Test Anything Protocol, version 13, of Node: `ok 3 - name # SKIP reason`.
fn read(tap: &str) -> (Totals, Vec<Skipped>) {
    let mut totals = Totals::default();
    let mut skipped = Vec::new();
    for line in tap.lines() {
        if line.starts_with("not ok ") {
            totals.failed += 1;
        } else if let Some(rest) = line.strip_prefix("ok ") {
            let Some((test, reason)) = rest.split_once(" # SKIP") else {
                totals.passed += 1;
                continue;
            };
            totals.skipped += 1;
            skipped.push(Skipped {
                name: test.split_once(" - ").map_or(test, |(_, name)| name).into(),
                reason: reason.trim().into(),
            });
        }
    }
    (totals, skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_node_are_counted_and_skipped_by_name() {
        let tap = "TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  ...\nnot ok 2 - b\n  error: 'ok 9'\n\
                   ok 3 - c - d # SKIP needs root\n1..3\n# pass 1\n";
        let (totals, skipped) = read(tap);
        assert_eq!(totals.to_string(), "1 passed, 1 failed, 1 skipped");
        let expected = Skipped {
            name: "c - d".into(),
            reason: "needs root".into(),
        };
        assert_eq!(skipped, [expected]);
    }
}
