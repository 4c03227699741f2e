//! For machines without a package manager that we serve: `runward install` does the rest.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{MACHINE, Release, stage};
use crate::shell;

pub(super) fn make(release: &Release, out: &Path) -> anyhow::Result<String> {
    let folder = TempDir::new()?;
    let name = format!("runward-{}-{MACHINE}", release.version);
    let at = |path: &str| format!("{name}/{path}");
    let put =
        |path: &str, mode, content: &[u8]| stage::put(folder.path(), &at(path), mode, content);
    put("runward", 0o755, &std::fs::read(&release.binary)?)?;
    for from in [
        "integrations/systemd/runward-agent.service",
        "integrations/agent.yml",
        "LICENSE",
    ] {
        let path = from.rsplit('/').next().unwrap_or(from);
        put(path, 0o644, &stage::ours(from)?)?;
    }
    put("licences.txt.gz", 0o644, &release.licences)?;
    stage::documents(folder.path(), &at("docs"), release)?;
    let file = format!("{name}.tar.gz");
    shell::run(
        Command::new("tar")
            .args(["--create", "--format=gnu", "--sort=name", "--numeric-owner"])
            .args([
                "--owner=0",
                "--group=0",
                "--use-compress-program=gzip -9 --no-name",
            ])
            .arg(format!("--mtime=@{}", release.epoch))
            .arg("--directory")
            .arg(folder.path())
            .arg("--file")
            .arg(std::path::absolute(out)?.join(&file))
            .arg(&name),
    )?;
    Ok(file)
}
