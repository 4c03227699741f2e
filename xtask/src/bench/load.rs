use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

/// Work that is nothing but what Runward watches: the dearest case there is.
#[derive(Debug, Args)]
pub(crate) struct Load {
    kind: Kind,
    count: u32,
    /// Where files are made
    folder: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Runs /bin/true, one after the other.
    Execs,
    /// Writes a small file, renames it and deletes it.
    Files,
}

impl Load {
    /// Does the work. Written here and not as a shell script, whose own cost would hide what is measured.
    pub(crate) fn play(&self) -> anyhow::Result<()> {
        for round in 0..self.count {
            match self.kind {
                Kind::Execs => {
                    let status = Command::new("/bin/true")
                        .status()
                        .context("can't run /bin/true")?;
                    ensure!(status.success(), "/bin/true ended with {status}");
                }
                Kind::Files => {
                    let first = self.folder.join(format!("file-{}", round % 100));
                    let second = self.folder.join(format!("renamed-{}", round % 100));
                    fs::write(&first, b"one line of text\n")?;
                    fs::rename(&first, &second)?;
                    fs::remove_file(&second)?;
                }
            }
        }
        Ok(())
    }
}
