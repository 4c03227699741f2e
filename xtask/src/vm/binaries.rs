use std::io::BufReader;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use cargo_metadata::{Message, TargetKind};

use crate::shell;

/// What cargo built for the machines.
#[derive(Debug, Default)]
pub(super) struct Binaries {
    pub(super) tests: Vec<TestBinary>,
    /// The `runward` binary, when a crate whose tests run makes it.
    pub(super) runward: Option<PathBuf>,
    /// The folder of `runward-lab`'s compiled actors, when a crate whose tests run uses them.
    pub(super) actors: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct TestBinary {
    /// The crate, and the binary inside of it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The crate's folder: tests expect to run there.
    pub(super) folder: PathBuf,
}

impl Binaries {
    /// Builds every test binary, and keeps those of the packages. All are built, because cargo builds libraries anew
    /// when it is asked for some packages only: their features differ.
    pub(super) fn build(packages: &[String]) -> anyhow::Result<Binaries> {
        let mut cargo = shell::cargo();
        cargo.args([
            "test",
            "--workspace",
            "--locked",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ]);
        let mut child = cargo
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start cargo")?;
        let stdout = child.stdout.take().context("cargo has no output")?;
        let mut binaries = Binaries::default();
        for message in Message::parse_stream(BufReader::new(stdout)) {
            binaries.note(message.context("can't read what cargo prints")?, packages);
        }
        ensure!(child.wait()?.success(), "the tests do not build; see above");
        ensure!(
            !binaries.tests.is_empty(),
            "{} have no tests",
            packages.join(", ")
        );
        binaries.tests.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(binaries)
    }

    fn note(&mut self, message: Message, packages: &[String]) {
        match message {
            Message::CompilerArtifact(artifact) => {
                let Some(path) = artifact.executable else {
                    return;
                };
                let path = path.into_std_path_buf();
                if artifact.profile.test {
                    let folder = artifact.manifest_path.parent();
                    let folder = folder.map(|dir| dir.as_std_path().to_owned());
                    let folder = folder.unwrap_or_default();
                    let krate = folder.file_name().unwrap_or_default().to_string_lossy();
                    if !packages.iter().any(|package| *package == krate) {
                        return;
                    }
                    let name = format!("{krate}-{}", artifact.target.name);
                    self.tests.push(TestBinary { name, path, folder });
                } else if artifact.target.name == "runward"
                    && artifact.target.kind.contains(&TargetKind::Bin)
                {
                    self.runward = Some(path);
                }
            }
            Message::BuildScriptExecuted(script) => {
                let actors = script.out_dir.as_std_path().join("actors");
                if script.package_id.repr.contains("runward-lab") && actors.is_dir() {
                    self.actors = Some(actors);
                }
            }
            _ => {}
        }
    }
}
