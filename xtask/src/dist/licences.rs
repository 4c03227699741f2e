//! The licences of all that is in the binary, in full: most of them ask for that, and all in the same words are told once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::components::{Component, Texts};

/// How such files are called.
const NAMES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// The text, packed.
pub(super) fn packed(components: &[Component]) -> anyhow::Result<Vec<u8>> {
    pack(&text(components)?)
}

fn text(components: &[Component]) -> anyhow::Result<String> {
    let mut all = String::from("What is linked into runward, and under which licence:\n\n");
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for component in components {
        let name = format!("{} {}", component.name, component.version);
        let _ = writeln!(all, "  {name}: {}", component.licence);
        for file in files(&component.texts)? {
            let text = fs::read(&file).with_context(|| format!("can't read {}", file.display()))?;
            let text = String::from_utf8_lossy(&text).replace('\r', "");
            let by = users.entry(text.trim().to_owned()).or_default();
            if by.last() != Some(&name) {
                by.push(name.clone());
            }
        }
    }
    for (text, names) in users {
        let line = "-".repeat(80);
        let _ = write!(all, "\n{line}\n{}\n{line}\n\n{text}\n", names.join(", "));
    }
    Ok(all)
}

fn files(texts: &Texts) -> anyhow::Result<Vec<PathBuf>> {
    let folder = match texts {
        Texts::File(file) => return Ok(vec![file.clone()]),
        Texts::Folder(folder) => folder,
    };
    let failed = || format!("can't read {}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.is_file() && is_licence(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    NAMES.iter().any(|start| name.starts_with(start))
}

/// gzip without the name and the time that it writes otherwise.
pub(super) fn pack(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .args(["-9", "--no-name"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("can't start gzip")?;
    let mut into = gzip.stdin.take().context("gzip has no input")?;
    let text = text.to_owned();
    // On a thread of its own: gzip stops reading when nobody takes what it writes.
    let writer = std::thread::spawn(move || into.write_all(text.as_bytes()));
    let done = gzip.wait_with_output()?;
    let written = writer.join();
    ensure!(
        done.status.success() && written.is_ok_and(|written| written.is_ok()),
        "gzip failed"
    );
    Ok(done.stdout)
}
