//! For Debian and what descends from it, by its own dpkg-deb.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::{DEBIAN, Release, licences, sha256, stage, template};
use crate::shell;

const DOC: &str = "usr/share/doc/runward";

/// What `/usr/share/doc/runward/copyright` says before the licence's name.
const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Runward
Source: https://github.com/runward/runward

Files: *
Copyright: 2026 the contributors to Runward
License: Apache-2.0
 On Debian systems, the full text of this licence is in /usr/share/common-licenses/Apache-2.0.
Comment:
 Libraries are linked into the program. licences.txt.gz beside this file names each with its licence, in full.
";

pub(super) fn make(release: &Release, out: &Path) -> anyhow::Result<String> {
    let folder = stage::machine(release)?;
    let root = folder.path();
    let put = |path: &str, mode, content: &[u8]| stage::put(root, path, mode, content);
    put(&format!("{DOC}/copyright"), 0o644, COPYRIGHT.as_bytes())?;
    put(&format!("{DOC}/licences.txt.gz"), 0o644, &release.licences)?;
    let changes = String::from_utf8_lossy(&stage::ours("CHANGELOG.md")?).into_owned();
    put(
        &format!("{DOC}/changelog.gz"),
        0o644,
        &licences::pack(&changes)?,
    )?;
    let overrides = stage::ours("integrations/deb/lintian-overrides")?;
    put("usr/share/lintian/overrides/runward", 0o644, &overrides)?;

    let files = files(root)?;
    let mut sums = String::new();
    let mut bytes = 0;
    for path in &files {
        let file = root.join(path);
        bytes += fs::metadata(&file)?.len();
        // The package's own format, which asks for MD5, against damage only.
        let sum = shell::output(Command::new("md5sum").arg("--").arg(&file))?;
        sums += &format!("{}  {path}\n", sum.split(' ').next().unwrap_or_default());
    }
    let control = String::from_utf8(stage::ours("integrations/deb/control")?)?;
    let control = template(&control, release).replace("@SIZE@", &(bytes / 1024).to_string());
    put("DEBIAN/control", 0o644, control.as_bytes())?;
    put("DEBIAN/md5sums", 0o644, sums.as_bytes())?;
    put(
        "DEBIAN/conffiles",
        0o644,
        format!("/{}\n", stage::CONFIGURATION).as_bytes(),
    )?;
    for script in ["postinst", "prerm", "postrm"] {
        let text = stage::ours(&format!("integrations/deb/{script}"))?;
        put(&format!("DEBIAN/{script}"), 0o755, &text)?;
    }
    let file = format!("runward_{}_{DEBIAN}.deb", release.version);
    let built = out.join(&file);
    // One thread: the blocks of several differ with their number.
    shell::output(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--threads-max=1", "--build"])
            .arg(root)
            .arg(&built)
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string()),
    )?;
    sha256(&built).context("dpkg-deb made nothing")?;
    Ok(file)
}

/// The paths of all files below a folder, in order.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root)?.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}
