//! What a package puts on a machine, laid out in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

use super::Release;
use crate::shell::workspace;

/// Where the configuration is, which people change.
pub(super) const CONFIGURATION: &str = "etc/runward/agent.yml";
const UNIT: &str = "usr/lib/systemd/system/runward-agent.service";

/// Documents of the repository that go along.
const DOCUMENTS: [(&str, &str); 4] = [
    ("docs/install.md", "install.md"),
    ("docs/policy.md", "policy.md"),
    ("docs/detections.md", "detections.md"),
    ("docs/fence.md", "fence.md"),
];

/// Lays out what all packages have in common.
pub(super) fn machine(release: &Release) -> anyhow::Result<TempDir> {
    let folder = TempDir::new()?;
    let root = folder.path();
    set_mode(root, 0o755)?;
    put(root, "usr/bin/runward", 0o755, &read(&release.binary)?)?;
    put(
        root,
        UNIT,
        0o644,
        &ours("integrations/systemd/runward-agent.service")?,
    )?;
    put(root, CONFIGURATION, 0o644, &ours("integrations/agent.yml")?)?;
    documents(root, "usr/share/doc/runward", release)?;
    Ok(folder)
}

/// Documents and the list of components.
pub(super) fn documents(root: &Path, folder: &str, release: &Release) -> anyhow::Result<()> {
    for (from, name) in DOCUMENTS {
        put(root, &format!("{folder}/{name}"), 0o644, &ours(from)?)?;
    }
    put(
        root,
        &format!("{folder}/runward.cdx.json"),
        0o644,
        &release.sbom,
    )
}

/// Writes a file, and its folders with the rights that all folders have.
pub(super) fn put(root: &Path, path: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    let file = root.join(path);
    let failed = || format!("can't write {}", file.display());
    let mut folder = root.to_path_buf();
    for part in Path::new(path).parent().into_iter().flat_map(Path::iter) {
        folder.push(part);
        if !folder.exists() {
            fs::create_dir(&folder).with_context(failed)?;
            set_mode(&folder, 0o755)?;
        }
    }
    fs::write(&file, content).with_context(failed)?;
    set_mode(&file, mode)
}

/// A file of the repository.
pub(super) fn ours(path: &str) -> anyhow::Result<Vec<u8>> {
    read(&workspace().join(path))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

/// Whatever the umask is of who makes the packages.
fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("can't set the rights of {}", path.display()))
}
