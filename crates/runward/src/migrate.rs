//! `runward migrate`: the shell around `runward-migrate`. It finds the files, shows what would change, and writes.

mod diff;
mod file;
mod find;

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use runward_migrate::{Migration, Remark, Weight, migrate_firewall, migrate_workflow};

use crate::cli::MigrateOptions;
use crate::policy::print;
use crate::{exit, output};
use file::TextFile;

/// GitHub's own policy file. It is read at this place only.
const FIREWALL: [&str; 2] = [".github", "egress-firewall.yaml"];

/// What it becomes, at the root of the repository.
const POLICY: &str = ".runward.yml";

/// `runward migrate`.
pub(crate) fn migrate(options: &MigrateOptions) -> ExitCode {
    let mut work = Work {
        options,
        told: HashSet::new(),
        changes: 0,
        failures: 0,
    };
    let found = find::find(&options.paths);
    for error in &found.errors {
        work.fail(error);
    }
    for path in &found.files {
        if let Err(error) = work.file(path) {
            work.fail(&error);
        }
    }
    work.finish(found.files.len())
}

struct Work<'o> {
    options: &'o MigrateOptions,
    /// Notes that hold for every file are told with the first.
    told: HashSet<String>,
    changes: usize,
    failures: usize,
}

impl Work<'_> {
    fn fail(&mut self, error: &anyhow::Error) {
        self.failures += 1;
        output::say(format_args!("{error:#}"));
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let file = TextFile::read(path)?;
        if let Some(root) = root_of_firewall(path) {
            return self.firewall(&file, &root);
        }
        let migration = migrate_workflow(file.text(), &self.options.action);
        let migration = self.told(path, migration)?;
        let Some(new) = migration else {
            return Ok(());
        };
        self.changes += 1;
        if self.options.write {
            return file.replace(&new);
        }
        self.show(Some(path), path, file.text(), &new);
        Ok(())
    }

    /// GitHub's file stays: it is GitHub's as long as a job runs behind its firewall.
    fn firewall(&mut self, file: &TextFile, root: &Path) -> Result<()> {
        let policy = root.join(POLICY);
        let there = match policy.symlink_metadata() {
            Ok(_) => Some(TextFile::read(&policy)?),
            Err(_) => None,
        };
        let migration = migrate_firewall(file.text());
        if let (Some(there), Ok(migration)) = (&there, &migration) {
            if migration.text.as_deref() != Some(there.text()) {
                output::say(format_args!(
                    "{}: not taken over, because there is a {} with something else in it",
                    output::shown(file.path()),
                    output::shown(&policy)
                ));
            }
            return Ok(());
        }
        let Some(new) = self.told(file.path(), migration)? else {
            return Ok(());
        };
        self.changes += 1;
        if self.options.write {
            return file.create_beside(&policy, &new);
        }
        self.show(None, &policy, "", &new);
        Ok(())
    }

    /// Tells what there is to know, and gives the new text.
    fn told(
        &mut self,
        path: &Path,
        migration: Result<Migration, runward_migrate::Refusal>,
    ) -> Result<Option<String>> {
        let migration = match migration {
            Ok(migration) => migration,
            Err(refusal) => {
                let (path, line) = (output::shown(path), refusal.line);
                bail!("{path}:{line}:{}: {refusal}", refusal.column)
            }
        };
        for remark in migration.remarks {
            self.remark(path, remark);
        }
        Ok(migration.text)
    }

    fn remark(&mut self, path: &Path, remark: Remark) {
        let path = output::shown(path);
        let line = remark.line;
        match remark.weight {
            Weight::Lost => output::say(format_args!("{path}:{line}: {}", remark.text)),
            Weight::Note if self.told.contains(&remark.text) => {}
            Weight::Note => {
                output::say(format_args!("{path}:{line}: note: {}", remark.text));
                self.told.insert(remark.text);
            }
        }
    }

    fn show(&self, old_path: Option<&Path>, new_path: &Path, old: &str, new: &str) {
        if self.options.check {
            return;
        }
        let diff = diff::unified(old_path, new_path, old, new);
        if std::io::stdout().is_terminal() {
            print(&diff::harmless(&diff));
        } else {
            print(&diff);
        }
    }

    fn finish(&self, files: usize) -> ExitCode {
        let (changes, write) = (self.changes, self.options.write);
        match (changes, write) {
            (0, _) if self.failures == 0 => {
                output::say(format_args!("nothing to change in {}", counted(files)));
            }
            (0, _) => {}
            (_, true) => output::say(format_args!("{} written", counted(changes))),
            (_, false) => output::say(format_args!(
                "{} would change: `--write` does it",
                counted(changes)
            )),
        }
        if self.failures > 0 {
            return ExitCode::from(exit::USAGE);
        }
        if self.options.check && changes > 0 {
            return ExitCode::from(exit::FAILURE);
        }
        ExitCode::SUCCESS
    }
}

fn counted(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    }
}

/// The root of the repository whose file of GitHub's firewall this is.
fn root_of_firewall(path: &Path) -> Option<PathBuf> {
    let [folder, name] = FIREWALL;
    if path.file_name()? != name {
        return None;
    }
    // Where the path does not name the folders above, the file system does.
    let above = path.parent().filter(|parent| parent.file_name().is_some());
    let above = match above {
        Some(above) => above.to_path_buf(),
        None => path.canonicalize().ok()?.parent()?.to_path_buf(),
    };
    (above.file_name()? == folder).then(|| above.parent().map(Path::to_path_buf))?
}
